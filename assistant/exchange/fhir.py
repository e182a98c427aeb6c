"""A report as a FHIR R4 (R4B) `DiagnosticReport` with contained `Observation`s: one an alert (its interpretation is
critical), one a finding, one for what the checks found.

Patient, study and order are named by identifier only (`Reference.identifier`): the receiving system knows them, and no
name or birth date leaves. Nothing unsigned leaves other than as `preliminary`. fhir.resources checks structure, not
value sets: those of the codes written here are constants, and every resource is checked against them.
"""

import base64
import re
import uuid
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any

from assistant.errors import Misconfigured
from assistant.exchange.document import Document
from assistant.reports.draft import DraftSection, Statement
from assistant.reports.life import Status
from assistant.reports.render import remarks, source
from assistant.reports.render import text as as_text

if TYPE_CHECKING:
    from fhir.resources.R4B.diagnosticreport import DiagnosticReport

STATUS: dict[Status, str] = {"draft": "preliminary", "edited": "preliminary", "signed": "final", "amended": "amended"}
RADIOLOGY = frozenset({"CR", "CT", "DX", "MG", "MR", "RF", "US", "XA"})  # DICOM codes

DCM = "http://dicom.nema.org/resources/ontology/DCM"
LOINC = "http://loinc.org"
SERVICE = "http://terminology.hl7.org/CodeSystem/v2-0074"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
IDENTIFIER_TYPE = "http://terminology.hl7.org/CodeSystem/v2-0203"
INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
UCUM = "http://unitsofmeasure.org"

# path in the resource → the codes of its required value set (http://hl7.org/fhir/R4B/valueset-….html)
VALUE_SETS: dict[str, frozenset[str]] = {
    "DiagnosticReport.status": frozenset({
        "registered", "partial", "preliminary", "final", "amended", "corrected", "appended", "cancelled",
        "entered-in-error", "unknown",
    }),
    "DiagnosticReport.text.status": frozenset({"generated", "extensions", "additional", "empty"}),
    "Observation.status": frozenset({
        "registered", "preliminary", "final", "amended", "corrected", "cancelled", "entered-in-error", "unknown",
    }),
    "Device.deviceName.type": frozenset({
        "udi-label-name", "user-friendly-name", "patient-reported-name", "manufacturer-name", "model-name", "other",
    }),
}  # fmt: skip
# system → the codes of it that are written here, each with its display
CODES: dict[str, dict[str, str]] = {
    LOINC: {"18748-4": "Diagnostic imaging study"},
    DCM: {"121071": "Finding"},
    SERVICE: {"RAD": "Radiology"},
    CATEGORY: {"imaging": "Imaging"},
    IDENTIFIER_TYPE: {"ACSN": "Accession ID"},
    INTERPRETATION: {"AA": "Critical abnormal"},
}


def diagnostic_report(document: Document) -> "DiagnosticReport":
    from fhir.resources.R4B.diagnosticreport import DiagnosticReport

    resource = _resource(document)
    check_codes(resource)
    return DiagnosticReport.model_validate(resource)


def check_codes(resource: dict[str, Any]) -> None:
    """Raises `Misconfigured` for a code that isn't in its value set, or isn't one of those known here."""
    for path, value in _walk(resource, resource["resourceType"]):
        allowed = VALUE_SETS.get(path)
        if allowed is not None and value not in allowed:
            raise Misconfigured(f"FHIR export: {path} has no code {value!r}. Upgrade Consult.")
        if isinstance(value, dict) and "code" in value and "system" in value and value["system"] != UCUM:
            system, code = value["system"], value["code"]
            if code not in CODES.get(system, {}) or CODES[system][code] != value.get("display"):
                raise Misconfigured(f"FHIR export: {path} has an unknown code {code!r}. Upgrade Consult.")


