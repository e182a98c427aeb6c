import asyncio
import json
import sqlite3
import threading
from dataclasses import replace
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from assistant.api.app import create_app
from assistant.api.records import Records
from assistant.errors import EngineDown, Unavailable
from assistant.events import Failed
from assistant.requests import DiagnoseRequest, ReportRequest
from assistant.settings import Settings
from retrieval.db import patient_hash, salt_of
from tests.assistant.api.conftest import FakeAssistant, client_of, ended, png, serving, start, upload, wait_for
from tests.assistant.imaging.make import dataset, saved

KINDS = ["quality", "retrieved", "sentence", "sentence", "done"]


def sse(lines: Any) -> list[tuple[int, str, dict[str, Any]]]:
    """(id, event, data) of each event until the stream ends."""
    found, current = [], {}
    for line in lines:
        if line.startswith(":"):
            continue
        if not line and current:
            found.append((int(current["id"]), current["event"], json.loads(current["data"])))
            current = {}
        elif line:
            name, _, value = line.partition(": ")
            current[name] = value
    return found


def events(client: Any, run: str, after: int = 0, **headers: str) -> list[tuple[int, str, dict[str, Any]]]:
    answer = client.get(f"/v1/runs/{run}/events", params={"after": after}, headers=headers)
    assert answer.headers["content-type"].startswith("text/event-stream")
    return sse(answer.text.split("\n"))


def test_a_run_from_question_to_result(client: TestClient, fake: FakeAssistant) -> None:
    study = upload(client)
    run = start(client, study, "  Is there an effusion? ", seed=7)
    assert [(n, kind) for n, kind, _ in events(client, run)] == list(enumerate(KINDS, 1))
    told = client.get(f"/v1/runs/{run}").json()
    assert (told["status"], told["task"], told["study"], told["events"]) == ("answered", "ask", study, 5)
    assert told["question"] == "Is there an effusion?"
    result = told["result"]
    assert result["answer"] == "There is a left effusion. The heart is of normal size."
    assert [c["id"] for c in result["citations"]] == ["p1"]
    assert result["evidence"][0]["scores"] == {"bm25": 3.25}
    assert (result["warnings"], result["identity"]["model"], result["error"]) == (["Demo."], "fake", None)
    (request,) = fake.asked
    assert (request.question, request.seed) == ("Is there an effusion?", 7)
    assert request.study.pictures[0].pixels.shape == (48, 64)


def test_replay_from_an_offset(client: TestClient) -> None:
    run = start(client, upload(client))
    ended(client, run)
    assert [n for n, _, _ in events(client, run, after=3)] == [4, 5]
    assert [n for n, _, _ in events(client, run, **{"last-event-id": "4"})] == [5]
    assert events(client, run, after=5) == []


def test_a_prior_from_the_library_has_to_be_the_same_patients(client: TestClient) -> None:
    study = upload(client)  # whose patient is not known
    body = {"task": "ask", "study": study, "question": "Has it grown?"}
    refused = client.post("/v1/runs", json=body | {"prior_case": "c1"})
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:consult:patient-mismatch")
    assert client.post("/v1/runs", json=body | {"prior_case": "c9"}).status_code == 404
    both = client.post("/v1/runs", json=body | {"prior_case": "c1", "prior": upload(client, png(30))})
    assert "not both" in both.json()["detail"]


def test_a_prior_from_the_library_brings_its_report(
    client: TestClient, fake: FakeAssistant, settings: Settings
) -> None:
    own = replace(fake.library.case("c1"), patient=patient_hash(salt_of(settings.home), "P1"))
    fake.library.case = {"c1": own}.__getitem__  # type: ignore[method-assign]
    body = {"task": "report", "study": upload(client, saved(dataset())), "prior_case": "c1"}
    for more, told in (({}, "Small left effusion."), ({"prior_report": "Clear lungs."}, "Clear lungs.")):
        run = ended(client, client.post("/v1/runs", json=body | more).json()["id"])
        request = fake.requests[-1]
        assert isinstance(request, ReportRequest)
        assert request.prior is not None
        assert request.prior_report == run["request"]["prior_report"] == told


def test_an_unknown_template_is_refused_at_once(client: TestClient) -> None:
    answer = client.post("/v1/runs", json={"task": "report", "study": upload(client), "template": "knee"})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.json()["type"] == "urn:consult:unknown-template"
    assert "brain_mr, chest" in answer.json()["detail"]
    assert client.get("/v1/runs").json()["items"] == []


