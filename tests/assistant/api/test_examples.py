"""Every operation of the API's description is asked as its example says, and answers in the shape its example shows.

Behind the app stands the real assistant, with an engine that says what it is told. Ids and pictures of an example stand
for some of one's own, and are replaced; nothing else is.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from assistant.api.app import create_app
from assistant.api.keeper import Keeper
from assistant.api.shapes import RUN_ID, STUDY_ID
from assistant.engines.base import Prompt
from assistant.settings import ApiSettings, Settings
from retrieval.index import rebuild
from retrieval.ingest import Report
from retrieval.library import stable_id
from retrieval.types import Case
from tests.assistant.api.conftest import FakeAssistant, client_of, ended, upload
from tests.assistant.parts import CARD, make_assistant, study

DESCRIPTION = create_app(Settings(home=Path("none")), FakeAssistant()).openapi()
OPERATIONS = [(verb, path) for path, verbs in DESCRIPTION["paths"].items() for verb in verbs]
PATIENCE_S = 120  # a differential by the bundled cards asks much
SAID = {
    "draft the report": "[technique] PA view. [image]\n[pleura] There is a pleural effusion. [image]\n"
    "[impression] The heart is enlarged. [image]",
    "list the likely diagnoses": "[diagnosis] Pneumonia is likely. [image]",
    "": "[answer] There is a pleural effusion. [image]\n[guideline] It blunts the costophrenic angle. [1]",
}


def says(prompt: Prompt) -> str:
    told = "".join(part for message in prompt.messages for part in message.parts if isinstance(part, str))
    return next(answer for task, answer in SAID.items() if task in told)


def picture() -> bytes:
    from assistant.imaging.pixels import to_png

    return to_png(study().pictures[0])


class World:
    """The app with something of everything in it. What is made is made anew for whoever asks, since some delete it."""

    def __init__(self, client: TestClient, ids: dict[str, str]) -> None:
        self.client, self.ids = client, ids

    def run(self, task: str) -> str:
        body = {"task": task, "study": upload(self.client, picture()), "question": "Is there a pleural effusion?"}
        body = {name: value for name, value in body.items() if task == "ask" or name != "question"}
        run = self.client.post("/v1/runs", json=body).json()["id"]
        return str(ended(self.client, run, PATIENCE_S)["id"])

    def report(self, path: str) -> tuple[str, int]:
        """A report in the state that the operation needs, and its version."""
        id_ = self.client.post("/v1/reports", json={"run": self.run("report")}).json()["id"]
        if "amend" in path or "{after}" in path:
            assert self.client.post(f"/v1/reports/{id_}/sign", json={}, headers={"If-Match": '"1"'}).is_success
            return id_, 2
        return id_, 1

    def ask(self, verb: str, path: str, example: Any, known: bool = True) -> Any:
        """The answer to the example; when not `known`, to one that names what isn't there."""
        operation = DESCRIPTION["paths"][path][verb]
        names = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
        ids, headers = {**self.ids, "number": "1", "before": "1", "after": "2", "version": "1", "statement": "s1"}, {}
        if "study_id" in names or STUDY_ID in json.dumps(example):
            ids["study_id"] = upload(self.client, picture())
        if "run_id" in names:
            ids["run_id"] = self.run("ask")
        if RUN_ID in json.dumps(example):
            ids["run_id"] = self.run("report")
        if "report_id" in names:
            ids["report_id"], version = self.report(path)
            headers["If-Match"] = f'"{version}"'
        if not known:
            ids = {name: "nope" if name.endswith("_id") else value for name, value in ids.items()}
        query = {p["name"]: _value_of(p) for p in operation.get("parameters", ()) if p["in"] == "query"
                 and p["required"]}  # fmt: skip
        url, sent = path.format(**{name: ids[name] for name in names}), _sent(operation, example, ids)
        return self.client.request(verb.upper(), url, params=query, headers=headers, **sent)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("home")
    assistant, film = make_assistant(home, says), study(seed=3).pictures[0]
    case = Case(stable_id("case"), film.sha256, "Small effusion.", None, labels=("effusion",))
    assistant.library.put_case(case, film.pixels)
    rebuild(assistant.library, assistant.retriever.store, assistant.retriever.encoders)
    (document,) = assistant.library.documents()
    passage = next(iter(assistant.library.passages(document.id)))
    ids = {"document_id": document.id, "passage_id": passage.id, "case_id": case.id}
    settings = Settings(home=home, api=ApiSettings(tokens={"ann": "token-of-ann"}))
    with client_of(create_app(settings, assistant), Authorization="Bearer token-of-ann") as client:
        yield World(client, ids)


@pytest.fixture(autouse=True)
def keeper(monkeypatch: pytest.MonkeyPatch) -> None:
    """Adding and removing is another process's work, tested elsewhere: here it reports what it would."""

    async def call(self: Keeper, *arguments: str) -> Any:
        return asdict(Report(added=["effusion.md"], generation="g")) if arguments[0] == "add" else {"removed": 1}

    monkeypatch.setattr(Keeper, "call", call)