def _walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every value with its path; a contained resource starts a path of its own."""
    if isinstance(value, list):
        for inner in value:
            yield from _walk(inner, path)
        return
    yield path, value
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "contained":
                for resource in inner:
                    yield from _walk(resource, resource["resourceType"])
            else:
                yield from _walk(inner, f"{path}.{key}")


def _resource(document: Document) -> dict[str, Any]:
    draft, text = document.draft, as_text(document.draft, document.standing)
    findings = [_observation(document, section, s) for section in draft.sections if section.findings
                for s in section.statements]  # fmt: skip
    reader = [_device(document)] if any("device" in f for f in findings) else []  # dom-3: contained is referred to
    result = [*_alerts(document, {finding["id"] for finding in findings}), *findings, *_checks(document)]
    conclusion = " ".join(s.text for section in draft.sections if section.name == "impression"
                          for s in section.statements)  # fmt: skip
    return _filled({
        "resourceType": "DiagnosticReport",
        "text": {"status": "generated", "div": _narrative(text)},
        "contained": [*reader, *result],
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{uuid.UUID(document.report)}"}],
        "basedOn": _order(document),
        "status": STATUS[document.status],
        "category": [{"coding": [_coding(SERVICE, "RAD")]}] if document.modalities & RADIOLOGY else [],
        "code": {"coding": [_coding(LOINC, "18748-4")], "text": draft.title},
        "subject": _subject(document),
        "effectiveDateTime": draft.study_date.isoformat() if draft.study_date else None,
        "issued": document.at,
        "resultsInterpreter": [{"type": "Practitioner", "display": document.name}] if document.signed else [],
        "result": [{"reference": f"#{one['id']}"} for one in result],
        "imagingStudy": _studies(document),
        "conclusion": conclusion,
        "presentedForm": [{
            "contentType": "text/plain; charset=utf-8", "title": draft.title,
            "data": base64.b64encode(text.encode()).decode(),
        }],
    })  # fmt: skip


def _observation(document: Document, section: DraftSection, statement: Statement) -> dict[str, Any]:
    """A finding in words. The model is its device unless a person wrote it."""
    said = "Written by a person." if statement.support == "person" else ""
    said = "The model's own reading of the picture." if statement.support == "image" else said
    notes = [said, *(f"Rests on: {source(citation)}" for citation in statement.citations)]
    confidence = None
    if statement.confidence is not None:
        confidence = {"value": round(statement.confidence, 4), "system": UCUM, "code": "1"}
    return _filled({
        **_head(document, _id(statement.id), statement.text),
        "code": {"coding": [_coding(DCM, "121071")], "text": section.title},
        "note": [{"text": note} for note in notes if note],
        "device": {"reference": "#reader"} if statement.support != "person" else None,
        "component": [{"code": {"text": "Calibrated confidence"}, "valueQuantity": confidence}] if confidence else [],
    })  # fmt: skip


def _alerts(document: Document, findings: set[str]) -> list[dict[str, Any]]:
    """Critical findings, each an observation of its own that names those of `findings` (ids) it was raised from."""
    return [
        _filled({
            **_head(document, f"alert-{alert.kind}", alert.message),
            "code": {"coding": [_coding(DCM, "121071")], "text": "Critical finding"},
            "interpretation": [{"coding": [_coding(INTERPRETATION, "AA")]}],
            "derivedFrom": [{"reference": f"#{_id(s)}"} for s in alert.statements if _id(s) in findings],
        })
        for alert in document.draft.alerts
    ]  # fmt: skip


def _checks(document: Document) -> list[dict[str, Any]]:
    """What the checks found in this version, together one observation: it is said of the report, not of the patient."""
    found = remarks(document.draft)
    if not found:
        return []
    return [{**_head(document, "checks", "\n".join(found)), "code": {"text": "Automatic checks of this report"}}]


def _head(document: Document, id_: str, value: str) -> dict[str, Any]:
    """What all observations have."""
    return _filled({
        "resourceType": "Observation", "id": id_, "status": STATUS[document.status],
        "category": [{"coding": [_coding(CATEGORY, "imaging")]}], "subject": _subject(document),
        "issued": document.at, "valueString": value,
    })  # fmt: skip


def _device(document: Document) -> dict[str, Any]:
    who = document.draft.identity
    return _filled({
        "resourceType": "Device",
        "id": "reader",
        "deviceName": [{"name": f"Consult with {who.model}", "type": "model-name"}],
        "version": [{"value": who.model_hash}] if who.model_hash else [],
    })  # fmt: skip


def _subject(document: Document) -> dict[str, Any] | None:
    who = document.identity
    if not who.patient_id:
        return None
    issuer = {"display": who.issuer} if who.issuer else None
    return {"type": "Patient", "identifier": _filled({"value": who.patient_id, "assigner": issuer})}


def _order(document: Document) -> list[dict[str, Any]]:
    if not document.identity.accession:
        return []
    kind = {"coding": [_coding(IDENTIFIER_TYPE, "ACSN")]}
    return [{"type": "ServiceRequest", "identifier": {"type": kind, "value": document.identity.accession}}]


def _studies(document: Document) -> list[dict[str, Any]]:
    uids = dict.fromkeys(i.study_uid for i in document.identity.instances if i.study_uid)
    return [
        {"type": "ImagingStudy", "identifier": {"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}} for uid in uids
    ]


def _narrative(text: str) -> str:
    return f'<div xmlns="http://www.w3.org/1999/xhtml"><pre>{escape(text)}</pre></div>'


def _coding(system: str, code: str) -> dict[str, str]:
    return {"system": system, "code": code, "display": CODES[system][code]}


def _id(statement: str) -> str:
    """A resource id holds letters, digits, "-" and ".", at most 64."""
    return re.sub(r"[^A-Za-z0-9.-]", "-", f"finding-{statement}")[:64]


def _filled(fields: dict[str, Any]) -> dict[str, Any]:
    """Without what is empty: FHIR has no empty lists or texts."""
    return {key: value for key, value in fields.items() if value not in (None, "", [])}
