"""Clinicians' edits become pairs: only of signed reports with consent, never with words that may name a person."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from assistant.api.app import create_app
from assistant.identity import Identity
from assistant.settings import ApiSettings, Settings
from finetune.errors import BadInput
from finetune.preferences.desk import Edits, names_someone
from finetune.preferences.material import pictures_in
from tests.assistant.api.conftest import client_of
from tests.assistant.api.test_reports import Drafting, drafted, edited, lines, send
from tests.finetune.preferences.parts import READER, read

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "desk"


@pytest.fixture
def ann(home: Path) -> Iterator[TestClient]:
    settings = Settings(home=home, api=ApiSettings(tokens={"ann": SecretStr("token-of-ann")}))
    with client_of(create_app(settings, Drafting()), Authorization="Bearer token-of-ann") as client:
        yield client


def consent(client: TestClient, report: dict[str, Any]) -> None:
    client.put(f"/v1/reports/{report['id']}/consent", json={"consent": True})


def test_an_edited_report_is_a_pair_under_its_own_prompt(ann: TestClient, home: Path) -> None:
    report = drafted(ann)
    edited(ann, report)
    consent(ann, report)
    assert list(Edits(home, READER).pairs()) == []
    send(ann, report["id"], "/sign", 2, {})
    ((draft, patient),) = Edits(home, READER).pairs()
    assert draft.chosen.splitlines() == [
        "[technique] PA view. [image]", "[pleura] Small left effusion. [image]", "[bones] No fracture. [image]",
        "[impression] Fluid. [image]",
    ]  # fmt: skip
    assert draft.rejected.splitlines() == [
        "[technique] PA view. [image]", "[pleura] Left effusion. [image]", "[heart] Normal heart. [image]",
        "[impression] Fluid. [image]",
    ]  # fmt: skip
    assert "Draft the report." in read(draft.prompt)
    assert len(pictures_in(draft.prompt)) == 1
    assert draft.why == "A clinician signed the report with 1 changed, 1 deleted, 1 added of the draft's statements."
    assert report["id"] not in patient
    assert len(patient) == 24


def test_without_consent_nothing_is_read(ann: TestClient, home: Path) -> None:
    report = drafted(ann)
    edited(ann, report)
    send(ann, report["id"], "/sign", 2, {})
    edits = Edits(home, READER)
    assert list(edits.pairs()) == []
    assert edits.left_out == {}


def test_a_report_signed_as_drafted_is_no_preference(ann: TestClient, home: Path) -> None:
    report = drafted(ann)
    consent(ann, report)
    send(ann, report["id"], "/sign", 1, {})
    edits = Edits(home, READER)
    assert list(edits.pairs()) == []
    assert edits.left_out == {"signed as drafted": 1}


def test_a_report_that_may_name_a_person_is_left_out_and_counted(ann: TestClient, home: Path) -> None:
    report = drafted(ann)
    sections = lines(report)
    sections[1]["statements"] = [{"text": "Compared with 12.03.2024, told to Dr Miller."}]
    answer = send(ann, report["id"], "", 1, {"sections": sections}, "PUT")
    assert answer.status_code == 200, answer.text
    consent(ann, report)
    send(ann, report["id"], "/sign", 2, {})
    edits = Edits(home, READER)
    assert list(edits.pairs()) == []
    assert edits.left_out == {"its text may name a person": 1}


WHO = Identity(patient_id="X7-19", name="Doe^Jane", birth_date="19700102", accession="A55")


@pytest.mark.parametrize(
    "text",
    [
        "Discussed with Mrs Doe.", "Jane was informed.", "Number X7-19.", "Seen by Dr Smith.", "On 3/4/2021.",
        "MRN 1234567.", "Call +49 30 1234567.", "Mail a@b.org.", "Accession A55.", "Since 2020-01-31.",
    ],
)  # fmt: skip
def test_what_may_name_someone_is_noticed(text: str) -> None:
    assert names_someone(text, WHO)


@pytest.mark.parametrize(
    "text",
    [
        "A nodule of 12 mm in the left upper zone.",
        "Doppler flow is normal.",
        "Unchanged, 3.5 x 2.1 cm.",
        "C7 to T12.",
        "",
    ],
)
def test_findings_name_nobody(text: str) -> None:
    assert not names_someone(text, WHO)


def test_a_home_without_reports_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no reports"):
        list(Edits(tmp_path, READER).pairs())
