"""Which kind of image is this, and is it of a kind that is known at all? After a random crop and resize, so that
neither a set's border nor its size in pixels gives the kind away. No model is asked: the encoder and its domains are.

The folder is one part (`studies.jsonl`, `images/`) or holds several, up to two folders down; of lines with a `split`,
those of val and test are shown. A line says its `domain`, or its kind is told from `modality` and `body_part`: CT and
ultrasound are strangers, as everything is that the encoder's domains don't name; so are photographs that come with
scikit-image and scikit-learn.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from anyio import to_thread

from assistant.assistant import Assistant
from assistant.requests import AskRequest
from assistant.study import Picture, Pixels, Study
from eval.benchmarks.folder import UNKNOWN, Entry, entries, held_out, sample, study
from eval.exam.benchmark import Answer, Benchmark, Corpus, Figure, Item, Scores, column, mean_of
from eval.exam.candidate import Candidate
from eval.exam.library import NONE
from eval.metrics.classify import auroc, balanced_accuracy
from retrieval.errors import BadInput, Misconfigured

STUDIES = "studies.jsonl"
NAMES: dict[tuple[str, str], tuple[str, ...]] = {  # modality, body part → what an encoder may call the kind
    ("xray", "chest"): ("chest_xray",),
    ("fundus", "eye"): ("fundus",),
    ("microscopy", "blood"): ("blood_smear", "blood", "microscopy"),
    ("mr", "brain"): ("brain_mri", "brain_mr"),
}
STRANGERS = ("ct", "ultrasound")  # modalities, of whatever part of the body
PHOTOGRAPHS = (
    "astronaut", "brick", "camera", "chelsea", "clock_motion", "coffee", "coins", "grass", "gravel",
    "hubble_deep_field", "moon", "motorcycle_left", "rocket",
)  # fmt: skip
CROPS = 4  # of each photograph
SIDE = (0.7, 1.0)  # of a crop, either way, as a share of the picture's
PIXELS = (192, 512)  # of its longer side when it is shown
AUROC = "AUROC, known against unknown kinds"


@dataclass(frozen=True, slots=True)
class Kinded:
    """`names`: what its kind may be called; () for none that may be known. `what` is its kind in words."""

    id: str
    names: tuple[str, ...]
    what: str
    part: str
    patient: str
    path: Path


class Kinds(Benchmark):
    name = "kinds"
    title = "Which kind of image, after a random crop and resize"
    full = 1_000_000
    headline = "kind right, of known kinds"
    ranked = frozenset({AUROC})
    needs_data = "a folder with studies.jsonl, or of such folders; of lines with a split, val and test are shown"

    def corpus(self) -> Corpus:
        return NONE

    def items(self, n: int, seed: int) -> Iterator[Item]:
        if self.data is None or not self.data.is_dir():
            raise BadInput(f"{self.name} reads {self.needs_data}: add --data {self.name}=FOLDER.")
        for one in spread(sample([*kinded(self.data), *photographs()], 1_000_000, seed), n):
            yield Item(
                id=one.id,
                truth={"kind": one.what, "names": list(one.names)},
                request=partial(_request, one, seed),
                groups={"kind": one.what, "part": one.part},
                cluster=one.patient,
            )

    async def sit(self, candidate: Candidate, item: Item) -> dict[str, Answer]:
        pixels = item.request().study.pictures[0].pixels
        return {"seen": await to_thread.run_sync(identified, candidate.assistant, pixels)}

    def score(self, item: Item, answers: Mapping[str, Answer]) -> Scores:
        """`known` is told by the answer: which kinds are known is the encoder's to say."""
        seen = answers["seen"]
        own = next((name for name in item.truth["names"] if name in seen.retrieved), None)
        return {
            "kind": own or "none",
            "known": own is not None,
            "told": seen.domain or "none",
            "right": seen.domain == own,
            "p": seen.likelihoods["known"],
        }

    @property
    def figures(self) -> Mapping[str, Figure]:
        return {
            self.headline: mean_of("right", lambda row: row["known"]),
            "the same, mean over kinds": over_kinds,
            AUROC: lambda rows: auroc(*column(rows, "known", "p")) if rows else float("nan"),
            "told to be none, of unknown kinds": mean_of("right", lambda row: not row["known"]),
        }


