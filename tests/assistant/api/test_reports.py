import base64
import io
import json
import sqlite3
from collections.abc import AsyncGenerator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pydicom
import pytest
from starlette.testclient import TestClient

from assistant.api.app import create_app
from assistant.api.records import Records
from assistant.api.schema import STEPS
from assistant.events import Done, Drafted, Event, Heat, Located, Place, Region, Sentence
from assistant.reports.checks import checked
from assistant.reports.drafting import make_draft
from assistant.requests import ReportRequest, Request
from assistant.settings import Settings
from assistant.tasks.report import situation_of
from retrieval.db import FILE, connect, migrate
from tests.assistant.api.conftest import IDENTITY, SECRET, FakeAssistant, client_of, ended, png, start, upload
from tests.assistant.imaging.make import dataset, saved

SAID = [("technique", "PA view."), ("pleura", "Left effusion."), ("heart", "Normal heart."), ("impression", "Fluid.")]

REPLACED = "Right effusion."


class Drafting(FakeAssistant):
    async def run(self, request: Request) -> AsyncGenerator[Event, None]:
        self.requests.append(request)
        assert isinstance(request, ReportRequest)
        said = [Sentence(index=i, section=name, text=text, support="image") for i, (name, text) in enumerate(SAID)]
        for sentence in said:
            yield sentence
        heat = Heat(extent=(0, 0, 64, 48), cells=((0.1, 0.2), (0.3, 0.7)))
        place = Place(sentence=1, region=Region(picture=1, box=(32, 24, 64, 48), peak=(48, 36)), heat=heat)
        yield Located(places=(place,), encoder="fake")
        said[1] = said[1].model_copy(update={"region": place.region})
        gone = [Sentence(index=len(SAID), section="pleura", text=REPLACED, support="image")]
        draft = checked(make_draft(request.template, said, gone), situation_of(request))
        yield Drafted(draft=draft.model_copy(update={"identity": IDENTITY}))
        yield Done(status="answered", answer="…", identity=IDENTITY, timings={"total": 0.1})


@pytest.fixture
def ann(two_users: Settings) -> Iterator[TestClient]:
    with client_of(create_app(two_users, Drafting()), Authorization="Bearer token-of-ann") as client:
        yield client


def drafted(client: TestClient, data: bytes | None = None, **form: str) -> dict[str, Any]:
    study = upload(client, data, **form)
    run = client.post("/v1/runs", json={"task": "report", "study": study}).json()["id"]
    ended(client, run)
    answer = client.post("/v1/reports", json={"run": run})
    assert (answer.status_code, answer.headers["etag"]) == (201, '"1"'), answer.text
    return dict(answer.json())


def lines(report: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"name": s["name"], "statements": [{"id": t["id"], "text": t["text"]} for t in s["statements"]]}
        for s in report["draft"]["sections"]
    ]  # fmt: skip


def send(client: TestClient, report: str, what: str, version: int, body: dict[str, Any], verb: str = "POST") -> Any:
    return client.request(verb, f"/v1/reports/{report}{what}", json=body, headers={"If-Match": f'"{version}"'})


