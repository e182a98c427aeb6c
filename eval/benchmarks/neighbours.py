"""Image → case on real sets: of the five nearest pictures of other patients, how many show the same? Beside the encoder
in use stand raw pixels and the same architecture untrained, on the same queries, so that differences are paired.

Queries are the val and test lines of `studies.jsonl`, cases its train lines (where no line names a split, each line is
a query to all the others); never a picture of the same patient. What "the same" is depends on what the set knows:
referable retinopathy or not, platelets or none, the half of the picture the tumour is in, else the labels: one in
common, or none in both. Nothing is searched through the index: cosines over all cases are its exact answer.
"""

import logging
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice
from pathlib import Path

import numpy as np
from anyio import to_thread

from assistant.assistant import Assistant
from assistant.requests import AskRequest
from assistant.study import Study
from eval.benchmarks.common import cluster_of, study_of
from eval.benchmarks.folder import UNKNOWN, Entry, entries, file_in, held_out, sample, study
from eval.benchmarks.phantom_items import drawn, rendered, whose
from eval.benchmarks.retrieval import CASES, case_labels, labels_of
from eval.exam.benchmark import Answer, Benchmark, Corpus, Figure, Item, Scores, mean_of
from eval.exam.candidate import Candidate
from eval.exam.library import NONE
from eval.ledger import CORPUS_SEEDS
from eval.phantoms import make_phantom
from retrieval.encoders.base import Vectors
from retrieval.encoders.batch import pillow
from retrieval.encoders.bundle import encoder_folder
from retrieval.types import Image