def test_report_and_diagnose_reach_the_assistant_as_asked(client: TestClient, fake: FakeAssistant) -> None:
    study, prior = upload(client), upload(client, png(30))
    for body in (
        {"task": "report", "study": study, "prior": prior, "indication": "Cough.", "prior_report": "Clear lungs."},
        {
            "task": "diagnose",
            "study": study,
            "history": "Fever.",
            "laboratory": {"CRP": "9 mg/L"},
            "candidates": ["a", "b"],
        },
    ):
        ended(client, client.post("/v1/runs", json=body).json()["id"])
    report, diagnosis = fake.requests
    assert isinstance(report, ReportRequest)
    assert (report.indication, report.prior_report, report.prior is not None) == ("Cough.", "Clear lungs.", True)
    assert isinstance(diagnosis, DiagnoseRequest)
    assert (diagnosis.history, diagnosis.laboratory, diagnosis.candidates) == ("Fever.", {"CRP": "9 mg/L"}, ("a", "b"))


def test_a_laboratory_value_without_a_known_unit_is_refused_at_once(client: TestClient, fake: FakeAssistant) -> None:
    body = {"task": "diagnose", "study": upload(client), "laboratory": {"CRP": "9 florins"}}
    refused = client.post("/v1/runs", json=body)
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:consult:bad-input")
    assert "no known unit" in refused.json()["detail"]
    assert fake.requests == []


def test_earlier_turns_come_from_the_chain(client: TestClient, fake: FakeAssistant) -> None:
    study = upload(client)
    first = start(client, study, "First?")
    ended(client, first)
    second = start(client, study, "Second?", after_run=first)
    ended(client, second)
    ended(client, start(client, study, "Third?", after_run=second))
    assert [turn.question for turn in fake.asked[-1].earlier] == ["First?", "Second?"]
    assert fake.asked[-1].earlier[0].answer.startswith("There is a left effusion.")
    other = client.post(
        "/v1/runs", json={"task": "ask", "study": upload(client, png(9)), "question": "?", "after_run": first}
    )
    assert other.status_code == 422


def test_the_same_key_gives_the_same_run(client: TestClient, fake: FakeAssistant) -> None:
    body = {"task": "ask", "study": upload(client), "question": "Effusion?"}
    key = {"Idempotency-Key": "k1"}
    first, again = (client.post("/v1/runs", json=body, headers=key) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    other = client.post("/v1/runs", json={**body, "question": "Nodule?"}, headers=key)
    assert (other.status_code, other.json()["type"]) == (409, "urn:consult:idempotency-key-reused")
    ended(client, first.json()["id"])
    assert len(fake.requests) == 1


def test_cancel_stops_the_engine_and_keeps_what_was_said(client: TestClient, fake: FakeAssistant) -> None:
    fake.gate.clear()
    run = start(client, upload(client))
    wait_for(lambda: client.get(f"/v1/runs/{run}").json()["events"] == 3)
    told = client.post(f"/v1/runs/{run}/cancel").json()
    assert (told["status"], told["result"]["answer"]) == ("cancelled", "There is a left effusion.")
    assert told["result"]["identity"]["model"] == "fake"
    assert fake.closed_early == 1
    assert client.post(f"/v1/runs/{run}/cancel").json() == told
    assert events(client, run)[-1][1] == "done"


def test_a_run_cancelled_while_it_waits_never_reaches_the_engine(client: TestClient, fake: FakeAssistant) -> None:
    fake.gate.clear()
    study = upload(client)
    for _ in range(2):
        start(client, study)
    wait_for(lambda: len(fake.requests) == 2)
    waiting = start(client, study)
    assert client.get(f"/v1/runs/{waiting}").json()["status"] == "queued"
    assert client.post(f"/v1/runs/{waiting}/cancel").json()["status"] == "cancelled"
    assert len(fake.requests) == 2


def test_a_full_queue_says_when_to_come_back(settings: Settings, fake: FakeAssistant) -> None:
    fake.gate.clear()
    small = settings.model_copy(update={"api": settings.api.model_copy(update={"queue": 1})})
    with client_of(create_app(small, fake)) as client:
        study = upload(client)
        run = start(client, study)
        answer = client.post("/v1/runs", json={"task": "ask", "study": study, "question": "?"})
        assert (answer.status_code, answer.json()["type"]) == (429, "urn:consult:queue-full")
        assert int(answer.headers["retry-after"]) > 0
        fake.gate.set()
        ended(client, run)
        wait_for(
            lambda: client.post("/v1/runs", json={"task": "ask", "study": study, "question": "?"}).status_code == 201
        )


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (EngineDown("The engine is down."), "engine-down", "The engine is down."),
        (RuntimeError("xyzzy"), "internal", None),
    ],
)
def test_a_failing_engine_ends_the_run(
    client: TestClient, fake: FakeAssistant, error: Exception, kind: str, message: str | None
) -> None:
    fake.error = error
    told = ended(client, start(client, upload(client)))
    assert (told["status"], told["result"]["error"]["type"]) == ("failed", kind)
    assert told["result"]["answer"] == "There is a left effusion."
    assert message is None or told["result"]["error"]["message"] == message
    assert "xyzzy" not in json.dumps(told)


