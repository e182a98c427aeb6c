"""What pairs are made from: rows as supervised tuning reads them (`finetune.sft_data`), each with the prompt that
serving would send, the pictures in it as the model is shown them, and the true answer.

Refused are phantoms that training may not see, and whatever the searched library shows too: pairs are never made of the
exam's seeds, nor of what the exam or a clinician is answered from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from assistant.engines.base import Prompt
from assistant.engines.card import prepared
from assistant.events import EvidenceItem
from assistant.reports.entities import label
from assistant.study import Picture
from eval.errors import LeakFound
from eval.exam.guard import corpus_of
from eval.leaks import Seen, check_training, leaks
from eval.ledger import TRAINING_SEEDS
from eval.phantoms import TRAINING_FAMILIES, Phantom, make_phantom
from finetune.preferences.verdict import plain, present
from finetune.sft_data import Row, study_of
from finetune.sft_samples import Maker, Reader
from retrieval.library import Library


@dataclass(frozen=True, eq=False)
class Case:
    """`prompt` shows what was retrieved, where anything was; `bare` is the same without it."""

    row: Row
    prompt: Prompt
    bare: Prompt
    answer: str
    retrieved: bool

    @cached_property
    def truth(self) -> str:
        """The true answer as plain text."""
        return plain(self.answer, self.row.told.task)

    @property
    def question(self) -> str:
        return self.row.told.question

    @cached_property
    def stated(self) -> frozenset[str]:
        return stated_in(self.truth, self.question)


def stated_in(truth: str, question: str) -> frozenset[str]:
    """Findings that a plain answer says are there; of one that names none ("Left.") those that are asked about."""
    if label(truth) or truth.lower().startswith("no"):
        return frozenset(finding for finding, _ in present(truth))
    return frozenset(finding for finding, _ in present(question.partition(" Answer with one of")[0]))


@dataclass(frozen=True, slots=True)
class Material:
    """Makes cases of rows. `evidence`, by the id of a row's trace, is what was retrieved for it."""

    reader: Reader
    evidence: Mapping[str, Sequence[EvidenceItem]]
    salt: bytes
    max_answer: int

    def case(self, row: Row) -> Case:
        """Raises `BadInput` when a picture has gone, `TooLarge` when question and pictures don't fit."""
        shown = Maker(self.reader, self.evidence, self.salt, self.max_answer).sample(row)
        bare = Maker(self.reader, {}, self.salt, self.max_answer).sample(row)
        side = self.reader.card.picture
        retrieved = shown.prompt != bare.prompt and bool(self.evidence.get(row.trace.id))
        return Case(row, prepared(shown.prompt, side), prepared(bare.prompt, side), shown.answer, retrieved)


def phantom_of(row: Row, salt: bytes) -> Phantom | None:
    """The phantom that a row shows, its masks over the row's very pixels; None where it is none, or is shown otherwise
    (with a fault, or another visit)."""
    if not row.trace.phantoms:
        return None
    seeds, picture = row.trace.phantoms[0], study_of(row.file, row.told, salt)[0].pictures[0]
    view = "LATERAL" if row.told.view == "LATERAL" else "PA"
    height, width = picture.pixels.shape[:2]
    if height != width or height < 64:
        return None
    phantom = _rendered(seeds.family, seeds.first, height, view)
    grey = picture.pixels if picture.pixels.ndim == 2 else picture.pixels[..., 0]
    return phantom if np.array_equal(phantom.pixels, grey) else None


@lru_cache(maxsize=256)  # half a megabyte each; many rows are about one film
def _rendered(family: str, seed: int, size: int, view: str) -> Phantom:
    return make_phantom(seed, family=family, size=size, view=view)


def pictures_in(prompt: Prompt) -> list[Picture]:
    return [part for message in prompt.messages for part in message.parts if isinstance(part, Picture)]


def first_of_study(prompt: Prompt) -> int:
    """How many of the prompt's pictures stand before the study's own: those of the prior."""
    parts = [part for message in prompt.messages for part in message.parts]
    at = next(n for n, part in enumerate(parts) if isinstance(part, str) and part.endswith("Picture 1: "))
    return sum(isinstance(part, Picture) for part in parts[:at])


def with_pictures(prompt: Prompt, pictures: Sequence[Picture]) -> Prompt:
    """The prompt with these pictures in the places of its own."""
    rest = iter(pictures)
    messages = tuple(
        replace(m, parts=tuple(part if isinstance(part, str) else next(rest) for part in m.parts))
        for m in prompt.messages
    )
    return replace(prompt, messages=messages)


def refuse_exam(rows: Sequence[Row]) -> None:
    """Raises `LeakFound` for a phantom of a family or a seed that is not for training."""
    for row in rows:
        for seeds in row.trace.phantoms:
            if seeds.family not in TRAINING_FAMILIES or seeds.first not in TRAINING_SEEDS:
                raise LeakFound(
                    f"{row.file}:{row.line} shows a phantom of {seeds.name}: pairs are made of training families "
                    f"({', '.join(TRAINING_FAMILIES)}) and of seeds {TRAINING_SEEDS.start} to "
                    f"{TRAINING_SEEDS.stop - 1} alone, or the exam would ask about what was learnt."
                )


def refuse_corpus(rows: Sequence[Row], home: Path) -> None:
    """Raises `LeakFound` for a row that the library in `home` shows, too, and for a library of the exam."""
    with Library(home) as library:
        corpus = corpus_of(library)
    of_exam = [one for one in corpus.traces if any(seeds.first not in TRAINING_SEEDS for seeds in one.phantoms)]
    if of_exam:
        raise LeakFound(f"The library in {home} holds phantoms of the exam ({of_exam[0].id}): search another one.")
    mine = Seen("the preference data", tuple(replace(row.trace, patient=row.patient) for row in rows))
    if found := leaks(mine, corpus):
        raise LeakFound(
            f"{len({leak.test_id for leak in found})} lines are in the library of {home} too "
            f"(first: {found[0].test_id} by {found[0].kind}): what answers are looked up in teaches nothing. "
            "Leave these lines out, or remove the cases (`consult knowledge remove`)."
        )
    check_training(mine, corpus)
