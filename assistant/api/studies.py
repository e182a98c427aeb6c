"""/v1/studies: pictures in, as the readers understood them. No name of an upload is kept."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, File, Form, Query, Response, UploadFile, status
from fastapi.responses import FileResponse

from assistant.api.desk import Desk, Here, User
from assistant.api.records import Records
from assistant.api.shapes import PictureOut, StudyOut, StudyPage, sends_files
from assistant.api.study_records import StudyRow, pixels_of
from assistant.errors import BadInput
from assistant.imaging.pixels import thumbnail, to_png

router = APIRouter(prefix="/v1/studies", tags=["Studies"])
PNG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}}}


@router.post("", status_code=status.HTTP_201_CREATED, summary="Upload a study", responses={200: {"model": StudyOut}},
             openapi_extra=sends_files({"files": ["chest.png"], "standard_display": True}))  # fmt: skip
async def create(
    desk: Here,
    user: User,
    response: Response,
    files: Annotated[list[UploadFile], File(description="DICOM, NIfTI, PNG, JPEG, TIFF: one patient's pictures")],
    standard_display: Annotated[
        bool, Form(description="pictures without orientation show the patient's right on their left")
    ] = False,
) -> StudyOut:
    """The same files and flag again give the same study, with status 200."""
    contents = [(Path(file.filename or "").name, await file.read()) for file in files]
    row, new = await keep(desk, user, contents, standard_display)
    if not new:
        response.status_code = status.HTTP_200_OK
    return told(row)


@router.get("", summary="List own studies, newest first")
def index(
    desk: Here, user: User, before: Annotated[int | None, Query(ge=1)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> StudyPage:  # fmt: skip
    rows = desk.records.studies(user, before, limit)
    return StudyPage(items=[told(row) for row in rows], next=rows[-1].n if len(rows) == limit else None)


@router.get("/{study_id}", summary="One study")
def show(desk: Here, user: User, study_id: str) -> StudyOut:
    row = desk.records.study(user, study_id)
    desk.records.audit(user, "study.read", study_id)
    return told(row)


@router.get("/{study_id}/pictures/{number}", response_class=Response, responses=PNG, summary="A picture as PNG")
def picture(
    desk: Here, user: User, study_id: str, number: int,
    size: Annotated[int | None, Query(ge=16, le=8192, description="longest side")] = None,
) -> Response:  # fmt: skip
    path = desk.records.picture(user, study_id, number)
    desk.records.audit(user, "picture.read", study_id)
    headers = {"Cache-Control": "private, max-age=3600"}
    if size is None:
        return FileResponse(path, media_type="image/png", headers=headers)
    return Response(thumbnail(pixels_of(path), size), media_type="image/png", headers=headers)


@router.delete("/{study_id}", status_code=status.HTTP_204_NO_CONTENT, summary="Delete a study, its runs and reports")
async def delete(desk: Here, user: User, study_id: str) -> None:
    """Its pictures, its identity, every run that read it (as current or as prior study) and the reports made from those
    runs, with all versions and edits, go with it; runs under way are cancelled first."""
    await to_thread.run_sync(desk.records.study, user, study_id)
    for run in await to_thread.run_sync(desk.records.runs_of, study_id):
        desk.runs.cancel(run)
        await desk.runs.settled(run)
    await to_thread.run_sync(desk.records.delete_study, user, study_id)


async def keep(
    desk: Desk, user: str, files: Sequence[tuple[str, bytes]], standard_display: bool
) -> tuple[StudyRow, bool]:
    """Reads files into a stored study; says whether it's new. Raises `BadInput` and its kinds."""
    if not files:
        raise BadInput("Send at least one picture.")
    return await to_thread.run_sync(keep_in, desk.records, user, files, standard_display, limiter=desk.reading)


def keep_in(
    records: Records, user: str, files: Sequence[tuple[str, bytes]], standard_display: bool
) -> tuple[StudyRow, bool]:
    """`keep` without a server: blocks while files are decoded."""
    from assistant.imaging import read_study

    content = _content(files, standard_display)
    if known := records.find_study(user, content):
        return known, False
    study, identity = read_study(files, standard_display=standard_display, salt=records.salt)
    pngs = [to_png(picture) for picture in study.pictures]
    return records.add_study(user, content, study, pngs, json.dumps(asdict(identity)))


def _content(files: Sequence[tuple[str, bytes]], standard_display: bool) -> str:
    """What makes two uploads the same: bytes in their order, and the flag. Not the names."""
    digests = [hashlib.sha256(data).hexdigest() for _, data in files]
    return hashlib.sha256(json.dumps([digests, standard_display]).encode()).hexdigest()


def told(row: StudyRow) -> StudyOut:
    pictures = [PictureOut(**{name: meta[name] for name in PictureOut.model_fields}) for meta in row.pictures]
    return StudyOut(id=row.id, created=row.created, pictures=pictures, warnings=list(row.warnings))
