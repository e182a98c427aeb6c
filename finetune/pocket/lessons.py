"""What the language model is taught, by kind of lesson: one kind a batch, so that answers of one length waste no
padding. Pictures and words come together here: a lesson's pictures stand in the order in which its samples show them.
"""

from dataclasses import dataclass

import numpy as np

from assistant.requests import AskRequest
from assistant.study import STANDARD_RADIOGRAPH, Picture, Study
from finetune.pocket import real_samples
from finetune.pocket.material import Card, passage
from finetune.pocket.reading import lesson as reading_lesson
from finetune.pocket.reading import said
from finetune.pocket.samples import BLANK, Sample, SampleMaker, sample_of
from finetune.pocket.targets import HALVES
from finetune.pocket.vision import Batch, Pictures, Row

KINDS = {  # share of the batches, and how many questions a sample holds
    "quiz": (0.27, 8), "knowledge": (0.11, 5), "follow-up": (0.16, 6), "real": (0.13, 5), "reading": (0.10, 5),
    "criteria": (0.08, 6), "report": (0.10, 1), "diagnosis": (0.05, 1),
}  # fmt: skip


@dataclass(frozen=True)
class Lesson:
    kind: str
    samples: list[Sample]
    pictures: Batch


class Lessons:
    """Draws lessons. Without real pictures, quizzes take the place of those about them. `gentle`: pictures are hardly
    changed."""

    def __init__(self, pictures: Pictures, library: list[Card], gentle: bool = False) -> None:
        self.pictures, self.rng, self.gentle = pictures, pictures.rng, gentle
        self.maker = SampleMaker(pictures.phantoms.facts, library)
        kinds = np.array([facts["kind"] for facts in pictures.phantoms.facts])
        self.current, self.any = np.flatnonzero(kinds == "current"), np.arange(len(kinds))

    def draw(self, n: int) -> Lesson:
        """`n` samples of one kind, drawn by the kinds' shares."""
        shares = np.array([share for share, _ in KINDS.values()])
        return self.of(str(self.rng.choice(list(KINDS), p=shares / shares.sum())), n)

    def of(self, kind: str, n: int) -> Lesson:
        """`n` samples of this kind."""
        if kind == "real" and self.pictures.real is None:
            kind = "quiz"
        if kind == "real":
            return self._real(n)
        rows: list[Row] = []
        samples = []
        for _ in range(n):
            pool = self.current if kind == "follow-up" or (kind == "report" and self.rng.random() < 0.4) else self.any
            index = int(self.rng.choice(pool))
            samples.append(self._sample(kind, index))
            # A prior study is shown first; where exposure and place tell of change, both are left nearly alone.
            paired = samples[-1].pictures == 2
            strong = not self.gentle and self.rng.random() < (0.25 if paired else 0.6)
            rows += [self.pictures.phantom(i, strong) for i in ((index - 1, index) if paired else (index,))]
        return Lesson(kind, samples, self.pictures.batch(rows))

    def _sample(self, kind: str, index: int) -> Sample:
        turns, rng = KINDS[kind][1], self.rng
        if kind == "follow-up":
            return self.maker.follow_up(index, rng, turns)
        if kind == "report":
            return self.maker.report(index, rng)
        if kind == "diagnosis":
            return self.maker.diagnosis(index, rng)
        if kind == "criteria":
            return self.maker.criteria(index, rng, turns)
        if kind == "reading":
            return self._reading()
        return self.maker.quiz(index, rng, turns, knowledge=float(kind == "knowledge"))

    def _reading(self) -> Sample:
        """Beside some picture, which has nothing to do with it."""
        title, section, text, asked = reading_lesson(self.rng)
        lines = [(question, said(value)) for question, value in asked]
        study = Study((Picture(BLANK, "DX", "PA", STANDARD_RADIOGRAPH),))
        evidence = [passage(1, Card(title, section, text, None))]
        return sample_of(AskRequest(study=study, question=lines[0][0]), evidence, lines)

    def _real(self, n: int) -> Lesson:
        real = self.pictures.real
        assert real is not None
        indices = self.rng.choice(len(self.pictures.chance), n, p=self.pictures.chance)
        batch = self.pictures.batch([self.pictures.real_one(int(i), self.gentle) for i in indices])
        samples = [
            real_samples.quiz(real.sources[i], real.rows[i], halves, KINDS["real"][1], self.rng)
            for i, halves in zip(indices, batch.targets[:, HALVES].tolist(), strict=True)
        ]
        return Lesson("real", samples, batch)
