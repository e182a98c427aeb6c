"""Who sits an exam: an assistant as its users meet it, asked with what it retrieves or with references it is given."""

import hashlib
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from assistant.assistant import Assistant
from assistant.engines.base import Delta, Engine, Prompt
from assistant.events import Differential, Done, Finding, Quality, Retrieved, Sentence
from assistant.reports.draft import statement_id
from assistant.reports.drafting import draft_of
from assistant.requests import Request
from eval.exam.benchmark import Answer, Said, Weighed
from retrieval.cards import Card
from retrieval.retriever import Retriever
from retrieval.types import Evidence, Query

IMPOSSIBLE = -1e4  # stands for a log-probability of minus infinity, which JSON can't hold
NOTHING = Evidence()  # given as references: the model answers from the picture alone


class Listening:
    """The engine itself, which keeps the last prompt and all that was said to it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.prompt: Prompt | None = None
        self.raw = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Delta, None]:
        self.prompt = prompt
        async with aclosing(self._engine.stream(prompt)) as deltas:
            async for delta in deltas:
                self.raw += delta.text
                yield delta


class Given:
    """The retriever itself, or with `references` one that finds exactly those; keeps what was found."""

    def __init__(self, retriever: Retriever, references: Evidence | None) -> None:
        self._retriever, self._references = retriever, references
        self.evidence = NOTHING

    def __getattr__(self, name: str) -> Any:
        return getattr(self._retriever, name)

    def retrieve(self, query: Query) -> Evidence:
        self.evidence = self._retriever.retrieve(query) if self._references is None else self._references
        return self.evidence


class Candidate:
    """An assistant under examination. `references`: whether it may retrieve at all."""

    def __init__(self, assistant: Assistant, *, adapter: str | None = None, references: bool = True) -> None:
        self.assistant, self.adapter, self.references = assistant, adapter, references

    async def ask(
        self, request: Request, references: Evidence | None = None, *, options: Sequence[str] = (),
        cards: Sequence[Card] | None = None,
    ) -> Answer:  # fmt: skip
        """One run of the whole path. `references` None: what is retrieved; `NOTHING`: none. `options`: completions
        whose likelihood after the same prompt is wanted, as the model would write them ("[answer] Yes"). `cards`: the
        guidelines a differential is held to; the assistant's own when not given."""
        if references is None and not self.references:
            references = NOTHING
        if self.adapter and not request.adapter:
            from dataclasses import replace

            request = replace(request, adapter=self.adapter)
        engine = Listening(self.assistant.engine)
        retriever = Given(self.assistant.retriever, references)
        own = self.assistant.cards if cards is None else lambda: cards
        sitting = Assistant(engine, retriever, self.assistant.domains, cards=own)  # type: ignore[arg-type]
        async with aclosing(sitting.run(request)) as events:
            answer = heard([event async for event in events])
        answer.raw, answer.evidence = engine.raw, retriever.evidence
        pictures = request.study.pictures + (request.prior.pictures if request.prior else ())
        answer.pictures = tuple(picture.sha256 for picture in pictures)
        if engine.prompt:
            answer.prompt_sha256 = prompt_sha256(engine.prompt)
            if options and "score" in (await self.assistant.engine.info()).capabilities:
                scores = await self.assistant.engine.score(engine.prompt, options)
                answer.likelihoods = {
                    option: max(score, IMPOSSIBLE) for option, score in zip(options, scores, strict=True)
                }
        return answer


def heard(events: Sequence[Any]) -> Answer:
    """A run's events as one answer."""
    quality = next(event for event in events if isinstance(event, Quality))
    done = next(event for event in events if isinstance(event, Done))
    draft = draft_of(events)
    gone = {statement.statement.id for statement in draft.superseded} if draft else set()
    replaced = {s.index for s in events if isinstance(s, Sentence) and statement_id(s.index) in gone}
    found = next((event for event in events if isinstance(event, Retrieved)), None)
    weighed = next((event for event in events if isinstance(event, Differential)), None)
    return Answer(
        status=done.status,
        text=done.answer,
        sentences=tuple(
            Said(section=s.section, text=s.text, support=s.support, cites=tuple(c.id for c in s.citations))
            for s in events
            if isinstance(s, Sentence) and s.index not in replaced
        ),
        findings=tuple(event.check for event in events if isinstance(event, Finding)),
        defects=tuple(defect.kind for defect in quality.defects),
        domain=quality.domain.name if quality.domain else None,
        dropped=len(done.dropped),
        retrieved=tuple(item.id for item in found.evidence) if found else (),
        verdict=weighed.verdict if weighed else "",
        candidates=tuple(
            Weighed(name=c.name, score=c.score, states={line.text: line.state for line in c.criteria})
            for c in (weighed.candidates if weighed else ())
        ),
    )


def prompt_sha256(prompt: Prompt) -> str:
    """Of everything the model was given: words, pictures (by their own sha256), sampling, schema, adapter."""
    messages = [
        [message.role, [part if isinstance(part, str) else {"picture": part.sha256} for part in message.parts]]
        for message in prompt.messages
    ]
    sampling = [prompt.sampling.max_tokens, prompt.sampling.temperature, prompt.sampling.seed, prompt.sampling.stop]
    whole = json.dumps([messages, sampling, prompt.schema, prompt.adapter], ensure_ascii=False)
    return hashlib.sha256(whole.encode()).hexdigest()
