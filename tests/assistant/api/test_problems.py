import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from assistant.api.app import create_app
from assistant.errors import EngineDown, Misconfigured
from assistant.settings import Settings
from tests.assistant.api.conftest import SECRET, FakeAssistant, client_of, png, upload


def check(answer: Any, status: int, kind: str) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["status"], body["type"]) == (status, status, f"urn:consult:{kind}"), body
    assert body["title"]
    assert body["detail"]
    return body


def test_every_error_is_a_problem(client: TestClient) -> None:
    check(client.get("/nothing"), 404, "not-found")
    check(client.get("/v1/runs/none"), 404, "not-found")
    check(client.put("/v1/runs"), 405, "method-not-allowed")
    check(client.post("/v1/runs", content=b"{", headers={"content-type": "application/json"}), 422, "invalid-request")
    check(client.post("/v1/runs", content=b"x", headers={"content-type": "text/plain"}), 422, "invalid-request")
    check(client.get("/v1/runs", params={"limit": "many"}), 422, "invalid-request")


@pytest.mark.parametrize(
    "change",
    [{"colour": "red"}, {"question": "   "}, {"question": None}, {"task": SECRET}, {"seed": -1}, {"indication": "?"},
     {"study": {"a": SECRET}}],
)  # fmt: skip
def test_a_body_that_does_not_fit_is_told_where_but_not_repeated(client: TestClient, change: dict[str, Any]) -> None:
    body = {"task": "ask", "study": upload(client), "question": f"Is it {SECRET}?", **change}
    answer = client.post("/v1/runs", json=body)
    problem = check(answer, 422, "invalid-request")
    assert problem["errors"]
    assert all(set(error) == {"where", "why", "kind"} for error in problem["errors"])
    assert SECRET not in answer.text
    if "colour" in change:
        assert "colour" in problem["errors"][0]["where"]
    assert client.get("/v1/runs").json()["items"] == []


@pytest.mark.parametrize("characters", [8001, 2**20, 5 * 2**20])
def test_a_question_of_a_megabyte(client: TestClient, characters: int) -> None:
    body = {"task": "ask", "study": upload(client), "question": "x" * characters}
    check(client.post("/v1/runs", json=body), 413, "too-large")
    long = {"task": "diagnose", "study": body["study"], "laboratory": {"CRP": "x" * characters}}
    check(client.post("/v1/runs", json=long), 413, "too-large")
    message = {"role": "user", "content": "x" * characters}
    check(client.post("/v1/chat/completions", json={"messages": [message]}), 413, "too-large")
    assert client.get("/v1/runs").json()["items"] == []


def test_alive_and_ready(client: TestClient, fake: FakeAssistant) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    answer = client.get("/ready")
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")
    assert set(answer.json()["parts"]) == {"database", "engine", "encoders", "index"}
    fake.info_error = EngineDown("The engine is down.")
    answer = client.get("/ready")
    assert answer.status_code == 503
    assert answer.json()["parts"]["engine"] == {"ok": False, "type": "engine-down", "reason": "The engine is down."}
    assert client.get("/health").status_code == 200
    check(client.get("/v1/info"), 503, "engine-down")


def test_info_names_the_model_and_the_limits(client: TestClient) -> None:
    told = client.get("/v1/info").json()
    assert (told["model"], told["demonstration"], told["user"]) == ("fake", False, "local")
    assert told["limits"] == {"max_upload_mb": 512, "max_question_chars": 8000, "queue": 64}


def test_the_description_works_offline(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()
    for path, methods in schema["paths"].items():
        for method, about in methods.items():
            assert about["summary"], (method, path)
    run = schema["paths"]["/v1/runs"]["post"]["requestBody"]["content"]["application/json"]
    assert set(run["examples"]) == {"ask", "report", "diagnose"}
    page = client.get("/docs").text
    assert "/v1/runs" in page
    assert not re.search(r"https?://", page)


def test_two_servers_do_not_share_a_home(client: TestClient, settings: Settings) -> None:
    with pytest.raises(Misconfigured, match="Another Consult server"), client_of(create_app(settings, FakeAssistant())):
        pass


def test_files_beyond_what_a_form_may_hold(client: TestClient) -> None:
    check(client.post("/v1/studies", files=[("files", ("a", png()))] * 1001), 400, "bad-request")
