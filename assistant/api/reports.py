"""/v1/reports: a draft becomes a report a person signs; every version is kept.

Invariant: whatever changes a report names the version it was made for (`If-Match`), and is refused when another came
first. Only a person who is known by name, by a token of their own, signs.
"""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Header, Path, Query, Response, status

from assistant.api.auth import LOCAL_USER
from assistant.api.desk import Desk, Here, User
from assistant.api.records import Records
from assistant.api.report_records import ReportRow, VersionRow, check_version
from assistant.api.report_runs import situation_of_report
from assistant.api.report_shapes import (
    Amendment,
    ChangeOut,
    Consent,
    Difference,
    NewReport,
    ReportDetail,
    ReportOut,
    ReportPage,
    Revision,
    SectionIn,
    Signature,
    VersionDetail,
    VersionOut,
)
from assistant.api.results import parse
from assistant.api.run_routes import check_lengths
from assistant.api.shapes import RUN_ID, ProblemOut
from assistant.api.study_records import now
from assistant.errors import BadInput, Forbidden, VersionNeeded, WrongState
from assistant.exchange.document import FORMATS, Document, Format, export
from assistant.reports.checks import checked
from assistant.reports.draft import Draft
from assistant.reports.drafting import draft_of
from assistant.reports.life import Line, Status, check_signable, check_step, compare, revised

router = APIRouter(prefix="/v1/reports", tags=["Reports"])
_SECTIONS = [
    {"name": "pleura", "statements": [{"id": "s2", "text": "Small left pleural effusion."}]},
    {"name": "impression", "statements": [{"text": "Small left pleural effusion, new."}]},
]
_BODIES: dict[str, dict[str, Any]] = {
    "create": {"from a run": {"value": {"run": RUN_ID}}},
    "revise": {"a sentence changed, one added, the others deleted": {"value": {"sections": _SECTIONS}}},
    "sign": {"by name": {"value": {"name": "Jane Doe"}}},
    "amend": {"a correction": {"value": {
        "sections": _SECTIONS[:1], "reason": "The effusion is not new.", "name": "Jane Doe",
    }}},
    "consent": {"agreed": {"value": {"consent": True}}},
}  # fmt: skip
_GUARDED: dict[int | str, dict[str, Any]] = {
    code: {"model": ProblemOut, "description": f"Problem: {what}"}
    for code, what in ((409, "not in this state"), (412, "changed since"), (428, "`If-Match` is missing"))
}
_FILES: dict[int | str, dict[str, Any]] = {
    200: {"content": {kind.media_type.partition(";")[0]: {} for kind in FORMATS.values()}}
}
_FILES[200]["content"][FORMATS["fhir"].media_type] = {
    "example": {"resourceType": "DiagnosticReport", "status": "preliminary", "result": [{"reference": "#finding-s2"}]}
}


def _expected(
    if_match: Annotated[str | None, Header(description='the version it is meant for, in quotes: "3"')] = None,
) -> int:
    tag = (if_match or "").strip()
    if not (tag[:1] == tag[-1:] == '"' and tag[1:-1].isdecimal()):
        raise VersionNeeded('Say which version this is meant for: send `If-Match: "3"`, the `ETag` of the report read.')
    return int(tag[1:-1])


def _own_report(report_id: str, desk: Here, user: User) -> ReportRow:
    return desk.records.report(user, report_id)


Expected = Annotated[int, Depends(_expected)]
OwnReport = Annotated[ReportRow, Depends(_own_report)]


@router.post("", status_code=status.HTTP_201_CREATED, summary="Make a report of a finished report run",
             responses={200: {"model": ReportDetail}, 409: _GUARDED[409]})  # fmt: skip
def create(
    desk: Here, user: User, response: Response, body: Annotated[NewReport, Body(openapi_examples=_BODIES["create"])]
) -> ReportDetail:
    """Version 1 is the model's draft. The same run again gives the same report, with status 200."""
    run = desk.records.run(user, body.run)
    if run.task != "report":
        raise BadInput("This run drafted no report. Start one with `task` = `report`.")
    if run.status != "answered":
        raise WrongState("This run has no finished draft. Wait for its end, or start another.")
    draft = draft_of(map(parse, desk.records.events(run.id)))
    if draft is None:
        raise WrongState("This run was made before reports were kept. Start it again.")
    row, new = desk.records.add_report(user, run.id, run.study, draft)
    if not new:
        response.status_code = status.HTTP_200_OK
    response.headers["Location"] = f"/v1/reports/{row.id}"
    return _detail(desk, row, response)


