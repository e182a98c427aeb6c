"""/v1/knowledge, /v1/passages, /v1/cases: what answers rest on.

The library is shared by all users of an installation. It is read here, and written only by `consult knowledge …` in
another process: no index is built in this one.
"""

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from anyio import to_thread
from fastapi import APIRouter, File, Query, Response, UploadFile, status
from pydantic import BaseModel, Field

from assistant.api.desk import Here, User
from assistant.api.shapes import answers, example, sends_files
from assistant.api.studies import PNG
from assistant.errors import BadInput, NotFound
from assistant.events import EvidenceItem
from assistant.evidence import shown
from assistant.imaging.pixels import thumbnail, to_png
from assistant.study import Picture
from retrieval.rows import Document, printed, source_of
from retrieval.types import Query as Lookup

router = APIRouter(prefix="/v1", tags=["Knowledge"])
_WHERE = {
    "source": "Thoracic Society, Pleural disease, 2023", "edition": "2023", "jurisdiction": "", "dated": "2023",
    "newer": None, "superseded_by": "", "condensed_by": "", "domain": "chest_xray",
}  # fmt: skip
_DOCUMENT = {
    **_WHERE, "id": "4d5e6f70", "title": "Pleural effusion", "name": "effusion.md", "reviewed_by": "", "characters": 48,
}  # fmt: skip
_PASSAGE = {
    **_WHERE, "id": "1a2b3c4d", "document_id": "4d5e6f70", "document": "Pleural effusion",
    "section": "Radiological findings", "text": "A pleural effusion blunts the costophrenic angle.", "start": 0,
    "end": 49, "page": None,
}  # fmt: skip
_HIT = {
    "number": 1, "kind": "passage", "id": "1a2b3c4d", "title": "Pleural effusion", "section": "Radiological findings",
    "text": "A pleural effusion blunts the costophrenic angle.", "scores": {"bm25": 3.25}, "relevance": 0.9,
}  # fmt: skip
_ADDED = {
    "added": ["effusion.md"], "replaced": [], "unchanged": [], "removed": [], "skipped": [], "superseded": [],
    "undecided": [], "generation": "20260504T093000",
}  # fmt: skip


class DocumentOut(BaseModel):
    model_config = example(_DOCUMENT)

    id: str
    title: str
    name: str
    source: str
    edition: str
    jurisdiction: str
    dated: str = Field(description="when it was published, as far as known: 2023, 2023-05, 2023-05-14")
    newer: str | None = Field(description="id of the document that supersedes it")
    superseded_by: str = Field(description="that document, ready to print")
    condensed_by: str
    reviewed_by: str
    domain: str | None
    characters: int


class DocumentPage(BaseModel):
    model_config = example({"items": [_DOCUMENT], "total": 1})

    items: list[DocumentOut]
    total: int


class PassageOut(BaseModel):
    """`text` is the document's text from `start` to `end`."""

    model_config = example(_PASSAGE)

    id: str
    document_id: str
    document: str
    section: str
    text: str
    start: int
    end: int
    domain: str | None
    page: int | None
    source: str
    edition: str
    jurisdiction: str
    dated: str
    newer: str | None
    superseded_by: str
    condensed_by: str


class DocumentDetail(DocumentOut):
    model_config = example({**_DOCUMENT, "meta": {}, "text": _PASSAGE["text"], "passages": [_PASSAGE]})

    meta: dict[str, Any]
    text: str
    passages: list[PassageOut]


class CaseOut(BaseModel):
    model_config = example({
        "id": "7f8e9d0c", "report": "Small left effusion.", "domain": "chest_xray", "labels": ["pleural effusion"],
        "source": "", "image_sha256": "ab" * 32,
    })  # fmt: skip

    id: str
    report: str
    domain: str | None
    labels: list[str]
    source: str
    image_sha256: str


class SearchOut(BaseModel):
    model_config = example({"query": "pleural effusion", "hits": [_HIT], "considered": 7})

    query: str
    hits: list[EvidenceItem]
    considered: int


@router.get("/knowledge", summary="List documents")
def index(
    desk: Here, user: User, offset: Annotated[int, Query(ge=0)] = 0, limit: Annotated[int, Query(ge=1, le=1000)] = 200
) -> DocumentPage:
    documents = desk.assistant.library.documents()
    known = {document.id: document for document in documents}
    shown = [DocumentOut(**_head(d, known.get(d.newer or ""))) for d in documents[offset : offset + limit]]
    return DocumentPage(items=shown, total=len(documents))


@router.post("/knowledge", status_code=status.HTTP_201_CREATED, summary="Add documents",
             responses=answers(_ADDED, 201), openapi_extra=sends_files({"files": ["effusion.md"]}))  # fmt: skip