def test_a_page_that_reloads_loses_nothing(server: str, fake: FakeAssistant) -> None:
    fake.gate.clear()
    with httpx.Client(base_url=server) as client:
        run = start(client, upload(client))
        with client.stream("GET", f"/v1/runs/{run}/events") as first:
            for line in first.iter_lines():
                if line == "id: 3":
                    break  # the page goes away
        assert client.get(f"/v1/runs/{run}").json()["status"] == "running"
        assert fake.closed_early == 0
        threading.Timer(0.2, fake.gate.set).start()
        assert [n for n, _, _ in events(client, run, after=3)] == [4, 5]
        assert client.get(f"/v1/runs/{run}").json()["status"] == "answered"


def test_an_idle_stream_is_kept_alive(server: str, fake: FakeAssistant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastapi.routing._PING_INTERVAL", 0.05)
    fake.gate.clear()
    with httpx.Client(base_url=server) as client:
        run = start(client, upload(client))
        with client.stream("GET", f"/v1/runs/{run}/events") as stream:
            assert any(line.startswith(":") for line in stream.iter_lines())


def test_stopping_the_server_ends_runs_and_their_listeners(settings: Settings, fake: FakeAssistant) -> None:
    fake.gate.clear()
    with serving(create_app(settings, fake)) as url, httpx.Client(base_url=url) as client:
        run = start(client, upload(client))
        wait_for(lambda: client.get(f"/v1/runs/{run}").json()["events"] == 3)
    assert fake.closed_early == 1
    assert fake.closed
    with client_of(create_app(settings, FakeAssistant())) as client:
        told = client.get(f"/v1/runs/{run}").json()
        assert (told["status"], told["result"]["error"]["type"]) == ("failed", "interrupted")


def test_runs_of_a_killed_server_get_an_end(settings: Settings, client: TestClient) -> None:
    study = upload(client)
    client.__exit__()
    with sqlite3.connect(settings.home / "consult.db") as db:  # as a killed process leaves them
        for name, status in (("r1", "running"), ("r2", "queued")):
            db.execute(
                "INSERT INTO runs (id, user, task, study, question, body, earlier, status, created)"
                " VALUES (?, 'local', 'ask', ?, '?', '{}', '[]', ?, 'now')",
                (name, study, status),
            )
    db.close()
    with client_of(create_app(settings, FakeAssistant())) as again:
        for name in ("r1", "r2"):
            told = again.get(f"/v1/runs/{name}").json()
            assert (told["status"], told["result"]["error"]["type"]) == ("failed", "interrupted")
            assert [kind for _, kind, _ in events(again, name)] == ["failed"]


def test_nothing_is_added_after_the_end(settings: Settings, client: TestClient) -> None:
    run = start(client, upload(client))
    ended(client, run)
    records = Records(settings.home)
    assert records.append(run, Failed(type="late", message="late")) is None
    records.close()
    assert client.get(f"/v1/runs/{run}").json()["status"] == "answered"


def test_lists_are_newest_first_and_filtered(client: TestClient) -> None:
    study, other = upload(client), upload(client, png(5))
    runs = [start(client, study), start(client, other), start(client, study)]
    assert [item["id"] for item in client.get("/v1/runs").json()["items"]] == runs[::-1]
    page = client.get("/v1/runs", params={"study": study, "limit": 1}).json()
    assert [item["id"] for item in page["items"]] == [runs[2]]
    rest = client.get("/v1/runs", params={"study": study, "before": page["next"]}).json()
    assert [item["id"] for item in rest["items"]] == [runs[0]]


def test_many_listeners_and_runs_at_once(server: str, fake: FakeAssistant) -> None:
    async def all_of_it() -> list[list[tuple[int, str, dict[str, Any]]]]:
        async with httpx.AsyncClient(base_url=server, timeout=30) as client:
            answer = await client.post("/v1/studies", files={"files": ("a.png", png())})
            body = {"task": "ask", "study": answer.json()["id"], "question": "?"}
            answers = await asyncio.gather(*(client.post("/v1/runs", json=body) for _ in range(8)))
            runs = [answer.json()["id"] for answer in answers]
            streams = await asyncio.gather(*(client.get(f"/v1/runs/{run}/events") for run in runs * 3))
            return [sse(stream.text.split("\n")) for stream in streams]

    assert all([kind for _, kind, _ in heard] == KINDS for heard in asyncio.run(all_of_it()))


def test_a_disk_that_is_full_for_a_while_does_not_lose_the_end(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assistant.api.runs.RETRY_S", 0.01)
    append, failures = Records.append, iter([False, False, True, True])

    def failing(self: Records, run: str, event: Any) -> int | None:
        if next(failures, False):
            raise Unavailable("The disk is full.")
        return append(self, run, event)

    monkeypatch.setattr(Records, "append", failing)
    told = ended(client, start(client, upload(client)))
    assert (told["status"], told["result"]["error"]["message"]) == ("failed", "The disk is full.")
