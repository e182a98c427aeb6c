"""What accumulates while one request is on its way, and the gate every sentence passes before it is released."""

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from assistant.checks import Situation, withhold
from assistant.citations import resolve
from assistant.engines.base import Delta, EngineInfo
from assistant.events import Dropped, EvidenceItem, Sentence
from assistant.lines import Line
from assistant.prompting import pictures_of, situation_of
from assistant.requests import Request
from assistant.study import Picture


@dataclass
class Course:
    """`dropped` and `warnings` are told at the end; `timings` in seconds by stage."""

    request: Request
    info: EngineInfo
    started: float = field(default_factory=time.perf_counter)
    sentences: list[Sentence] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    cut: bool = False

    @property
    def pictures(self) -> tuple[Picture, ...]:
        return pictures_of(self.request)

    @property
    def situation(self) -> Situation:
        return situation_of(self.request)

    @property
    def elapsed(self) -> float:
        return time.perf_counter() - self.started

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.timings[name] = time.perf_counter() - start

    async def hear(self, stream: AsyncIterator[Delta]) -> AsyncIterator[Delta]:
        """The stream itself; that it was cut at its limit of tokens is kept."""
        async for delta in stream:
            if delta.cut:
                self.cut = True
                limit = self.request.max_tokens
                self.warnings.append(f"The answer reached its limit of {limit} tokens and was cut; ask for more.")
            yield delta

    def left_out(self, names: Sequence[str]) -> None:
        """Parts of the prompt that had to go."""
        for name in names:
            self.dropped.append(Dropped(what=name, why="it did not fit the model's context"))
            self.warnings.append(f"Left out of the prompt, since it did not fit the model's context: {name}.")

    def release(self, line: Line, evidence: dict[int, EvidenceItem]) -> Sentence | None:
        """The sentence, once its own checks have passed; otherwise None, and why it was withheld is kept."""
        citations, missing = resolve(line.sources, line.text, evidence)
        for number in missing:
            self.dropped.append(Dropped(what=f"citation [{number}]", why="it stands for nothing the model was shown"))
        resolved = replace(line, sources=tuple(citation.number for citation in citations))
        why = withhold(resolved, self.situation)
        if not why and any(line.text == sentence.text for sentence in self.sentences):
            why = "it was said before"
        if why:
            self.dropped.append(Dropped(what=line.text, why=why))
            return None
        sentence = Sentence(
            index=len(self.sentences),
            section=line.section,
            text=line.text,
            support="cited" if citations else "image",
            citations=tuple(citations),
        )
        self.sentences.append(sentence)
        self.timings.setdefault("first_sentence", self.elapsed)
        return sentence
