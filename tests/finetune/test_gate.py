"""Promotion: only by a gate that is open and belongs to these weights; every refusal in one line."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from assistant.engines.card import weights_hash
from assistant.settings import load_settings
from eval.exam import compare as comparing
from eval.exam.benchmark import Figure, Row, mean_of
from eval.exam.results import Results, measure
from finetune.adapter_commands import adapters
from finetune.adapters import demote, promote, take_in
from finetune.errors import BadInput
from finetune.gate import Compared, Gate, page, weigh
from tests.eval.fakes import Small

WHO = {"model": "pocket", "engine": "local", "model_hash": "0123456789ab", "encoders": {}, "knowledge": "bundled",
       "retrieval": {}}  # fmt: skip


def adapter_in(folder: Path, weights: bytes = b"weights", data: str = "ab" * 32) -> Path:
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.safetensors").write_bytes(weights)
    (folder / "consult.json").write_text(json.dumps({"adapter_of": "pocket", "data": data}))
    return folder


class Few(Small):
    """Two figures: what is compared, resampled a thousand times each, shall take no minute."""

    headline = "accuracy"

    @property
    def figures(self) -> Mapping[str, Figure]:
        return {"accuracy": mean_of("right"), "answered": mean_of("answered")}


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "find", lambda name, **_: Few())
    monkeypatch.setattr(comparing, "DRAWS", 200)


def rows(n: int, wrong: Sequence[int]) -> list[Row]:
    def row(number: int) -> Row:
        truth, right = number % 2 == 0, number not in wrong
        scores = {"right": right, "answered": True}
        return Row(id=f"item-{number}", patient=f"p{number}", truth={"answer": truth}, scores=scores)

    return [row(number) for number in range(n)]


def exam(folder: Path, items: list[Row], **who: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    candidate = {**WHO, "adapter": None, "adapter_hash": None, **who}
    Results(candidate=candidate, seed=0, benchmarks={"few": measure(Few(), items, 0)}).save(folder)
    return folder


@pytest.fixture
def laid(own_home: Path, tmp_path: Path) -> Path:
    """An adapter taken in as `chest`; exams `base` (16 of 40 wrong), `good` (none wrong), `bad` (all wrong), `same`."""
    folder = take_in(load_settings(), adapter_in(tmp_path / "run" / "adapter"), "chest")
    who = {"adapter": "chest", "adapter_hash": weights_hash(folder)}
    exam(tmp_path / "base", rows(40, range(16)))
    for name, wrong in (("good", range(0)), ("bad", range(40)), ("same", range(16))):
        exam(tmp_path / name, rows(40, wrong), **who)
    return folder


def test_what_is_better_beyond_chance_is_promoted_and_taken_back(laid: Path, tmp_path: Path) -> None:
    gate = weigh("chest", laid, tmp_path / "base", tmp_path / "good")
    assert gate.refusal() is None
    assert [one.figure for one in gate.verdicts()["better"]][:1] == ["accuracy"]
    gate.save(laid / "gate.json")
    assert load_settings().engine.adapter is None
    promote(load_settings(), "chest")
    assert load_settings().engine.adapter == "chest"
    told = json.loads((laid.parent / "promoted.json").read_text())
    assert told["gate"]["exams"] == list(gate.exams)
    assert demote(load_settings()) == "chest"
    assert load_settings().engine.adapter is None


@pytest.mark.parametrize(
    ("candidate", "why"),
    [("bad", "worse than the model as it is in few, accuracy"), ("same", "beyond chance in none of")],
)
def test_a_closed_gate_refuses_in_one_line(laid: Path, tmp_path: Path, candidate: str, why: str) -> None:
    weigh("chest", laid, tmp_path / "base", tmp_path / candidate).save(laid / "gate.json")
    with pytest.raises(BadInput, match=why) as told:
        promote(load_settings(), "chest")
    assert "\n" not in str(told.value)
    assert load_settings().engine.adapter is None


def test_a_gate_belongs_to_weights_data_and_model(laid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match="has no gate file"):
        promote(load_settings(), "chest")
    weigh("chest", laid, tmp_path / "base", tmp_path / "good").save(laid / "gate.json")
    monkeypatch.setenv("CONSULT_ENGINE__MODEL", "other")
    with pytest.raises(BadInput, match=r"made on pocket, and \[engine\] model is other"):
        promote(load_settings(), "chest")
    monkeypatch.delenv("CONSULT_ENGINE__MODEL")
    whole = (laid / "consult.json").read_text()
    (laid / "consult.json").write_text(whole.replace("abab", "cdcd"))
    with pytest.raises(BadInput, match="of other data"):
        promote(load_settings(), "chest")
    (laid / "consult.json").write_text(whole)
    (laid / "adapter_model.safetensors").write_bytes(b"others")
    with pytest.raises(BadInput, match="made for other weights"):
        promote(load_settings(), "chest")


def test_exams_that_dont_belong_together_make_no_gate(laid: Path, tmp_path: Path) -> None:
    base, good = tmp_path / "base", tmp_path / "good"
    with pytest.raises(BadInput, match="is an exam of an adapter"):
        weigh("chest", laid, good, good)
    with pytest.raises(BadInput, match="is no exam of these weights"):
        weigh("chest", laid, base, base)
    other = exam(tmp_path / "other", rows(40, []), model_hash="ffff", adapter="chest", adapter_hash=weights_hash(laid))
    with pytest.raises(BadInput, match=r"differ in more than the adapter: model_hash\."):
        weigh("chest", laid, base, other)
    (laid / "consult.json").write_text("{}")
    with pytest.raises(BadInput, match="doesn't say what it learnt from"):
        weigh("chest", laid, base, good)


def figure(counts: int, low: float, high: float, p: float = 0.001, patients: int = 40) -> Compared:
    return Compared(benchmark="b", figure=f"f{counts}{low}", base=0.5, candidate=0.6, difference=(low + high) / 2,
                    low=low, high=high, p=p, patients=patients, counts=counts)  # type: ignore[arg-type]  # fmt: skip


@pytest.mark.parametrize(
    ("figures", "why"),
    [
        ([figure(1, 0.1, 0.2)], None),
        ([figure(-1, -0.2, -0.1)], None),  # less of what no model should do
        ([figure(1, 0.1, 0.2), figure(-1, 0.1, 0.2)], "It is worse"),
        ([figure(1, 0.1, 0.2), figure(0, -0.2, -0.1)], None),  # worse in what is only told
        ([figure(1, 0.1, 0.2, p=0.03), figure(1, -0.1, 0.2)], "none of the 2 figures"),  # .05 is shared out
        ([figure(1, 0.1, 0.2, patients=9)], "No figure that counts rests on 10 patients"),
        ([figure(1, float("nan"), float("nan"))], "none of the 1"),
    ],
)  # fmt: skip
def test_when_the_gate_opens(figures: list[Compared], why: str | None) -> None:
    gate = Gate(adapter="a", adapter_hash="h", data="d", model="m", model_hash="x", exams=("1", "2"), when="now",
                figures=tuple(figures))  # fmt: skip
    refusal = gate.refusal()
    assert (why is None) == (refusal is None)
    assert why is None or why in str(refusal)
    assert ("may be promoted" if why is None else "may not be promoted") in page(gate)


def test_the_commands(laid: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke
    listed = run(adapters, ["list"])
    assert "chest" in listed.output
    assert "none" in listed.output
    made = run(adapters, ["gate", "chest", "--base", str(tmp_path / "base"), "--candidate", str(tmp_path / "good")])
    assert made.exit_code == 0, made.output
    assert "may be promoted" in (laid / "gate.md").read_text()
    assert run(adapters, ["promote", "chest"]).exit_code == 0
    assert "promoted" in run(adapters, ["list"]).output
    assert "no longer promoted" in run(adapters, ["demote"]).output


def test_an_adapter_is_taken_in_whole_and_never_under_a_name_that_is_taken(own_home: Path, tmp_path: Path) -> None:
    settings, first = load_settings(), adapter_in(tmp_path / "one" / "adapter")
    place = take_in(settings, first, "chest")
    assert place == own_home / "adapters" / "chest"
    assert take_in(settings, first, "chest") == place  # again: nothing to do
    with pytest.raises(BadInput, match="Another adapter is called chest"):
        take_in(settings, adapter_in(tmp_path / "two", b"others"), "chest")
    with pytest.raises(BadInput, match="is no adapter"):
        take_in(settings, tmp_path, "chest")
    foreign = adapter_in(tmp_path / "three", b"others")
    (foreign / "consult.json").write_text('{"adapter_of": "google/medgemma-4b-it"}')
    with pytest.raises(BadInput, match=r"an adapter of google/medgemma-4b-it"):
        take_in(settings, foreign, "other")