def identified(assistant: Assistant, pixels: Pixels) -> Answer:
    """What the picture is taken for; `retrieved` are all known kinds, the likelihood is that of the nearest of them
    against none. Raises `Misconfigured` where no kinds are known."""
    if assistant.domains is None:
        raise Misconfigured("No kinds of image are known with this encoder: run `consult domains fit MANIFEST...`.")
    (vector,) = assistant.retriever.look([pixels])
    domain, domains = assistant.domains.identify(vector), assistant.domains
    margin = float((domains.means @ vector - domains.thresholds).max()) / domains.temperature
    return Answer(
        status="answered", text=domain.name or "none", domain=domain.name, retrieved=domains.names,
        likelihoods={"known": margin},
    )  # fmt: skip


def over_kinds(rows: Sequence[Scores]) -> float:
    known = [row for row in rows if row["known"]]
    return balanced_accuracy([row["kind"] for row in known], [row["told"] for row in known])


def kinded(folder: Path) -> Iterator[Kinded]:
    """The held-out pictures below a folder whose kind can be told. Raises `BadInput` when there is no manifest."""
    files = sorted(file for depth in ("", "*/", "*/*/") for file in folder.glob(depth + STUDIES))
    if not files:
        raise BadInput(f"{folder} holds no {STUDIES}, nor does a folder in it; name the folder of the pictures.")
    for file in files:
        for entry in held_out(entries(file)):
            if (names := names_of(entry)) is not None:
                path = file.parent / entry.text("image")
                what = names[0] if names else entry.text("modality")
                patient = str(entry.row.get("patient") or entry.id)
                yield Kinded(f"{file.parent.name}-{entry.id}", names, what, file.parent.name, patient, path)


def names_of(entry: Entry) -> tuple[str, ...] | None:
    """What its kind may be called, () for a stranger, None when it can't be told."""
    if domain := entry.maybe("domain", str):
        return (domain,)
    modality = entry.text("modality")
    return () if modality in STRANGERS else NAMES.get((modality, str(entry.row.get("body_part"))))


def photographs() -> Iterator[Kinded]:
    from importlib.util import find_spec

    for package, inside, wanted in (("skimage", "data", PHOTOGRAPHS), ("sklearn", "datasets/images", None)):
        spec = find_spec(package)
        root = Path(spec.origin).parent / inside if spec and spec.origin else Path()
        for path in sorted(path for path in root.glob("*") if path.suffix in (".png", ".jpg")):
            if wanted is None or path.stem in wanted:
                for crop in range(CROPS):
                    yield Kinded(f"photograph-{path.stem}-{crop}", (), "photograph", "photographs", path.stem, path)


def spread(every: Sequence[Kinded], n: int) -> list[Kinded]:
    """At most `n`, as many of each kind as of any other as long as there are some."""
    counts: dict[str, int] = {}
    turn = []
    for one in every:
        counts[one.what] = counts.get(one.what, 0) + 1
        turn.append((counts[one.what], one))
    return [one for _, one in sorted(turn, key=lambda pair: pair[0])][:n]


def _request(one: Kinded, seed: int) -> AskRequest:
    pixels = study((one.path,), UNKNOWN).pictures[0].pixels
    rng = np.random.default_rng([seed, zlib.crc32(one.id.encode())])
    return AskRequest(study=Study((Picture(cropped(pixels, rng)),)), question="")


def cropped(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """A random part of the picture, (h, w) or (h, w, 3), its longer side `PIXELS` long."""
    from PIL import Image

    height, width = (max(1, round(side * rng.uniform(*SIDE))) for side in pixels.shape[:2])
    top, left = int(rng.integers(pixels.shape[0] - height + 1)), int(rng.integers(pixels.shape[1] - width + 1))
    part = Image.fromarray(np.ascontiguousarray(pixels[top : top + height, left : left + width]))
    scale = int(rng.integers(PIXELS[0], PIXELS[1] + 1)) / max(part.size)
    size = (max(1, round(part.width * scale)), max(1, round(part.height * scale)))
    return np.asarray(part.resize(size, Image.Resampling.BICUBIC))
