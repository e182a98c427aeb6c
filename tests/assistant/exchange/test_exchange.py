import io
import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import generate_uid

from assistant.errors import BadInput, Misconfigured
from assistant.events import Citation
from assistant.events import Identity as Reader
from assistant.exchange.document import Document, export
from assistant.exchange.fhir import CODES, STATUS, VALUE_SETS, check_codes
from assistant.exchange.sr import COMPREHENSIVE_SR, structured_report
from assistant.identity import Identity, Instance
from assistant.reports.draft import Alert, CheckResult, Draft, DraftSection, Statement
from assistant.reports.life import Status
from assistant.reports.render import DEMONSTRATION

CITED = Citation(number=1, kind="passage", id="p", document_id="d", title="Effusion", section="Signs", start=0, end=5,
                 quote="Fluid <1 cm> blunts the angle.")  # fmt: skip
DRAFT = Draft(
    template="chest", title="Chest radiograph",
    sections=(
        DraftSection(name="technique", title="Technique", statements=(
            Statement(id="s1", text="PA.", support="image"),
        )),
        DraftSection(name="pleura", title="Pleura", findings=True, statements=(
            Statement(id="s2", text="Left effusion < 1 cm, größer.", support="cited", citations=(CITED,),
                      confidence=0.0),
        )),
        DraftSection(name="heart", title="Heart and mediastinum", findings=True, statements=(
            Statement(id="p3", text="Normal.", support="person"),
        )),
        DraftSection(name="bones", title="Bones", findings=True),
        DraftSection(name="impression", title="Impression", statements=(
            Statement(id="s4", text="Effusion.", support="image"),
        )),
    ),
    identity=Reader(model="pocket", model_hash="ab12", engine="local", demonstration=True),
)  # fmt: skip
STUDY, SERIES, SOP = (generate_uid(entropy_srcs=[part]) for part in ("study", "series", "sop"))
WHO = Identity(
    patient_id="MRN7", issuer="Ward", name="Doe^Jane", birth_date="19600101", sex="F", accession="A5",
    instances=(Instance(STUDY, SERIES, "1.2.840.10008.5.1.4.1.1.1.1", SOP),),
)  # fmt: skip
DOCUMENT = Document(
    report="0" * 31 + "1", version=3, status="signed", at="2026-05-01T10:00:00.000Z", name="Jörg \\Doe^", draft=DRAFT,
    modalities=frozenset({"DX"}), identity=WHO,
)  # fmt: skip


def fhir(document: Document) -> dict[str, Any]:
    return dict(json.loads(export(document, "fhir")))


@pytest.mark.parametrize("status", ["draft", "edited", "signed", "amended"])
def test_fhir_says_who_found_what_and_names_nobody(status: Status) -> None:
    report = fhir(replace(DOCUMENT, status=status))
    device, effusion, heart = report["contained"]
    assert {report["status"], effusion["status"], heart["status"]} == {STATUS[status]}
    assert (STATUS[status] == "preliminary") == ("resultsInterpreter" not in report)
    assert effusion["valueString"] == "Left effusion < 1 cm, größer."
    assert effusion["component"][0]["valueQuantity"]["value"] == 0
    assert (effusion["device"]["reference"], "device" in heart) == (f"#{device['id']}", False)
    assert [r["reference"] for r in report["result"]] == [f"#{o['id']}" for o in (effusion, heart)]
    assert report["imagingStudy"][0]["identifier"]["value"] == f"urn:oid:{STUDY}"
    assert report["subject"]["identifier"]["value"] == "MRN7"
    assert report["conclusion"] == "Effusion."
    assert DEMONSTRATION in report["text"]["div"]
    for private in ("Doe^Jane", "1960"):
        assert private not in json.dumps(report)


ALARMED = replace(DOCUMENT, draft=DRAFT.model_copy(update={
    "alerts": (Alert(kind="pneumothorax", message="Pneumothorax. It may grow.", statements=("s2", "s4")),),
    "checks": (CheckResult(check="impression", message="Effusion: of another side.", statements=("s4",)),
               CheckResult(check="missing", message="bones (Bones)")),
    "missing": ("bones (Bones)",),
}))  # fmt: skip
ALARMS = ["ALERT: Pneumothorax. It may grow.", "Check: Effusion: of another side.", "Missing: bones (Bones)."]


def test_fhir_has_alerts_as_critical_observations_first_and_what_the_checks_found_last() -> None:
    report = fhir(ALARMED)
    alert, effusion, _, checks = report["contained"][1:]
    assert [r["reference"] for r in report["result"]] == [f"#{o['id']}" for o in report["contained"][1:]]
    assert alert["interpretation"][0]["coding"][0]["code"] == "AA"
    assert (alert["valueString"], alert["derivedFrom"]) == (
        "Pneumothorax. It may grow.", [{"reference": f"#{effusion['id']}"}]
    )  # fmt: skip
    assert checks["valueString"].splitlines() == ALARMS[1:]
    assert {alert["status"], checks["status"]} == {"final"}
    assert "interpretation" not in effusion


@pytest.mark.parametrize("format", ["sr", "pdf", "markdown", "text"])
def test_alerts_and_failed_checks_leave_with_the_report(format: Any) -> None:
    data = export(ALARMED, format)
    if format == "sr":
        containers = [i for i in pydicom.dcmread(io.BytesIO(data)).ContentSequence if i.ValueType == "CONTAINER"]
        assert containers[0].ConceptNameCodeSequence[0].CodeMeaning == "Summary"
        assert texts(containers[0])[-3:] == ALARMS
        return
    told = data.decode() if format != "pdf" else _pdf_text(data)
    places = [told.index(line if format != "markdown" else f"> {line}") for line in ALARMS]
    assert places == sorted(places)
    assert places[-1] < told.index("Left effusion")
    assert told.index("Signed by") < places[0]