@router.get("", summary="The worklist: own reports, newest first")
def index(
    desk: Here, user: User,
    standing: Annotated[Status | None, Query(alias="status")] = None, study: str | None = None,
    before: Annotated[int | None, Query(ge=1)] = None, limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> ReportPage:  # fmt: skip
    rows = desk.records.reports(user, standing, study, before, limit)
    return ReportPage(items=[_summary(row) for row in rows], next=rows[-1].n if len(rows) == limit else None)


@router.get("/{report_id}", summary="A report in its newest version")
def show(desk: Here, user: User, report: OwnReport, response: Response) -> ReportDetail:
    desk.records.audit(user, "report.read", report.id)
    return _detail(desk, report, response)


@router.put("/{report_id}", summary="Edit an unsigned report", responses=_GUARDED)
def revise(
    desk: Here, user: User, report: OwnReport, expected: Expected, response: Response,
    body: Annotated[Revision, Body(openapi_examples=_BODIES["revise"])],
) -> ReportDetail:  # fmt: skip
    """Makes a new version. What became of each sentence is kept; a sentence whose words are the model's keeps the
    model's evidence, any other is the person's own. `checks`, `alerts` and `missing` of the draft are made anew."""
    check_step(report.status, "edited")
    draft = _wanted(desk, report, expected, body.sections)
    return _written(desk, user, report, VersionRow(expected + 1, "edited", user, "", "", now(), draft), response)


@router.post("/{report_id}/sign", summary="Sign a report", responses={403: {"model": ProblemOut}, **_GUARDED})
def sign(
    desk: Here, user: User, report: OwnReport, expected: Expected, response: Response,
    body: Annotated[Signature, Body(openapi_examples=_BODIES["sign"])],
) -> ReportDetail:  # fmt: skip
    """Makes a new version of the same words, which stands as final."""
    check_step(report.status, "signed")
    check_version(report, expected)
    draft = desk.records.version(report, expected).draft
    return _signed(desk, user, report, "signed", draft, body.name, "", response)


@router.post("/{report_id}/amend", summary="Amend a signed report", responses={403: {"model": ProblemOut}, **_GUARDED})
def amend(
    desk: Here, user: User, report: OwnReport, expected: Expected, response: Response,
    body: Annotated[Amendment, Body(openapi_examples=_BODIES["amend"])],
) -> ReportDetail:  # fmt: skip
    """Makes a new version, which is signed in the same act and says why it was made. The one before stays."""
    check_step(report.status, "amended")
    draft = _wanted(desk, report, expected, body.sections)
    return _signed(desk, user, report, "amended", draft, body.name, body.reason, response)


@router.put("/{report_id}/consent", summary="Let the edits of a report tune the model, or not")
def consent(
    desk: Here, user: User, report: OwnReport, body: Annotated[Consent, Body(openapi_examples=_BODIES["consent"])]
) -> ReportOut:
    """Off until it is given; no new version. Edits are read by tuning only while it is given and the report is
    signed."""
    return _summary(desk.records.set_consent(user, report.id, body.consent))


@router.get("/{report_id}/versions", summary="All versions, oldest first")
def versions(desk: Here, user: User, report: OwnReport) -> list[VersionOut]:
    desk.records.audit(user, "report.read", report.id)
    return [VersionOut(**_told(row)) for row in desk.records.versions(report)]


@router.get("/{report_id}/versions/{before}..{after}", summary="What changed between two versions")
def difference(
    desk: Here, user: User, report: OwnReport, before: Annotated[int, Path(ge=1)], after: Annotated[int, Path(ge=1)]
) -> Difference:
    desk.records.audit(user, "report.read", report.id)
    old, new = (desk.records.version(report, version).draft for version in (before, after))
    changes = [ChangeOut(**{name: getattr(c, name) for name in ChangeOut.model_fields}) for c in compare(old, new)]
    return Difference(before=before, after=after, changes=changes)


@router.get("/{report_id}/versions/{version}", summary="One version")
def version(desk: Here, user: User, report: OwnReport, version: Annotated[int, Path(ge=1)]) -> VersionDetail:
    desk.records.audit(user, "report.read", report.id)
    row = desk.records.version(report, version)
    return VersionDetail(**_told(row), draft=row.draft)


@router.get("/{report_id}/export", response_class=Response, responses=_FILES, summary="A report for another system")
def exported(
    desk: Here, user: User, report: OwnReport, format: Format,
    version: Annotated[int | None, Query(ge=1, description="the newest when not given")] = None,
) -> Response:  # fmt: skip
    """FHIR R4 `DiagnosticReport`, DICOM SR, PDF, Markdown or text. What no person has signed leaves as preliminary, and
    alerts and failed checks leave with it. FHIR and DICOM SR name the patient and the study by the identifiers of the
    files that were uploaded."""
    document = document_of(desk.records, user, report, version)
    data, kind = export(document, format), FORMATS[format]
    desk.records.audit(user, f"report.export.{format}", report.id)
    file = f'attachment; filename="report-{report.id[:8]}-v{document.version}.{kind.suffix}"'
    return Response(data, media_type=kind.media_type, headers={"Content-Disposition": file})


def document_of(records: Records, user: str, report: ReportRow, version: int | None = None) -> Document:
    """What exporters are given: a version of a report, without what a repair replaced in it, and the identity of its
    study."""
    row = records.version(report, version or report.version)
    pictures = records.study(user, report.study).pictures
    return Document(
        report=report.id, version=row.version, status=row.status, at=row.at, name=row.name,
        draft=row.draft.model_copy(update={"superseded": ()}),
        modalities=frozenset(meta["modality"] for meta in pictures if meta["modality"]),
        identity=records.identity(user, report.study),
    )  # fmt: skip


def _wanted(desk: Desk, report: ReportRow, expected: int, sections: Sequence[SectionIn]) -> Draft:
    """Version `expected` with the words a person sent, checked anew. Raises `StaleVersion`, `BadInput`."""
    check_version(report, expected)
    wanted = [(section.name, [Line(line.text, line.id) for line in section.statements]) for section in sections]
    check_lengths([line.text for _, lines in wanted for line in lines], desk.settings.api.max_question_chars)
    original, current = (desk.records.version(report, version).draft for version in (1, expected))
    return checked(revised(original, current, wanted), situation_of_report(desk.records, report))


def _signed(
    desk: Desk, user: str, report: ReportRow, as_: Status, draft: Draft, name: str, reason: str, response: Response
) -> ReportDetail:
    if user == LOCAL_USER:
        raise Forbidden("Only a user with a name signs: set api.tokens (user name → token) and send yours.")
    check_signable(draft)
    row = VersionRow(report.version + 1, as_, user, name or user, reason, now(), draft)
    return _written(desk, user, report, row, response)


def _written(desk: Desk, user: str, report: ReportRow, row: VersionRow, response: Response) -> ReportDetail:
    changes = compare(desk.records.version(report, 1).draft, row.draft)
    return _detail(desk, desk.records.add_version(user, report.id, row, changes), response)


def _detail(desk: Desk, report: ReportRow, response: Response) -> ReportDetail:
    row = desk.records.version(report, report.version)
    response.headers["ETag"] = f'"{report.version}"'
    return ReportDetail(**_summary(report).model_dump(), author=row.author, name=row.name, at=row.at, draft=row.draft)


def _summary(report: ReportRow) -> ReportOut:
    return ReportOut(**{name: getattr(report, name) for name in ReportOut.model_fields})


def _told(row: VersionRow) -> dict[str, Any]:
    who = row.draft.identity
    own = {name: getattr(row, name) for name in ("version", "status", "author", "name", "reason", "at")}
    return {**own, "model": who.model, "model_hash": who.model_hash}
