"""Pictures of where a statement is seen: the map of its run, drawn over the study's own picture."""

from fastapi import APIRouter, Response

from assistant.api.desk import Desk, Here, OwnRun, User
from assistant.api.records import RunRow
from assistant.api.reports import OwnReport
from assistant.api.results import parse
from assistant.api.studies import PNG
from assistant.api.study_records import pixels_of
from assistant.errors import NotFound
from assistant.overlay import marks_of, overlay

router = APIRouter(prefix="/v1")
_NOWHERE = "No place is known of this statement: its run gave none that is clear, or a person wrote it."


@router.get("/runs/{run_id}/statements/{statement}/overlay", response_class=Response, responses=PNG, tags=["Runs"],
            summary="Where a sentence of a run is seen, as PNG")  # fmt: skip
def of_run(desk: Here, user: User, run: OwnRun, statement: str) -> Response:
    """`statement` "s3" is the run's third sentence, as in drafts. The map is the one that was made with the run."""
    return _drawn(desk, user, run, statement)


@router.get("/reports/{report_id}/statements/{statement}/overlay", response_class=Response, responses=PNG,
            tags=["Reports"], summary="Where a statement of a report is seen, as PNG")  # fmt: skip
def of_report(desk: Here, user: User, report: OwnReport, statement: str) -> Response:
    """Of the newest version: words that a person wrote have no place."""
    known = desk.records.version(report, report.version).draft.by_id.get(statement)
    if known is None or known.region is None:
        raise NotFound(_NOWHERE)
    return _drawn(desk, user, desk.records.run(user, report.run), statement)


def _drawn(desk: Desk, user: str, run: RunRow, statement: str) -> Response:
    mark = marks_of(map(parse, desk.records.events(run.id))).get(statement)
    if mark is None:
        raise NotFound(_NOWHERE)
    path = desk.records.picture(user, run.study, mark.place.region.picture)
    desk.records.audit(user, "overlay.read", run.id)
    headers = {"Cache-Control": "private, max-age=3600"}
    return Response(overlay(pixels_of(path), mark), media_type="image/png", headers=headers)