def edited(client: TestClient, report: dict[str, Any]) -> dict[str, Any]:
    """Changes the effusion, deletes the heart, adds a sentence about the bones."""
    sections = {section["name"]: section for section in lines(report)}
    sections["pleura"]["statements"][0]["text"] = "Small left effusion."
    sections["heart"]["statements"] = []
    sections["bones"]["statements"] = [{"text": "No fracture."}]
    answer = send(client, report["id"], "", report["version"], {"sections": list(sections.values())}, "PUT")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_the_life_of_a_report(ann: TestClient, two_users: Settings) -> None:
    report = drafted(ann)
    assert (report["status"], report["version"], report["author"]) == ("draft", 1, None)
    new = edited(ann, report)
    assert (new["status"], new["version"], new["author"]) == ("edited", 2, "ann")
    kinds = {c["statement"]: c["kind"] for c in ann.get(f"/v1/reports/{report['id']}/versions/1..2").json()["changes"]}
    (added,) = [id_ for id_ in kinds if id_.startswith("p")]
    assert kinds == {"s1": "kept", "s2": "changed", "s3": "deleted", "s4": "kept", added: "added"}
    signed = send(ann, report["id"], "/sign", 2, {"name": "Jane Doe"}).json()
    assert (signed["status"], signed["version"], signed["name"]) == ("signed", 3, "Jane Doe")
    assert send(ann, report["id"], "", 3, {"sections": []}, "PUT").json()["type"] == "urn:consult:wrong-state"
    body = {"sections": lines(report), "reason": "It was right before."}
    amended = send(ann, report["id"], "/amend", 3, body).json()
    assert (amended["status"], amended["version"], amended["name"]) == ("amended", 4, "ann")
    told = ann.get(f"/v1/reports/{report['id']}/versions").json()
    assert [(v["version"], v["author"], v["model"]) for v in told] == [
        (1, None, "fake"), (2, "ann", "fake"), (3, "ann", "fake"), (4, "ann", "fake")
    ]  # fmt: skip
    assert amended["draft"] == report["draft"]  # the model's words again: its evidence again
    assert [i["id"] for i in ann.get("/v1/reports", params={"status": "amended"}).json()["items"]] == [report["id"]]
    assert ann.get("/v1/reports", params={"status": "draft"}).json()["items"] == []


def reworded(client: TestClient, report: dict[str, Any], **words: str) -> dict[str, Any]:
    """The report with other words in the first sentence of these sections."""
    sections = {section["name"]: section for section in lines(report)}
    for name, text in words.items():
        sections[name]["statements"] = [{"text": text}, *sections[name]["statements"][1:]]
    answer = send(client, report["id"], "", report["version"], {"sections": list(sections.values())}, "PUT")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def found(report: dict[str, Any]) -> set[str]:
    return {check["message"] for check in report["draft"]["checks"]}


def test_an_edit_is_checked_at_once(ann: TestClient) -> None:
    report = drafted(ann, standard_display="true")
    left_out, lungs = "Pleural effusion: not in the impression.", "The draft does not say: the section Lungs."
    other_side = "Pleural effusion: right in the impression, left in the findings."
    change = "A change is stated, and the request has no prior study."
    assert {left_out, lungs} <= found(report)
    wrong = reworded(ann, report, impression="Right pleural effusion.", lungs="The nodule has grown.")
    assert found(wrong) >= (found(report) | {other_side, change}) - {left_out, lungs}
    assert found(wrong).isdisjoint({left_out, lungs})
    mended = reworded(ann, wrong, impression="Left pleural effusion.", lungs="There is no nodule or consolidation.")
    assert found(mended) == found(report) - {left_out, lungs}
    raised = reworded(ann, mended, pleura="Left effusion and a right pneumothorax.")
    assert [alert["kind"] for alert in raised["draft"]["alerts"]] == ["pneumothorax"]
    assert reworded(ann, raised, pleura="Left effusion.")["draft"]["alerts"] == []


def test_a_signed_report_says_with_which_failed_checks_it_was_signed(ann: TestClient) -> None:
    first = drafted(ann, standard_display="true")
    wrong = reworded(ann, first, impression="Right pleural effusion.")
    signed = send(ann, wrong["id"], "/sign", 2, {}).json()
    assert signed["draft"]["checks"] == wrong["draft"]["checks"]
    text = ann.get(f"/v1/reports/{wrong['id']}/export", params={"format": "text"}).text
    assert "Check: Pleural effusion: right in the impression, left in the findings." in text.splitlines()
    body = {"sections": lines(first), "reason": "The wrong side."}
    amended = send(ann, wrong["id"], "/amend", 3, body).json()
    assert found(amended) == found(first) != found(signed)
    assert found(ann.get(f"/v1/reports/{wrong['id']}/versions/3").json()) == found(signed)


def test_a_prior_study_brings_its_newest_signed_report(ann: TestClient) -> None:
    before, now = drafted(ann), upload(ann, png(30))

    def told() -> str:
        body = {"task": "report", "study": now, "prior": before["study"]}
        return str(ended(ann, ann.post("/v1/runs", json=body).json()["id"])["request"]["prior_report"])

    assert told() == ""  # nobody has signed it
    reworded(ann, before, heart="Large heart.")
    send(ann, before["id"], "/sign", 2, {})
    assert told() == "Findings: Left effusion. Large heart. Impression: Fluid."