# An overlay needs an encoder that sees places: tests/assistant/api/test_reports.py has one.
ANSWERED = [(verb, path) for verb, path in OPERATIONS if not path.endswith("/overlay")]


@pytest.mark.parametrize(("verb", "path"), ANSWERED, ids=[f"{verb} {path}" for verb, path in ANSWERED])
def test_the_examples_are_true(world: World, verb: str, path: str) -> None:
    operation = DESCRIPTION["paths"][path][verb]
    examples = _examples(operation["requestBody"]["content"]) if "requestBody" in operation else [None]
    assert examples, "the body has no example"
    for example in examples:
        answer = world.ask(verb, path, example)
        assert answer.is_success, answer.text
        _compared(operation["responses"][str(answer.status_code)].get("content", {}), answer)
        if path == "/v1/runs" and verb == "post":
            assert ended(world.client, answer.json()["id"], PATIENCE_S)["status"] == "answered"


@pytest.mark.parametrize(("verb", "path"), [o for o in OPERATIONS if "_id}" in o[1]])
def test_what_is_not_there_is_a_problem_as_shown(world: World, verb: str, path: str) -> None:
    operation = DESCRIPTION["paths"][path][verb]
    examples = _examples(operation["requestBody"]["content"]) if "requestBody" in operation else [None]
    answer = world.ask(verb, path, examples[0], known=False)
    assert answer.status_code == 404, answer.text
    _compared(operation["responses"]["404"]["content"], answer)


def _compared(content: dict[str, Any], answer: Any) -> None:
    if not answer.content:
        assert content == {}
        return
    kind = answer.headers["content-type"].partition(";")[0]
    assert kind in content
    shown = _examples({kind: content[kind]})
    if kind == "text/event-stream":
        told, came = (text.splitlines()[:3] for text in (shown[0], answer.text))
        assert [line for line in told if "data" not in line] == [line for line in came if "data" not in line]
    elif kind.endswith("json"):
        assert shown, "the answer has no example"
        assert _differences(shown[0], answer.json()) == []


def _examples(content: dict[str, Any]) -> list[Any]:
    """Those of one kind of content: its own, or its schema's."""
    told = next(iter(content.values()))
    if "example" in told:
        return [told["example"]]
    if "examples" in told:
        return [one["value"] for one in told["examples"].values()]
    schema = told.get("schema", {})
    many = schema.get("type") == "array"
    name = (schema["items"] if many else schema).get("$ref", "").rpartition("/")[2]
    found = schema.get("examples") or DESCRIPTION["components"]["schemas"].get(name, {}).get("examples", [])
    return [[one] for one in found] if many else found


def _differences(shown: Any, answer: Any, where: str = "") -> list[str]:
    """What the example shows and the answer lacks or has otherwise. Values may differ, kinds may not; null is both."""
    if shown is None or answer is None:
        return []
    if isinstance(shown, dict) and isinstance(answer, dict):
        lost = [f"{where}.{key} is not there" for key in shown if key not in answer]
        return lost + [
            d for key in shown if key in answer for d in _differences(shown[key], answer[key], f"{where}.{key}")
        ]
    if isinstance(shown, list) and isinstance(answer, list):
        if not shown:
            return []
        return min(
            (_differences(shown[0], one, f"{where}[]") for one in answer), key=len, default=[f"{where} is empty"]
        )
    return [] if type(shown) is type(answer) else [f"{where} is {type(answer).__name__}"]


def _value_of(parameter: dict[str, Any]) -> Any:
    schema = parameter["schema"]
    return (schema.get("examples") or schema.get("enum"))[0]


def _sent(operation: dict[str, Any], example: Any, ids: dict[str, str]) -> dict[str, Any]:
    if example is None:
        return {}
    if "multipart/form-data" in operation["requestBody"]["content"]:
        contents = {".png": picture(), ".md": CARD}
        files = [("files", (name, contents[Path(name).suffix])) for name in example["files"]]
        return {"files": files, "data": {name: value for name, value in example.items() if name != "files"}}
    text = json.dumps(example, ensure_ascii=False).replace("iVBORw0KGgo…", base64.b64encode(picture()).decode())
    text = text.replace(STUDY_ID, ids.get("study_id", "")).replace(RUN_ID, ids.get("run_id", ""))
    return {"json": json.loads(text)}


def test_examples_have_all_that_their_models_require() -> None:
    """And nothing that they don't know: an example grows old where a model changes. (FastAPI shows no null.)"""
    for name, schema in DESCRIPTION["components"]["schemas"].items():
        for example in schema.get("examples", ()):
            fields = schema["properties"]
            required = {field for field in schema["required"] if {"type": "null"} not in fields[field].get("anyOf", ())}
            assert required <= set(example) <= set(fields), name
