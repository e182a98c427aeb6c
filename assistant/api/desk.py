"""What every route works with, and how routes come by it."""

from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from anyio import CapacityLimiter
from fastapi import Depends, Request

from assistant.api.keeper import Keeper
from assistant.api.records import Records, RunRow
from assistant.api.runs import Reader, RunManager
from assistant.settings import Settings


class AssistantLike(Reader, Protocol):
    """The part of `Assistant` that the API uses; a fake has the same."""

    retriever: Any  # .retrieve(Query) -> Evidence

    @property
    def library(self) -> Any: ...  # retrieval.library.Library

    async def warm(self) -> None: ...
    async def close(self) -> None: ...


@dataclass
class Desk:
    settings: Settings
    records: Records
    assistant: AssistantLike
    runs: RunManager
    reading: CapacityLimiter  # uploads decoded at once
    knowledge: Keeper


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


def _user(request: Request) -> str:
    user: str = request.state.user
    return user


Here = Annotated[Desk, Depends(_desk)]
User = Annotated[str, Depends(_user)]


def _own_run(run_id: str, desk: Here, user: User) -> RunRow:
    return desk.records.run(user, run_id)


OwnRun = Annotated[RunRow, Depends(_own_run)]