async def add(
    desk: Here,
    user: User,
    files: Annotated[list[UploadFile], File(description="Markdown, HTML, PDF, DOCX, text or JSONL")],
) -> dict[str, Any]:
    """Answers when the new index is in use, with the report of `consult knowledge add`. A file of a name that was added
    before replaces it. One at a time: 409 while another is under way."""
    names = [_safe(file.filename) for file in files]
    if len(set(names)) < len(names):
        raise BadInput("Two files have the same name. Send them one after the other.")
    folder = desk.settings.home / "uploads"  # always the same path: a file is known by it, and replaces itself
    paths = [folder / name for name in names]
    async with desk.knowledge.alone():
        try:
            for path, file in zip(paths, files, strict=True):
                await to_thread.run_sync(_write, path, await file.read())
            report: dict[str, Any] = await desk.knowledge.call("add", *map(str, paths))
        finally:
            for path in paths:
                path.unlink(missing_ok=True)
    await to_thread.run_sync(desk.records.audit, user, "knowledge.add", f"{len(paths)} files")
    return report


@router.get("/knowledge/search", summary="Search as a question would")
def search(
    desk: Here, user: User, q: Annotated[str, Query(min_length=1, max_length=2000, examples=["pleural effusion"])],
    k: Annotated[int, Query(ge=1, le=50)] = 10,
    editions: Annotated[Literal["current", "all"], Query(description="all: superseded ones too")] = "current",
) -> SearchOut:  # fmt: skip
    """Each hit with the raw score of every leg that found it and its calibrated relevance."""
    evidence = desk.assistant.retriever.retrieve(Lookup(text=q, k=k, all_editions=editions == "all"))
    return SearchOut(query=q, hits=[shown(item) for item in evidence.items], considered=evidence.considered)


@router.get("/knowledge/{document_id}", summary="A document with its text and passages")
def show(desk: Here, user: User, document_id: str) -> DocumentDetail:
    library = desk.assistant.library
    document = library.document(document_id)
    passages = [PassageOut(**asdict(passage)) for passage in library.passages(document_id)]
    newer = None
    with suppress(NotFound):
        newer = library.document(document.newer) if document.newer else None
    return DocumentDetail(**_head(document, newer), meta=document.meta, text=document.text, passages=passages)


@router.delete("/knowledge/{document_id}", status_code=status.HTTP_204_NO_CONTENT, summary="Remove a document")
async def remove(desk: Here, user: User, document_id: str) -> None:
    await to_thread.run_sync(desk.assistant.library.document, document_id)
    async with desk.knowledge.alone():
        await desk.knowledge.call("remove", document_id)
    await to_thread.run_sync(desk.records.audit, user, "knowledge.remove", document_id)


@router.get("/passages/{passage_id}", summary="A passage")
def passage(desk: Here, user: User, passage_id: str) -> PassageOut:
    return PassageOut(**asdict(desk.assistant.library.passage(passage_id)))


@router.get("/cases/{case_id}", summary="A case of the library")
def case(desk: Here, user: User, case_id: str) -> CaseOut:
    found = desk.assistant.library.case(case_id)
    return CaseOut(
        id=found.id, report=found.report, domain=found.domain, labels=list(found.labels), source=found.source,
        image_sha256=found.sha256,
    )  # fmt: skip


@router.get("/cases/{case_id}/picture", response_class=Response, responses=PNG, summary="A case's picture as PNG")
def case_picture(
    desk: Here, user: User, case_id: str, size: Annotated[int | None, Query(ge=16, le=8192)] = None
) -> Response:
    library = desk.assistant.library
    pixels = library.picture(library.case(case_id).sha256)
    png = thumbnail(pixels, size) if size else to_png(Picture(pixels))
    return Response(png, media_type="image/png", headers={"Cache-Control": "private, max-age=3600"})


def _head(document: Document, newer: Document | None) -> dict[str, Any]:
    meta = document.meta
    names = ("edition", "jurisdiction", "dated", "condensed_by", "reviewed_by")
    told = {name: str(meta.get(name) or "") for name in names}
    return {
        "id": document.id, "title": document.title, "name": document.name, "domain": meta.get("domain"),
        "characters": len(document.text), "source": source_of(meta), "newer": newer and newer.id,
        "superseded_by": printed(newer.title, newer.meta) if newer else "", **told,
    }  # fmt: skip


def _safe(name: str | None) -> str:
    plain = Path((name or "").replace("\\", "/")).name
    if not plain or plain.startswith(".") or len(plain.encode()) > 200 or not plain.isprintable():
        raise BadInput("A file has no usable name. It needs an ending such as .md, .html, .pdf, .docx, .txt or .jsonl.")
    return plain


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
