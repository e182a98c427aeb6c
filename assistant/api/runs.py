"""Runs under way: the one place that consumes `Assistant.run`, stores what it says and tells those who listen.

Invariants: an event is stored before anybody is told; every run ends with `Done` or `Failed`; a run does not need its
listeners. A run's work is a task of its own that may be cancelled at any moment; another task, never cancelled, waits
for it and writes the end.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Literal, Protocol

from anyio import to_thread

from assistant.api.problems import INTERNAL, place
from assistant.api.records import INTERRUPTED, Records, RunRow, Stored
from assistant.api.report_runs import report_request, signed_words
from assistant.api.shapes import AnyBody, DiagnoseBody, ReportBody
from assistant.diagnosis.values import read_values
from assistant.errors import BadInput, Busy, ConsultError, QueueFull, Unavailable
from assistant.events import Done, Event, Failed, Identity, Sentence
from assistant.identity import merge
from assistant.priors import own_case, prior_study
from assistant.reports.template import find_template
from assistant.requests import AskRequest, DiagnoseRequest, Request, Turn
from assistant.settings import Settings
from retrieval.library import Library

log = logging.getLogger("consult.api")

AT_ONCE = {"local": 2, "http": 32}  # the local engine reads one at a time; the next is looked up meanwhile
CLOSE_S = 10.0
RETRY_S = 2.0
_ASKED = {"report": "Draft the report.", "diagnose": "Work through the differential."}


class Reader(Protocol):
    """What runs need of `Assistant`."""

    @property
    def library(self) -> Library: ...
    def run(self, request: Request) -> AsyncGenerator[Event, None]: ...
    async def info(self) -> dict[str, Any]: ...


class KeyReused(Busy):
    type = "idempotency-key-reused"


class Live:
    """A run under way, for those who wait for its next event."""

    def __init__(self) -> None:
        self.work: asyncio.Task[Done | Failed | None] | None = None
        self.stop: Literal["", "cancelled", "interrupted"] = ""
        self.stored = 0
        self.ended = False
        self._bell = asyncio.Event()

    def ring(self) -> None:
        bell, self._bell = self._bell, asyncio.Event()
        bell.set()

    async def beyond(self, seq: int) -> None:
        """Waits for an event after `seq`, or the end."""
        while self.stored <= seq and not self.ended:
            await self._bell.wait()


class RunManager:
    """Lives in one event loop, from start-up to `close`."""

    def __init__(self, settings: Settings, records: Records, assistant: Reader) -> None:
        self._limit = settings.api.queue
        self._records = records
        self._assistant = assistant
        self._slots = asyncio.Semaphore(AT_ONCE[settings.engine.kind])
        self._accepting = asyncio.Lock()
        self._closing = False
        self._live: dict[str, Live] = {}
        self._keepers: set[asyncio.Task[None]] = set()

    async def submit(
        self, user: str, body: AnyBody, *, key: str | None = None, earlier: Sequence[Turn] = ()
    ) -> tuple[RunRow, bool]:
        """The run, and whether it is new: the same key and body give the same run.

        Raises `NotFound` for a study or run that isn't the user's, `PatientMismatch`, `BadInput`, `KeyReused`,
        `QueueFull`.
        """
        digest = hashlib.sha256(body.model_dump_json().encode()).hexdigest()
        async with self._accepting:
            if key is not None and (known := await to_thread.run_sync(self._records.replay, user, key)):
                if known[1] != digest:
                    raise KeyReused("This Idempotency-Key was used with another body. Use a new key for a new run.")
                return known[0], False
            if self._closing:
                raise Unavailable("The server is stopping. Try again in a moment.")
            if len(self._live) >= self._limit:
                raise QueueFull("Too many runs are waiting. Try again in a moment.")
            run = await to_thread.run_sync(self._create, user, body, tuple(earlier), key, digest)
            self._start(run)
        return run, True

    def cancel(self, run: str, why: Literal["cancelled", "interrupted"] = "cancelled") -> None:
        """Stops a run; nothing happens when it has ended. `settled` waits for the end."""
        live = self._live.get(run)
        if live and live.work and not live.stop:
            live.stop = why
            live.work.cancel()

    async def settled(self, run: str) -> None:
        if live := self._live.get(run):
            await live.beyond(2**62)

    async def follow(self, run: str, after: int = 0) -> AsyncGenerator[Stored, None]:
        """Stored events after number `after`, then the coming ones, to the end."""
        while True:
            live = self._live.get(run)  # asked before reading: when it's gone, all there is has been stored
            for stored in await to_thread.run_sync(self._records.events, run, after):
                yield stored
                after = stored.seq
            if live is None:
                return
            await live.beyond(after)

    async def close(self) -> None:
        """Ends every run with "interrupted"."""
        self._closing = True
        for run in list(self._live):
            self.cancel(run, "interrupted")
        if self._keepers:
            await asyncio.wait(self._keepers, timeout=CLOSE_S)

    # inside

    def _create(self, user: str, body: AnyBody, earlier: tuple[Turn, ...], key: str | None, digest: str) -> RunRow:
        self._records.study(user, body.study)
        if body.prior is not None and body.prior_case is not None:
            raise BadInput("Name the prior study by `prior` or by `prior_case`, not both.")
        if body.prior is not None:
            merge([self._records.identity(user, id_) for id_ in (body.study, body.prior)])  # refuses two patients
        told = self._told_before(user, body)
        if isinstance(body, DiagnoseBody):
            read_values(body.laboratory)  # refused at once, not when the run's turn has come
        if isinstance(body, ReportBody):
            find_template(body.template, self._records.home)
            body = body.model_copy(update={"prior_report": body.prior_report or told})
        if body.after_run is not None:
            before = self._records.run(user, body.after_run)
            if before.study != body.study:
                raise BadInput("`after_run` is about another study. Start a new conversation for this one.")
            if before.finished is None:
                raise Busy("The run named by `after_run` has not ended yet. Wait for its end, or cancel it.")
        return self._records.add_run(
            user, task=body.task, study=body.study, prior=body.prior, question=getattr(body, "question", ""),
            body=body.model_dump_json(), earlier=json.dumps([[turn.question, turn.answer] for turn in earlier]),
            after_run=body.after_run, key=key, body_sha256=digest,
        )  # fmt: skip

    def _told_before(self, user: str, body: AnyBody) -> str:
        """The report of the prior study, as far as it is stored; "" where it isn't."""
        if body.prior_case is not None:
            patient = self._records.study(user, body.study).patient
            return own_case(self._assistant.library, body.prior_case, patient).report
        return signed_words(self._records, user, body.prior) if body.prior is not None else ""

    def _start(self, run: RunRow) -> None:
        live = self._live[run.id] = Live()
        live.work = asyncio.create_task(self._read(run, live))
        keeper = asyncio.create_task(self._conclude(run, live, live.work))
        self._keepers.add(keeper)
        keeper.add_done_callback(self._keepers.discard)

    async def _read(self, run: RunRow, live: Live) -> Done | Failed | None:
        """Stores all events but the last, which it returns."""
        async with self._slots:
            await to_thread.run_sync(self._records.start_run, run.id)
            request = await to_thread.run_sync(self._request, run)
            async with aclosing(self._assistant.run(request)) as events:
                async for event in events:
                    if isinstance(event, Done | Failed):
                        return event
                    await self._store(run, live, event)
        return None

    async def _conclude(self, run: RunRow, live: Live, work: asyncio.Task[Done | Failed | None]) -> None:
        await asyncio.wait({work})
        try:
            while not await self._ended(run, live, work) and not self._closing:
                await asyncio.sleep(RETRY_S)
        finally:
            del self._live[run.id]
            live.ended = True
            live.ring()

    async def _ended(self, run: RunRow, live: Live, work: asyncio.Task[Done | Failed | None]) -> bool:
        """Whether the end could be stored; a full disk may have room again soon, or the next start writes it."""
        try:
            await self._store(run, live, await self._ending(run, live, work))
        except Exception as error:
            log.error("The end of a run could not be stored: %s", place(error))
            return False
        return True

    async def _ending(self, run: RunRow, live: Live, work: asyncio.Task[Done | Failed | None]) -> Done | Failed:
        if work.cancelled():
            return await self._cancelled(run) if live.stop == "cancelled" else INTERRUPTED
        error = work.exception()
        if isinstance(error, ConsultError):
            return Failed(type=error.type, message=str(error))
        if error is None and (end := work.result()):
            return end
        log.error("A run failed: %s", place(error) if error else "it stopped without saying so")
        return Failed(type="internal", message=INTERNAL)

    async def _cancelled(self, run: RunRow) -> Done:
        stored = await to_thread.run_sync(self._records.events, run.id)
        said = [Sentence.model_validate_json(event.data).text for event in stored if event.event == "sentence"]
        return Done(
            status="cancelled", reason="Cancelled.", answer=" ".join(said), identity=await self._identity(), timings={}
        )

    async def _identity(self) -> Identity:
        try:
            info = await asyncio.wait_for(self._assistant.info(), 5)
            return Identity(**{name: info[name] for name in Identity.model_fields if name in info})
        except Exception as error:  # nobody may be there to ask: a run is cancelled all the same
            log.warning("The engine's identity is not known: %s", place(error))
            return Identity(model="", model_hash="", engine="")

    async def _store(self, run: RunRow, live: Live, event: Event) -> None:
        seq = await to_thread.run_sync(self._records.append, run.id, event)
        if seq is not None:
            live.stored = seq
            live.ring()

    def _request(self, run: RunRow) -> Request:
        """The typed request a stored run stands for."""
        study = self._records.load(run.user, run.study)
        body = json.loads(run.body)
        prior = self._records.load(run.user, run.prior) if run.prior else None
        if case := body.get("prior_case"):  # runs of an older version have no such field
            prior = prior_study(self._assistant.library, case, study.patient)
        common: dict[str, Any] = {
            "study": study, "prior": prior, "adapter": body["adapter"], "seed": body["seed"],
            "max_tokens": body["max_tokens"],
        }  # fmt: skip
        match run.task:
            case "ask":
                earlier = [Turn(*turn) for turn in json.loads(run.earlier)] + self._turns(run)
                return AskRequest(question=body["question"], earlier=tuple(earlier), **common)
            case "report":
                return report_request(self._records, body, **common)
        return DiagnoseRequest(
            history=body["history"], laboratory=body["laboratory"], candidates=tuple(body["candidates"]), **common
        )

    def _turns(self, run: RunRow) -> list[Turn]:
        turns = []
        for before in self._records.conversation(run):
            said = [json.loads(e.data)["text"] for e in self._records.events(before.id) if e.event == "sentence"]
            turns.append(Turn(before.question or _ASKED[before.task], " ".join(said)))
        return turns
