"""`consult export`: a stored report as a file, without a server."""

import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated, Literal

import typer

from assistant.errors import BadInput


def export(
    report_id: Annotated[str, typer.Argument(metavar="REPORT", help="Its id, as the API and the page show it.")],
    format: Annotated[Literal["fhir", "sr", "pdf", "markdown", "text"], typer.Option(help="What to write.")] = "fhir",
    out: Annotated[Path | None, typer.Option(help="A new file; standard output when not given.")] = None,
    version: Annotated[int | None, typer.Option(min=1, help="The newest when not given.")] = None,
    user: Annotated[str, typer.Option(help="Whose report it is.")] = "local",
) -> None:
    """Write a report for another system: FHIR DiagnosticReport, DICOM SR, PDF, Markdown or text."""
    from assistant.api.records import Records
    from assistant.api.reports import document_of
    from assistant.exchange import document as exchange
    from assistant.settings import load_settings

    if out is not None and out.exists():
        raise BadInput(f"{out} is there already. Name a new file, or remove that one.")
    with closing(Records(load_settings().home)) as records:
        row = records.report(user, report_id)
        data = exchange.export(document_of(records, user, row, version), format)
        records.audit(user, f"report.export.{format}", row.id)
    if out is None:
        sys.stdout.buffer.write(data)
    else:
        out.write_bytes(data)
        print(f"Wrote {out} ({len(data)} bytes).")
