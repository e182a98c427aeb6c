"""Whether the server is alive and ready, what it is, and what it can be asked."""

import asyncio
from collections.abc import Awaitable, Callable
from html import escape
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Request, Response, status
from fastapi.responses import HTMLResponse, JSONResponse

from assistant.api.desk import Desk, Here, User
from assistant.api.problems import place
from assistant.api.shapes import answers
from assistant.errors import ConsultError, Unavailable
from assistant.reports.template import template_files

router = APIRouter(tags=["System"])
PATIENCE_S = 5.0
_READY = {"status": "ready", "parts": {part: {"ok": True} for part in ("database", "engine", "encoders", "index")}}
_INFO = {
    "model": "consult-pocket", "model_hash": "c0ffee00", "engine": "local", "encoders": {"text": "pocket-text@1f2e"},
    "generation": "20260504T093000", "demonstration": True, "context": 2048, "capabilities": ["score"],
    "domains": ["chest_xray"], "version": "0.1", "user": "ann",
    "limits": {"max_upload_mb": 512, "max_question_chars": 4000, "queue": 32},
}  # fmt: skip
try:
    VERSION = version("consult")
except PackageNotFoundError:  # run from a checkout that isn't installed
    VERSION = "0"


@router.get("/health", summary="The process is alive", responses=answers({"status": "ok"}))
async def health() -> dict[str, str]:
    return {"status": "ok"}


@router.get("/ready", summary="It can answer questions",
            responses={**answers(_READY), 503: {"description": "not yet; see the parts"}})  # fmt: skip
async def ready(desk: Here) -> Response:
    """Each part with `ok`, and `reason` when it isn't."""
    info: dict[str, Any] = {}

    async def database() -> None:
        await to_thread.run_sync(desk.records.ping)

    async def engine() -> None:
        info.update(await desk.assistant.info())

    async def encoders() -> None:
        if not info.get("encoders"):
            raise Unavailable("No encoder is loaded.")

    async def index() -> None:
        if not info.get("generation"):
            raise Unavailable("There is no index yet. Add documents: consult knowledge add FILE...")

    checks = {"database": database, "engine": engine, "encoders": encoders, "index": index}
    parts = {name: await _part(check) for name, check in checks.items()}
    ok = all(part["ok"] for part in parts.values())
    code = status.HTTP_200_OK if ok else status.HTTP_503_SERVICE_UNAVAILABLE
    return JSONResponse({"status": "ready" if ok else "not ready", "parts": parts}, code)


@router.get("/v1/info", summary="Models, identity and limits", responses=answers(_INFO))
async def info(desk: Here, user: User) -> dict[str, Any]:
    """`demonstration`: the model is not for clinical use. `templates`: what a report can be drafted by."""
    templates = sorted(template_files(desk.settings.home))
    about = {"version": VERSION, "user": user, "limits": _limits(desk), "templates": templates}
    return {**await desk.assistant.info(), **about}


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> HTMLResponse:
    """A page without scripts, so that it works where nothing outside can be reached."""
    rows = [
        f"<tr><td><b>{method.upper()}</b><td><code>{escape(path)}</code><td>{escape(about.get('summary', ''))}"
        f"<br><small>{escape(about.get('description', ''))}</small>"
        for path, methods in request.app.openapi()["paths"].items()
        for method, about in methods.items()
    ]
    return HTMLResponse(_PAGE.format(title=escape(request.app.title), rows="\n".join(rows)))


_PAGE = """<!doctype html><meta charset=utf-8><title>{title}</title>
<style>body{{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}
td{{padding:.4rem .8rem .4rem 0;vertical-align:top;border-top:1px solid #ccc}}small{{color:#555}}</style>
<h1>{title}</h1><p>The full description: <a href="openapi.json">openapi.json</a>.</p><table>{rows}</table>"""


def _limits(desk: Desk) -> dict[str, int]:
    api = desk.settings.api
    return {"max_upload_mb": api.max_upload_mb, "max_question_chars": api.max_question_chars, "queue": api.queue}


async def _part(check: Callable[[], Awaitable[None]]) -> dict[str, Any]:
    try:
        await asyncio.wait_for(check(), PATIENCE_S)
    except ConsultError as error:
        return {"ok": False, "type": error.type, "reason": str(error)}
    except TimeoutError:
        return {"ok": False, "type": "unavailable", "reason": f"No answer within {PATIENCE_S:.0f} s."}
    except Exception as error:
        return {"ok": False, "type": "internal", "reason": place(error).split(" at ")[0]}
    return {"ok": True}
