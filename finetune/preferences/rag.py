"""RAG preference tuning (MMed-RAG): the target model answers with what was retrieved, without it, and with a damaged
picture but the same references; which pairs that gives, the three conditions say.

| set | condition | rejected |
|---|---|---|
| a | right with (v, r), and still right with (v*, r): it read the reference | its answer to the damaged v*, with v* |
| b | right with (v, r), wrong with v alone | its answer without the reference |
| c | right with v alone, wrong with (v, r) | its answer with the reference |

Chosen is always the true answer, given v and r; r was retrieved with the clean picture. Where nobody can tell whether
an answer is right (`verdict.right`), there is no pair.
"""

from dataclasses import dataclass

import numpy as np

from finetune.preferences.draft import Draft, Speak
from finetune.preferences.lesion import Noise
from finetune.preferences.material import Case, with_pictures
from finetune.preferences.pair import Source
from finetune.preferences.verdict import plain, right, uncited

NAMES: tuple[Source, ...] = ("rag_a", "rag_b", "rag_c")


@dataclass(frozen=True, slots=True)
class Rag:
    """`speak` is the target model, asked greedily. `sources`: which of the three sets are wanted."""

    speak: Speak
    noise: Noise
    sources: tuple[Source, ...] = NAMES

    async def drafts(self, case: Case, rng: np.random.Generator) -> list[Draft]:
        if not case.retrieved:
            return []
        with_r = await self.speak(case.prompt)
        if self._right(case, with_r):
            return [*await self._copied(case, rng), *await self._needed(case)]
        return await self._misled(case, with_r)

    async def _copied(self, case: Case, rng: np.random.Generator) -> list[Draft]:
        found = self.noise.pictures(case, rng) if "rag_a" in self.sources else None
        if found is None:
            return []
        pictures, confidence = found
        said = await self.speak(with_pictures(case.prompt, pictures))
        if said is None or not self._right(case, said):
            return []
        why = "The model gives the right answer to a damaged picture, too: it was read from the reference."
        return [
            Draft("rag_a", self.noise.how, case.prompt, uncited(case.answer), uncited(said), why, pictures, confidence)
        ]

    async def _needed(self, case: Case) -> list[Draft]:
        said = await self.speak(case.bare) if "rag_b" in self.sources else None
        if said is None or self._right(case, said) is not False:
            return []
        why = "Without the reference the model answers wrongly, with it rightly."
        return [Draft("rag_b", "without reference", case.prompt, uncited(case.answer), uncited(said), why)]

    async def _misled(self, case: Case, said: str | None) -> list[Draft]:
        if "rag_c" not in self.sources or said is None or self._right(case, said) is not False:
            return []
        if not self._right(case, await self.speak(case.bare)):
            return []
        why = "Without the reference the model answers rightly, with it wrongly: it was misled."
        return [Draft("rag_c", "misled", case.prompt, uncited(case.answer), uncited(said), why)]

    def _right(self, case: Case, said: str | None) -> bool | None:
        """None where it can't be told, also of an answer that was cut off or says nothing of its own."""
        task = case.row.told.task
        text = plain(said or "", task)
        return right(case.truth, text, task, case.question) if text and task != "diagnose" else None
