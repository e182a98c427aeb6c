"""The contract over the fake, a served and the in-process engine; the real vLLM is in `tests/real`."""

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant.engines.base import Prompt
from assistant.engines.fake import FakeEngine
from assistant.engines.http import HttpEngine
from assistant.settings import EngineSettings, Settings
from assistant.worker import Worker
from tests.assistant.engines.contract import EngineContract, Subject
from tests.assistant.engines.server import ChatServer, serving


def _says(prompt: Prompt) -> str:
    parts = [part if isinstance(part, str) else part.sha256 for message in prompt.messages for part in message.parts]
    return hashlib.sha256(repr(parts).encode()).hexdigest() * 6


class TestFake(EngineContract):
    @pytest.fixture(scope="class")
    @classmethod
    def subject(cls, runner: asyncio.Runner) -> Subject:
        return Subject(FakeEngine(_says), runner)


class TestHttp(EngineContract):
    @pytest.fixture(scope="class")
    @classmethod
    def subject(cls, runner: asyncio.Runner) -> Iterator[Subject]:
        with serving(ChatServer()) as url:
            engine = HttpEngine(EngineSettings(kind="http", url=url, model="tiny"))
            yield Subject(engine, runner, adapter="tuned")
            runner.run(engine.close())


class TestLocal(EngineContract):
    """As everybody meets it: through the worker."""

    @pytest.fixture(scope="class")
    @classmethod
    def subject(
        cls, runner: asyncio.Runner, tiny: Path, tuned: Path, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[Subject]:
        told = EngineSettings(model=str(tiny), adapters={"tuned": tuned})
        with Worker(Settings(home=tmp_path_factory.mktemp("home"), engine=told)) as worker:
            yield Subject(worker.engine, runner, adapter="tuned")
