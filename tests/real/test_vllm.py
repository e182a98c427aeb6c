"""The engine contract over the real vLLM with the tiny model and an adapter of it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from assistant.engines.http import HttpEngine
from assistant.engines.local import LocalEngine
from assistant.errors import TooLarge
from assistant.settings import EngineSettings
from assistant.study import Picture
from eval.bench.vllm_server import vllm_python, vllm_server
from tests.assistant.engines.contract import BRIGHT, DARK, EngineContract, Subject, answer, prompt, text
from tests.assistant.engines.tiny import CONTEXT, IMAGE_TOKENS, tiny_adapter, tiny_model

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(vllm_python() is None, reason="no vLLM here: `make vllm-cpu` makes its environment"),
    pytest.mark.timeout(400),
]


class TestTiny(EngineContract):
    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return tiny_model(tmp_path_factory.mktemp("tiny"))

    @pytest.fixture(scope="class")
    @classmethod
    def subject(cls, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
        adapter = tiny_adapter(model, tmp_path_factory.mktemp("tuned"))
        with asyncio.Runner() as runner, vllm_server(model, adapters={"tuned": adapter}) as url:
            engine = HttpEngine(EngineSettings(kind="http", url=url, model="pocket"))
            yield Subject(engine, runner, adapter="tuned", tolerance=0.02)
            runner.run(engine.close())

    def test_knows_the_model_by_its_card(self, subject: Subject) -> None:
        info = subject.run(subject.engine.info())
        assert (info.context, info.image_tokens) == (CONTEXT, IMAGE_TOKENS)
        assert info.demonstration
        assert info.domains == ("chest_xray",)
        assert "vllm-" in info.model_hash

    def test_says_what_the_local_engine_says(self, subject: Subject, model: Path) -> None:
        """Both show the model the same text and the same pictures, so they give the same probabilities."""
        local = LocalEngine(str(model))
        wide = Picture(np.tile(np.linspace(0, 255, 90).astype(np.uint8), (40, 1)))
        for asked in (prompt("Is it?"), prompt(DARK, "Is <it>?"), prompt("Before", wide, "then", BRIGHT, "?")):
            served = subject.run(subject.engine.score(asked, ["No.", "There is."]))
            assert served == pytest.approx(local.score(asked, ["No.", "There is."]), abs=0.02)
        texts = ["effusion", "", "left lower lobe"]
        assert subject.run(subject.engine.count(texts)) == local.count(texts)

    def test_keeps_a_schema(self, subject: Subject) -> None:
        asked = prompt("Is it?", schema={"type": "string", "enum": ["yes", "no"]})
        assert text(subject.run(answer(subject.engine, asked))) in ('"yes"', '"no"')

    def test_leaving_frees_the_slots(self, subject: Subject) -> None:
        """Far more streams are left than the server has slots; the next answer must not wait for them."""

        async def leave() -> None:
            stream = subject.engine.stream(prompt(tokens=200))
            await anext(stream)
            await stream.aclose()

        async def many() -> None:
            await asyncio.gather(*(leave() for _ in range(24)))
            async with asyncio.timeout(10):
                await answer(subject.engine, prompt(tokens=3))

        subject.run(many())

    def test_refuses_more_pictures_than_the_server_takes(self, subject: Subject) -> None:
        with pytest.raises(TooLarge, match="fewer"):
            subject.run(answer(subject.engine, prompt(*[DARK] * 5)))
