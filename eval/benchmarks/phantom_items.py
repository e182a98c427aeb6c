"""Phantoms of the held-out families as items: drawn small, since that tells what is true, and rendered when asked."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import cycle
from typing import Any

from assistant.reports.entity_words import FINDINGS as LABELS
from assistant.reports.entity_words import Finding as Label
from assistant.study import Picture, Study
from eval.benchmarks.common import SIZE, TRUTH_SIZE, about, cluster_of, exam_seeds, picture_of
from eval.exam.benchmark import Answer
from eval.metrics.labeller import Side
from eval.phantoms import EXAM_FAMILIES, Phantom, make_phantom
from eval.phantoms.findings import Kind

LABEL_OF: dict[Kind, Label] = {
    "effusion": "Pleural Effusion",
    "consolidation": "Consolidation",
    "nodule": "Lung Lesion",
    "pneumothorax": "Pneumothorax",
    "cardiomegaly": "Cardiomegaly",
    "oedema": "Edema",
    "atelectasis": "Atelectasis",
}
TOLD: tuple[Label, ...] = tuple(label for label in LABELS if label in (*LABEL_OF.values(), "Support Devices"))

_DECLINES = re.compile(r"\W*(?:I|It|This|That|One) (?:cannot|can't|can not|am unable|am not able)\b", re.IGNORECASE)


def places(place: int, seed: int) -> Iterator[tuple[int, str]]:
    """(seed, family) of the phantoms of benchmark number `place`, the families in turn."""
    return zip(exam_seeds(place, seed), cycle(EXAM_FAMILIES), strict=False)


def drawn(place: int, seed: int) -> Iterator[Phantom]:
    """The phantoms themselves, small: for what is true of them, not to be looked at."""
    return (make_phantom(number, size=TRUTH_SIZE, family=family) for number, family in places(place, seed))


def rendered(phantom: Phantom, *more: str) -> Study:
    """The study to be shown: the frontal film, then `more` views of the same person."""
    return Study(tuple(_film(phantom.seed, phantom.family, view, SIZE) for view in ("PA", *more)))


@lru_cache(maxsize=8)  # many questions in a row are put about one film
def _film(seed: int, family: str, view: str, size: int) -> Picture:
    return picture_of(make_phantom(seed, size=size, family=family, view=view))


def whose(phantom: Phantom, **groups: str) -> dict[str, Any]:
    """An item's patient, phantoms and subgroups: the phantom's own, and `groups`, which replace those of their name."""
    key = (phantom.family, phantom.seed)
    return {"cluster": cluster_of(phantom), "phantoms": (key,), "groups": about(phantom) | groups}


def sides_of(phantom: Phantom) -> dict[Label, list[Side]]:
    """Where each finding is that has a side."""
    return {LABEL_OF[f.kind]: [f.side] for f in phantom.findings if f.side}


def spoken(answer: Answer, *sections: str) -> str:
    """What was released in these sections, as one text."""
    return " ".join(sentence.text for sentence in answer.sentences if sentence.section in sections)


def declines(text: str) -> bool:
    """Whether there is no answer in it: nothing was said, or that it can't be told."""
    return not text or _DECLINES.match(text) is not None


def with_choices(question: str, choices: Sequence[str]) -> str:
    """The question as it is put when one of several answers is to be named."""
    return f"{question} Answer with one of: {', '.join(choices[:-1])} or {choices[-1]}."