def _pdf_text(data: bytes) -> str:
    import pypdf

    return " ".join(" ".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(data)).pages).split())


def test_fhir_without_identifiers_refers_to_nothing() -> None:
    report = fhir(replace(DOCUMENT, identity=Identity(), modalities=frozenset()))
    assert report.keys().isdisjoint({"subject", "imagingStudy", "basedOn", "category"})


def test_fhir_contains_no_device_when_a_person_wrote_every_finding() -> None:
    by_hand = DRAFT.model_copy(update={"sections": DRAFT.sections[2:]})
    contained = fhir(replace(DOCUMENT, draft=by_hand))["contained"]
    assert [resource["resourceType"] for resource in contained] == ["Observation"]


def test_a_code_outside_its_value_set_is_refused() -> None:
    report = fhir(DOCUMENT)
    check_codes(report)
    with pytest.raises(Misconfigured, match="signed"):
        check_codes({**report, "status": "signed"})
    report["code"]["coding"][0]["code"] = "18748-5"
    with pytest.raises(Misconfigured, match="18748-5"):
        check_codes(report)
    assert set(STATUS.values()) <= VALUE_SETS["Observation.status"] & VALUE_SETS["DiagnosticReport.status"]


def test_codes_are_those_of_dicoms_dictionary() -> None:
    from pydicom.sr.codedict import codes

    assert {codes.DCM.Finding.value: codes.DCM.Finding.meaning} == CODES["http://dicom.nema.org/resources/ontology/DCM"]
    assert codes.cid7000.DiagnosticImagingReport.value in CODES["http://loinc.org"]


def texts(item: Any) -> list[str]:
    own = [item.TextValue] if item.ValueType == "TEXT" else []
    return own + [text for child in item.get("ContentSequence", []) for text in texts(child)]


def test_dicom_sr_reads_back_in_the_study_it_is_about() -> None:
    sr = pydicom.dcmread(io.BytesIO(structured_report(DOCUMENT)))
    assert (sr.SOPClassUID, sr.StudyInstanceUID, sr.PatientID) == (COMPREHENSIVE_SR, STUDY, "MRN7")
    assert (sr.CompletionFlag, sr.VerificationFlag, sr.PreliminaryFlag) == ("COMPLETE", "VERIFIED", "FINAL")
    assert str(sr.VerifyingObserverSequence[0].VerifyingObserverName) == "Jörg Doe^"
    (evidence,) = sr.CurrentRequestedProcedureEvidenceSequence
    assert evidence.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == SOP
    said = texts(sr)
    for statement in DRAFT.statements:
        assert said.count(statement.text) == 1
    assert "Effusion, Signs: Fluid <1 cm> blunts the angle." in said
    assert DEMONSTRATION in said
    headings = [i.ConceptNameCodeSequence[0].CodeMeaning for i in sr.ContentSequence if i.ValueType == "CONTAINER"]
    assert headings == ["Summary", "Current Procedure Descriptions", "Findings", "Impressions"]
    assert structured_report(DOCUMENT) == structured_report(DOCUMENT)


def test_an_unsigned_dicom_sr_is_preliminary_and_an_amended_one_names_what_it_replaces() -> None:
    sr = pydicom.dcmread(io.BytesIO(structured_report(replace(DOCUMENT, status="edited", name=""))))
    assert (sr.CompletionFlag, sr.VerificationFlag, sr.PreliminaryFlag) == ("PARTIAL", "UNVERIFIED", "PRELIMINARY")
    signed = pydicom.dcmread(io.BytesIO(structured_report(DOCUMENT)))
    amended = pydicom.dcmread(io.BytesIO(structured_report(replace(DOCUMENT, status="amended", version=4))))
    (before,) = amended.PredecessorDocumentsSequence
    assert before.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == signed.SOPInstanceUID


def test_a_headers_nonsense_is_left_out_and_no_identifiers_are_refused() -> None:
    odd = replace(WHO, birth_date="unknown", sex="X")
    sr = pydicom.dcmread(io.BytesIO(structured_report(replace(DOCUMENT, identity=odd))))
    assert (sr.PatientBirthDate, sr.PatientSex) == ("", "")
    with pytest.raises(BadInput):
        structured_report(replace(DOCUMENT, identity=Identity()))


def test_the_command_writes_a_stored_report(own_home: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from assistant.api.records import Records
    from assistant.cli import app

    with closing(Records(own_home)) as records:
        with records._write() as db:
            db.execute(
                "INSERT INTO studies (id, user, content, created, warnings) VALUES ('a', 'local', 'c', '', '[]')"
            )
            db.execute("INSERT INTO identities VALUES ('a', ?)", (json.dumps({"instances": []}),))
            db.execute(
                "INSERT INTO runs (id, user, task, study, question, body, earlier, status, created)"
                " VALUES ('r', 'local', 'report', 'a', '', '{}', '[]', 'answered', '')"
            )
        row, _ = records.add_report("local", "r", "a", DRAFT)
    out = tmp_path / "report.json"
    done = CliRunner().invoke(app, ["export", row.id, "--format", "fhir", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert json.loads(out.read_text())["status"] == "preliminary"
