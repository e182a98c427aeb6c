import io
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from assistant.api import keeper
from assistant.settings import Settings
from retrieval.rows import Document
from tests.assistant.api.conftest import TEXT, FakeAssistant, wait_for

CARD = {"files": ("effusion.md", b"# Effusion\n\nBlunted angle.", "text/markdown")}


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Stands in for `python -m assistant.cli`: a script, given as text, that gets the same arguments."""

    def install(script: str) -> None:
        path = tmp_path / "python"
        path.write_text(f"#!{sys.executable}\nimport sys, os, json, pathlib, time\nargs = sys.argv[3:]\n{script}")
        path.chmod(0o755)
        monkeypatch.setattr(keeper.sys, "executable", str(path))

    return install


def test_reading_the_library(client: TestClient) -> None:
    page = client.get("/v1/knowledge").json()
    assert page == {"items": [{"id": "d1", "title": "Pleural effusion", "name": "effusion.md", "edition": "2020",
                               "source": "A guideline, 2020", "jurisdiction": "", "domain": None,
                               "dated": "", "newer": None, "superseded_by": "",
                               "condensed_by": "", "reviewed_by": "",
                               "characters": len(TEXT)}], "total": 1}  # fmt: skip
    document = client.get("/v1/knowledge/d1").json()
    (passage,) = document["passages"]
    assert document["text"][passage["start"] : passage["end"]] == passage["text"] == TEXT
    assert client.get("/v1/passages/p1").json() == passage
    assert client.get("/v1/knowledge/nope").status_code == 404


def test_search_gives_each_legs_score(client: TestClient) -> None:
    found = client.get("/v1/knowledge/search", params={"q": "effusion", "k": 3}).json()
    assert (found["hits"][0]["scores"], found["hits"][0]["relevance"], found["considered"]) == ({"bm25": 3.25}, 0.9, 7)
    assert client.get("/v1/knowledge/search").status_code == 422


def test_all_editions_are_searched_when_asked_for(client: TestClient, fake: FakeAssistant) -> None:
    for editions, asked in (({}, False), ({"editions": "current"}, False), ({"editions": "all"}, True)):
        client.get("/v1/knowledge/search", params={"q": "effusion", **editions})
        assert fake.retriever.asked.all_editions is asked
    assert client.get("/v1/knowledge/search", params={"q": "effusion", "editions": "old"}).status_code == 422


def test_a_superseded_document_says_by_which(client: TestClient, fake: FakeAssistant) -> None:
    old = Document("old", "f", "Pneumothorax", "old.md", "Aspirate.", {"edition": "2010", "dated": "2010-05"}, "new")
    new = Document("new", "g", "Pneumothorax", "new.md", "Aspirate.", {"edition": "2023"})
    fake.library.documents = lambda: [old, new]  # type: ignore[method-assign]
    fake.library.document = {"old": old, "new": new}.__getitem__  # type: ignore[method-assign]
    items = client.get("/v1/knowledge").json()["items"]
    assert [(item["newer"], item["superseded_by"]) for item in items] == [
        ("new", "Pneumothorax, edition 2023"), (None, ""),
    ]  # fmt: skip
    detail = client.get("/v1/knowledge/old").json()
    assert (detail["newer"], detail["superseded_by"], detail["dated"]) == (
        "new",
        "Pneumothorax, edition 2023",
        "2010-05",
    )


def test_a_case_and_its_picture(client: TestClient) -> None:
    case = client.get("/v1/cases/c1").json()
    assert (case["report"], case["labels"]) == ("Small left effusion.", ["effusion"])
    assert "patienthash" not in str(case)
    full, small = (client.get("/v1/cases/c1/picture", params=p).content for p in ({}, {"size": 30}))
    assert Image.open(io.BytesIO(full)).size == (60, 40)
    assert Image.open(io.BytesIO(small)).size == (30, 20)
    assert client.get("/v1/cases/nope/picture").status_code == 404


def test_adding_runs_the_command_elsewhere(client: TestClient, settings: Settings, command: Any) -> None:
    command("print(json.dumps({'args': args, 'home': os.environ['CONSULT_HOME'], "
            "'text': pathlib.Path(args[2]).read_text()}))")  # fmt: skip
    answer = client.post("/v1/knowledge", files=CARD)
    path = settings.home / "uploads" / "effusion.md"
    assert (answer.status_code, answer.json()) == (201, {
        "args": ["knowledge", "add", str(path), "--no-wait", "--json"], "home": str(settings.home),
        "text": "# Effusion\n\nBlunted angle."})  # fmt: skip
    assert not path.exists()


@pytest.mark.parametrize(
    ("script", "status", "detail"),
    [
        (
            "print('chatter', file=sys.stderr); print('It is no PDF.', file=sys.stderr); sys.exit(2)",
            422,
            "It is no PDF.",
        ),
        ("print(json.dumps({'skipped': [['secret.pdf', 'No text in it.']]})); sys.exit(2)", 422, "No text in it."),
        ("print('The disk is full.', file=sys.stderr); sys.exit(4)", 503, "The disk is full."),
        ("print('Another ingestion is under way.', file=sys.stderr); sys.exit(5)", 409, "Another ingestion"),
        ("raise RuntimeError('xyzzy')", 503, "consult doctor"),
        ("os.kill(os.getpid(), 9)", 503, "consult doctor"),
    ],
)
def test_what_the_command_complains_of(
    client: TestClient, settings: Settings, command: Any, script: str, status: int, detail: str
) -> None:
    command(script)
    answer = client.post("/v1/knowledge", files=CARD)
    assert answer.status_code == status
    assert detail in answer.json()["detail"]
    assert "xyzzy" not in answer.text
    assert "secret.pdf" not in answer.text
    assert list((settings.home / "uploads").iterdir()) == []


def test_one_change_at_a_time(server: str, settings: Settings, command: Any, tmp_path: Path) -> None:
    import threading

    import httpx

    flag = tmp_path / "go"
    command(
        f"pathlib.Path('{flag}.started').touch()\nwhile not os.path.exists('{flag}'): time.sleep(0.02)\nprint('{{}}')"
    )
    codes: list[int] = []
    with httpx.Client(base_url=server, timeout=30) as client:
        thread = threading.Thread(target=lambda: codes.append(client.post("/v1/knowledge", files=CARD).status_code))
        thread.start()
        wait_for(Path(f"{flag}.started").exists)
        for refused in (client.post("/v1/knowledge", files=CARD), client.delete("/v1/knowledge/d1")):
            assert (refused.status_code, refused.json()["type"]) == (409, "urn:consult:busy")
        flag.touch()
        thread.join()
    assert codes == [201]


def test_removing(client: TestClient, command: Any, tmp_path: Path) -> None:
    command(f"pathlib.Path('{tmp_path}/seen').write_text(' '.join(args)); print('{{}}')")
    assert client.delete("/v1/knowledge/nope").status_code == 404
    assert client.delete("/v1/knowledge/d1").status_code == 204
    assert (tmp_path / "seen").read_text() == "knowledge remove d1 --no-wait --json"


@pytest.mark.parametrize("name", ["..", ".hidden.md", "x" * 300 + ".md"])
def test_names_that_are_none(client: TestClient, command: Any, name: str) -> None:
    command("print('{}')")
    assert client.post("/v1/knowledge", files={"files": (name, b"x")}).status_code == 422


def test_names_do_not_climb(client: TestClient, settings: Settings, command: Any) -> None:
    command("print(json.dumps({'args': args}))")
    answer = client.post("/v1/knowledge", files={"files": ("../../up.md", b"x")})
    assert answer.json()["args"][2] == str(settings.home / "uploads" / "up.md")
