"""A fake assistant, an app over it, and the same app behind a real server on a loopback port."""

import asyncio
import io
import socket
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient

from assistant.api.app import create_app
from assistant.errors import NotFound
from assistant.events import Citation, DomainVerdict, Done, Event, EvidenceItem, Identity, Quality, Retrieved, Sentence
from assistant.requests import AskRequest, Request
from assistant.settings import ApiSettings, Settings
from retrieval.types import Case, Evidence, Item, Passage, Query

SECRET = "Mrs Vanderbilt-Secretname"  # stands for patient data: must not turn up in any log line
TEXT = "Pleural effusion blunts the costophrenic angle."
PASSAGE = Passage(
    "p1", "d1", "Pleural effusion", "Radiological findings", TEXT, 0, len(TEXT), source="A guideline, 2020"
)
IDENTITY = Identity(model="fake", model_hash="0" * 8, engine="fake", encoders={"text": "t"}, generation="g1")


class FakeLibrary:
    def document(self, id_: str) -> Any:
        if id_ != "d1":
            raise NotFound("There is no such document in the library.")
        meta = {"source": "A guideline, 2020", "edition": 2020}
        return SimpleNamespace(id="d1", file="f", title="Pleural effusion", name="effusion.md", text=TEXT, meta=meta,
                               newer=None)  # fmt: skip

    def documents(self) -> list[Any]:
        return [self.document("d1")]

    def passages(self, document_id: str) -> list[Passage]:
        return [PASSAGE]

    def passage(self, id_: str) -> Passage:
        if id_ != "p1":
            raise NotFound("There is no such passage in the library.")
        return PASSAGE

    def case(self, id_: str) -> Case:
        if id_ != "c1":
            raise NotFound("There is no such case in the library.")
        return Case("c1", "ab" * 32, "Small left effusion.", "chest_xray", "patienthash", ("effusion",), "Open data")

    def picture(self, sha256: str) -> np.ndarray:
        return np.full((40, 60), 90, np.uint8)


class FakeRetriever:
    def retrieve(self, query: Query) -> Evidence:
        self.asked = query
        return Evidence((Item(1, PASSAGE, {"bm25": 3.25}, 0.9),), considered=7)


class FakeAssistant:
    """Says two sentences. Closed `gate`: waits between them. Remembers requests and whether a run was closed early."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.requests: list[Request] = []
        self.closed_early = 0
        self.error: Exception | None = None
        self.info_error: Exception | None = None
        self.closed = self.cut = False
        self.library = FakeLibrary()
        self.retriever = FakeRetriever()

    async def run(self, request: Request) -> AsyncGenerator[Event, None]:
        self.requests.append(request)
        yield Quality(defects=(), domain=DomainVerdict(name="chest_xray", confidence=0.9))
        yield Retrieved(evidence=(_shown(),), considered=7)
        first = Sentence(
            index=0, section="answer", text="There is a left effusion.", support="cited", citations=(_cited(),)
        )
        second = Sentence(index=1, section="answer", text="The heart is of normal size.", support="image")
        yield first
        try:
            while not self.gate.is_set():
                await asyncio.sleep(0.005)
        except (GeneratorExit, asyncio.CancelledError):
            self.closed_early += 1
            raise
        if self.error:
            raise self.error
        yield second
        answer = f"{first.text} {second.text}"
        yield Done(status="answered", answer=answer, warnings=("Demo.",), identity=IDENTITY, timings={"total": 0.1},
                   cut=self.cut)  # fmt: skip

    async def info(self) -> dict[str, Any]:
        if self.info_error:
            raise self.info_error
        return {**IDENTITY.model_dump(), "domains": ["chest_xray"]}

    async def warm(self) -> None: ...

    async def close(self) -> None:
        self.closed = True

    @property
    def asked(self) -> list[AskRequest]:
        return [request for request in self.requests if isinstance(request, AskRequest)]


def _cited() -> Citation:
    return Citation(number=1, kind="passage", id="p1", document_id="d1", title="Pleural effusion",
                    section="Radiological findings", start=0, end=len(TEXT), quote=TEXT)  # fmt: skip


def _shown() -> EvidenceItem:
    return EvidenceItem(number=1, kind="passage", id="p1", title="Pleural effusion", section="Radiological findings",
                        text=TEXT, document_id="d1", start=0, end=len(TEXT), source="A guideline, 2020",
                        scores={"bm25": 3.25}, relevance=0.9)  # fmt: skip


def png(shade: int = 100, size: tuple[int, int] = (64, 48)) -> bytes:
    pixels = np.full((size[1], size[0]), shade, np.uint8)
    pixels[: size[1] // 2] = 255 - shade
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def two_users(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", api=ApiSettings(tokens={"ann": "token-of-ann", "bob": "token-of-bob"}))


@pytest.fixture
def fake() -> FakeAssistant:
    return FakeAssistant()


@contextmanager
def client_of(app: FastAPI, **headers: str) -> Iterator[TestClient]:
    with TestClient(app, base_url="http://127.0.0.1", headers=headers) as client:
        yield client


@pytest.fixture
def client(settings: Settings, fake: FakeAssistant) -> Iterator[TestClient]:
    with client_of(create_app(settings, fake)) as client:
        yield client


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """The app behind a real server; its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=3))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    wait_for(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def server(settings: Settings, fake: FakeAssistant) -> Iterator[str]:
    with serving(create_app(settings, fake)) as url:
        yield url
        fake.gate.set()


def wait_for(condition: Callable[[], Any], seconds: float = 10) -> Any:
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)
    return value


def upload(client: Any, data: bytes | None = None, **form: str) -> str:
    answer = client.post("/v1/studies", files={"files": ("a.png", data or png(), "image/png")}, data=form)
    assert answer.status_code in (200, 201), answer.text
    return str(answer.json()["id"])


def start(client: Any, study: str, question: str = "Is there an effusion?", **more: Any) -> str:
    headers = more.pop("headers", {})
    answer = client.post(
        "/v1/runs", json={"task": "ask", "study": study, "question": question, **more}, headers=headers
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def ended(client: Any, run: str, seconds: float = 10) -> dict[str, Any]:
    """The run, once it has ended."""
    return wait_for(lambda: (r := client.get(f"/v1/runs/{run}").json())["finished"] and r, seconds)
