"""The way of one request, top to bottom in `Assistant.run`. Command line, API and page are views of its events."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from anyio import to_thread

from assistant.adapters import BASE
from assistant.bench import Bench
from assistant.course import Course
from assistant.engines.base import Engine, EngineInfo, Prompt
from assistant.engines.http import HttpEngine
from assistant.events import Defect, DomainVerdict, Done, Event, EvidenceItem, Identity, Quality, Retrieved
from assistant.evidence import offered, shown
from assistant.imaging.gate import inspect
from assistant.lines import Line, lines, parse
from assistant.prompting import composed, query_of, searched
from assistant.requests import Request
from assistant.settings import Settings
from assistant.tasks import task_of
from assistant.tasks.base import Draft
from assistant.worker import Worker
from retrieval.cards import Card, bundled_cards
from retrieval.domain import Domains
from retrieval.encoders.bundle import encoder_folder
from retrieval.library import Library
from retrieval.retriever import Retriever
from retrieval.store import open_store
from retrieval.types import Domain, Query
from retrieval.weigh import Selection

NOTHING_RELEVANT = "Nothing relevant was found in the knowledge base: what follows rests on the picture alone."
_KINDS = {
    "chest_xray": "chest radiographs", "brain_mri": "MRI of the brain", "fundus": "photographs of the fundus",
    "blood": "blood smears",
}  # fmt: skip
DEMONSTRATION = "Answered by a demonstration model that has seen synthetic pictures only: not for clinical use."


class Assistant:
    """Wires engine, retriever and domains. Holds no state of a request, so that many can be under way at once."""

    def __init__(
        self, engine: Engine, retriever: Retriever, domains: Domains | None = None, worker: Worker | None = None,
        cards: Callable[[], Sequence[Card]] = bundled_cards, adapter: str | None = None,
    ) -> None:  # fmt: skip
        """`cards`: the guidelines as checklists, read when a differential first needs them. `adapter`: the one that
        answers requests which name none."""
        self.engine, self.retriever, self.domains, self.worker = engine, retriever, domains, worker
        self.cards, self.adapter = cards, adapter

    @classmethod
    def open(cls, settings: Settings) -> "Assistant":
        """The assistant the settings describe. Nothing heavy is loaded until it is used, or `warm` is called."""
        worker = Worker(settings)
        engine: Engine = worker.engine if settings.engine.kind == "local" else HttpEngine(settings.engine)
        how = settings.retrieval
        key = how.api_key.get_secret_value() if how.api_key else None
        store = open_store(settings.home, how.url, key, how.server.options)
        selection = Selection(how.mode, how.gamma, how.floor, how.k_max)
        retriever = Retriever(store, Library(settings.home), worker.encoders, selection)
        return cls(engine, retriever, domains_of(settings), worker, adapter=settings.engine.adapter)

    @property
    def library(self) -> Library:
        return self.retriever.library

    async def info(self) -> dict[str, Any]:
        """Who would answer now: model, engine, encoders, index; loads what isn't loaded yet."""
        info = await self.engine.info()
        return {
            **await to_thread.run_sync(self._identity, info),
            "context": info.context,
            "capabilities": sorted(info.capabilities),
            "domains": info.domains,
        }

    async def warm(self) -> None:
        """Loads the encoders and the model, so that the first question doesn't wait for them."""
        if self.worker:
            await to_thread.run_sync(self.worker.warm)
        await self.engine.info()

    async def close(self) -> None:
        await self.engine.close()
        if self.worker:
            await to_thread.run_sync(self.worker.close)
        self.retriever.store.close()
        self.library.close()

    async def run(self, request: Request) -> AsyncGenerator[Event, None]:
        """The events of one request. Closing the generator stops the engine. Raises `ConsultError`; what was
        yielded before stays valid."""
        adapter = request.adapter or self.adapter
        request = replace(request, adapter=None if adapter == BASE else adapter)
        task = task_of(request)
        course = Course(request, await self.engine.info())

        quality, query = await self._look(course)
        yield quality
        if refusal := next((defect for defect in quality.defects if defect.refuse), None):
            yield self._done(course, refusal.message)
            return

        retrieved = await self._retrieve(course, query)
        yield retrieved

        for finding in task.opening:
            yield finding
        for section, text in task.own(request):
            yield course.say(section, text)
        draft = task.draft(request, retrieved.evidence)
        prompt, evidence = await self.compose(course, draft)
        with course.stage("generate"):
            async with aclosing(self.read(course, prompt)) as read:
                async for line in read:
                    if sentence := course.release(line, evidence):
                        yield sentence

        async with aclosing(task.further(Bench(self, course, retrieved.evidence, draft, prompt))) as events:
            async for event in events:
                yield event
        yield self._done(course, "The model said nothing that passed the checks." if course.silent else "")

    async def read(self, course: Course, prompt: Prompt, sections: tuple[str, ...] = ()) -> AsyncGenerator[Line, None]:
        """The model's lines as they come, in `sections` (the task's). Closing the generator stops the engine."""
        expected = sections or task_of(course.request).sections(course.request)
        async with aclosing(self.engine.stream(prompt)) as stream:
            async for raw, whole in lines(course.hear(stream)):
                for line in parse(raw, expected, complete=whole):
                    yield line

    async def _look(self, course: Course) -> tuple[Quality, Query]:
        """The quality gate: which kind the pictures are, and what is wrong with them."""
        request, pictures = course.request, course.pictures
        defects: list[Defect] = []
        with course.stage("embed_pictures"):
            embeddings = await to_thread.run_sync(self.retriever.look, [picture.pixels for picture in pictures])
        domain, verdicts = None, list[DomainVerdict]()
        if self.domains:
            self.domains.check(self.retriever.identities.get("image_text"))
            verdicts = [_verdict(self.domains.identify(embedding)) for embedding in embeddings]
            for number, verdict in enumerate(verdicts, 1):
                defects += _unfit(number, verdict, course.info)
            domain = max(verdicts, key=lambda verdict: (verdict.name is not None, verdict.confidence))
            if not searched(verdicts) and not any(defect.refuse for defect in defects):
                course.warnings.append(_unsure(verdicts))
        chest = domain.name == "chest_xray" if domain else None
        with course.stage("gate"):
            defects = [d for n, picture in enumerate(pictures, 1) for d in inspect(picture, n, chest=chest)] + defects
        course.warnings += [*request.study.warnings, *(defect.message for defect in defects if not defect.refuse)]
        query = query_of(request, embeddings, verdicts)
        return Quality(defects=tuple(defects), domain=domain), query

    async def _retrieve(self, course: Course, query: Query) -> Retrieved:
        evidence = await to_thread.run_sync(self.retriever.retrieve, query)
        course.timings.update(evidence.timings)
        note = "" if evidence.items else NOTHING_RELEVANT
        if note:
            course.warnings.append(note)
        return Retrieved(
            evidence=tuple(map(shown, evidence.items)),
            considered=evidence.considered,
            note=note,
            priors=() if course.request.prior else tuple(map(offered, evidence.priors)),
        )

    async def compose(self, course: Course, draft: Draft) -> tuple[Prompt, dict[int, EvidenceItem]]:
        """The prompt within the model's context, and the evidence that is in it by number."""
        request, info = course.request, course.info
        with course.stage("prompt"):
            parts = draft.parts()
            sizes = await self.engine.count([text for _, text, _ in parts])
            prompt, kept, gone = composed(draft, request, sizes, info)
            # What the first answer cites was in its own prompt, whatever has no room beside the answer to be mended.
            course.left_out(gone, "the prompt of the second attempt" if draft.again else "the prompt")
        return prompt, {item.number: item for item in draft.evidence if f"evidence {item.number}" in kept}

    def _done(self, course: Course, reason: str) -> Done:
        course.timings["total"] = course.elapsed
        if course.info.demonstration:
            course.warnings.append(DEMONSTRATION)
        return Done(
            status="abstained" if reason else "answered",
            reason=reason,
            answer=" ".join(sentence.text for sentence in course.standing),
            cut=course.cut,
            warnings=tuple(dict.fromkeys(course.warnings)),
            dropped=tuple(course.dropped),
            identity=self.who(course),
            timings={name: round(seconds, 6) for name, seconds in course.timings.items()},
        )

    def who(self, course: Course) -> Identity:
        """Who speaks in this course."""
        return Identity(**self._identity(course.info), adapter=course.request.adapter, seed=course.request.seed)

    def _identity(self, info: EngineInfo) -> dict[str, Any]:
        manifest = self.retriever.store.manifest
        return {
            "model": info.model,
            "model_hash": info.model_hash,
            "engine": info.engine,
            "encoders": self.retriever.identities,
            "generation": manifest.created if manifest else None,
            "demonstration": info.demonstration,
        }


