"""The app: middleware, routes and the life of what they share."""

import asyncio
import contextlib
import fcntl
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI

from assistant.api import chat, knowledge, overlays, problems, reports, run_routes, studies, system
from assistant.api.access import Access
from assistant.api.auth import Gate, check_exposure
from assistant.api.desk import AssistantLike, Desk
from assistant.api.keeper import Keeper
from assistant.api.limit import MAX_JSON, BodyLimit
from assistant.api.records import Records
from assistant.api.runs import RunManager
from assistant.api.shapes import ProblemOut
from assistant.api.system import VERSION
from assistant.errors import Misconfigured
from assistant.settings import Settings
from retrieval.db import make_home

log = logging.getLogger("consult.api")
_TEXT_ONLY = ("/v1/runs", "/v1/reports")
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"model": ProblemOut, "description": f"Problem: {what}"}
    for code, what in ((401, "no token"), (404, "not there, or not yours"), (422, "does not fit"))
}


class Described(FastAPI):
    def openapi(self) -> dict[str, Any]:
        return self.openapi_schema or problems.described(super().openapi())


def create_app(settings: Settings, assistant: AssistantLike | None = None, *, warm: bool = False) -> FastAPI:
    """The API over `assistant` (default: the one the settings describe). `warm` loads models at start-up, in the
    background. Raises `Misconfigured` when others could reach a server without tokens."""
    check_exposure(settings)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with _only_server(settings.home), contextlib.closing(Records(settings.home)) as records:
            reader = await to_thread.run_sync(_open, settings) if assistant is None else assistant
            if left := await to_thread.run_sync(records.interrupt_all):
                log.warning("%d runs of a server that was killed got an end: interrupted", left)
            runs = RunManager(settings, records, reader)
            app.state.desk = Desk(settings, records, reader, runs, CapacityLimiter(2), Keeper(settings.home))
            warming = asyncio.create_task(_warm(reader)) if warm else None
            try:
                yield
            finally:
                if warming:
                    warming.cancel()
                await runs.close()
                await reader.close()

    app = Described(
        title="Consult",
        summary="A second reader for clinicians: answers about medical images in which every statement is cited.",
        version=VERSION,
        lifespan=lifespan,
        docs_url=None,  # their pages load scripts from elsewhere; ours is in system.py
        redoc_url=None,
        responses=_PROBLEMS,
    )
    problems.install(app)
    uploads = settings.api.max_upload_mb * 2**20
    app.add_middleware(BodyLimit, limit=lambda path: MAX_JSON if path.startswith(_TEXT_ONLY) else uploads)
    app.add_middleware(Gate, settings=settings)
    app.add_middleware(Access)
    for room in (studies, run_routes, reports, overlays, chat, knowledge, system):
        app.include_router(room.router)
    return app


def _open(settings: Settings) -> AssistantLike:
    from assistant.assistant import Assistant

    opened: AssistantLike = Assistant.open(settings)
    return opened


async def _warm(assistant: AssistantLike) -> None:
    try:
        await assistant.warm()
    except Exception as error:  # /ready says what is missing; the first run says it to its user
        log.warning("Warming up failed: %s", problems.place(error))


@contextlib.contextmanager
def _only_server(home: Path) -> Iterator[None]:
    """One API server a home: a second one would take the first one's runs for those of a killed process."""
    make_home(home)
    with (home / "serve.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Misconfigured(f"Another Consult server uses {home}. Stop it, or set CONSULT_HOME.") from None
        yield
