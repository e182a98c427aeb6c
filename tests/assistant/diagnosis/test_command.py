"""`consult diagnose`: what is typed, and what is printed."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from assistant.commands import collect
from assistant.diagnosis.command import _print, values_of
from assistant.errors import BadInput
from assistant.events import Event
from tests.assistant.diagnosis.cards import PNEUMONIA, assistant_with, reader
from tests.assistant.diagnosis.test_differential import request, run


def test_values_are_typed_as_name_and_value() -> None:
    assert values_of(["CRP = 18 mg/L (0-5)", "Temp=38 °C"]) == {"CRP": "18 mg/L (0-5)", "Temp": "38 °C"}


@pytest.mark.parametrize("given", [["CRP 18"], ["= 18 mg/L"], ["CRP ="], ["CRP = 1 mg/L", "CRP = 2 mg/L"]])
def test_what_is_no_value_is_refused(given: list[str]) -> None:
    with pytest.raises(BadInput, match="--lab"):
        values_of(given)


def events(home: Path) -> list[Event]:
    answer = reader(["consolidation"], ["Pneumonia", "Sarcoidosis"])
    return run(assistant_with(home, [PNEUMONIA], answer), request(candidates=("pneumonia",)))


async def replay(said: list[Event]) -> AsyncIterator[Event]:
    for event in said:
        yield event


def test_the_table_shows_states_reasons_and_a_missing_guideline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    asyncio.run(_print(replay(events(tmp_path))))
    shown = capsys.readouterr().out
    assert "1. Pneumonia" in shown
    assert "DOID:552" in shown
    assert "Required: The lung shows consolidation." in shown
    assert "“coughs”" in shown
    assert "C-reactive protein 12 mg/L, above its range of at most 5 mg/L" in shown
    assert "no guideline; from model" in shown
    assert "Met: The lung shows consolidation." not in shown  # it stands in the table


def test_the_json_holds_the_differential(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(collect(replay(events(tmp_path))))
    found = json.loads(capsys.readouterr().out)["differential"]
    assert [candidate["name"] for candidate in found["candidates"]] == ["Pneumonia", "Sarcoidosis"]
    assert found["candidates"][0]["criteria"][0]["shown"]["kind"] == "image"
