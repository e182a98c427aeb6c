"""The in-process engine by itself: what the contract can't see through the worker."""

import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from assistant.engines.base import Message, Prompt, Sampling
from assistant.engines.card import pocket_folder
from assistant.engines.decoding import PieceWise
from assistant.engines.local import LocalEngine
from assistant.errors import Misconfigured, NotFound, TooLarge
from assistant.study import Picture
from tests.assistant.engines.contract import BRIGHT, prompt
from tests.assistant.engines.tiny import CONTEXT, IMAGE_TOKENS, PICTURE


@pytest.fixture(scope="module")
def engine(tiny: Path) -> LocalEngine:
    return LocalEngine(str(tiny))


def said(engine: LocalEngine, asked: Prompt) -> tuple[str, list[float]]:
    deltas = list(engine.generate(asked, threading.Event()))
    return "".join(delta.text for delta in deltas), [value for delta in deltas for value in delta.logprobs]


def test_tells_what_its_folder_says(engine: LocalEngine) -> None:
    info = engine.info()
    assert (info.context, info.image_tokens, info.domains) == (CONTEXT, IMAGE_TOKENS, ("chest_xray",))
    assert info.demonstration
    assert "schema" not in info.capabilities


def test_its_hash_is_that_of_the_weights(engine: LocalEngine, tiny: Path, tmp_path: Path) -> None:
    from tests.assistant.engines.tiny import tiny_model

    other = LocalEngine(str(tiny_model(tmp_path / "other", seed=4))).info()
    assert len(engine.info().model_hash) == 12
    assert other.model_hash != engine.info().model_hash
    assert LocalEngine(str(tiny)).info().model_hash == engine.info().model_hash


def test_cancelling_stops_at_the_next_token(engine: LocalEngine) -> None:
    cancelled = threading.Event()
    stream = engine.generate(prompt(tokens=200), cancelled)
    assert next(stream).text
    cancelled.set()
    usage = list(stream)[-1].usage
    assert usage
    assert usage["completion_tokens"] < 100
    assert not [t for t in threading.enumerate() if t.name == "generate"]


def test_leaving_the_pieces_frees_the_engine(engine: LocalEngine) -> None:
    stream = engine.generate(prompt(tokens=200), threading.Event())
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert said(engine, prompt())[0]


def test_greedy_does_not_depend_on_the_seed_and_sampling_does(engine: LocalEngine) -> None:
    def with_seed(seed: int, temperature: float) -> str:
        return said(engine, replace(prompt(), sampling=Sampling(20, temperature, seed)))[0]

    assert with_seed(1, 0) == with_seed(2, 0)
    assert with_seed(1, 2.0) == with_seed(1, 2.0) != with_seed(2, 2.0)


def test_an_answer_ends_where_the_context_does(engine: LocalEngine) -> None:
    deltas = list(engine.generate(prompt("effusion " * 20, tokens=500), threading.Event()))
    usage = deltas[-1].usage
    assert usage
    assert usage["prompt_tokens"] > len("effusion " * 20)
    assert usage["prompt_tokens"] + usage["completion_tokens"] == CONTEXT


def test_too_long_is_known_before_anything_is_generated(engine: LocalEngine) -> None:
    with pytest.raises(TooLarge, match=str(CONTEXT)):
        next(engine.generate(prompt("x" * CONTEXT), threading.Event()))
    with pytest.raises(TooLarge):
        engine.score(prompt(), ["x" * CONTEXT])


def test_pictures_keep_their_shape_in_the_square(engine: LocalEngine) -> None:
    wide = Picture(np.full((20, 80), 200, np.uint8))
    square = np.zeros((PICTURE, PICTURE), np.uint8)
    square[21:35] = 200
    padded = Picture(square)
    assert engine.score(prompt(wide), ["No."]) == pytest.approx(engine.score(prompt(padded), ["No."]), abs=1e-4)
    assert engine.score(prompt(wide), ["No."]) != pytest.approx(engine.score(prompt(BRIGHT), ["No."]), abs=1e-4)


def test_four_bit_weights_load_and_speak(tiny: Path) -> None:
    engine = LocalEngine(str(tiny), "nf4")
    assert said(engine, prompt(BRIGHT))[0]


def test_a_schema_is_refused(engine: LocalEngine) -> None:
    with pytest.raises(Misconfigured, match="schema"):
        next(engine.generate(prompt(schema={}), threading.Event()))


def test_a_broken_adapter_is_told_apart_from_an_unknown_one(tiny: Path, tmp_path: Path) -> None:
    engine = LocalEngine(str(tiny), adapters={"broken": tmp_path})
    with pytest.raises(Misconfigured, match="peft"):
        next(engine.generate(prompt(adapter="broken"), threading.Event()))
    with pytest.raises(NotFound):
        next(engine.generate(prompt(adapter="other"), threading.Event()))
    assert said(engine, prompt())[0]


@pytest.mark.parametrize("where", ["/nowhere/model", "./nowhere", "a/b/c"])
def test_a_model_folder_that_is_not_there(where: str) -> None:
    with pytest.raises(Misconfigured, match="is not there"):
        LocalEngine(where)


def test_a_folder_that_holds_no_model(tmp_path: Path, tiny: Path) -> None:
    with pytest.raises(Misconfigured, match=r"no config\.json"):
        LocalEngine(str(tmp_path))
    damaged = shutil.copytree(tiny, tmp_path / "damaged")
    (damaged / "model.safetensors").write_bytes(b"cut off")
    with pytest.raises(Misconfigured, match="doesn't load"):
        LocalEngine(str(damaged))


def test_a_damaged_card_is_named(tmp_path: Path, tiny: Path) -> None:
    folder = shutil.copytree(tiny, tmp_path / "model")
    (folder / "consult.json").write_text(json.dumps({"picture": "large"}))
    with pytest.raises(Misconfigured, match=r"consult\.json"):
        LocalEngine(str(folder))


def test_a_missing_pocket_names_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("assistant.engines.local.pocket_folder", lambda: tmp_path)
    assert pocket_folder() != tmp_path
    with pytest.raises(Misconfigured, match="consult train pocket"):
        LocalEngine("pocket")


class _Bytes:
    """A tokenizer whose tokens are bytes."""

    def decode(self, tokens: list[int], skip_special_tokens: bool) -> str:
        return bytes(tokens).decode(errors="replace")


@pytest.mark.parametrize(
    ("text", "stop", "pieces"),
    [
        ("ab", (), ["a", "b"]),
        ("aé", (), ["a", "é"]),  # not half a character
        ("ab\n\nc", ("\n\n",), ["a", "b", ""]),
        ("a\nb", ("\n\n",), ["a", "\nb"]),  # what might have begun a stop string comes late, not never
        ("a\n", ("\n\n",), ["a", "\n"]),
        ("xyab", ("ya", ""), ["x", ""]),
    ],
)
def test_pieces_are_only_what_is_certain(text: str, stop: tuple[str, ...], pieces: list[str]) -> None:
    watch = PieceWise(_Bytes(), stop)
    deltas = [*(watch.add(token, -1.0) for token in text.encode()), watch.end()]
    came = [delta for delta in deltas if delta is not None]
    assert [delta.text for delta in came] == pieces
    if not watch.stopped:
        assert sum(len(delta.logprobs) for delta in came) == len(text.encode())


def test_an_empty_conversation_part_is_no_trouble(engine: LocalEngine) -> None:
    assert said(engine, Prompt((Message("user", ("", BRIGHT, "")),), Sampling(4)))[0]