def test_two_editors_cannot_overwrite_each_other(ann: TestClient) -> None:
    report = drafted(ann)
    edited(ann, report)
    stale = send(ann, report["id"], "", 1, {"sections": []}, "PUT")
    assert (stale.status_code, stale.headers["content-type"]) == (412, "application/problem+json")
    assert send(ann, report["id"], "/sign", 1, {}).status_code == 412
    assert ann.put(f"/v1/reports/{report['id']}", json={"sections": []}).status_code == 428
    assert ann.get(f"/v1/reports/{report['id']}").json()["version"] == 2


def test_a_report_is_its_users_alone_and_signed_by_a_named_user(
    ann: TestClient, settings: Settings, fake: FakeAssistant
) -> None:
    report = drafted(ann)["id"]
    ann.headers["Authorization"] = "Bearer token-of-bob"
    assert ann.get(f"/v1/reports/{report}").status_code == 404
    assert ann.get(f"/v1/reports/{report}/export", params={"format": "fhir"}).status_code == 404
    assert ann.get("/v1/reports").json()["items"] == []
    nobody = settings.model_copy(update={"home": settings.home / "other"})
    with client_of(create_app(nobody, Drafting())) as local:
        mine = drafted(local)["id"]
        assert send(local, mine, "/sign", 1, {"name": "Jane Doe"}).status_code == 403
        assert local.get(f"/v1/reports/{mine}").json()["status"] == "draft"


def test_where_a_statement_is_seen_is_a_picture_for_its_user(ann: TestClient) -> None:
    report = drafted(ann)
    mine = [f"/v1/{kind}/statements/s2/overlay" for kind in (f"reports/{report['id']}", f"runs/{report['run']}")]
    for path in mine:
        shown = ann.get(path)
        assert (shown.status_code, shown.headers["content-type"]) == (200, "image/png")
        assert shown.content.startswith(b"\x89PNG")
        assert ann.get(path.replace("s2", "s1")).status_code == 404
        assert ann.get(path.replace("s2", "s99")).status_code == 404
    new = edited(ann, report)
    assert ann.get(mine[0]).status_code == 404  # a person's words
    assert new["draft"] != report["draft"]
    ann.headers["Authorization"] = "Bearer token-of-bob"
    assert [ann.get(path).status_code for path in mine] == [404, 404]
    ann.headers["Authorization"] = "Bearer token-of-ann"
    ann.delete(f"/v1/studies/{report['study']}")
    assert [ann.get(path).status_code for path in mine] == [404, 404]


def test_tuning_reads_signed_reports_with_consent_only(ann: TestClient, two_users: Settings) -> None:
    report = drafted(ann)
    edited(ann, report)

    def read() -> list[tuple[str, str | None, str | None]]:
        with closing(Records(two_users.home)) as records:
            return [(e.run, e.original, e.edited) for e in records.consented_edits()]

    assert ann.put(f"/v1/reports/{report['id']}/consent", json={"consent": True}).json()["consent"] is True
    assert read() == []
    send(ann, report["id"], "/sign", 2, {})
    run = report["run"]
    assert set(read()) == {
        (run, None, "No fracture."), (run, "PA view.", "PA view."), (run, "Left effusion.", "Small left effusion."),
        (run, "Normal heart.", None), (run, "Fluid.", "Fluid."),
    }  # fmt: skip
    ann.put(f"/v1/reports/{report['id']}/consent", json={"consent": False})
    assert read() == []


def test_only_a_finished_report_run_makes_a_report_and_only_one(ann: TestClient) -> None:
    report = drafted(ann)
    again = ann.post("/v1/reports", json={"run": report["run"]})
    assert (again.status_code, again.json()["id"]) == (200, report["id"])
    run = start(ann, report["study"])
    ended(ann, run)
    assert ann.post("/v1/reports", json={"run": run}).status_code == 422


