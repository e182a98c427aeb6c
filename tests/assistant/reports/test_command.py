"""`consult report` and its worklists, as their user meets them."""

import csv
import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from assistant.assistant import Assistant
from assistant.cli import app
from assistant.engines.fake import FakeEngine
from assistant.errors import BadInput, UnknownTemplate
from assistant.imaging import read_study
from assistant.reports.worklist import read_worklist
from eval.phantoms import make_phantom
from eval.phantoms.dicom import to_dicom
from eval.phantoms.organs import organs
from retrieval.db import salt_of
from retrieval.library import Library
from retrieval.types import Case
from tests.assistant.parts import make_assistant, study
from tests.assistant.reports.test_report_run import told


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    Image.fromarray(study().pictures[0].pixels).save(path)
    return path


@pytest.fixture
def engine(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    assistant = make_assistant(own_home, [told(organs(()))])
    monkeypatch.setattr(Assistant, "open", classmethod(lambda cls, settings: assistant))
    monkeypatch.setattr(assistant, "close", _stay)
    assert isinstance(assistant.engine, FakeEngine)
    return assistant.engine


async def _stay() -> None:
    """The same assistant serves the next command."""


def consult(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["report", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_a_report_is_printed_by_section(engine: FakeEngine, picture: Path) -> None:
    lines = consult(str(picture), "-i", "Effusion?").splitlines()
    assert lines[0] == "Chest radiograph"
    assert lines[lines.index("COMPARISON") + 1] == "No prior study is available."
    assert lines[lines.index("INDICATION") + 1] == "Effusion?"


def test_json_holds_the_draft_and_the_run(engine: FakeEngine, picture: Path, tmp_path: Path) -> None:
    shown = json.loads(consult(str(picture), "--json"))
    assert [part["name"] for part in shown["draft"]["sections"]][-1] == "impression"
    assert shown["draft"]["identity"]["model"] == "fake"
    consult(str(picture), "--format", "pdf", "--out", str(tmp_path / "r.pdf"))
    assert (tmp_path / "r.pdf").read_bytes().startswith(b"%PDF")


def test_a_case_of_the_library_is_the_prior_with_its_report(engine: FakeEngine, own_home: Path, tmp_path: Path) -> None:
    film, before = tmp_path / "film.dcm", study(seed=3).pictures[0]
    to_dicom(make_phantom(1, size=256)).save_as(film, enforce_file_format=True)
    (whose,) = {read_study([film], salt=salt_of(own_home))[0].patient}
    with Library(own_home) as library:
        library.put_case(Case("c1", before.sha256, "The heart was normal.", None, whose), before.pixels)
    shown = json.loads(consult(str(film), "--prior-case", "c1", "--json"))
    assert "The heart was normal." in str(engine.prompts[0].messages[-1].parts)
    assert any(getattr(part, "sha256", "") == before.sha256 for part in engine.prompts[0].messages[-1].parts)
    (comparison,) = [s for s in shown["draft"]["sections"] if s["name"] == "comparison"]
    assert comparison["statements"] == []  # Consult doesn't say that there is no prior

    (tmp_path / "w.csv").write_text("id,study,prior_case\na,film.dcm,c1\nb,film.dcm,c2\n")
    consult("--batch", str(tmp_path / "w.csv"), "--out", str(tmp_path / "out"), code=1)
    assert "The heart was normal." in str(engine.prompts[-1].messages[1].parts)
    assert "no such case" in (tmp_path / "out" / "failures.csv").read_text()


def test_an_unknown_template_is_refused_before_anything_is_read(engine: FakeEngine, tmp_path: Path) -> None:
    (tmp_path / "w.csv").write_text("id,study\na,nothing.png\n")
    for arguments in (("nothing.png",), ("--batch", str(tmp_path / "w.csv"), "--out", str(tmp_path / "out"))):
        result = CliRunner().invoke(app, ["report", *arguments, "--template", "knee"])
        assert isinstance(result.exception, UnknownTemplate), result.output
    assert not (tmp_path / "out").exists()


def test_a_worklist_is_resumed_and_its_failures_are_listed(engine: FakeEngine, picture: Path, tmp_path: Path) -> None:
    worklist, out = tmp_path / "worklist.csv", tmp_path / "out"
    (tmp_path / "prior.txt").write_text("The heart was normal.")
    lines = [
        "id,study,prior,prior_report,indication,template",
        "a,picture.png,,,Effusion?,",
        "b,nothing.png,,,,",
        "c,picture.png;picture.png,picture.png,prior.txt,,chest",
        "d,picture.png,,,,knee",
    ]
    worklist.write_text("\n".join(lines))
    arguments = ("--batch", str(worklist), "--out", str(out))
    consult(*arguments, code=1)
    with (out / "failures.csv").open() as file:
        failures = {row["id"]: row["why"] for row in csv.DictReader(file)}
    assert set(failures) == {"b", "d"}
    assert "knee" in failures["d"]
    assert "INDICATION\nEffusion?" in (out / "a.txt").read_text()
    assert json.loads((out / "c.json").read_text())["asked"]["prior"] == "picture.png"
    assert any("The heart was normal." in str(prompt.messages[-1].parts[-1]) for prompt in engine.prompts)

    before = len(engine.prompts)
    consult(*arguments, code=1)
    assert len(engine.prompts) == before  # what was drafted is not drafted again

    worklist.write_text("\n".join([*lines[:2], "b,picture.png,,,,", "c,picture.png,,,Fracture?,"]))
    consult(*arguments)
    assert (out / "failures.csv").read_text().splitlines() == ["id,why"]
    assert len(engine.prompts) > before
    assert json.loads((out / "c.json").read_text())["result"]["draft"]["indication"] == "Fracture?"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,file\na,b\n", "lacks id or study"),
        ("id,study,name\na,b,Doe\n", "unknown columns: name"),
        ("id,study\n../a,b\n", "Record 2"),
        ("id,study\na,b\nA,c\n", "twice"),
        ("id,study\na,b,c\n", "more fields"),
    ],
)
def test_a_wrong_worklist_is_refused_before_anything_is_read(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "w.csv").write_text(text)
    with pytest.raises(BadInput, match=said):
        read_worklist(tmp_path / "w.csv")


def test_what_does_not_go_together_is_said(engine: FakeEngine, picture: Path) -> None:
    for arguments in ((), (str(picture), "--format", "pdf"), ("--batch", "w.csv"), (str(picture), "--batch", "w.csv")):
        result = CliRunner().invoke(app, ["report", *arguments])
        assert isinstance(result.exception, BadInput), result.output
    assert engine.prompts == []
