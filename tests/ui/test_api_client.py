import asyncio
import json
import socket
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from tests.ui.serving import FakeAssistant, png
from ui import api_client
from ui.api_client import Api, ApiDown, Problem, parse_sse
from ui.following import fold, ticking


def collect(stream: AsyncGenerator[Any, None]) -> list[Any]:
    async def whole() -> list[Any]:
        return [item async for item in stream]

    return asyncio.run(whole())


def test_events_of_a_stream() -> None:
    async def lines() -> AsyncIterator[str]:
        for line in (": ping", "", "event: x", "id: 1", "data: a", "data:b", "", "data: no number", "", "id: 3",
                     "data: cut off"):  # fmt: skip
            yield line

    assert collect(parse_sse(lines())) == [(1, "a\nb")]


def test_a_study_a_question_and_its_events(server: str) -> None:
    api = Api(server)
    study = api.upload([("a.png", png()), ("b.png", png(1))], standard_display=True)
    assert [picture["shows_sides"] for picture in study["pictures"]] == [True, True]
    assert api.picture(study["id"], 2, 64)[:4] == b"\x89PNG"
    run = api.ask(study["id"], "Is there an effusion?", None, "key")
    assert api.ask(study["id"], "Is there an effusion?", None, "key")["id"] == run["id"]
    events = collect(api.events(run["id"], 0))
    assert [event["event"] for event in events] == ["quality", "retrieved", *["sentence"] * 3, "done"]
    assert collect(api.events(run["id"], 4)) == events[4:]


def test_folding_the_events_gives_what_the_api_gives(server: str, study: str) -> None:
    api = Api(server)
    run = api.ask(study, "?", None, "key")
    events = collect(api.events(run["id"], 0))
    whole = api.run(run["id"])["result"]
    result = api_client.httpx.Response(200, json=EMPTY).json()
    for event in events:
        fold(result, event)
    assert result == whole


EMPTY: dict[str, Any] = {
    "answer": "", "reason": "", "quality": None, "sentences": [], "citations": [], "evidence": [], "considered": 0,
    "note": "", "priors": [], "findings": [], "warnings": [], "dropped": [], "identity": None, "timings": {},
    "error": None, "differential": None, "draft": None,
}  # fmt: skip


def test_an_ending_that_failed_is_folded_too() -> None:
    result = json.loads(json.dumps(EMPTY))
    fold(result, {"event": "failed", "type": "engine-down", "message": "The engine is down."})
    assert result == {**EMPTY, "error": {"type": "engine-down", "message": "The engine is down."}}


@pytest.mark.parametrize("name", ["../studies", "..", "a/b", "?x", "ä"])
def test_a_strange_id_stays_one_part_of_the_path(server: str, name: str) -> None:
    with pytest.raises(Problem) as caught:
        Api(server).run(name)
    assert caught.value.status == 404


def test_problems_are_sentences(server: str, study: str) -> None:
    api = Api(server)
    with pytest.raises(Problem, match="no such study") as caught:
        api.study("nope")
    assert (caught.value.status, caught.value.kind) == (404, "not-found")
    with pytest.raises(Problem, match="question: "):
        api.ask(study, "", None, "key")
    with pytest.raises(Problem) as refused:
        api.upload([("a.dcm", b"hello")], standard_display=False)
    assert refused.value.kind == "unreadable-picture"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}", "not a url", "http://[bad"])
def test_nobody_there(url: str) -> None:
    with pytest.raises(ApiDown, match="can't be reached"):
        Api(url.format(port=free_port())).info()


Handler = Callable[[httpx.Request], httpx.Response]


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> Callable[[Handler], None]:
    """Puts `handler` in the place of the network, and takes the waiting out of it."""

    def install(handler: Handler) -> None:
        whole = httpx.AsyncClient

        def client(**_: Any) -> httpx.AsyncClient:
            return whole(transport=httpx.MockTransport(handler))

        monkeypatch.setattr(api_client.httpx, "AsyncClient", client)
        monkeypatch.setattr(api_client, "FIRST_WAIT_S", 0.0)

    return install


def sse(*numbers: int, last: str = "sentence") -> bytes:
    kinds = ["sentence"] * (len(numbers) - 1) + [last]
    pairs = zip(numbers, kinds, strict=True)
    return "".join(f'id: {n}\ndata: {{"event": "{kind}", "n": {n}}}\n\n' for n, kind in pairs).encode()


def test_a_dropped_connection_is_taken_up_where_it_broke(answered: Any) -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params["after"])
        match len(asked):
            case 1:
                return httpx.Response(200, content=sse(1, 2))  # ends, but not with an end
            case 2:
                raise httpx.ReadError("broke off")
            case 3:
                return httpx.Response(200, content=sse(3) + b'id: 4\ndata: {"event": "half')
        return httpx.Response(200, content=sse(4, 5, last="done"))

    answered(handler)
    events = collect(Api("http://127.0.0.1:1").events("run", 0))
    assert [event["n"] for event in events] == [1, 2, 3, 4, 5]
    assert asked == ["0", "2", "2", "3"]


def test_it_gives_up_in_the_end(answered: Any) -> None:
    tries: list[int] = []

    def handler(request: httpx.Request) -> httpx.Response:
        tries.append(1)
        raise httpx.ConnectError("no")

    answered(handler)
    with pytest.raises(ApiDown, match="can't be reached"):
        collect(Api("http://127.0.0.1:1").events("run", 0))
    assert len(tries) == api_client.RETRIES + 1


def test_a_refusal_is_not_tried_again(answered: Any) -> None:
    problem = {"type": "urn:consult:not-found", "detail": "There is no such run."}
    answered(lambda request: httpx.Response(404, json=problem))
    with pytest.raises(Problem, match="no such run"):
        collect(Api("http://127.0.0.1:1").events("run", 0))


def test_another_server_than_consult(answered: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    other = httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(502, text="<html>")))
    monkeypatch.setattr(api_client, "_http", lambda _: other)
    monkeypatch.setattr(other, "cache_clear", lambda: None, raising=False)
    with pytest.raises(Problem, match="not as Consult does"):
        Api("http://127.0.0.1:1").info()
    monkeypatch.undo()


def test_ticks_between_events_and_a_closed_connection(server: str, study: str, assistant: FakeAssistant) -> None:
    assistant.gate.clear()
    api = Api(server)
    run = api.ask(study, "?", None, "key")["id"]
    events = ticking(api.events(run, 0), 0.02)
    seen = [next(events) for _ in range(60)]
    assert [event["event"] for event in seen if event] == ["quality", "retrieved", "sentence"]
    assert None in seen
    events.close()
    assert threading.active_count() < 60
    assert api.cancel(run)["status"] == "cancelled"