def test_of_a_deleted_study_nothing_is_left_but_who_did_what(ann: TestClient, two_users: Settings) -> None:
    """No row, no file, no bytes on pages that SQLite has freed: neither of it nor of what compared with it."""
    before = _told_in_secret(ann, upload(ann, saved(dataset(PatientName=SECRET, PatientID="MRN-777"))))
    _told_in_secret(ann, upload(ann, png(30)), prior=before["study"])
    other = drafted(ann, png(60))
    left = {path.name for path in (two_users.home / "studies").iterdir()}
    assert _found(two_users.home, SECRET, "MRN-777") != []
    assert ann.delete(f"/v1/studies/{before['study']}").status_code == 204
    with closing(sqlite3.connect(two_users.home / FILE)) as db:
        (audit,) = {row[0] for row in db.execute("SELECT DISTINCT object FROM audit WHERE action = 'study.delete'")}
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        holding = [
            t for t in tables if t != "audit" and before["study"] in str(db.execute(f"SELECT * FROM {t}").fetchall())
        ]
        reports = db.execute("SELECT id FROM reports").fetchall()
        versions = db.execute("SELECT DISTINCT report FROM report_versions").fetchall()
        edits = db.execute("SELECT * FROM report_edits").fetchall()
    assert (audit, holding, reports, versions, edits) == (before["study"], [], [(other["id"],)], [(other["id"],)], [])
    assert len(left - {path.name for path in (two_users.home / "studies").iterdir()}) == 1
    assert _found(two_users.home, SECRET, "MRN-777") == []


def _told_in_secret(client: TestClient, study: str, **more: str) -> dict[str, Any]:
    """A signed report, amended, of a study; every text of a person's holds the secret."""
    told = {"indication": SECRET, "history": SECRET, "prior_report": SECRET}
    body = {"task": "report", "study": study, **told, **more}
    run = client.post("/v1/runs", json=body, headers={"Idempotency-Key": study}).json()["id"]
    ended(client, run)
    report = client.post("/v1/reports", json={"run": run}).json()
    new = reworded(client, report, heart=SECRET)
    send(client, report["id"], "/sign", 2, {"name": SECRET})
    answer = send(client, report["id"], "/amend", 3, {"sections": lines(new), "reason": SECRET})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def _found(home: Path, *secrets: str) -> list[str]:
    """The files that hold one of them."""
    files = [path for path in home.rglob("*") if path.is_file()]
    return [path.name for path in files for secret in secrets if secret.encode() in path.read_bytes()]


def test_exports_leave_preliminary_until_signed(ann: TestClient) -> None:
    data = saved(dataset(PatientID="MRN7", PatientName=f"{SECRET}^X"))
    report = drafted(ann, data)

    def exported(format: str) -> bytes:
        answer = ann.get(f"/v1/reports/{report['id']}/export", params={"format": format})
        assert answer.status_code == 200, answer.text
        return bytes(answer.content)

    fhir = json.loads(exported("fhir"))
    assert fhir["status"] == "preliminary"
    assert {r["status"] for r in fhir["contained"] if r["resourceType"] == "Observation"} == {"preliminary"}
    assert SECRET not in json.dumps(fhir)
    assert b"PRELIMINARY" in exported("text")
    assert b"PRELIMINARY" in exported("markdown")
    assert REPLACED.encode() not in exported("text") + exported("fhir") + exported("markdown")
    assert REPLACED not in base64.b64decode(fhir["presentedForm"][0]["data"]).decode()
    assert pydicom.dcmread(io.BytesIO(exported("sr"))).PreliminaryFlag == "PRELIMINARY"
    send(ann, report["id"], "/sign", 1, {"name": "Jane Doe"})
    assert json.loads(exported("fhir"))["status"] == "final"
    assert b"Signed by Jane Doe" in exported("text")
    assert pydicom.dcmread(io.BytesIO(exported("sr"))).VerificationFlag == "VERIFIED"


def test_a_study_without_dicom_identifiers_has_no_dicom_report(ann: TestClient) -> None:
    answer = ann.get(f"/v1/reports/{drafted(ann)['id']}/export", params={"format": "sr"})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:consult:bad-input")


def test_a_home_of_the_version_before_is_taken_forward(settings: Settings) -> None:
    with closing(connect(settings.home)) as db:
        migrate(db, "api", STEPS[:1])
        db.execute("INSERT INTO studies (id, user, content, created, warnings) VALUES ('a', 'local', 'c', 'now', '[]')")
    with closing(Records(settings.home)) as records:
        assert records.study("local", "a").created == "now"
        assert records.reports("local", None, None, None, 10) == []
