"""Pointing: does the image encoder's map of a sentence peak where the finding is (pointing game, Zhang et al. 2016)?

The map is the one that drafts show (`retrieval.places`), of a sentence that is true of the picture. A hit is a peak
inside the finding's mask, or its boxes; "nearby" allows 15 pixels on a picture whose longer side is 512, as published.
Chance is a point drawn anywhere in the picture: the mask's share of its area. Three figures are of the maps whose peak
is clear enough to be shown (`assistant.places.clear_enough`): how many, and how many of those hit, or lie in the wrong
half.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import ClassVar

import numpy as np
from anyio import to_thread
from numpy.typing import NDArray
from PIL import Image

from assistant.places import clear_enough
from assistant.requests import AskRequest
from assistant.study import Pixels
from eval.benchmarks.common import SIZE, study_of
from eval.benchmarks.cxr_nih import TERMS
from eval.benchmarks.folder import RADIOGRAPH, Entry, Look, entries, file_in, held_out, sample, study
from eval.benchmarks.phantom_items import drawn, whose
from eval.exam.benchmark import Answer, Benchmark, Figure, Item, Scores, mean_of
from eval.exam.candidate import Candidate
from eval.metrics.grounding import Box, box_iou, boxes_mask, points_at_mask
from eval.phantoms import Phantom, make_phantom
from eval.phantoms.findings import Finding, box_of
from eval.phantoms.text import sentence
from retrieval.encoders.patches import PatchEncoder, sees_places
from retrieval.errors import BadInput
from retrieval.places import heat_of, place_of

PLACE = 18
NEARBY = 15 / 512  # of the longer side
NEEDS = "a folder with studies.jsonl, images and masks or boxes; of lines with a split, val and test are asked"
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PointingItem(Item):
    mask: Callable[[], Mask]  # (height, width) of the picture


class Pointing(Benchmark):
    name = "pointing"
    title = "Pointing: the encoder's map of a true sentence (phantoms, held-out families)"
    full, quick = 300, 12
    headline = "pointing game"

    def items(self, n: int, seed: int) -> Iterator[PointingItem]:
        every = (item_of(phantom, finding) for phantom in drawn(PLACE, seed) for finding in phantom.shown)
        return islice(every, n)

    async def sit(self, candidate: Candidate, item: Item) -> dict[str, Answer]:
        """What would be said of it isn't asked: the answer is the peak and the box."""
        encoder, request = candidate.assistant.retriever.encoders.image_text, item.request()
        assert isinstance(request, AskRequest)
        if not sees_places(encoder):
            raise BadInput("This image encoder does not tell where in a picture something is seen.")
        picture, text = request.study.pictures[0], request.question
        told = await to_thread.run_sync(pointed, encoder, picture.pixels, text)
        return {"asked": Answer(status="answered", text=text, pictures=(picture.sha256,), likelihoods=told)}

    def score(self, item: Item, answers: Mapping[str, Answer]) -> Scores:
        assert isinstance(item, PointingItem)
        from scipy.ndimage import distance_transform_edt

        mask, told = item.mask(), answers["asked"].likelihoods
        point, box = (told["x"], told["y"]), (told["x0"], told["y0"], told["x1"], told["y1"])
        nearby = np.asarray(distance_transform_edt(~mask) <= NEARBY * max(mask.shape))
        hit, shown = points_at_mask(point, mask), told["clear"] >= told["enough"]
        true = box_of(mask)
        middle, half = mask.shape[1] / 2, item.truth.get("side") is not None
        return {
            "hit": hit,
            "nearby": points_at_mask(point, nearby),
            "chance": float(mask.mean()),
            "chance_nearby": float(nearby.mean()),
            "above": hit - float(mask.mean()),
            "iou": box_iou(box, true),
            "clear": round(told["clear"], 3),
            "shown": shown,
            "hit_shown": hit if shown else None,
            "half_shown": ((point[0] < middle) != ((true[0] + true[2]) / 2 < middle)) if shown and half else None,
        }

    @property
    def figures(self) -> Mapping[str, Figure]:
        return {
            self.headline: mean_of("hit"),
            "by chance": mean_of("chance"),
            "above chance": mean_of("above"),
            "nearby": mean_of("nearby"),
            "nearby by chance": mean_of("chance_nearby"),
            "IoU of the boxes": mean_of("iou"),
            "clear enough to be shown": mean_of("shown"),
            "pointing game of what is shown": mean_of("hit_shown"),
            "wrong half of what is shown": mean_of("half_shown"),
        }


def pointed(encoder: PatchEncoder, pixels: Pixels, text: str) -> dict[str, float]:
    """Peak, box and clearness, had and asked for, of the sentence's map, in pixels of the picture."""
    size = (pixels.shape[1], pixels.shape[0])
    (patches,) = encoder.encode_patches([pixels])
    place = place_of(heat_of(patches, encoder.encode_texts([text])[0], size), patches.extent, size)
    values = (*place.peak, *place.box, place.clear, clear_enough(encoder))
    return dict(zip(("x", "y", "x0", "y0", "x1", "y1", "clear", "enough"), map(float, values), strict=True))


