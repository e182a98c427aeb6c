"""What the library's commands share: the library of this process, waiting, progress, and how reports are printed."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.markup import escape

from retrieval.errors import BadInput, Misconfigured

if TYPE_CHECKING:  # the rest is imported where it is used: `consult --help` answers at once
    from retrieval.embed import Progress
    from retrieval.encoders.bundle import Encoders
    from retrieval.ingest import Report
    from retrieval.library import Library
    from retrieval.rows import File
    from retrieval.store.base import Store
    from retrieval.types import Evidence

SETTINGS = "consult.settings"  # entry point: a function that gives the settings of this process


def settings_here() -> Any:
    return offered(SETTINGS)()


def offered(group: str) -> Any:
    """What another room offers, through the entry point, since this room knows no other."""
    for point in entry_points(group=group):
        return point.load()
    raise Misconfigured("Consult is not installed in this environment. Run: pip install -e .")


@contextmanager
def open_library() -> "Iterator[tuple[Library, Store, Callable[[], Encoders]]]":
    """The library and its index; the encoders are loaded when they are called for."""
    from retrieval.encoders.bundle import load
    from retrieval.library import Library

    settings = settings_here()

    def encoders() -> "Encoders":
        return load(settings.encoders.names, settings.encoders.processes)

    with Library(settings.home) as library, closing(store_of(settings)) as store:
        yield library, store, encoders


def store_of(settings: Any) -> "Store":
    from retrieval.store import open_store

    how = settings.retrieval
    key = how.api_key.get_secret_value() if how.api_key else None
    return open_store(settings.home, how.url, key, how.server.options)


def waiting_for(wait: bool) -> Callable[[], None] | None:
    notice = "Another ingestion is under way on this library; waiting for it to finish (Ctrl+C gives up)."
    return (lambda: typer.echo(notice, err=True)) if wait else None


@contextmanager
def bars(shown: bool) -> "Iterator[Progress]":
    """A bar a phase, with an estimate, on standard error; nothing when that is no terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    shown_bars: dict[str, Any] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not (shown and console.is_terminal)) as progress:

        def report(phase: str, done: int, total: int) -> None:
            if phase not in shown_bars:
                shown_bars[phase] = progress.add_task(phase, total=total)
            progress.update(shown_bars[phase], completed=done, total=total)

        yield report


def print_report(report: "Report", as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(report), ensure_ascii=False))
    else:
        console = Console()
        counts = {what: len(getattr(report, what)) for what in ("added", "replaced", "unchanged", "removed", "skipped")}
        console.print(", ".join(f"{count} {what}" for what, count in counts.items()))
        lines = [f"removed {name}" for name in report.removed]
        lines += [f"superseded {old}: by {new}" for old, new in report.superseded]
        lines += [f"undecided {doubt}" for doubt in report.undecided]
        lines += [f"skipped {name}: {why}" for name, why in report.skipped]
        for line in lines:
            console.print(line, markup=False, highlight=False)
    if report.skipped and not (report.added or report.replaced or report.unchanged):
        raise BadInput("Nothing could be read.")


def print_evidence(evidence: "Evidence", as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(evidence), ensure_ascii=False))
        return
    console = Console()
    if not evidence.items:
        console.print(f"Nothing relevant found among {evidence.considered} passages considered.")
    for item in evidence.items:
        where = asdict(item.content)
        page = f", page {where['page']}" if where.get("page") else ""
        heading = ", ".join(part for part in (where.get("document"), where.get("section")) if part)
        console.print(f"[bold]\\[{item.number}] {escape(heading)}{page}[/bold]  relevance {item.relevance:.2f}")
        console.print(escape(where.get("text") or where.get("report") or ""))
        edition = f"edition {where['edition']}" if where.get("edition") else ""
        old = f"superseded by {where['superseded_by']}" if where.get("superseded_by") else ""
        told = [where.get("source"), edition, where.get("dated"), where.get("jurisdiction"), old]
        if any(told):
            console.print(f"[dim]{escape(' · '.join(part for part in told if part))}[/dim]")
        console.print()


def edition_of(file: "File") -> str:
    """Edition or date of its first document, where it holds, and whether newer editions supersede what is in it."""
    old = "superseded" if file.superseded == file.documents else f"{file.superseded} superseded"
    told = (file.edition or file.dated, file.jurisdiction, old if file.superseded else "")
    return "\n".join(part for part in told if part)
