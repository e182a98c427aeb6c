import logging
import sqlite3
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from assistant.api.app import create_app
from assistant.api.auth import is_loopback
from assistant.errors import Misconfigured
from assistant.settings import ApiSettings, Settings
from tests.assistant.api.conftest import SECRET, FakeAssistant, client_of, ended, png, start, upload


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "localhost", "LocalHost", "::1", "[::1]"])
def test_loopback_names(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "10.0.0.1", "example.org", "localhost.example.org", "127.0.0.1.x", ""]
)
def test_other_names(host: str) -> None:
    assert not is_loopback(host)


def test_a_server_that_others_reach_needs_tokens(settings: Settings, fake: FakeAssistant) -> None:
    for api in (ApiSettings(host="0.0.0.0"), ApiSettings(tokens={"ann": SecretStr("")})):
        with pytest.raises(Misconfigured):
            create_app(settings.model_copy(update={"api": api}), fake)


def test_no_token_no_answer(two_users: Settings, fake: FakeAssistant) -> None:
    with client_of(create_app(two_users, fake)) as client:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic token-of-ann"}):
            for method, path in (("GET", "/v1/runs"), ("POST", "/v1/studies"), ("GET", "/v1/nothing")):
                answer = client.request(method, path, headers=headers)
                assert (answer.status_code, answer.json()["type"]) == (401, "urn:consult:unauthorized")
                assert answer.headers["www-authenticate"] == "Bearer"
        assert client.get("/health").status_code == 200
        assert client.get("/v1/runs", headers={"Authorization": "bearer token-of-ann"}).status_code == 200


def test_what_is_anothers_is_not_there(two_users: Settings, fake: FakeAssistant) -> None:
    app = create_app(two_users, fake)
    with client_of(app, authorization="Bearer token-of-ann") as ann:
        study = upload(ann)
        run = start(ann, study, headers={"Idempotency-Key": "k"})
        ended(ann, run)
        bob: dict[str, Any] = {"headers": {"authorization": "Bearer token-of-bob"}}
        for method, path in (
            ("GET", f"/v1/studies/{study}"),
            ("GET", f"/v1/studies/{study}/pictures/1"),
            ("DELETE", f"/v1/studies/{study}"),
            ("GET", f"/v1/runs/{run}"),
            ("GET", f"/v1/runs/{run}/events"),
            ("POST", f"/v1/runs/{run}/cancel"),
        ):
            answer = ann.request(method, path, **bob)
            assert (answer.status_code, answer.json()["type"]) == (404, "urn:consult:not-found"), path
        body = {"task": "ask", "study": study, "question": "?"}
        assert ann.post("/v1/runs", json=body, **bob).status_code == 404
        own = ann.post("/v1/studies", files={"files": ("a.png", png())}, **bob)
        assert own.status_code == 201  # the same bytes, but a study of his own
        assert own.json()["id"] != study
        body = {"task": "ask", "study": own.json()["id"], "question": "?"}
        for more in ({"prior": study}, {"after_run": run}):
            assert ann.post("/v1/runs", json={**body, **more}, **bob).status_code == 404
        key = {"headers": {**bob["headers"], "Idempotency-Key": "k"}}
        assert ann.post("/v1/runs", json=body, **key).json()["id"] != run
        assert [item["id"] for item in ann.get("/v1/studies", **bob).json()["items"]] == [own.json()["id"]]
        assert run not in ann.get("/v1/runs", **bob).text
        assert ann.get(f"/v1/runs/{run}").json()["status"] == "answered"


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Host": "evil.example:8080"}, {"Origin": "http://evil.example"}, {"Origin": "null"},
     {"Origin": "http://127.0.0.1:9999"}, {"Host": ""}],
)  # fmt: skip
def test_a_web_page_of_elsewhere_cannot_drive_a_local_server(client: TestClient, headers: dict[str, str]) -> None:
    answer = client.post("/v1/studies", files={"files": ("a.png", png())}, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:consult:forbidden")
    assert "access-control-allow-origin" not in answer.headers
    assert client.get("/v1/studies", headers={"Host": "localhost:80"}).json()["items"] == []


def test_logs_tell_the_route_and_nothing_else(
    client: TestClient, fake: FakeAssistant, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # the test's own client
    study = upload(client)
    fake.error = RuntimeError(SECRET)
    ended(client, start(client, study, f"What about {SECRET}?"))
    client.get("/v1/knowledge/search", params={"q": SECRET})
    client.get(f"/v1/passages/{SECRET}")
    client.post("/v1/runs", json={"task": SECRET, "study": study})
    client.post("/v1/runs", content=f'{{"task": "{SECRET}', headers={"content-type": "application/json"})
    client.post("/v1/studies", files={"files": (f"{SECRET}.png", SECRET.encode())})
    fake.library = None  # type: ignore[assignment]
    answer = client.get("/v1/knowledge")
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:consult:internal")
    assert SECRET not in caplog.text
    lines = [record.getMessage() for record in caplog.records if record.name == "consult.access"]
    assert any(line.startswith("GET /v1/passages/{passage_id} 404 ") and line.endswith(" local") for line in lines)
    assert "RuntimeError at " in caplog.text


def test_who_did_what_is_on_record(client: TestClient, settings: Settings) -> None:
    study = upload(client)
    run = start(client, study, SECRET)
    ended(client, run)
    client.get(f"/v1/studies/{study}/pictures/1")
    client.delete(f"/v1/studies/{study}")
    with sqlite3.connect(settings.home / "consult.db") as db:
        rows = db.execute("SELECT user, action, object FROM audit").fetchall()
    db.close()
    for row in (("local", "study.create", study), ("local", "run.create", run), ("local", "run.read", run),
                ("local", "picture.read", study), ("local", "study.delete", study)):  # fmt: skip
        assert row in rows
    assert SECRET not in str(rows)
