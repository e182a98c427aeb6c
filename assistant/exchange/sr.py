"""A report as a DICOM Comprehensive SR (TID 2000, Basic Diagnostic Imaging Report) in the study it is about.

Headings and concepts are those of CID 7000-7002, taken by name from pydicom's dictionary; an organ system, for which
there is no heading, is a container of the private scheme 99CONSULT inside Findings. The same version of a report is
always the same instance: its UIDs are made from the report's id and version.
"""

import io
import re
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from assistant.errors import BadInput
from assistant.exchange.document import Document
from assistant.identity import Instance
from assistant.reports.draft import DraftSection, Statement
from assistant.reports.render import notices, source

if TYPE_CHECKING:
    from highdicom.sr import ContentItem
    from pydicom import Dataset

PRIVATE = "99CONSULT"
UTF8 = "ISO_IR 192"
COMPREHENSIVE_SR = "1.2.840.10008.5.1.4.1.1.88.33"
SERIES_NUMBER = 900  # beside a study's own, which count from 1
NO_ORGANISATION = "Not stated"  # DICOM wants one of whoever signs; Consult knows none
# section → heading (CID 7001), concept of its statements (CID 7002); what isn't here stands under its own title
HEADINGS = {
    "indication": ("IndicationsForProcedure", "Request"),
    "history": ("History", "History"),
    "technique": ("CurrentProcedureDescriptions", "ProcedureDescription"),
    "comparison": ("PriorProcedureDescriptions", "ProcedureDescription"),
    "impression": ("Impressions", "Impression"),
    "recommendation": ("Recommendations", "Recommendation"),
}


