"""What is compared, and where two answers part."""

import threading
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from assistant.engines.local import LocalEngine
from assistant.study import Picture
from assistant.tasks import diagnosis, vqa
from eval.bench.parity import benchmarks, difference, prompts
from tests.assistant.engines.contract import prompt
from tests.assistant.engines.tiny import tiny_model


def test_prompts_are_of_every_task_with_references_and_without() -> None:
    every = benchmarks()
    named = list(prompts(len(every)))
    assert [name for name, _ in named] == [benchmark.name for benchmark in every]
    texts = ["".join(part for part in asked.messages[-1].parts if isinstance(part, str)) for _, asked in named]
    starts = {text.partition("\n")[0] for text in texts}
    assert {vqa.TASK, diagnosis.TASK} < starts
    assert any(start.startswith("Task: draft the report.") for start in starts)
    assert 0 < sum("Knowledge: none." in text for text in texts) < len(texts)
    assert all(any(isinstance(part, Picture) for part in asked.messages[-1].parts) for _, asked in named)


def test_the_gap_is_between_the_two_tokens_at_the_first_difference(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "tiny")
    engine, tokenizer = LocalEngine(str(folder)), AutoTokenizer.from_pretrained(folder)
    asked = prompt("Is it?", tokens=6)
    own = "".join(delta.text for delta in engine.generate(asked, threading.Event()))
    for place in (0, 3):
        other = own[:place] + ("x" if own[place] != "x" else "y") + own[place + 1 :]
        found = difference("ask", asked, (own, other), engine, tokenizer)
        assert (found.before, found.tokens) == (own[:place], (own[place], other[place]))
        wanted = engine.score(asked, [own[: place + 1], other[: place + 1]])
        assert found.gap == pytest.approx(wanted[0] - wanted[1])
        assert found.gap >= 0  # what was said greedily is the likelier
    ended = difference("ask", asked, (own, own[:4]), engine, tokenizer)
    assert ended.tokens == (own[4], tokenizer.eos_token)
