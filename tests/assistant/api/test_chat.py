import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from starlette.testclient import TestClient

from assistant.api.app import create_app
from assistant.api.openai_shapes import NO_SYSTEM, UNASKED
from assistant.errors import EngineDown
from assistant.settings import Settings
from tests.assistant.api.conftest import FakeAssistant, png, serving, wait_for

ANSWER = (
    "There is a left effusion. [1] The heart is of normal size.\n\n"
    "References:\n[1] Pleural effusion, Radiological findings — A guideline, 2020"
)


def image(data: bytes | None = None) -> dict[str, Any]:
    url = "data:image/png;base64," + base64.b64encode(data or png()).decode()
    return {"type": "image_url", "image_url": {"url": url}}


def asked(text: str = "Is there an effusion?", *parts: dict[str, Any]) -> Any:
    return [{"role": "user", "content": [{"type": "text", "text": text}, *(parts or (image(),))]}]


@pytest.fixture
def ai(server: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_a_whole_answer(ai: openai.OpenAI, fake: FakeAssistant, server: str) -> None:
    answer = ai.chat.completions.create(model="consult", messages=asked(), temperature=0.2, seed=3)
    assert answer.choices[0].message.content == ANSWER
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    consult: dict[str, Any] = answer.model_extra["consult"] if answer.model_extra else {}
    assert consult["citations"][0]["id"] == "p1"
    assert (consult["warnings"], consult["identity"]["model"]) == (["Demo."], "fake")
    assert fake.asked[0].seed == 3
    told = httpx.get(f"{server}/v1/runs/{consult['run']}").json()
    assert (told["status"], told["question"]) == ("answered", "Is there an effusion?")


def test_a_streamed_answer(ai: openai.OpenAI) -> None:
    stream = ai.chat.completions.create(
        model="consult", messages=asked(), stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == ANSWER
    assert chunks[-1].usage is not None
    extras = [chunk.model_extra["consult"] for chunk in chunks if chunk.model_extra and "consult" in chunk.model_extra]
    assert [extra["citations"][0]["id"] for extra in extras] == ["p1"]
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"


def test_models(ai: openai.OpenAI) -> None:
    assert [model.id for model in ai.models.list()] == ["consult"]
    with pytest.raises(openai.NotFoundError):
        ai.chat.completions.create(model="gpt-x", messages=asked())


def test_earlier_messages_are_earlier_turns(ai: openai.OpenAI, fake: FakeAssistant) -> None:
    messages = [
        {"role": "system", "content": "Answer normal."},
        *asked("What is this?"),
        {"role": "assistant", "content": "A chest radiograph."},
        {"role": "user", "content": [{"type": "text", "text": "And the heart?"}, image(png(9))]},
    ]
    answer = ai.chat.completions.create(model="consult", messages=messages)  # type: ignore[arg-type]
    (request,) = fake.asked
    assert (request.question, len(request.study.pictures)) == ("And the heart?", 2)
    assert [(turn.question, turn.answer) for turn in request.earlier] == [("What is this?", "A chest radiograph.")]
    assert answer.model_extra
    assert NO_SYSTEM in answer.model_extra["consult"]["warnings"]


def test_nothing_the_user_said_is_lost(ai: openai.OpenAI, fake: FakeAssistant) -> None:
    messages = [
        {"role": "assistant", "content": "How can I help?"},
        {"role": "user", "content": "Known lung cancer"},
        *asked("Is there an effusion?"),
    ]
    answer = ai.chat.completions.create(model="consult", messages=messages)  # type: ignore[arg-type]
    (request,) = fake.asked
    assert (request.question, request.earlier) == ("Known lung cancer\nIs there an effusion?", ())
    assert answer.model_extra
    assert UNASKED in answer.model_extra["consult"]["warnings"]


def test_an_answer_cut_at_the_token_limit_says_so(ai: openai.OpenAI, fake: FakeAssistant) -> None:
    fake.cut = True
    assert ai.chat.completions.create(model="consult", messages=asked()).choices[0].finish_reason == "length"
    chunks = list(ai.chat.completions.create(model="consult", messages=asked(), stream=True))
    assert [chunk.choices[0].finish_reason for chunk in chunks][-1] == "length"


@pytest.mark.parametrize(
    "change",
    [
        {"messages": [{"role": "user", "content": "no image"}]},
        {"messages": asked("x", {"type": "image_url", "image_url": {"url": "http://127.0.0.1/a.png"}})},
        {"messages": asked("x", {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}})},
        {"messages": asked("x", {"type": "image_url", "image_url": {"url": "data:image/png;base64,@@@"}})},
        {"messages": asked("x", {"type": "image_url", "image_url": {"url": "data:text/plain;base64,aGFsbG8="}})},
        {"messages": asked("x", {"type": "input_audio", "input_audio": {}})},
        {"messages": [*asked(), {"role": "assistant", "content": "I"}]},
        {"messages": asked("  ")},
        {"messages": []},
        {"n": 2},
        {"tools": [{"type": "function"}]},
        {"response_format": {"type": "json_object"}},
    ],
)
def test_what_is_refused(client: TestClient, fake: FakeAssistant, change: dict[str, Any]) -> None:
    answer = client.post("/v1/chat/completions", json={"model": "consult", "messages": asked(), **change})
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert fake.requests == []
    assert client.get("/v1/runs").json()["items"] == []


def test_an_engine_that_fails(ai: openai.OpenAI, fake: FakeAssistant) -> None:
    fake.error = EngineDown("The engine is down.")
    with pytest.raises(openai.InternalServerError) as caught:
        ai.chat.completions.create(model="consult", messages=asked())
    assert caught.value.status_code == 503
    with pytest.raises(openai.APIError, match="The engine is down"):
        list(ai.chat.completions.create(model="consult", messages=asked(), stream=True))


def test_a_client_that_leaves_a_stream_frees_the_engine(server: str, ai: openai.OpenAI, fake: FakeAssistant) -> None:
    fake.gate.clear()
    stream = ai.chat.completions.create(model="consult", messages=asked(), stream=True)
    for chunk in stream:
        if chunk.choices[0].delta.content:
            break
    assert fake.closed_early == 0
    stream.close()
    wait_for(lambda: fake.closed_early == 1)
    (run,) = httpx.get(f"{server}/v1/runs").json()["items"]
    wait_for(lambda: httpx.get(f"{server}/v1/runs/{run['id']}").json()["status"] == "cancelled")


def test_a_client_that_does_not_wait_frees_the_engine(server: str, fake: FakeAssistant) -> None:
    fake.gate.clear()
    body = {"model": "consult", "messages": asked()}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{server}/v1/chat/completions", json=body, timeout=httpx.Timeout(10, read=0.7))
    wait_for(lambda: fake.closed_early == 1)
    wait_for(lambda: httpx.get(f"{server}/v1/runs").json()["items"][0]["status"] == "cancelled")


def test_with_tokens(two_users: Settings, fake: FakeAssistant) -> None:
    with serving(create_app(two_users, fake)) as url:
        with openai.OpenAI(base_url=f"{url}/v1", api_key="token-of-ann", max_retries=0) as ann:
            assert ann.chat.completions.create(model="consult", messages=asked()).choices[0].message.content == ANSWER
        nobody = openai.OpenAI(base_url=f"{url}/v1", api_key="wrong", max_retries=0)
        with nobody, pytest.raises(openai.AuthenticationError):
            nobody.chat.completions.create(model="consult", messages=asked())


def test_the_wire_ends_with_done(client: TestClient) -> None:
    answer = client.post("/v1/chat/completions", json={"messages": asked(), "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    data = [line.removeprefix("data: ") for line in answer.text.split("\n") if line]
    assert data[-1] == "[DONE]"
    assert all(json.loads(line)["object"] == "chat.completion.chunk" for line in data[:-1])
