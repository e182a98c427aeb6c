"""`consult knowledge` and `consult cases`: what a person types to fill, search and mend the library.

Ingestion runs in this process, with encoders of its own; a server that is up goes on serving the generation it has and
takes the new one when it is published. Errors of the tree are raised: the command line says them in one line.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from retrieval.errors import BadInput, Misconfigured

if TYPE_CHECKING:  # the rest is imported where it is used: `consult --help` answers at once
    from retrieval.embed import Progress
    from retrieval.encoders.bundle import Encoders
    from retrieval.ingest import Report
    from retrieval.library import Library
    from retrieval.store.base import Store
    from retrieval.types import Evidence

SETTINGS = "consult.settings"  # entry point: a function that gives the settings of this process

knowledge = typer.Typer(help="Guidelines and other documents that answers may cite.", no_args_is_help=True)
cases = typer.Typer(help="Pictures with reports, to compare a study with.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
InDomain = Annotated[str | None, typer.Option("--domain", help="Domain of what names none, such as chest_xray.")]


@knowledge.command()
def add(
    paths: Annotated[list[Path] | None, typer.Argument(help="Folders, Markdown, HTML, PDF, DOCX, text, JSONL.")] = None,
    bundled: Annotated[bool, typer.Option("--bundled", help="Add the demonstration cards.")] = False,
    domain: InDomain = None,
    as_json: AsJson = False,
) -> None:
    """Add documents, or those that changed since they were added."""
    from retrieval.ingest import add_documents, bundled_sources, find_sources

    sources = find_sources(paths or []) + (bundled_sources() if bundled else [])
    if not sources:
        raise BadInput("Nothing to add: name files or folders, or say --bundled.")
    with _library() as (library, store, encoders), _progress(not as_json) as progress:
        report = add_documents(library, store, encoders(), sources, domain, progress)
    _print_report(report, as_json)


@knowledge.command("list")
def list_files(as_json: AsJson = False) -> None:
    """Show what has been added."""
    with _library() as (library, _, _):
        files, counts = library.files(), library.counts()
    if as_json:
        print(json.dumps({"files": [asdict(file) for file in files], "counts": counts}, ensure_ascii=False))
        return
    table = Table(Column("id", min_width=36, no_wrap=True), "name", "title", "documents", "added")  # a UUID, whole
    for file in files:
        title = file.title if file.documents == 1 else ""
        table.add_row(file.id, escape(file.name), escape(title), str(file.documents), file.added)
    console = Console()
    console.print(table)
    console.print(", ".join(f"{count} {what}" for what, count in counts.items()))


@knowledge.command()
def remove(
    any_id: Annotated[str, typer.Argument(metavar="ID", help="Of a file, document or case.")], as_json: AsJson = False
) -> None:
    """Remove a file with all its documents, one document, or a case."""
    from retrieval.ingest import remove as remove_from

    with _library() as (library, store, encoders), _progress(not as_json) as progress:
        count = remove_from(library, store, encoders(), any_id, progress)
    print(json.dumps({"removed": count}) if as_json else f"Removed {count}.")


@knowledge.command()
def search(
    text: Annotated[str, typer.Argument(help="A question or words.")],
    domain: Annotated[str | None, typer.Option("--domain", help="Only this domain, and what bears on any.")] = None,
    k: Annotated[int | None, typer.Option("-k", min=1, max=50, help="At most this many.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the passages that would be read for a question."""
    from retrieval.encoders import load_text
    from retrieval.encoders.bundle import Encoders
    from retrieval.retriever import Retriever
    from retrieval.types import Query
    from retrieval.weigh import Selection

    settings = _settings()
    how = settings.retrieval
    selection = Selection(how.mode, how.gamma, how.floor, k or how.k_max)
    with _library() as (library, store, _):  # the words of a question need no image encoder
        names = settings.encoders.names
        reading = {domain: load_text(name) for domain, name in names.reading.items()}
        retriever = Retriever(store, library, Encoders(None, load_text(names.text), reading=reading), selection)
        evidence = retriever.retrieve(Query(text, domains=(domain,) if domain else ()))
    _print_evidence(evidence, as_json)


@knowledge.command()
def rebuild(as_json: AsJson = False) -> None:
    """Build the index anew from the library, embedding only what these encoders haven't seen."""
    from retrieval.index import rebuild as rebuild_index
    from retrieval.ingest import exclusive

    with _library() as (library, store, encoders), _progress(not as_json) as progress, exclusive(library.home):
        generation = rebuild_index(library, store, encoders(), progress)
        counts = library.counts()
    done = {"generation": generation, **counts}
    print(
        json.dumps(done) if as_json else f"Built {generation}: {counts['passages']} passages, {counts['cases']} cases."
    )


@cases.callback()
def _cases() -> None:
    """Keeps `cases` a group while it has one command."""


@cases.command("add")
def add_cases(
    manifest: Annotated[Path, typer.Argument(help="A manifest (JSONL or CSV), or a folder with one.")],
    domain: InDomain = None,
    as_json: AsJson = False,
) -> None:
    """Add the cases of a manifest: image, report and, where known, patient, domain and labels."""
    from retrieval.cases import find_manifest, picture_reader
    from retrieval.ingest import add_cases as add_from

    found = find_manifest(manifest)
    with _library() as (library, store, encoders), _progress(not as_json) as progress:
        report = add_from(library, store, encoders(), found, picture_reader(), domain, progress)
    _print_report(report, as_json)


def _settings() -> Any:
    """Settings of this process, through the entry point, since this room knows no other."""
    for point in entry_points(group=SETTINGS):
        return point.load()()
    raise Misconfigured("Consult is not installed in this environment. Run: pip install -e .")


@contextmanager
def _library() -> "Iterator[tuple[Library, Store, Callable[[], Encoders]]]":
    """The library and its index; the encoders are loaded when they are called for."""
    from retrieval.encoders.bundle import load
    from retrieval.library import Library
    from retrieval.store import open_store

    settings = _settings()
    url, key = settings.retrieval.url, settings.retrieval.api_key

    def encoders() -> "Encoders":
        return load(settings.encoders.names, settings.encoders.processes)

    with Library(settings.home) as library:
        store = open_store(settings.home, url, key.get_secret_value() if key else None)
        with closing(store):
            yield library, store, encoders


@contextmanager
def _progress(shown: bool) -> "Iterator[Progress]":
    """A bar a phase, with an estimate, on standard error; nothing when that is no terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    bars: dict[str, Any] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not (shown and console.is_terminal)) as progress:

        def report(phase: str, done: int, total: int) -> None:
            if phase not in bars:
                bars[phase] = progress.add_task(phase, total=total)
            progress.update(bars[phase], completed=done, total=total)

        yield report


def _print_report(report: "Report", as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(report), ensure_ascii=False))
    else:
        console = Console()
        counts = {"added": report.added, "replaced": report.replaced, "unchanged": report.unchanged}
        console.print(", ".join(f"{len(names)} {what}" for what, names in counts.items()))
        for name, why in report.skipped:
            console.print(f"skipped {escape(name)}: {escape(why)}")
    if report.skipped and not (report.added or report.replaced or report.unchanged):
        raise BadInput("Nothing could be read.")


def _print_evidence(evidence: "Evidence", as_json: bool) -> None:
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
        if where.get("source"):
            console.print(f"[dim]{escape(where['source'])}[/dim]")
        console.print()
