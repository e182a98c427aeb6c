"""What a task has to work with beyond its first answer: the engine, always through the checks every sentence passes."""

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assistant.engines.base import Prompt
from assistant.events import EvidenceItem, Sentence
from assistant.lines import Line, lines, parse

if TYPE_CHECKING:
    from assistant.assistant import Assistant
    from assistant.course import Course
    from assistant.tasks.base import Draft


@dataclass(frozen=True, slots=True)
class Bench:
    """`prompt`: that of the first answer, by which completions can be scored."""

    assistant: "Assistant"
    course: "Course"
    evidence: Sequence[EvidenceItem]
    prompt: Prompt

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
        said = " ".join(line.text for line in await self.hear(draft)).casefold()
        named = [choice for choice in completions if choice in said]
        return named[0] if len(named) == 1 else None

    async def hear(self, draft: "Draft") -> list[Line]:
        """What the engine answers, not yet checked: `release` is for what is to be shown."""
        prompt, _ = await self.assistant.compose(self.course, draft)
        heard = list[Line]()
        async with aclosing(self.assistant.engine.stream(prompt)) as stream:
            async for raw, whole in lines(self.course.hear(stream)):
                heard += parse(raw, ("answer",), complete=whole)
        return heard

    def release(self, section: str, text: str) -> Sentence | None:
        """The model's own reading as a sentence, or None when a check withholds it."""
        return self.course.release(Line(section, text, (), image=True), {})

    async def likelihoods(self, completions: Mapping[str, str]) -> dict[str, float]:
        """By key the mean log-probability of a token of each completion of the first prompt: length costs nothing."""
        texts = list(completions.values())
        scored = await self.assistant.engine.score(self.prompt, texts)
        sizes = await self.assistant.engine.count(texts)
        return {key: s / max(size, 1) for key, s, size in zip(completions, scored, sizes, strict=True)}
