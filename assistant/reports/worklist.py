"""Drafts for a worklist: a CSV file, one study a line; resumable, what failed is listed.

Columns: `id` (names the draft's files), `study` (files, separated by ";", beside the worklist), and where wanted
`prior` (files) or `prior_case` (a case of the library, the same patient's), `prior_report` (a text file; with a case,
the case's own where it isn't given), `indication`, `history`, `template`. Of every study DIR gets `ID.json`
(the line and the result of its run) and `ID.txt`; `failures.csv` lists the lines that gave no draft. A line is done
again only if it, or an option of the command, has changed since, or if it failed.
"""

import csv
import json
import os
import re
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.errors import BadInput, ConsultError, EngineDown, Misconfigured, WorkerDied

if TYPE_CHECKING:
    from assistant.assistant import Assistant
    from assistant.events import Event
    from assistant.requests import ReportRequest
    from assistant.settings import Settings

COLUMNS = ("id", "study", "prior", "prior_case", "prior_report", "indication", "history", "template")
FAILURES = "failures.csv"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A report as it is asked for: files instead of pictures."""

    study: tuple[Path, ...]
    prior: tuple[Path, ...] = ()
    prior_case: str | None = None
    prior_report: Path | None = None
    indication: str = ""
    history: str = ""
    template: str = "chest"

    def request(self, settings: "Settings", *, standard_display: bool = False, **common: Any) -> "ReportRequest":
        """Reads the files. Raises `ConsultError`."""
        from assistant.commands import studies
        from assistant.reports.template import find_template
        from assistant.requests import ReportRequest

        template = find_template(self.template, settings.home)
        study, before = studies(list(self.study), list(self.prior), self.prior_case, standard_display, settings)
        return ReportRequest(
            study=study, prior=before, template=template, indication=self.indication, history=self.history,
            prior_report=self._told_before(settings), **common,
        )  # fmt: skip

    def _told_before(self, settings: "Settings") -> str:
        """The prior's report; "" where there is none."""
        from retrieval.library import Library

        if self.prior_report or not self.prior_case:
            return _text(self.prior_report) if self.prior_report else ""
        with Library(settings.home) as library:
            return library.case(self.prior_case).report


async def events_of(assistant: "Assistant", request: "ReportRequest") -> "list[Event]":
    """The whole run."""
    async with aclosing(assistant.run(request)) as events:
        return [event async for event in events]


async def run_batch(
    settings: "Settings", worklist: Path, out: Path, template: str, common: Mapping[str, Any]
) -> dict[str, str]:
    """Draft what is not yet drafted; returns id → why for the lines that gave none. Raises `BadInput` when the worklist
    can't be read or there is no such template, and what stops every line alike: settings, an engine that is down."""
    from rich.console import Console

    from assistant.assistant import Assistant
    from assistant.reports.template import find_template

    rows = read_worklist(worklist)
    find_template(template, settings.home)  # a line's own is refused with its line
    out.mkdir(parents=True, exist_ok=True)
    console, failures = Console(stderr=True, highlight=False), dict[str, str]()
    assistant = Assistant.open(settings)
    try:
        for number, row in enumerate(rows, 1):
            asked = {**row, "template": row["template"] or template, **common}
            done = _is_done(out / f"{row['id']}.json", asked)
            if not done and (why := await _draft_line(assistant, settings, worklist.parent, out, asked, common)):
                failures[row["id"]] = why
            state = "done before" if done else failures.get(row["id"], "drafted")
            console.print(f"{number}/{len(rows)} {row['id']}: {state}", markup=False)
    finally:
        await assistant.close()
        _write_failures(out / FAILURES, failures)
    return failures


async def _draft_line(
    assistant: "Assistant",
    settings: "Settings",
    folder: Path,
    out: Path,
    asked: dict[str, Any],
    common: Mapping[str, Any],
) -> str:
    """Why there is no draft; "" when it was written. The text comes first: a line whose JSON is there is whole."""
    from assistant.api.results import joined
    from assistant.reports import render

    try:
        result = joined(await events_of(assistant, wanted(asked, folder).request(settings, **common)))
    except (EngineDown, WorkerDied, Misconfigured):
        raise
    except ConsultError as error:
        return str(error)
    if result.draft is None:
        return result.reason or "the run gave no draft"
    _write(out / f"{asked['id']}.txt", render.text(result.draft))
    whole = {"asked": asked, "result": result.model_dump(mode="json")}
    _write(out / f"{asked['id']}.json", json.dumps(whole, ensure_ascii=False, indent=2) + "\n")
    return ""


def wanted(row: Mapping[str, Any], folder: Path) -> Wanted:
    """A line of a worklist; its files lie beside the worklist unless their paths are absolute."""
    return Wanted(
        study=_files(row["study"], folder),
        prior=_files(row["prior"], folder),
        prior_case=row["prior_case"] or None,
        prior_report=folder / row["prior_report"] if row["prior_report"] else None,
        indication=row["indication"],
        history=row["history"],
        template=row["template"],
    )


def read_worklist(path: Path) -> list[dict[str, str]]:
    """Its lines, every column there. Raises `BadInput` with the number of the line."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            given = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"The worklist {path} can't be read as CSV in UTF-8.") from error
    columns = reader.fieldnames or ()
    if not {"id", "study"} <= set(columns) or (unknown := sorted(set(columns) - set(COLUMNS))):
        wrong = f"has unknown columns: {', '.join(unknown)}" if {"id", "study"} <= set(columns) else "lacks id or study"
        raise BadInput(f"The worklist {path} {wrong}. Columns: {', '.join(COLUMNS)}.")
    rows = [{name: (row.get(name) or "").strip() for name in COLUMNS} for row in given]
    seen: set[str] = set()
    for number, (row, raw) in enumerate(zip(rows, given, strict=True), 2):
        if None in raw:
            raise BadInput(f"Record {number} of {path} has more fields than there are columns; quote commas.")
        if not _ID.fullmatch(row["id"]):
            raise BadInput(f"Record {number} of {path}: an id is made of letters, digits, '.', '_' and '-'.")
        if row["id"].casefold() in seen:
            raise BadInput(f"Record {number} of {path}: its id stands there twice.")
        seen.add(row["id"].casefold())
    return rows


def _files(told: str, folder: Path) -> tuple[Path, ...]:
    return tuple(folder / name.strip() for name in told.split(";") if name.strip())


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput("The prior report can't be read as UTF-8 text.") from error


def _is_done(path: Path, asked: Mapping[str, Any]) -> bool:
    try:
        return bool(json.loads(path.read_text(encoding="utf-8"))["asked"] == asked)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


def _write_failures(path: Path, failures: Mapping[str, str]) -> None:
    lines = [("id", "why"), *failures.items()]
    part = path.with_name(f".{path.name}.part")
    with part.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(lines)
    os.replace(part, path)
