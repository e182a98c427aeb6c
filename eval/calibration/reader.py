"""A reader without eyes that knows a phantom's truth and tells it with a stated rate of errors: what remains wrong when
it errs never is the machinery's own fault."""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from assistant.engines.base import Prompt
from assistant.engines.fake import INFO, FakeEngine
from eval.phantoms import Phantom
from eval.phantoms.criteria import criteria, diagnosis

STATES = ("met", "contradicted", "unknown")
_CRITERION = re.compile(r"Criterion: (.*?) Is it met, contradicted or unknown\?")
_APART = 0.7  # how much dearer a token of a disease that isn't there is, in nats
_SPREAD = 2.5  # of that, at an error rate of 1


class SimulatedReader(FakeEngine):
    """Names the diseases of `phantom` and decides its criteria; each criterion is answered wrongly, each disease left
    out, and one that isn't there named, with probability `errs`."""

    def __init__(self, phantom: Phantom, history: str, errs: float = 0.0, *, scores: bool = True) -> None:
        info = INFO if scores else replace(INFO, capabilities=frozenset({"logprobs"}))
        super().__init__(self.answer, info=info)
        self._states = {line.text: line.state for lines in criteria(phantom, history).values() for line in lines}
        self._true, self._every = diagnosis(phantom), tuple(criteria(phantom))
        self._errs, self._rng = errs, np.random.default_rng([phantom.seed, 71])

    def answer(self, prompt: Prompt) -> str:
        if found := _CRITERION.search(_text(prompt)):
            return f"[answer] {self._state(found[1]).capitalize()}. [image]"
        said = [d for d in self._true if not self._wrong()]
        said += [d for d in self._every if d not in self._true and self._rng.random() < self._errs / 4]
        return "\n".join(f"[diagnosis] {d.capitalize()} is likely. [image]" for d in said)

    async def score(self, prompt: Prompt, completions: Sequence[str]) -> list[float]:
        self.prompts.append(prompt)
        if found := _CRITERION.search(_text(prompt)):
            state = self._state(found[1])
            return [0.0 if state in text.casefold() else -3.0 for text in completions]
        sizes = await self.count(completions)
        return [-size * self._dear(text.casefold()) for size, text in zip(sizes, completions, strict=True)]

    def _dear(self, text: str) -> float:
        there = any(disease in text for disease in self._true)
        return float(1 + (0 if there else _APART) + self._rng.normal() * _SPREAD * self._errs)

    def _state(self, text: str) -> str:
        state = self._states.get(text, "unknown")
        others = [one for one in STATES if one != state]
        return others[int(self._rng.integers(2))] if self._wrong() else state

    def _wrong(self) -> bool:
        return bool(self._rng.random() < self._errs)


def _text(prompt: Prompt) -> str:
    return "".join(part for message in prompt.messages for part in message.parts if isinstance(part, str))
