import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from assistant.assistant import Assistant
from assistant.checkup import Part, checkup
from assistant.cli import app
from assistant.engines.fake import INFO
from assistant.errors import EngineDown, Misconfigured
from retrieval.encoders.fake import FakeTextEncoder
from retrieval.index import rebuild
from retrieval.types import Fitted
from tests.assistant.parts import make_assistant


def parts_of(assistant: Assistant, monkeypatch: pytest.MonkeyPatch) -> dict[str, Part]:
    monkeypatch.setattr(Assistant, "open", classmethod(lambda cls, settings: assistant))
    return {part.name: part for part in asyncio.run(checkup())}


def test_what_works_says_what_it_is(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limited = replace(INFO, domains=("chest_xray",), demonstration=True)
    parts = parts_of(make_assistant(own_home, [""], info=limited), monkeypatch)
    assert all(part.ok for part in parts.values())
    assert "not for clinical use" in parts["engine"].says
    assert "passages" in parts["knowledge"].says
    assert str(own_home) in parts["settings"].says


def test_an_empty_library_is_broken_and_says_what_mends_it(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = parts_of(make_assistant(own_home, [""], documents={}), monkeypatch)
    assert not parts["knowledge"].ok
    assert "consult knowledge add" in parts["knowledge"].mend


def test_an_index_of_another_encoder_is_named(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assistant = make_assistant(own_home, [""])
    assistant.retriever.encoders = replace(assistant.retriever.encoders, text=FakeTextEncoder(64))
    assert "consult knowledge rebuild" in parts_of(assistant, monkeypatch)["knowledge"].mend


def test_an_engine_that_is_down_does_not_hide_the_rest(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assistant = make_assistant(own_home, [""])

    async def down() -> None:
        raise EngineDown("Nothing answers at 127.0.0.1:1.")

    monkeypatch.setattr(assistant.engine, "info", down)
    parts = parts_of(assistant, monkeypatch)
    assert not parts["engine"].ok
    assert parts["knowledge"].ok


def test_what_is_fitted_is_told_and_whether_it_still_belongs(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assistant = make_assistant(own_home, [""])
    fresh = parts_of(assistant, monkeypatch)["calibration"]
    assert "floor 0.35 (default)" in fresh.says
    assert fresh.mend == "consult calibrate"

    assistant = make_assistant(own_home, [""])
    retriever = assistant.retriever
    told = {"identities": retriever.identities, "made": "2026-11-28T00:00:00", "data": {"name": "ours", "n": 90},
            "ks": {"model_hash": INFO.model_hash}}  # fmt: skip
    assistant.library.put_fitted(Fitted({"bm25": (0.2, -3.0)}, 0.7, None, 0.2, (1, 2), told))
    assert parts_of(assistant, monkeypatch)["calibration"].mend == "consult knowledge rebuild"

    assistant = make_assistant(own_home, [""])
    rebuild(assistant.library, assistant.retriever.store, assistant.retriever.encoders)
    fitted = parts_of(assistant, monkeypatch)["calibration"]
    for words in ("gamma 0.7 (fitted)", "floor 0.2 (fitted)", "1, 2", "bm25", "on ours, n = 90, 2026-11-28"):
        assert words in fitted.says
    assert not fitted.mend

    other_model = make_assistant(own_home, [""], info=replace(INFO, model_hash="other"))
    rebuild(other_model.library, other_model.retriever.store, other_model.retriever.encoders)
    assert "another model" in parts_of(other_model, monkeypatch)["calibration"].says

    assistant = make_assistant(own_home, [""])
    assistant.retriever.encoders = replace(assistant.retriever.encoders, text=FakeTextEncoder(64))
    changed = parts_of(assistant, monkeypatch)["calibration"]
    assert "for other encoders" in changed.says
    assert changed.mend == "consult calibrate"


def test_encoders_that_are_not_there_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(settings: object) -> Assistant:
        raise Misconfigured("the pocket encoder is not part of this installation")

    monkeypatch.setattr(Assistant, "open", missing)
    parts = asyncio.run(checkup())
    assert [part.name for part in parts if not part.ok] == ["encoders"]


def test_broken_settings_are_told_and_exit_with_1() -> None:
    Path("consult.toml").write_text("colour = 'red'\n")
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert "broken" in result.output
    assert "colour" in result.output