def domains_of(settings: Settings) -> Domains | None:
    """As fitted on this installation, else as they came with the encoder. Raises `Misconfigured`."""
    folder = encoder_folder(settings.encoders.image_text, "image_text")
    return Domains.load(settings.home) or (Domains.load(folder) if folder else None)


def _unsure(verdicts: list[DomainVerdict]) -> str:
    numbers = [str(number) for number, verdict in enumerate(verdicts, 1) if not verdict.sure]
    which = f"picture {numbers[0]} is" if len(numbers) == 1 else f"pictures {', '.join(numbers)} are"
    return f"It is not certain of which kind {which}: knowledge of all kinds was searched."


def _unfit(number: int, verdict: DomainVerdict, info: EngineInfo) -> list[Defect]:
    """Unlike anything known: a limited model refuses, any other is used with a warning."""
    if verdict.name and (info.domains is None or verdict.name in info.domains):
        return []
    if verdict.name:
        message = f"Picture {number} looks like {_plain(verdict.name)}, which this model was not trained to read."
    else:
        message = f"Picture {number} is unlike any kind of image this installation knows."
    if info.domains is not None:
        readable = ", ".join(map(_plain, info.domains))
        message += f" The model in use reads only {readable}, so it gives no answer."
    return [Defect(kind="unknown-kind", picture=number, message=message, refuse=info.domains is not None)]


def _plain(domain: str) -> str:
    return _KINDS.get(domain, domain.replace("_", " "))


def _verdict(domain: Domain) -> DomainVerdict:
    return DomainVerdict(name=domain.name, confidence=domain.confidence, nearest=domain.nearest, sure=domain.sure)
