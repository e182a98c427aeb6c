"""Two servers to speak to: one that keeps the protocol as vLLM does, one that says whatever it was told to say."""

import asyncio
import hashlib
import json
import socket
import socketserver
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

CONTEXT, IMAGE_TOKENS = 300, 9
MODELS = {"tiny": None, "tuned": "tiny", "other": None}  # and the model each is an adapter of


class ChatServer:
    """One character is a token. What it says follows from the prompt, unless it is told in `answer`; `open` counts
    answers under way."""

    def __init__(self, delay: float = 0.0, answer: str = "", context: int = CONTEXT) -> None:
        self.delay, self.open, self.requests = delay, 0, list[dict[str, Any]]()
        self.answer, self.context = answer, context
        self.root = ""  # the folder of "tiny", when it is told
        self.failing = False
        self.models = dict(MODELS)
        self.takes_up = True  # adapters while it runs

    def routes(self) -> list[Route]:
        return [
            Route("/v1/models", self.listed),
            Route("/v1/load_lora_adapter", self.load_adapter, methods=["POST"]),
            Route("/version", self.version),
            Route("/tokenize", self.tokenize, methods=["POST"]),
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
        ]

    async def listed(self, request: Request) -> Response:
        common = {"max_model_len": self.context}
        listed = [{"id": n, "root": self.root or n, "parent": p, **common} for n, p in self.models.items()]
        return JSONResponse({"data": listed})

    async def load_adapter(self, request: Request) -> Response:
        body = await request.json()
        if not self.takes_up:
            return _error(404, "Not Found")
        if body["lora_name"] in self.models:
            return _error(400, "has already been loaded")
        self.models[body["lora_name"]] = "tiny"
        self.requests.append(body)
        return Response("Success: LoRA adapter added successfully.")

    async def version(self, request: Request) -> Response:
        return JSONResponse({"version": "0.0.1"})

    async def tokenize(self, request: Request) -> Response:
        body = await request.json()
        return JSONResponse({"count": _tokens(body["messages"]) if "messages" in body else len(body["prompt"])})

    async def chat(self, request: Request) -> Response:
        body = await request.json()
        self.requests.append(body)
        cost = _tokens(body["messages"])
        if self.failing:
            return _error(503, "busy")
        if cost >= self.context:
            return _error(400, "This model's maximum context length is 300 tokens.")
        if body["model"] not in self.models:
            return _error(404, "The model does not exist.")
        if body.get("stream"):
            return StreamingResponse(self.pieces(body, cost), media_type="text/event-stream")
        reply: dict[str, Any] = {"id": "1", "object": "chat.completion", "created": 0, "model": body["model"]}
        reply["usage"] = {"prompt_tokens": cost, "completion_tokens": 1, "total_tokens": cost + 1}
        reply["choices"] = [{"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "length"}]
        if "prompt_logprobs" in body:
            said = body["messages"][-1]["content"]
            reply["prompt_logprobs"] = [None] * (cost - len(said)) + [
                {"7": {"logprob": _logprob(letter, body["model"])}} for letter in said
            ]
        return JSONResponse(reply)

    async def pieces(self, body: dict[str, Any], cost: int) -> AsyncIterator[str]:
        said, reason = (self.answer, "stop") if self.answer else (_answer(body), "length")
        for stop in body.get("stop", []):
            if stop in said:
                said, reason = said[: said.index(stop)], "stop"
        self.open += 1
        try:
            yield _chunk({"role": "assistant", "content": ""})
            for letter in said:
                await asyncio.sleep(self.delay)
                yield _chunk({"content": letter}, logprob=_logprob(letter, body["model"]))
            if reason == "stop":
                yield _chunk({"content": ""}, reason, logprob=-0.5)
            else:
                yield _chunk({}, reason)
            usage = {"prompt_tokens": cost, "completion_tokens": len(said), "total_tokens": cost + len(said)}
            yield _event({"object": "chat.completion.chunk", "choices": [], "usage": usage})
            yield "data: [DONE]\n\n"
        finally:
            self.open -= 1


def _answer(body: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps([body["messages"], body["seed"]]).encode()).hexdigest()
    return (digest * 3)[: body["max_tokens"]]


def _logprob(letter: str, model: str) -> float:
    return -(1 + ord(letter) % 7 + len(model)) / 10


def _tokens(messages: list[dict[str, Any]]) -> int:
    contents = [message["content"] for message in messages]
    parts = [part for content in contents for part in ([{"text": content}] if isinstance(content, str) else content)]
    return sum(len(part["text"]) if "text" in part else IMAGE_TOKENS for part in parts)


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": {"message": message, "type": "BadRequestError", "code": status}}, status)


def _chunk(delta: dict[str, str], reason: str | None = None, logprob: float | None = None) -> str:
    choice: dict[str, Any] = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
    if logprob is not None:
        choice["logprobs"] = {"content": [{"token": "x", "logprob": logprob, "bytes": [], "top_logprobs": []}]}
    return _event({"id": "1", "object": "chat.completion.chunk", "choices": [choice], "usage": None})


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data)}\n\n"


@contextmanager
def serving(chat: ChatServer) -> Iterator[str]:
    """The address of its API while the block runs."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(Starlette(routes=chat.routes()), log_level="error", ws="none", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


Script = Sequence[bytes | float]  # bytes to send, seconds to wait


class _Canned(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    scripts: dict[str, Script]


class _Handler(socketserver.StreamRequestHandler):
    server: _Canned

    def handle(self) -> None:
        path = self.rfile.readline().split()[1].decode()
        length = 0
        while (line := self.rfile.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        self.rfile.read(length)
        for step in self.server.scripts.get(path, [b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"]):
            if isinstance(step, float):
                time.sleep(step)
            else:
                self.wfile.write(step)


@contextmanager
def canned(scripts: dict[str, Script]) -> Iterator[str]:
    """A server that answers a path with the bytes of its script and hangs up."""
    with _Canned(("127.0.0.1", 0), _Handler) as server:
        server.scripts = scripts
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        server.shutdown()
