"""What a task has to work with beyond its first answer: the engine, always through the checks every sentence passes."""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from assistant.engines.base import Prompt
from assistant.errors import TooLarge
from assistant.events import EvidenceItem, Finding, Identity, Sentence
from assistant.lines import Line
from assistant.tasks import task_of

if TYPE_CHECKING:
    from assistant.assistant import Assistant
    from assistant.course import Course
    from assistant.tasks.base import Draft

_DENIED = re.compile(r"(?:\b(?:not|never)|n't)(?: \w+)?\s*$", re.I)


def only_named(said: str, choices: Iterable[str]) -> str | None:
    """The one choice that the words name and don't deny ("not met"); None where they name none or several."""
    named = [
        choice
        for choice in choices
        if any(not _DENIED.search(said[: m.start()]) for m in re.finditer(rf"\b{re.escape(choice)}\b", said, re.I))
    ]
    return named[0] if len(named) == 1 else None


@dataclass(frozen=True, slots=True)
class Bench:
    """`first` is what was asked first, and `prompt` its prompt, by which completions can be scored."""

    assistant: "Assistant"
    course: "Course"
    evidence: Sequence[EvidenceItem]
    first: "Draft"
    prompt: Prompt

    def review(self, sentences: Sequence[Sentence] | None = None) -> list[Finding]:
        """What the task's checks find in these sentences, or in what stands."""
        standing = self.course.standing if sentences is None else sentences
        return task_of(self.course.request).review(self.course.request, standing)

    @property
    def silent(self) -> bool:
        """Whether the model has said nothing that passed the checks."""
        return self.course.silent

    @property
    def identity(self) -> Identity:
        return self.assistant.who(self.course)

    @property
    def scores(self) -> bool:
        return "score" in self.course.info.capabilities

    async def choose(self, draft: "Draft", completions: Mapping[str, str]) -> str | None:
        """The choice (a key of `completions`) the engine finds likeliest, by score where it can; otherwise the only one
        that its answer names, None when it names none or several."""
        if self.scores:
            prompt, _ = await self.assistant.compose(self.course, draft)
            found = await self.assistant.engine.score(prompt, list(completions.values()))
            return max(zip(found, completions, strict=True))[1]
        return only_named(" ".join(line.text for line in await self.hear(draft)), completions)

    async def hear(self, draft: "Draft") -> list[Line]:
        """What the engine answers, not yet checked: `release` is for what is to be shown."""
        prompt, _ = await self.assistant.compose(self.course, draft)
        async with aclosing(self.assistant.read(self.course, prompt, ("answer",))) as read:
            return [line async for line in read]

    async def again(self, answer: str, asked: str) -> tuple[list[Line], dict[int, EvidenceItem]] | None:
        """The first question once more, with what was answered and what is asked of it: the lines, not yet checked, and
        the evidence they may cite. None where that does not fit the context."""
        try:
            prompt, evidence = await self.assistant.compose(self.course, replace(self.first, again=(answer, asked)))
        except TooLarge:
            return None
        with self.course.stage("repair"):
            async with aclosing(self.assistant.read(self.course, prompt)) as read:
                return [line async for line in read], evidence

    def release(self, section: str, text: str) -> Sentence | None:
        """The model's own reading as a sentence, or None when a check withholds it."""
        return self.course.release(Line(section, text, (), image=True), {})

    async def likelihoods(self, completions: Mapping[str, str]) -> dict[str, float]:
        """By key the mean log-probability of a token of each completion of the first prompt: length costs nothing."""
        texts = list(completions.values())
        scored = await self.assistant.engine.score(self.prompt, texts)
        sizes = await self.assistant.engine.count(texts)
        return {key: s / max(size, 1) for key, s, size in zip(completions, scored, sizes, strict=True)}
