"""What a served engine makes of servers that are down, slow or talk nonsense, and what it tells a good one."""

import asyncio
import base64
import io
import json
import logging
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from assistant.engines.base import Prompt
from assistant.engines.card import weights_hash
from assistant.engines.http import LEAST_CHARS, HttpEngine
from assistant.errors import ConsultError, EngineDown, EngineNonsense, Misconfigured, NotFound, TooLarge
from assistant.settings import EngineSettings
from assistant.study import Picture
from tests.assistant.engines.contract import BRIGHT, DARK, answer, prompt, text
from tests.assistant.engines.server import IMAGE_TOKENS, ChatServer, Script, canned, serving

MODELS = b'{"data": [{"id": "m"}]}'
SECRET = "Mrs Miller's effusion"


def reply(body: bytes, status: str = "200 OK", kind: str = "application/json") -> list[bytes]:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return [head.encode() + body]


def events(*pieces: bytes | float, end: bytes = b"0\r\n\r\n") -> Script:
    """A chunked event stream; `end` b"" hangs up without ending it."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = [p if isinstance(p, float) else b"%x\r\n%s\r\n" % (len(p), p) for p in pieces]
    return [head, *chunks, end]


def said(content: str, reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": reason}
    return b"data: " + json.dumps({"id": "1", "choices": [choice]}).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def ask(url: str, asked: Prompt | None = None, **settings: Any) -> tuple[str, ConsultError | None]:
    """What came, and the error that ended it."""

    async def run() -> tuple[str, ConsultError | None]:
        engine = HttpEngine(EngineSettings(kind="http", url=url, **{"model": "m", "first_token_s": 5, **settings}))
        came = ""
        try:
            async for delta in engine.stream(asked or prompt(SECRET)):
                came += delta.text
        except ConsultError as error:
            return came, error
        finally:
            await engine.close()
        return came, None

    return asyncio.run(run())


def ask_canned(script: Script, **settings: Any) -> tuple[str, ConsultError | None]:
    with canned({"/v1/models": reply(MODELS), "/v1/chat/completions": script}) as url:
        return ask(url, **settings)


@pytest.fixture(autouse=True)
def no_waiting_between_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    monkeypatch.setattr("openai._base_client.MAX_RETRY_DELAY", 0.02)


def test_a_plain_answer_comes_whole() -> None:
    assert ask_canned(events(said("Yes"), said("."), said("", "stop"), DONE)) == ("Yes.", None)


@pytest.mark.parametrize(
    ("script", "came"),
    [
        (reply(b"<html><body>It works!</body></html>", kind="text/html"), ""),
        (reply(b""), ""),
        (events(), ""),
        (events(DONE), ""),
        (events(said("", "stop"), DONE), ""),
        (events(said("Yes")), "Yes"),  # ends as if complete, but never said so
        (events(said("Yes"), b'data: {"id": "1", "cho\n\n'), "Yes"),
        (events(b"data: [1, 2]\n\n"), ""),
        (events(b'data: {"choices": [{"delta": {"content": 7}}]}\n\n'), ""),
        (events(b'data: {"choices": "many"}\n\n'), ""),
        (events(b"data: \xff\xfe\n\n"), ""),
        (reply(b'{"error": {"message": "no such parameter"}}', "400 Bad Request"), ""),
        (reply(b"not found", "404 Not Found"), ""),
    ],
)
def test_nonsense_is_called_so(script: Script, came: str) -> None:
    got, error = ask_canned(script)
    assert got == came
    assert isinstance(error, EngineNonsense)
    assert "[engine] url" in str(error)


@pytest.mark.parametrize("body", [b"<html>", b'{"data": 3}', b'{"data": [{"name": "m"}]}', b'["m"]', b""])
def test_a_server_that_lists_no_models_is_nonsense(body: bytes) -> None:
    with canned({"/v1/models": reply(body)}) as url:
        assert isinstance(ask(url)[1], EngineNonsense)


@pytest.mark.parametrize(
    ("script", "came"),
    [
        (events(said("Yes"), end=b""), "Yes"),  # hangs up in the middle
        ([], ""),  # hangs up at once
        (events(said("Yes"), b'data: {"error": {"message": "engine died", "code": 500}}\n\n'), "Yes"),
        (reply(b'{"error": {"message": "out of memory"}}', "500 Internal Server Error"), ""),
        (reply(b"busy", "503 Service Unavailable"), ""),
        (reply(b"slow down", "429 Too Many Requests"), ""),
    ],
)
def test_a_server_that_fails_is_down(script: Script, came: str) -> None:
    got, error = ask_canned(script)
    assert got == came
    assert isinstance(error, EngineDown)


def test_an_unreachable_server_is_named_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    error = ask(f"http://127.0.0.1:{port}/v1")[1]
    assert isinstance(error, EngineDown)
    assert f"127.0.0.1:{port}" in str(error)
    assert "consult doctor" in str(error)


def test_the_first_piece_and_each_further_one_have_their_time() -> None:
    slow_start = events(1.0, said("Yes", "stop"), DONE)
    assert "first_token_s" in str(ask_canned(slow_start, first_token_s=0.3)[1])
    # A role or a comment is no piece: only text shows that the model is working.
    empty_start = events(said(""), 0.2, b": ping\n\n", 0.2, said(""), 1.0, said("Yes", "stop"), DONE)
    assert "first_token_s" in str(ask_canned(empty_start, first_token_s=0.5, between_s=9)[1])
    got, error = ask_canned(events(said("Y"), 1.0, said("es", "stop"), DONE), between_s=0.3)
    assert got == "Y"
    assert isinstance(error, EngineDown)
    assert "between_s" in str(error)
    assert ask_canned(events(said("Y"), 0.2, said("es", "stop"), DONE), between_s=2) == ("Yes", None)


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        ("400 Bad Request", "This model's maximum context length is 10 tokens", TooLarge),
        ("400 Bad Request", "The decoder prompt is longer than the maximum model length of 10", TooLarge),
        ("413 Payload Too Large", "", TooLarge),
        ("400 Bad Request", "At most 1 image(s) may be provided in one prompt.", TooLarge),
        ("401 Unauthorized", "bad key", Misconfigured),
    ],
)
def test_refusals_are_told_apart(status: str, message: str, kind: type[ConsultError]) -> None:
    body = json.dumps({"error": {"message": f"{message} {SECRET}"}}).encode()
    error = ask_canned(reply(body, status))[1]
    assert type(error) is kind
    assert SECRET not in str(error)


def test_a_model_the_server_does_not_have_is_named_with_those_it_has() -> None:
    with canned({"/v1/models": reply(MODELS)}) as url:
        error = ask(url, model="other")[1]
    assert isinstance(error, Misconfigured)
    assert "'other'" in str(error)
    assert "it has: m." in str(error)


def test_an_empty_model_name_takes_the_first() -> None:
    assert ask_canned(events(said("Yes", "stop"), DONE), model="") == ("Yes", None)


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host/v1", ""])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(Misconfigured, match=r"\[engine\] url"):
        HttpEngine(EngineSettings(kind="http", url=url))


def test_a_server_of_unknown_make_is_promised_little() -> None:
    async def run(url: str) -> None:
        engine = HttpEngine(EngineSettings(kind="http", url=url, model="m"))
        assert (await engine.info()).capabilities == frozenset()
        assert await engine.count(["effusion", ""]) == [4, 0]
        with pytest.raises(Misconfigured, match="score"):
            await engine.score(prompt(), ["yes"])
        with pytest.raises(Misconfigured, match="schema"):
            await anext(engine.stream(prompt(schema={})))
        await engine.close()

    with canned({"/v1/models": reply(MODELS)}) as url:
        asyncio.run(run(url))


@pytest.fixture
def chat() -> Iterator[tuple[ChatServer, str]]:
    server = ChatServer(delay=0.02)
    with serving(server) as url:
        yield server, url


def test_leaving_closes_the_response_and_the_server_sees_it(chat: tuple[ChatServer, str]) -> None:
    server, url = chat

    async def run() -> None:
        engine = HttpEngine(EngineSettings(kind="http", url=url, model="tiny"))
        stream = engine.stream(prompt(tokens=180))
        await anext(stream)
        assert server.open == 1
        await stream.aclose()
        await _free(server)
        task = asyncio.create_task(answer(engine, prompt(tokens=180)))
        while not server.open:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await _free(server)
        await engine.close()

    asyncio.run(run())


async def _free(server: ChatServer) -> None:
    async with asyncio.timeout(2):  # the whole answer would take longer
        while server.open:
            await asyncio.sleep(0.01)


def test_the_request_says_everything_in_its_place(chat: tuple[ChatServer, str]) -> None:
    server, url = chat
    asked = prompt("Before", BRIGHT, "between", DARK, schema={"type": "string"}, adapter="tuned")
    assert ask(url, asked, model="tiny")[1] is None
    sent = server.requests[-1]
    assert sent["model"] == "tuned"
    assert (sent["max_tokens"], sent["temperature"], sent["seed"]) == (12, 0, 0)
    assert sent["response_format"]["json_schema"]["schema"] == {"type": "string"}
    assert sent["messages"][0] == {"role": "system", "content": "Be brief."}
    before, bright, between, dark = sent["messages"][1]["content"]
    assert (before["text"], between["text"]) == ("Before", "between")
    assert np.array_equal(_pixels(bright), BRIGHT.pixels)
    assert np.array_equal(_pixels(dark), DARK.pixels)


def _pixels(part: dict[str, Any]) -> np.ndarray[Any, Any]:
    head, _, data = part["image_url"]["url"].partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def test_a_large_picture_is_made_smaller_and_its_cost_is_measured(chat: tuple[ChatServer, str]) -> None:
    server, url = chat
    assert ask(url, prompt(Picture(np.zeros((3000, 1500), np.uint8))), model="tiny")[1] is None
    assert _pixels(server.requests[-1]["messages"][1]["content"][0]).shape == (1024, 512)

    async def cost() -> int:
        engine = HttpEngine(EngineSettings(kind="http", url=url, model="tiny"))
        info = await engine.info()
        await engine.close()
        return info.image_tokens

    assert asyncio.run(cost()) == IMAGE_TOKENS


def test_an_unknown_adapter_is_not_found(chat: tuple[ChatServer, str]) -> None:
    assert isinstance(ask(chat[1], prompt(adapter="nobody"), model="tiny")[1], NotFound)


def test_a_model_beside_the_configured_one_is_no_adapter(chat: tuple[ChatServer, str]) -> None:
    server, url = chat
    assert isinstance(ask(url, prompt(adapter="other"), model="tiny")[1], NotFound)
    assert isinstance(ask(url, prompt(adapter="tiny"), model="other")[1], NotFound)
    assert not server.requests
    assert ask(url, prompt(adapter="other"), model="tiny", adapters={"other": "anywhere"})[1] is None


def test_an_adapter_of_the_settings_is_taken_up_when_it_is_first_asked_for(
    chat: tuple[ChatServer, str], tmp_path: Path
) -> None:
    server, url = chat

    async def run() -> list[str]:
        engine = HttpEngine(EngineSettings(kind="http", url=url, model="tiny", adapters={"fresh": tmp_path}))
        asked = [answer(engine, prompt(adapter="fresh")) for _ in range(3)]
        told = [text(deltas) for deltas in await asyncio.gather(*asked)]
        await engine.close()
        return told

    assert len(set(asyncio.run(run()))) == 1
    assert [body["lora_path"] for body in server.requests if "lora_name" in body] == [str(tmp_path)]
    assert [body["model"] for body in server.requests if "model" in body] == ["fresh"] * 3
    server.takes_up = False
    assert ask(url, prompt(adapter="fresh"), model="tiny", adapters={"fresh": tmp_path})[1] is None  # it has it
    refused = ask(url, prompt(adapter="more"), model="tiny", adapters={"more": tmp_path})[1]
    assert isinstance(refused, Misconfigured)
    assert "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True" in str(refused)


def test_after_a_failure_the_server_is_asked_anew_what_it_is(chat: tuple[ChatServer, str], tmp_path: Path) -> None:
    server, url = chat
    server.root = str(tmp_path)
    weights = tmp_path / "model.safetensors"

    async def run() -> None:
        engine = HttpEngine(EngineSettings(kind="http", url=url, model="tiny"))
        hashes = []
        for content in (b"one", b"other"):
            weights.write_bytes(content)
            hashes.append((await engine.info()).model_hash)
            assert hashes[-1] == f"{weights_hash(tmp_path)}@vllm-0.0.1"
            server.failing = True
            with pytest.raises(EngineDown):
                await answer(engine, prompt())
            server.failing = False
        assert hashes[0] != hashes[1]
        weights.unlink()
        assert (await engine.info()).model_hash == "tiny@vllm-0.0.1"
        await engine.close()

    asyncio.run(run())


@pytest.mark.parametrize("field", ["content", "reasoning"])
def test_a_server_that_never_ends_is_stopped(field: str) -> None:
    choice = {"index": 0, "delta": {field: "x" * 1000}, "finish_reason": None}
    piece = b"data: " + json.dumps({"id": "1", "choices": [choice]}).encode() + b"\n\n"
    came, error = ask_canned(events(*[piece] * 50))
    assert isinstance(error, EngineNonsense)
    assert "far beyond" in str(error)
    assert len(came) <= LEAST_CHARS


def test_no_prompt_is_logged(chat: tuple[ChatServer, str], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, "openai"):
        assert ask(chat[1], prompt(SECRET), model="tiny")[0]
        ask_canned(reply(b"{}", "500 Internal Server Error"))
    assert SECRET not in caplog.text


def test_the_end_token_is_no_part_of_the_answer(chat: tuple[ChatServer, str]) -> None:
    async def run() -> None:
        engine = HttpEngine(EngineSettings(kind="http", url=chat[1], model="tiny"))
        whole = text(await answer(engine, prompt()))
        cut = replace(prompt(), sampling=replace(prompt().sampling, stop=(whole[4],)))
        deltas = await answer(engine, cut)
        assert len(text(deltas)) == sum(len(delta.logprobs) for delta in deltas) == whole.index(whole[4])
        await engine.close()

    asyncio.run(run())
