"""An adapter as preference tuning writes it, served by the in-process engine and taken up by the real vLLM."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from assistant.engines.base import Sampling
from assistant.engines.http import HttpEngine
from assistant.engines.local import LocalEngine
from assistant.settings import EngineSettings
from eval.bench.vllm_server import vllm_python, vllm_server
from finetune.dpo import run
from finetune.dpo_data import pictured, read_samples
from finetune.sft_samples import Reader
from tests.assistant.engines.contract import answer, text
from tests.finetune.dpo_parts import config_of, seeing, write_pairs
from tests.finetune.sft_parts import write_model

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(vllm_python() is None, reason="no vLLM here: `make vllm-cpu` makes its environment"),
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore"),
]


def test_both_engines_serve_a_tuned_adapter_by_request(tmp_path: Path) -> None:
    model = seeing(write_model(tmp_path / "model"))
    config = config_of(tmp_path / "out", model, write_pairs(tmp_path / "pairs"), training={"lr": 0.01})
    folder = run(config, say=lambda line: None)
    assert folder is not None
    samples = read_samples(config, Reader.open(str(model)))
    local = LocalEngine(str(model), adapters={"tuned": folder})
    said = {}
    with asyncio.Runner() as runner, vllm_server(model, adapters={}, wait_s=400) as url:
        engine = HttpEngine(EngineSettings(kind="http", url=url, model="pocket", adapters={"tuned": folder}))
        for adapter in (None, "tuned", None):
            for sample in samples:
                asked = replace(pictured(sample), adapter=adapter, sampling=Sampling(max_tokens=8))
                answers = [sample.pair.chosen, sample.pair.rejected]
                served = runner.run(engine.score(asked, answers))
                assert served == pytest.approx(local.score(asked, answers), abs=0.05)
            said[adapter] = text(runner.run(answer(engine, asked)))
        runner.run(engine.close())
    assert said["tuned"] != said[None]