FIRST = 5
SIDE = 32  # of a picture as raw pixels
BATCH = 32
PLACE = 15
OURS, PIXELS, UNTRAINED, CHANCE = "in use", "raw pixels", "untrained", "chance"
SAME = f"same finding in the first {FIRST}"
GRADED = {"fundus": ("dr", 2), "microscopy": ("platelets", 1)}  # modality → what of `grade` counts from which value on
Look = Callable[[Sequence[Image]], Vectors]  # pictures → (n, dim) of unit length


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A picture with what is known of it. `findings` may be empty: it shows none."""

    id: str
    patient: str
    findings: frozenset[str]
    study: Callable[[], Study]


class Near(Benchmark):
    """What neighbour benchmarks share: who is near, by each way of looking, and how many of them show the same."""

    full = 1_000_000
    headline = f"{SAME}, {OURS}"

    def __init__(self, data: Path | None = None) -> None:
        super().__init__(data)
        self._seen: dict[str, Vectors] = {}  # of all cases, by way of looking

    def corpus(self) -> Corpus:
        return NONE

    @abstractmethod
    def cases(self) -> Sequence[Shown]:
        """What may be near, always in the same order."""

    async def sit(self, candidate: Candidate, item: Item) -> dict[str, Answer]:
        return await to_thread.run_sync(self.rank, candidate.assistant, item)

    def rank(self, assistant: Assistant, item: Item) -> dict[str, Answer]:
        pixels = item.request().study.pictures[0].pixels
        others = np.array([case.patient != item.cluster for case in self.cases()])
        answers, looks = {}, ways(assistant)
        self._seen = self._seen or self._looked(looks)
        for name, look in looks.items():
            cosines = np.where(others, self._seen[name] @ look([pixels])[0], -np.inf)
            first = [self.cases()[place] for place in np.argsort(-cosines, kind="stable")[:FIRST]]
            text = "\n".join(", ".join(sorted(case.findings)) or "none" for case in first)
            answers[name] = Answer(status="answered", text=text, retrieved=tuple(case.id for case in first))
        return answers

    def _looked(self, looks: Mapping[str, Look]) -> dict[str, Vectors]:
        """Each case is read or drawn once, for all ways of looking."""
        cases, seen = self.cases(), {name: list[Vectors]() for name in looks}
        for at in range(0, len(cases), BATCH):
            pixels = [case.study().pictures[0].pixels for case in cases[at : at + BATCH]]
            for name, look in looks.items():
                seen[name].append(look(pixels))
        return {name: np.concatenate(parts) for name, parts in seen.items()}

    def score(self, item: Item, answers: Mapping[str, Answer]) -> Scores:
        wanted, known = frozenset(item.truth["findings"]), {case.id: case for case in self.cases()}
        scores: Scores = {
            name: sum(alike(wanted, known[one].findings) for one in answer.retrieved) / FIRST
            for name, answer in answers.items()
        }
        others = [alike(wanted, case.findings) for case in self.cases() if case.patient != item.cluster]
        scores[CHANCE] = sum(others) / len(others)
        scores |= {f"{OURS} − {name}": scores[OURS] - scores[name] for name in (PIXELS, UNTRAINED) if name in scores}
        return scores

    @property
    def figures(self) -> Mapping[str, Figure]:
        names = (OURS, PIXELS, UNTRAINED, CHANCE, f"{OURS} − {PIXELS}", f"{OURS} − {UNTRAINED}")
        return {**{f"{SAME}, {name}": mean_of(name) for name in names}, "of the way from chance to all": way}


class Neighbours(Near):
    name = "neighbours"
    title = "Image → case: neighbours that show the same (real pictures)"
    needs_data = "a folder with studies.jsonl and images; of lines with a split, val and test are looked up in train"

    @cache  # noqa: B019 - a benchmark lives as long as its exam
    def _lines(self) -> tuple[list[Shown], list[Shown]]:
        file = file_in(self.data, "studies.jsonl")
        every = list(entries(file))
        asked = held_out(every)
        places = {line.place for line in asked}
        rest = [line for line in every if line.place not in places] or every
        return [*shown_of(asked, file.parent)], [*shown_of(rest, file.parent)]

    def cases(self) -> Sequence[Shown]:
        return self._lines()[1]

    def items(self, n: int, seed: int) -> Iterator[Item]:
        for one in sample(self._lines()[0], n, seed):
            yield Item(
                id=one.id,
                truth={"findings": sorted(one.findings)},
                request=partial(_request, one.study),
                groups={"findings": str(min(len(one.findings), 2))},
                cluster=one.patient,
            )


class PhantomNeighbours(Near):
    """Queries of the held-out families, cases of the training family; the same is a finding on the same side."""

    name = "neighbours-phantoms"
    title = "Image → case: neighbours that show the same (phantoms, held-out families)"
    full, quick = 400, 40

    @cache  # noqa: B019
    def cases(self) -> Sequence[Shown]:
        labels = case_labels(CASES)
        return [
            Shown(name, name, labels[name], partial(_training, seed))
            for name, seed in zip(labels, CORPUS_SEEDS[:CASES], strict=True)
        ]

    def items(self, n: int, seed: int) -> Iterator[Item]:
        for phantom in islice(drawn(PLACE, seed), n):
            yield Item(
                id=cluster_of(phantom),
                truth={"findings": sorted(labels_of(phantom))},
                request=partial(_request, partial(rendered, phantom)),
                **whose(phantom, findings=str(len(phantom.findings))),
            )


def alike(wanted: frozenset[str], has: frozenset[str]) -> bool:
    return bool(wanted & has) or wanted == has


def way(rows: Sequence[Scores]) -> float:
    """How far from chance (0) to nothing but the same (1)."""
    ours, chance = (mean_of(name)(rows) for name in (OURS, CHANCE))
    return (ours - chance) / (1 - chance) if chance < 1 else float("nan")


def shown_of(lines: Sequence[Entry], folder: Path) -> Iterator[Shown]:
    for line in lines:
        if (findings := findings_of(line)) is not None:
            path = folder / line.text("image")
            yield Shown(line.text("id"), str(line.row.get("patient") or line.id), findings, partial(_read, path))


def findings_of(line: Entry) -> frozenset[str] | None:
    """What counts as the same; None where nothing is known."""
    grade, extra = line.maybe("grade", dict) or {}, line.maybe("extra", dict) or {}
    if (key := GRADED.get(str(line.row.get("modality")))) is not None:
        found, least = key
        count = grade.get(found)
        return frozenset({found} if count >= least else ()) if isinstance(count, int) else None
    if place := extra.get("location"):
        return frozenset({next((half for half in ("left", "right") if half in place), "neither half")})
    labels = line.maybe("labels", list)
    return None if labels is None else frozenset(map(str, labels))


def ways(assistant: Assistant) -> dict[str, Look]:
    """By name; untrained only where the architecture can be made anew."""
    names = assistant.retriever.encoders.names
    new = untrained(names.image_text) if names else None
    return {OURS: assistant.retriever.look, PIXELS: as_pixels} | ({UNTRAINED: new} if new else {})


def as_pixels(pictures: Sequence[Image]) -> Vectors:
    """(n, `SIDE`²): grey, small, without mean, of unit length."""
    from PIL import Image as Pillow

    rows = [np.asarray(Pillow.fromarray(p).convert("L").resize((SIDE, SIDE)), np.float32).ravel() for p in pictures]
    vectors = np.stack([row - row.mean() for row in rows])
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-6), dtype=np.float32)


@cache
def untrained(name: str) -> Look | None:
    """The open_clip architecture of this name with weights as they are before training, seed 0; None for another."""
    folder = encoder_folder(name, "image_text")
    if folder is None or not (folder / "open_clip_config.json").is_file():
        return None
    import open_clip
    import torch

    torch.manual_seed(0)
    logging.disable(logging.WARNING)  # that there are no weights is what is wanted
    try:
        model, _, prepare = open_clip.create_model_and_transforms(f"local-dir:{folder}", load_weights=False)
    finally:
        logging.disable(logging.NOTSET)
    model.eval()

    def look(pictures: Sequence[Image]) -> Vectors:
        with torch.inference_mode():
            batch = torch.stack([prepare(pillow(picture)) for picture in pictures])
            vectors: Vectors = model.encode_image(batch, normalize=True).float().numpy()
        return vectors

    return look


def _read(path: Path) -> Study:
    return study((path,), UNKNOWN)


def _training(seed: int) -> Study:
    return study_of(make_phantom(seed))


def _request(make: Callable[[], Study]) -> AskRequest:
    return AskRequest(study=make(), question="")
