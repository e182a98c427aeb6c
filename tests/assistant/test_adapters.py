"""Which adapter answers: the one that is named, the promoted one, or the model as it is."""

import asyncio
import json
from pathlib import Path

import pytest

from assistant.adapters import WEIGHTS, checked_name, kept, promoted, promotion
from assistant.errors import BadInput, Misconfigured
from assistant.events import Done
from assistant.settings import load_settings
from tests.assistant.parts import ask, make_assistant


def lay(home: Path, name: str) -> Path:
    folder = home / "adapters" / name
    folder.mkdir(parents=True)
    for file in WEIGHTS:
        (folder / file).write_text("{}")
    return folder


def promote(home: Path, name: str, model: str = "pocket") -> None:
    (home / "adapters" / "promoted.json").write_text(json.dumps({"adapter": name, "model": model}))


def test_settings_know_the_adapters_of_their_home(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().engine.adapters == {}
    folder = lay(own_home, "chest")
    (own_home / "adapters" / "half").mkdir()  # killed while it was copied
    assert load_settings().engine.adapters == {"chest": folder}
    assert load_settings().engine.adapter is None
    promote(own_home, "chest")
    assert load_settings().engine.adapter == "chest"
    monkeypatch.setenv("CONSULT_ENGINE__MODEL", "other")
    assert load_settings().engine.adapter is None  # it was promoted for another model
    monkeypatch.setenv("CONSULT_ENGINE__ADAPTERS", '{"mine": "/somewhere"}')
    monkeypatch.setenv("CONSULT_ENGINE__ADAPTER", "mine")
    engine = load_settings().engine
    assert (sorted(engine.adapters), engine.adapter) == (["chest", "mine"], "mine")


def test_what_is_promoted_must_lie_there(own_home: Path) -> None:
    lay(own_home, "chest")
    promote(own_home, "gone")
    assert promoted(own_home, "pocket") is None
    assert list(kept(own_home)) == ["chest"]
    (own_home / "adapters" / "promoted.json").write_text("[]")
    with pytest.raises(Misconfigured, match="deleting it demotes"):
        promotion(own_home)


@pytest.mark.parametrize("name", ["base", "Über", "../x", "", "a b"])
def test_names_that_cant_be(name: str) -> None:
    with pytest.raises(BadInput, match="--name"):
        checked_name(name)


@pytest.mark.parametrize(("named", "spoke"), [(None, "chest"), ("base", None), ("other", "other")])
def test_a_request_is_answered_by_whom_it_names(tmp_path: Path, named: str | None, spoke: str | None) -> None:
    assistant = make_assistant(tmp_path, ["[answer] No. [image]"], adapters=("chest", "other"))
    assistant.adapter = "chest"

    async def run() -> Done:
        events = [event async for event in assistant.run(ask(adapter=named))]
        assert isinstance(events[-1], Done)
        return events[-1]

    assert asyncio.run(run()).identity.adapter == spoke
    assert assistant.engine.prompts[-1].adapter == spoke  # type: ignore[attr-defined]
