"""/v1/runs: a question to a study is a resource that outlives its listener."""

import json
from collections.abc import AsyncIterable
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Body, Header, Query, Response, status
from fastapi.sse import EventSourceResponse, ServerSentEvent

from assistant.api.desk import Desk, Here, OwnRun, User
from assistant.api.records import RunRow
from assistant.api.results import joined, parse, summary
from assistant.api.shapes import STUDY_ID, AnyBody, RunDetail, RunOut, RunPage, answers
from assistant.errors import TooLarge

router = APIRouter(prefix="/v1/runs", tags=["Runs"])
_STREAM = 'event: quality\ndata: {"event": "quality", "defects": []}\nid: 1\n\n'
_EXAMPLES: dict[str, Any] = {
    "ask": {"value": {"task": "ask", "study": STUDY_ID, "question": "Is there a pleural effusion?"}},
    "report": {"value": {"task": "report", "study": STUDY_ID, "indication": "Dyspnoea for three days."}},
    "diagnose": {
        "value": {
            "task": "diagnose", "study": STUDY_ID, "history": "Fever and cough.",
            "laboratory": {"CRP": "120 mg/L"}, "candidates": ["pneumonia", "heart failure"],
        }
    },
}  # fmt: skip


@router.post("", status_code=status.HTTP_201_CREATED, summary="Start a run", responses={200: {"model": RunOut}})
async def create(
    desk: Here,
    user: User,
    response: Response,
    body: Annotated[AnyBody, Body(openapi_examples=_EXAMPLES)],
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
) -> RunOut:
    """With an `Idempotency-Key`, the same body again gives the same run (200), another body is refused (409)."""
    check_lengths(body.model_dump(), desk.settings.api.max_question_chars)
    run, new = await desk.runs.submit(user, body, key=idempotency_key)
    if not new:
        response.status_code = status.HTTP_200_OK
    response.headers["Location"] = f"/v1/runs/{run.id}"
    return summary(run)


@router.get("", summary="List own runs, newest first")
def index(
    desk: Here, user: User, study: str | None = None, before: Annotated[int | None, Query(ge=1)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> RunPage:  # fmt: skip
    rows = desk.records.runs(user, study, before, limit)
    return RunPage(items=[summary(row) for row in rows], next=rows[-1].n if len(rows) == limit else None)


@router.get("/{run_id}", summary="A run and what it has said so far")
def show(desk: Here, user: User, run: OwnRun) -> RunDetail:
    desk.records.audit(user, "run.read", run.id)
    return detail(desk, run)


@router.get("/{run_id}/events", response_class=EventSourceResponse, summary="Events, from an offset, to the end",
            responses=answers(_STREAM, media_type="text/event-stream"))  # fmt: skip
async def events(
    desk: Here,
    user: User,
    run: OwnRun,
    after: Annotated[int, Query(ge=0, description="the number of the last event already seen")] = 0,
    last_event_id: Annotated[int | None, Header(ge=0)] = None,
) -> AsyncIterable[ServerSentEvent]:
    """Server-sent events: `id` is the event's number, `event` its kind, `data` its JSON. The stream ends after `done`
    or `failed`. `Last-Event-ID` wins over `after`."""
    await to_thread.run_sync(desk.records.audit, user, "run.read", run.id)
    seen = after if last_event_id is None else last_event_id
    async for stored in desk.runs.follow(run.id, seen):
        yield ServerSentEvent(raw_data=stored.data, event=stored.event, id=str(stored.seq))


@router.post("/{run_id}/cancel", summary="Cancel a run")
async def cancel(desk: Here, user: User, run: OwnRun) -> RunDetail:
    """Idempotent: a run that has ended stays as it is. Answers once the engine has let go."""
    desk.runs.cancel(run.id)
    await desk.runs.settled(run.id)
    await to_thread.run_sync(desk.records.audit, user, "run.cancel", run.id)
    return await to_thread.run_sync(lambda: detail(desk, desk.records.run(user, run.id)))


def detail(desk: Desk, run: RunRow) -> RunDetail:
    stored = desk.records.events(run.id)
    return RunDetail(
        **summary(run).model_dump(),
        request=json.loads(run.body),
        events=len(stored),
        result=joined(map(parse, stored)),
    )


def check_lengths(value: Any, limit: int, name: str = "body") -> None:
    """Raises `TooLarge` for the first text longer than `limit` characters, at any depth."""
    if isinstance(value, str) and len(value) > limit:
        raise TooLarge(f"`{name}` has {len(value)} characters; this server accepts {limit}. Shorten it.")
    if isinstance(value, dict):
        for key, inner in value.items():
            check_lengths(key, limit, name)
            check_lengths(inner, limit, key if name == "body" else name)
    elif isinstance(value, list | tuple):
        for inner in value:
            check_lengths(inner, limit, name)