def structured_report(document: Document) -> bytes:
    """The file's bytes. Raises `BadInput` for a study that has no DICOM identifiers to refer to."""
    from highdicom.sr import ComprehensiveSR

    evidence = [_evidence(document, i) for i in document.identity.instances if _complete(i)]
    if not evidence:
        raise BadInput("This study has no DICOM identifiers, so no DICOM report can refer to it. Export FHIR or text.")
    at = datetime.fromisoformat(document.at)
    signer = _person(document.name)
    sr = ComprehensiveSR(
        evidence=evidence,
        content=_content(document),
        series_instance_uid=_uid(document, "series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=_uid(document, str(document.version)),
        instance_number=document.version,
        manufacturer="Consult",
        manufacturer_model_name=document.draft.identity.model[:64],
        software_versions=document.draft.identity.model_hash[:64] or None,
        series_description=document.draft.title[:64],
        is_complete=document.signed,
        is_final=document.signed,
        is_verified=document.signed,
        verifying_observer_name=signer if document.signed else None,
        verifying_organization=NO_ORGANISATION if document.signed else None,
        previous_versions=[_earlier(document, evidence[0])] if document.status == "amended" else None,
        content_date=at.date(),
        content_time=at.time(),
        specific_character_set=UTF8,
    )
    sr.TimezoneOffsetFromUTC = "+0000"
    sr.InstanceCreationDate, sr.InstanceCreationTime = sr.ContentDate, sr.ContentTime
    when = at.strftime("%Y%m%d%H%M%S+0000")  # highdicom writes the hour of the export; the instance must not differ
    for equipment in sr.ContributingEquipmentSequence:
        equipment.ContributionDateTime = when
    if document.signed:
        sr.VerifyingObserverSequence[0].VerificationDateTime = when
    out = io.BytesIO()
    sr.save_as(out)
    return out.getvalue()


def _content(document: Document) -> Any:
    from highdicom.sr import ContainerContentItem, ContentSequence
    from pydicom.sr.codedict import codes

    root = ContainerContentItem(codes.cid7000.DiagnosticImagingReport, template_id="2000")
    root.ContentSequence = ContentSequence([*_observers(document), *_sections(document)])
    return root


def _sections(document: Document) -> Iterator["ContentItem"]:
    """The standing first, the organ systems inside one Findings, the rest in the report's order."""
    from pydicom.sr.codedict import codes

    heading, concept = codes.cid7001, codes.cid7002
    yield _container(
        heading.Summary, [_text(concept.Summary, line) for line in notices(document.draft, document.standing)]
    )
    filled = [section for section in document.draft.sections if section.statements]
    organs = [section for section in filled if section.findings]
    for section in filled:
        if section.findings:
            if section is organs[0]:
                parts = [_container(_own(organ), _statements(organ, concept.Finding)) for organ in organs]
                yield _container(heading.Findings, parts)
        elif section.name in HEADINGS:
            name, of_text = HEADINGS[section.name]
            yield _container(getattr(heading, name), _statements(section, getattr(concept, of_text)))
        else:
            yield _container(_own(section), _statements(section, concept.Finding))


def _statements(section: DraftSection, concept: Any) -> list["ContentItem"]:
    return [_statement(statement, concept) for statement in section.statements]


def _statement(statement: Statement, concept: Any) -> "ContentItem":
    """The words, and what they rest on as their children."""
    from highdicom.sr import ContentSequence
    from pydicom.sr.codedict import codes

    item = _text(concept, statement.text)
    if statement.citations:
        item.ContentSequence = ContentSequence(
            [_text(codes.DCM.Comment, source(citation), "INFERRED FROM") for citation in statement.citations]
        )
    return item


def _observers(document: Document) -> Iterator["ContentItem"]:
    """The model, as a device; the signer, as a person."""
    from highdicom.sr import (
        DeviceObserverIdentifyingAttributes,
        ObservationContext,
        ObserverContext,
        PersonObserverIdentifyingAttributes,
    )
    from highdicom.uid import UID
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    who = document.draft.identity
    device = DeviceObserverIdentifyingAttributes(
        uid=UID(generate_uid(entropy_srcs=["consult", who.model, who.model_hash])),
        name="Consult", model_name=who.model, serial_number=who.model_hash or None,
    )  # fmt: skip
    person = None
    if document.signed:
        person = ObserverContext(codes.DCM.Person, PersonObserverIdentifyingAttributes(_person(document.name)))
    yield from ObservationContext(
        observer_person_context=person, observer_device_context=ObserverContext(codes.DCM.Device, device)
    )


def _container(name: Any, children: list["ContentItem"]) -> "ContentItem":
    from highdicom.sr import ContainerContentItem, ContentSequence

    item = ContainerContentItem(name, relationship_type="CONTAINS")
    item.ContentSequence = ContentSequence(children)
    return item


def _text(name: Any, value: str, relationship: str = "CONTAINS") -> "ContentItem":
    from highdicom.sr import TextContentItem

    return TextContentItem(name=name, value=value, relationship_type=relationship)


def _own(section: DraftSection) -> Any:
    from highdicom.sr import CodedConcept

    return CodedConcept(value=section.name[:16], scheme_designator=PRIVATE, meaning=section.title[:64])


def _complete(instance: Instance) -> bool:
    uids = (instance.study_uid, instance.series_uid, instance.sop_class_uid, instance.sop_instance_uid)
    return all(uids)


def _evidence(document: Document, instance: Instance) -> "Dataset":
    """A picture as far as a reference needs it; values a header got wrong are left empty rather than passed on."""
    from pydicom import Dataset

    who, ds = document.identity, Dataset()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = instance.study_uid, instance.series_uid
    ds.SOPClassUID, ds.SOPInstanceUID = instance.sop_class_uid, instance.sop_instance_uid
    ds.PatientID, ds.PatientName = who.patient_id or "", who.name or ""
    if who.issuer:
        ds.IssuerOfPatientID = who.issuer
    ds.PatientBirthDate = who.birth_date if re.fullmatch(r"\d{8}", who.birth_date or "") else ""
    ds.PatientSex = who.sex if who.sex in ("F", "M", "O") else ""
    ds.AccessionNumber, ds.ReferringPhysicianName, ds.StudyID = who.accession or "", "", ""
    ds.StudyDate = document.draft.study_date.strftime("%Y%m%d") if document.draft.study_date else ""
    ds.StudyTime = ""
    return ds


def _earlier(document: Document, evidence: "Dataset") -> "Dataset":
    """The signed version before an amendment, which is always the one before it."""
    from pydicom import Dataset

    ds = Dataset()
    ds.SOPClassUID, ds.StudyInstanceUID = COMPREHENSIVE_SR, evidence.StudyInstanceUID
    ds.SOPInstanceUID, ds.SeriesInstanceUID = _uid(document, str(document.version - 1)), _uid(document, "series")
    return ds


def _uid(document: Document, part: str) -> str:
    from pydicom.uid import generate_uid

    return str(generate_uid(entropy_srcs=["consult-report", document.report, part]))


def _person(name: str) -> str:
    """A DICOM person name. Which of the words is the family name isn't known: all stand in its place."""
    words = re.sub(r"[\\^=]", " ", name).split()
    return f"{' '.join(words)}^"