def item_of(phantom: Phantom, finding: Finding) -> PointingItem:
    text = sentence(finding)
    return PointingItem(
        id=f"{phantom.family}-{phantom.seed}-{finding.kind}",
        truth={"finding": finding.kind, "side": finding.side, "sentence": text},
        request=partial(_request, phantom.seed, phantom.family, text),
        mask=partial(_mask, phantom.seed, phantom.family, finding.kind),
        **whose(phantom, finding=finding.kind, size=finding.grade),
    )


@lru_cache(maxsize=2)  # the picture is asked for, then the mask
def _rendered(seed: int, family: str) -> Phantom:
    return make_phantom(seed, size=SIZE, family=family)


def _request(seed: int, family: str, text: str) -> AskRequest:
    return AskRequest(study=study_of(_rendered(seed, family)), question=text)


def _mask(seed: int, family: str, kind: str) -> Mask:
    return _rendered(seed, family).masks[kind]


class RealPointing(Pointing):
    """Of `studies.jsonl`. A sentence about what several masks or boxes show is true of all of them."""

    full, quick = 1_000_000, 0
    needs_data = NEEDS
    look: ClassVar[Look]

    @abstractmethod
    def marked(self, entry: Entry, folder: Path) -> Iterator[tuple[str, str, Callable[[], Mask]]]:
        """(what, sentence, its mask) of what is marked in the picture of this line."""

    def items(self, n: int, seed: int) -> Iterator[PointingItem]:
        file = file_in(self.data, "studies.jsonl")
        return islice(self._items(sample(held_out(entries(file)), 1_000_000, seed), file.parent), n)

    def _items(self, lines: list[Entry], folder: Path) -> Iterator[PointingItem]:
        for entry in lines:
            for what, text, mask in self.marked(entry, folder):
                yield PointingItem(
                    id=f"{entry.text('id')}-{what.replace(' ', '-')}",
                    truth={"finding": what, "sentence": text},
                    request=partial(_asked, folder / entry.text("image"), self.look, text),
                    mask=mask,
                    groups={"finding": what},
                    cluster=str(entry.row.get("patient") or entry.text("id")),
                )


class BrainPointing(RealPointing):
    name = "pointing-brain-mri"
    title = "Pointing: the tumour in slices of brain MRI"
    look = Look("MR")

    def marked(self, entry: Entry, folder: Path) -> Iterator[tuple[str, str, Callable[[], Mask]]]:
        if path := entry.maybe("mask", str):
            yield "tumour", "There is a brain tumour.", partial(_read, (folder / path,))


class FundusPointing(RealPointing):
    """Each kind of lesion by itself, then all of them as retinopathy."""

    name = "pointing-fundus"
    title = "Pointing: lesions of diabetic retinopathy in photographs of the fundus"
    look = Look("OP")
    names: ClassVar = {
        "microaneurysm": "microaneurysms", "haemorrhage": "retinal haemorrhages", "hard_exudate": "hard exudates",
        "soft_exudate": "soft exudates",
    }  # fmt: skip

    def marked(self, entry: Entry, folder: Path) -> Iterator[tuple[str, str, Callable[[], Mask]]]:
        masks = entry.maybe("mask", dict) or {}
        found = {what: folder / str(masks[what]) for what in self.names if masks.get(what)}
        for what, path in found.items():
            yield what, f"There are {self.names[what]}.", partial(_read, (path,))
        if found:
            yield "any lesion", "There is diabetic retinopathy.", partial(_read, tuple(found.values()))


class NihPointing(RealPointing):
    name = "pointing-cxr-nih"
    title = "Pointing: boxes of NIH chest radiographs"
    look = RADIOGRAPH

    def marked(self, entry: Entry, folder: Path) -> Iterator[tuple[str, str, Callable[[], Mask]]]:
        boxes: dict[str, list[Box]] = {}
        for box in entry.maybe("boxes", list) or ():
            x0, y0, x1, y1 = box["xyxy"]
            boxes.setdefault(box["label"], []).append((x0, y0, x1, y1))
        for what, where in boxes.items():
            size = (entry.maybe("height", int) or 0, entry.maybe("width", int) or 0)
            yield what, f"There is {TERMS[what]}.", partial(boxes_mask, where, *size)


def _asked(picture: Path, look: Look, text: str) -> AskRequest:
    return AskRequest(study=study((picture,), look), question=text)


def _read(paths: tuple[Path, ...]) -> Mask:
    """What is white in any of these masks. Raises `BadInput`."""
    try:
        masks = [np.asarray(Image.open(path).convert("1")) for path in paths]
    except OSError as error:
        raise BadInput(f"The mask {paths[0].name} or one beside it can't be read.") from error
    return np.asarray(np.any(masks, axis=0))
