"""/v1/chat/completions: the same runs behind the OpenAI wire format, so that existing clients get cited answers.

Invariant: a client that leaves in mid-answer cancels its run, and the engine's slot is free again. (A run made through
/v1/runs goes on without listeners: there the client can come back for it, here it can't.)
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Body, Request
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.sse import EventSourceResponse, format_sse_event

from assistant.api.desk import Desk, Here, User
from assistant.api.openai_shapes import (
    MODEL,
    ChatBody,
    chunk,
    completion,
    extension,
    finish_of,
    pictures_of,
    question_of,
    references,
    spoken,
    text_of,
    usage,
)
from assistant.api.problems import problem, status_of
from assistant.api.records import RunRow
from assistant.api.results import joined, parse
from assistant.api.run_routes import check_lengths
from assistant.api.shapes import RUN_ID, AskBody, answers
from assistant.api.studies import keep
from assistant.errors import NotFound
from assistant.events import Event, Sentence

router = APIRouter(prefix="/v1", tags=["OpenAI-compatible"])
_EXAMPLE = {
    "model": MODEL,
    "messages": [{
        "role": "user",
        "content": [
            {"type": "text", "text": "Is there a pleural effusion?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo…"}},
        ],
    }],
}  # fmt: skip
_MODELS = {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": MODEL}]}
_ANSWER = {
    "id": f"chatcmpl-{RUN_ID}", "object": "chat.completion", "created": 1777887000, "model": MODEL,
    "choices": [{
        "index": 0, "message": {"role": "assistant", "content": "There is a left pleural effusion."},
        "finish_reason": "stop", "logprobs": None,
    }],
    "usage": {"prompt_tokens": 7, "completion_tokens": 8, "total_tokens": 15, "estimated": True},
    "consult": {"run": RUN_ID, "citations": [], "warnings": []},
}  # fmt: skip
_CLIENT_GONE = 499


@router.get("/models", summary="The one model there is", responses=answers(_MODELS))
def models() -> dict[str, Any]:
    return _MODELS


@router.post("/chat/completions", summary="Ask about images", response_model=None, responses=answers(_ANSWER))
async def chat(
    desk: Here, user: User, request: Request, body: Annotated[ChatBody, Body(examples=[_EXAMPLE])]
) -> JSONResponse | StreamingResponse:
    """Images as data URLs; the answer's sentences carry [n] and end with a reference list; `consult` holds citations,
    evidence, warnings and identity (on the last chunk of a stream)."""
    if body.model != MODEL:
        raise NotFound(f"There is one model here: `{MODEL}`.")
    question, turns, warnings = question_of(body)
    check_lengths([question, *(text for turn in turns for text in (turn.question, turn.answer))],
                  desk.settings.api.max_question_chars, "messages")  # fmt: skip
    files = await to_thread.run_sync(pictures_of, body)
    study, _ = await keep(desk, user, files, standard_display=False)
    asked = AskBody(task="ask", study=study.id, question=question, seed=body.seed, max_tokens=body.limit)
    run, _ = await desk.runs.submit(user, asked, earlier=turns)
    watcher = _watch(desk, run, request)
    if body.stream:
        pieces = _stream(desk, run, watcher, body.wants_usage, warnings)
        return StreamingResponse(pieces, media_type=EventSourceResponse.media_type, headers=_UNBUFFERED)
    return await _whole(desk, run, watcher, warnings)


_UNBUFFERED = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


async def _whole(desk: Desk, run: RunRow, watcher: asyncio.Task[None], warnings: list[str]) -> JSONResponse:
    async with _while_listening(desk, run, watcher) as events:
        result = joined([event async for event in events])
    if result.error:
        return problem(result.error.type, status_of(result.error.type), result.error.message, run=run.id)
    if await _cancelled(desk, run):
        return problem("cancelled", _CLIENT_GONE, "The run was cancelled.", run=run.id)
    text = text_of(result)
    told = extension(run.id, result, warnings)
    return JSONResponse(completion(run.id, text, finish_of(result), told, usage(run.question, text)))


async def _stream(
    desk: Desk, run: RunRow, watcher: asyncio.Task[None], wants_usage: bool, warnings: list[str]
) -> AsyncIterator[bytes]:
    created, seen = int(time.time()), list[Event]()
    yield _data(chunk(run.id, created, {"role": "assistant", "content": ""}))
    async with _while_listening(desk, run, watcher) as events:
        async for event in events:
            if isinstance(event, Sentence):
                lead = " " if any(isinstance(earlier, Sentence) for earlier in seen) else ""
                yield _data(chunk(run.id, created, {"content": lead + spoken(event)}))
            seen.append(event)
    result = joined(seen)
    if result.error:
        yield _data({"error": {"message": result.error.message, "type": result.error.type, "code": result.error.type}})
    else:
        lead = " " if result.sentences and result.reason else ""
        if tail := lead + result.reason + references(result.citations, result.evidence):
            yield _data(chunk(run.id, created, {"content": tail}))
        yield _data(chunk(run.id, created, {}, finish_of(result), consult=extension(run.id, result, warnings)))
        if wants_usage:
            used = usage(run.question, text_of(result))
            yield _data({**chunk(run.id, created, {}), "choices": [], "usage": used})
    yield format_sse_event(data_str="[DONE]")


def _watch(desk: Desk, run: RunRow, request: Request) -> asyncio.Task[None]:
    """Cancels the run when the client goes, from now on: it may go before the first byte is sent."""

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        desk.runs.cancel(run.id)

    return asyncio.create_task(watch())


@asynccontextmanager
async def _while_listening(desk: Desk, run: RunRow, watcher: asyncio.Task[None]) -> AsyncIterator[AsyncIterator[Event]]:
    """The run's events; the run is cancelled when the block is left early."""
    try:
        yield (parse(stored) async for stored in desk.runs.follow(run.id))
    finally:  # nothing happens when it has ended; no await, since this may be a cancellation's clean-up
        watcher.cancel()
        desk.runs.cancel(run.id)


async def _cancelled(desk: Desk, run: RunRow) -> bool:
    return (await to_thread.run_sync(desk.records.run, run.user, run.id)).status == "cancelled"


def _data(value: Any) -> bytes:
    return format_sse_event(data_str=json.dumps(value, ensure_ascii=False))
