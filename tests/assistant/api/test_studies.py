import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from assistant.api.app import create_app
from assistant.settings import Settings
from tests.assistant.api.conftest import SECRET, FakeAssistant, client_of, ended, png, start, upload
from tests.assistant.imaging.make import dataset, saved


def test_upload_is_described_and_shown(client: TestClient) -> None:
    answer = client.post(
        "/v1/studies", files={"files": ("x.png", png(), "image/png")}, data={"standard_display": "true"}
    )
    assert answer.status_code == 201
    (picture,) = answer.json()["pictures"]
    assert picture == {"number": 1, "modality": None, "view": None, "shows_sides": True, "width": 64, "height": 48,
                       "origin": picture["origin"]}  # fmt: skip
    study = answer.json()["id"]
    assert client.get(f"/v1/studies/{study}").json() == answer.json()
    shown = client.get(f"/v1/studies/{study}/pictures/1")
    assert shown.headers["content-type"] == "image/png"
    assert np.asarray(Image.open(io.BytesIO(shown.content))).shape == (48, 64)
    small = client.get(f"/v1/studies/{study}/pictures/1", params={"size": 32})
    assert Image.open(io.BytesIO(small.content)).size == (32, 24)
    assert client.get(f"/v1/studies/{study}/pictures/2").status_code == 404


def test_the_same_bytes_are_the_same_study(client: TestClient) -> None:
    first = client.post("/v1/studies", files={"files": ("a.png", png())})
    again = client.post("/v1/studies", files={"files": ("another name.png", png())})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert upload(client, standard_display="true") != first.json()["id"]
    assert upload(client, png(7)) != first.json()["id"]
    assert len(client.get("/v1/studies").json()["items"]) == 3


def test_several_files_and_paging(client: TestClient) -> None:
    answer = client.post("/v1/studies", files=[("files", ("a.png", png(1))), ("files", ("b.png", png(2)))])
    assert [picture["number"] for picture in answer.json()["pictures"]] == [1, 2]
    newest = upload(client, png(3))
    page = client.get("/v1/studies", params={"limit": 1}).json()
    assert [item["id"] for item in page["items"]] == [newest]
    rest = client.get("/v1/studies", params={"before": page["next"]}).json()
    assert [item["id"] for item in rest["items"]] == [answer.json()["id"]]
    assert rest["next"] is None


@pytest.mark.parametrize("data", [b"", b"just a text", png()[:60], b"%PDF-1.7 x"], ids=["empty", "text", "cut", "pdf"])
def test_what_is_no_picture_is_refused(client: TestClient, data: bytes) -> None:
    answer = client.post("/v1/studies", files={"files": (f"{SECRET}.dcm", data)})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"].startswith("urn:consult:")
    assert SECRET not in answer.text
    assert client.get("/v1/studies").json()["items"] == []


def test_a_bad_multipart_body_is_a_problem(client: TestClient) -> None:
    for kind in ("multipart/form-data; boundary=x", "multipart/form-data"):
        answer = client.post("/v1/studies", content=b"not multipart", headers={"content-type": kind})
        assert answer.status_code == 400, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
    assert client.post("/v1/studies", files={"wrong": ("a.png", png())}).status_code == 422


def test_an_upload_larger_than_the_limit_is_refused(settings: Settings, fake: FakeAssistant) -> None:
    small = settings.model_copy(update={"api": settings.api.model_copy(update={"max_upload_mb": 1})})
    with client_of(create_app(small, fake)) as client:
        answer = client.post("/v1/studies", files={"files": ("a.png", b"0" * 2_000_000)})
        assert (answer.status_code, answer.json()["type"]) == (413, "urn:consult:too-large")

        def chunks() -> object:  # no content-length: counted while it streams
            yield b"--x\r\nContent-Disposition: form-data; name=files; filename=a\r\n\r\n"
            for _ in range(20):
                yield b"0" * 100_000

        answer = client.post(
            "/v1/studies", content=chunks(), headers={"content-type": "multipart/form-data; boundary=x"}
        )
        assert (answer.status_code, answer.json()["type"]) == (413, "urn:consult:too-large")


def test_delete_takes_pictures_and_runs_but_not_shared_pictures(
    client: TestClient, settings: Settings, fake: FakeAssistant
) -> None:
    first, second = upload(client), upload(client, standard_display="true")  # the same pixels
    run = start(client, first)
    ended(client, run)
    assert client.delete(f"/v1/studies/{first}").status_code == 204
    assert client.get(f"/v1/studies/{first}").status_code == 404
    assert client.get(f"/v1/runs/{run}").status_code == 404
    assert client.get(f"/v1/studies/{second}/pictures/1").status_code == 200
    assert client.delete(f"/v1/studies/{second}").status_code == 204
    assert list((settings.home / "studies").iterdir()) == []


def test_delete_cancels_the_run_under_way(client: TestClient, fake: FakeAssistant) -> None:
    fake.gate.clear()
    study = upload(client)
    run = start(client, study)
    assert client.delete(f"/v1/studies/{study}").status_code == 204
    assert client.get(f"/v1/runs/{run}").status_code == 404
    assert client.get("/v1/runs").json()["items"] == []


def test_identity_is_stored_apart_and_never_told(client: TestClient, settings: Settings) -> None:
    import sqlite3

    pydicom_data = pytest.importorskip("pydicom.data")
    data = Path(pydicom_data.get_testdata_file("CT_small.dcm")).read_bytes()
    answer = client.post("/v1/studies", files={"files": ("ct.dcm", data)})
    assert answer.status_code == 201
    with sqlite3.connect(settings.home / "consult.db") as db:
        (identity,) = db.execute("SELECT identity FROM identities").fetchone()
        rest = str(db.execute("SELECT * FROM studies").fetchall() + db.execute("SELECT * FROM pictures").fetchall())
        audit = str(db.execute("SELECT * FROM audit").fetchall())
    db.close()
    name = json.loads(identity)["name"]
    assert name
    assert name not in rest + audit + answer.text


@pytest.mark.parametrize(
    ("one", "other", "status"),
    [
        ({"PatientID": None, "PatientName": "Doe^Jane"}, {"PatientID": None, "PatientName": "Roe^Richard"}, 422),
        ({"IssuerOfPatientID": "Hospital A"}, {}, 201),
        ({"IssuerOfPatientID": "Hospital A"}, {"IssuerOfPatientID": "Hospital B"}, 422),
    ],
)
def test_who_a_prior_study_may_be_of(
    client: TestClient, one: dict[str, str | None], other: dict[str, str | None], status: int
) -> None:
    study, prior = (upload(client, saved(dataset(**header))) for header in (one, other))
    body = {"task": "ask", "study": study, "prior": prior, "question": "What changed?"}
    assert client.post("/v1/runs", json=body).status_code == status


def test_two_patients_do_not_meet(client: TestClient, fake: FakeAssistant) -> None:
    pydicom_data = pytest.importorskip("pydicom.data")
    one, two = (Path(pydicom_data.get_testdata_file(f"{name}_small.dcm")).read_bytes() for name in ("CT", "MR"))
    both = client.post("/v1/studies", files=[("files", ("a", one)), ("files", ("b", two))])
    assert (both.status_code, both.json()["type"]) == (422, "urn:consult:patient-mismatch")
    body = {"task": "ask", "study": upload(client, one), "prior": upload(client, two), "question": "What changed?"}
    answer = client.post("/v1/runs", json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:consult:patient-mismatch")
    assert fake.requests == []
