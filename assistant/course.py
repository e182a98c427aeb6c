"""What accumulates while one request is on its way, and the gate every sentence passes before it is released."""

import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from assistant.checks import Situation, withhold
from assistant.citations import resolve
from assistant.engines.base import Delta, EngineInfo
from assistant.events import Dropped, EvidenceItem, Place, Sentence
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
    superseded: frozenset[int] = frozenset()  # indices of sentences that a repair has replaced
    cut: bool = False

    @property
    def pictures(self) -> tuple[Picture, ...]:
        return pictures_of(self.request)

    @property
    def situation(self) -> Situation:
        return situation_of(self.request)

    @property
    def standing(self) -> list[Sentence]:
        """The released sentences that no repair has replaced."""
        return [sentence for sentence in self.sentences if sentence.index not in self.superseded]

    @property
    def silent(self) -> bool:
        """Whether nothing is said but what Consult itself says of the request."""
        return all(sentence.support == "request" for sentence in self.sentences)

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

    def left_out(self, names: Sequence[str], prompt: str = "the prompt") -> None:
        """Parts of the prompt that had to go; of which, where there are several."""
        for name in names:
            if name in {dropped.what for dropped in self.dropped}:  # of a second prompt for the same request
                continue
            self.dropped.append(Dropped(what=name, why="it did not fit the model's context"))
            self.warnings.append(f"Left out of {prompt}, since it did not fit the model's context: {name}.")

    def say(self, section: str, text: str) -> Sentence:
        """A sentence of ours about the request."""
        sentence = Sentence(index=len(self.sentences), section=section, text=text, support="request")
        self.sentences.append(sentence)
        return sentence

    def release(self, line: Line, evidence: dict[int, EvidenceItem], *, repair: bool = False) -> Sentence | None:
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
            repair=repair,
        )
        self.sentences.append(sentence)
        self.timings.setdefault("first_sentence", self.elapsed)
        return sentence

    def locate(self, places: Sequence[Place]) -> None:
        """The released sentences know from here on where they are seen."""
        regions = {place.sentence: place.region for place in places}
        self.sentences = [s.model_copy(update={"region": regions.get(s.index)}) for s in self.sentences]

    def mend(
        self,
        written: Sequence[Line],
        evidence: dict[int, EvidenceItem],
        named: frozenset[int],
        failing: Callable[[Sequence[Sentence]], int],
    ) -> list[Sentence]:
        """What a repair adds, if fewer checks fail with it than without.

        Of the sentences `named` by the failed checks those are superseded that the repair does not repeat, in the
        sections it wrote; no other sentence goes. Where it mends nothing, nothing of it is released.
        """
        before, first, standing = failing(self.standing), len(self.sentences), self.superseded
        said = {sentence.text for sentence in self.standing}
        repeated = {line.text for line in written} & said
        added = [s for line in written if line.text not in said and (s := self.release(line, evidence, repair=True))]
        sections = {s.section for s in added} | {line.section for line in written if line.text in repeated}
        self.superseded |= {
            s.index for s in self.standing if s.index in named and s.section in sections and s.text not in repeated
        }
        if failing(self.standing) < before:
            return added
        self.superseded = standing
        del self.sentences[first:]
        self.dropped += [Dropped(what=s.text, why="as a repair it did not mend what a check found") for s in added]
        return []
