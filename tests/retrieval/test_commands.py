import json
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from PIL import Image as PillowImage
from typer.testing import CliRunner

from retrieval import cases, commands, console
from retrieval.encoders.bundle import Names
from retrieval.errors import BadInput, Busy, EncoderMismatch, Misconfigured, NotFound
from retrieval.ingest import exclusive
from retrieval.store import ServerOptions
from tests.retrieval.conftest import CHILD_ENV, picture


@dataclass
class Point:
    """An entry point."""

    value: Any

    def load(self) -> Any:
        return self.value


Run = Callable[..., Any]


@pytest.fixture
def told(home: Path) -> SimpleNamespace:
    return SimpleNamespace(
        home=home,
        encoders=SimpleNamespace(names=Names("fake", "fake"), processes=1),
        retrieval=SimpleNamespace(
            url=None, api_key=None, mode="log-ratio", gamma=0.5, floor=0.35, k_max=4,
            server=SimpleNamespace(options=ServerOptions()),
        ),
    )  # fmt: skip


@pytest.fixture
def run(told: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command; its error comes out as it is, as `assistant.cli` gets it."""
    points = {console.SETTINGS: [Point(lambda: told)]}
    monkeypatch.setattr(console, "entry_points", lambda group: points.get(group, []))
    monkeypatch.setattr(cases, "entry_points", lambda group: points.get(group, []))

    def run(*words: str, app: Any = commands.knowledge) -> str:
        result = CliRunner().invoke(app, words, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


@pytest.fixture
def guides(tmp_path: Path) -> Path:
    folder = tmp_path / "guides"
    folder.mkdir()
    (folder / "effusion.md").write_text("# Effusion [draft]\n\n## Signs\n- Effusion blunts the costophrenic angle.\n")
    (folder / "broken.pdf").write_bytes(b"%PDF-broken")
    return folder


def test_add_list_search_remove(run: Run, guides: Path) -> None:
    said = run("add", str(guides))
    assert "1 added, 0 replaced, 0 unchanged" in said
    assert "skipped guides/broken.pdf: The PDF is damaged" in said
    assert "1 unchanged" in run("add", str(guides))

    listed = json.loads(run("list", "--json"))
    assert listed["counts"] == {"files": 1, "documents": 1, "passages": 1, "cases": 0}
    assert listed["files"][0]["title"] == "Effusion [draft]"
    assert "1 passages" in run("list")
    assert listed["files"][0]["id"] in run("list")  # whole, to be copied into `remove`

    assert "Effusion [draft], Signs" in run("search", "costophrenic angle blunts effusion")
    found = json.loads(run("search", "costophrenic angle blunts effusion", "--json"))
    assert found["items"][0]["content"]["text"] == "- Effusion blunts the costophrenic angle."
    assert set(found["items"][0]["scores"]) == {"text→passage", "bm25"}
    assert "Nothing relevant found" in run("search", "fractured tibia")

    assert json.loads(run("remove", listed["files"][0]["id"], "--json")) == {"removed": 1}
    assert json.loads(run("list", "--json"))["files"] == []


def test_editions_are_shown(run: Run, guides: Path) -> None:
    for year in (2010, 2023):
        head = f"title: Pneumothorax\nedition: {year}\ndated: {year}-05\njurisdiction: UK\nsource: BTS, Guideline"
        (guides / f"{year}.md").write_text(f"---\n{head}\n---\n# Pneumothorax\n\nAspirate a pneumothorax ({year}).")
    assert "superseded guides/2010.md: by guides/2023.md" in run("add", str(guides))
    rows = {file["name"]: (file["edition"], file["superseded"]) for file in json.loads(run("list", "--json"))["files"]}
    assert (rows["guides/2010.md"], rows["guides/2023.md"]) == (("2010", 1), ("2023", 0))
    assert "superseded" in run("list")
    asked = "aspirate pneumothorax"
    assert "BTS, Guideline · edition 2023 · 2023-05 · UK" in run("search", asked)
    assert "2010" not in run("search", asked)
    assert "superseded by Pneumothorax, edition 2023" in " ".join(run("search", asked, "--all-editions").split())
    (guides / "2023.md").unlink()
    assert "1 removed" in (said := run("add", str(guides)))
    assert "removed guides/2023.md" in said
    assert "edition 2010" in run("search", asked)
    (guides / "2010.md").unlink()
    (guides / "effusion.md").unlink()
    (guides / "broken.pdf").unlink()
    with pytest.raises(BadInput, match="Is its disk mounted"):
        run("add", str(guides))
    assert json.loads(run("remove", str(guides), "--json")) == {"removed": 2}


def test_a_second_command_waits_or_refuses(run: Run, guides: Path, home: Path) -> None:
    run("add", "--bundled")
    with exclusive(home):
        for words in (("add", str(guides)), ("remove", "x"), ("rebuild",)):
            with pytest.raises(Busy, match="under way"):
                run(*words, "--no-wait")
    child = [sys.executable, "-c", f"from pathlib import Path; from retrieval.ingest import exclusive\n"
             f"with exclusive(Path({str(home)!r})): print(flush=True); input()"]  # fmt: skip
    with subprocess.Popen(child, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=CHILD_ENV) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdout.readline()
        threading.Timer(0.5, other.stdin.close).start()
        assert "1 added" in run("add", str(guides))  # by default it waits


def test_the_demonstration_cards(run: Run) -> None:
    report = json.loads(run("add", "--bundled", "--json"))
    assert "bundled/pleural-effusion.md" in report["added"]
    assert report["skipped"] == []


def test_rebuild_mends_an_index_of_other_encoders(run: Run, guides: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("add", str(guides))
    from retrieval import encoders
    from retrieval.encoders.fake import FakeTextEncoder

    monkeypatch.setattr(encoders, "load_text", lambda name: FakeTextEncoder(48))
    with pytest.raises(EncoderMismatch, match="consult knowledge rebuild"):
        run("search", "effusion")
    assert json.loads(run("rebuild", "--json"))["passages"] == 1
    assert "Effusion" in run("search", "costophrenic angle blunts effusion")


def test_cases(run: Run, tmp_path: Path) -> None:
    PillowImage.fromarray(picture("effusion")).save(tmp_path / "a.png")
    (tmp_path / "manifest.jsonl").write_text(json.dumps({"image": "a.png", "report": "Effusion."}))
    report = json.loads(run("add", str(tmp_path), "--domain", "chest_xray", "--json", app=commands.cases))
    assert report["added"] == ["line 1"]
    assert json.loads(run("list", "--json"))["counts"]["cases"] == 1


def test_the_installed_reader_of_pictures_is_used(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.dcm").write_bytes(b"DICM")
    (tmp_path / "manifest.jsonl").write_text(json.dumps({"image": "a.dcm", "report": "Effusion."}))
    with pytest.raises(BadInput):
        run("add", str(tmp_path), "--json", app=commands.cases)
    monkeypatch.setattr(cases, "entry_points", lambda group: [Point(lambda path, salt: (picture("effusion"), None))])
    assert json.loads(run("add", str(tmp_path), "--json", app=commands.cases))["added"] == ["line 1"]


def test_what_a_person_can_get_wrong(run: Run, guides: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match="Nothing to add"):
        run("add")
    with pytest.raises(BadInput, match="not there"):
        run("add", "nowhere.md")
    with pytest.raises(BadInput, match="Nothing could be read"):
        run("add", str(guides / "broken.pdf"))
    with pytest.raises(NotFound, match="knowledge list"):
        run("remove", "nothing")
    with pytest.raises(BadInput, match="no manifest"):
        run("add", str(guides), app=commands.cases)
    monkeypatch.setattr(console, "entry_points", lambda group: [])
    with pytest.raises(Misconfigured, match="not installed"):
        run("list")


def test_importing_the_commands_is_light() -> None:
    heavy = ["numpy", "torch", "llama_index", "PIL", "rich.progress"]
    script = f"import sys, retrieval.commands; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", script], text=True, env=CHILD_ENV).strip() == "[]"


def test_backup_and_restore(run: Run, told: SimpleNamespace, guides: Path, tmp_path: Path) -> None:
    run("add", str(guides))
    keep, bring = typer.Typer(), typer.Typer()
    keep.command()(commands.backup)
    bring.command()(commands.restore)
    assert "Settings and model folders are not in it" in run(str(tmp_path / "b.zip"), app=keep)
    with pytest.raises(BadInput, match="--replace"):
        run(str(tmp_path / "b.zip"), app=bring)
    assert "1 passages, 0 cases." in run(str(tmp_path / "b.zip"), "--replace", app=bring)
    assert "Effusion [draft], Signs" in run("search", "costophrenic angle blunts effusion")

    told.home = tmp_path / "other"
    said = json.loads(run(str(tmp_path / "b.zip"), "--json", app=bring))
    assert (said["passages"], said["indexed"]) == (1, True)
    assert json.loads(run(str(tmp_path / "c.zip"), "--json", app=keep))["indexed"]


def test_a_plan_needs_no_library(run: Run, home: Path) -> None:
    told = json.loads(run("plan", "--passages", "1000", "--cases", "10", "--json"))
    assert told["embedded"]["disk_bytes"] > 1_000_000
    assert "together" in run("plan", "--passages", "1000", "--cases", "10")
    assert not home.exists()
