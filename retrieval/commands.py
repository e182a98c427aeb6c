"""`consult knowledge`, `cases`, `backup` and `restore`: what a person types to fill, search, mend and keep the library.

Ingestion runs in this process, with encoders of its own; a server that is up goes on serving the generation it has and
takes the new one when it is published. Errors of the tree are raised: the command line says them in one line.
"""

import json
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from retrieval.console import (
    bars,
    edition_of,
    offered,
    open_library,
    print_evidence,
    print_report,
    settings_here,
    store_of,
    waiting_for,
)
from retrieval.errors import BadInput

CONDENSER = "consult.condenser"  # entry point: a context manager that makes a `refine.Condenser` of them

knowledge = typer.Typer(help="Guidelines and other documents that answers may cite.", no_args_is_help=True)
cases = typer.Typer(help="Pictures with reports, to compare a study with.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for another ingestion to finish, or refuse.")]
InDomain = Annotated[str | None, typer.Option("--domain", help="Domain of what names none, such as chest_xray.")]


@knowledge.command()
def add(
    paths: Annotated[list[Path] | None, typer.Argument(help="Folders, Markdown, HTML, PDF, DOCX, text, JSONL.")] = None,
    bundled: Annotated[bool, typer.Option("--bundled", help="Add the demonstration cards.")] = False,
    domain: InDomain = None,
    wait: Wait = True,
    as_json: AsJson = False,
) -> None:
    """Add documents, or those that changed since they were added. Of a folder that was added before, what is gone is
    removed."""
    from retrieval.ingest import add_documents, bundled_sources, find_sources

    sources = find_sources(paths or []) + (bundled_sources() if bundled else [])
    folders = [path for path in paths or [] if path.is_dir()]
    if not sources and not folders:
        raise BadInput("Nothing to add: name files or folders, or say --bundled.")
    with open_library() as (library, store, encoders), bars(not as_json) as progress:
        report = add_documents(library, store, encoders(), sources, domain, progress, folders, waiting_for(wait))
    print_report(report, as_json)


@knowledge.command("list")
def list_files(as_json: AsJson = False) -> None:
    """Show what has been added."""
    from retrieval.refine import notes as of_refined

    with open_library() as (library, _, _):
        files, counts, notes = library.files(), library.counts(), of_refined(library)
    if as_json:
        rows = [asdict(file) | ({"note": notes[file.id]} if file.id in notes else {}) for file in files]
        print(json.dumps({"files": rows, "counts": counts}, ensure_ascii=False))
        return
    table = Table(Column("id", min_width=36, no_wrap=True), Column("name", overflow="fold"), "edition")  # a UUID, whole
    for file in files:
        note = f"\n{notes[file.id]}" if file.id in notes else ""
        title = file.title if file.documents == 1 else f"{file.documents} documents"
        told = f"{escape(file.name)}\n[dim]{escape(title + note)}[/dim]"
        table.add_row(f"{file.id}\n[dim]added {file.added[:10]}[/dim]", told, escape(edition_of(file)))
    console = Console()
    console.print(table)
    console.print(", ".join(f"{count} {what}" for what, count in counts.items()))


@knowledge.command()
def remove(
    what: Annotated[str, typer.Argument(help="Id of a file, document or case; or a file, folder or manifest added.")],
    wait: Wait = True,
    as_json: AsJson = False,
) -> None:
    """Remove a file with all its documents, one document, a case, or all that was added from a folder or manifest."""
    from retrieval.ingest import remove as remove_from

    with open_library() as (library, store, encoders), bars(not as_json) as progress:
        count = remove_from(library, store, encoders(), what, progress, waiting_for(wait))
    print(json.dumps({"removed": count}) if as_json else f"Removed {count}.")


@knowledge.command()
def search(
    text: Annotated[str, typer.Argument(help="A question or words.")],
    domain: Annotated[str | None, typer.Option("--domain", help="Only this domain, and what bears on any.")] = None,
    k: Annotated[int | None, typer.Option("-k", min=1, max=50, help="At most this many.")] = None,
    all_editions: Annotated[bool, typer.Option("--all-editions", help="Also what newer editions supersede.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the passages that would be read for a question."""
    from retrieval.encoders import load_text
    from retrieval.encoders.bundle import Encoders
    from retrieval.retriever import Retriever
    from retrieval.types import Query
    from retrieval.weigh import Selection

    settings = settings_here()
    how = settings.retrieval
    selection = Selection(how.mode, how.gamma, how.floor, k or how.k_max)
    with open_library() as (library, store, _):  # the words of a question need no image encoder
        names = settings.encoders.names
        reading = {domain: load_text(name) for domain, name in names.reading.items()}
        retriever = Retriever(store, library, Encoders(None, load_text(names.text), reading=reading), selection)
        evidence = retriever.retrieve(Query(text, domains=(domain,) if domain else (), all_editions=all_editions))
    print_evidence(evidence, as_json)


@knowledge.command()
def rebuild(wait: Wait = True, as_json: AsJson = False) -> None:
    """Build the index anew from the library, embedding only what these encoders haven't seen."""
    from retrieval.index import rebuild as rebuild_index
    from retrieval.ingest import exclusive

    with open_library() as (library, store, encoders), bars(not as_json) as progress:
        with exclusive(library.home, waiting_for(wait)):
            generation = rebuild_index(library, store, encoders(), progress)
        counts = library.counts()
    done = {"generation": generation, **counts}
    print(
        json.dumps(done) if as_json else f"Built {generation}: {counts['passages']} passages, {counts['cases']} cases."
    )


@knowledge.command()
def refine(
    diseases: Annotated[
        list[str] | None, typer.Argument(help="Names of diseases, as a question would say them.")
    ] = None,
    from_cards: Annotated[bool, typer.Option("--from-cards", help="What the library's cards are about.")] = False,
    stale: Annotated[bool, typer.Option("--stale", help="Those of which a source has changed since.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="All that were refined before.")] = False,
    k: Annotated[int, typer.Option("--k", min=1, max=20, help="Passages to condense, at most.")] = 10,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show which passages would be condensed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let the engine condense what the library holds on a disease, each statement linked to its source.

    Needs a language model as the settings' engine: the bundled demonstration model is too small and is refused.
    A statement whose words its sources don't bear out is left out. The checks compare words, not meaning, so a person
    should read the rest: `consult knowledge review`.
    """
    from retrieval import refine as refining
    from retrieval.show_refined import show_found, show_outcomes

    with open_library() as (library, store, encoders):
        named = [*(diseases or ()), *(refining.named_by_cards(library) if from_cards else ())]
        named += refining.refined(library, only_stale=not everything) if stale or everything else []
        if not named:
            if stale or everything:
                print("[]" if as_json else "Nothing to refine: no such document is there.")
                return
            raise BadInput("Nothing to refine: name diseases, or say --from-cards, --stale or --all.")
        settings, reading = settings_here(), encoders()
        floor = settings.retrieval.floor
        if dry_run:
            found = {name: refining.found(library, store, reading, name, k, floor) for name in named}
            show_found(found, as_json)
            return
        with offered(CONDENSER)(settings) as condenser, bars(not as_json) as progress:
            outcomes = refining.refine(library, store, reading, named, condenser, k, floor, progress)
    show_outcomes(outcomes, as_json)


@knowledge.command()
def review(
    disease: Annotated[str, typer.Argument(help="A name that was refined.")],
    accept: Annotated[bool, typer.Option("--accept", help="I have compared every statement with its sources.")] = False,
    by: Annotated[str | None, typer.Option("--by", help="Who says so; by default who is logged in.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what was condensed, each statement beside the words it rests on; --accept marks it as reviewed."""
    from getpass import getuser

    from retrieval import refine as refining
    from retrieval.show_refined import show_review

    with open_library() as (library, _, _):
        if accept:
            refining.accept(library, disease, getuser() if by is None else by)
        show_review(library, refining.of_disease(library, disease), as_json)


@knowledge.command()
def plan(
    passages: Annotated[int, typer.Option(min=0)],
    cases: Annotated[int, typer.Option(min=0)],
    passage_chars: Annotated[int, typer.Option(min=1, help="Mean characters of a passage.")] = 1000,
    report_chars: Annotated[int, typer.Option(min=1, help="Mean characters of a report.")] = 500,
    picture_kb: Annotated[int, typer.Option(min=1, help="Mean kB of a picture as PNG.")] = 300,
    node_gb: Annotated[float, typer.Option(min=1, help="GB of memory of a server's node.")] = 32,
    as_json: AsJson = False,
) -> None:
    """Show what memory and disk so many passages and cases will take, embedded and on a Qdrant server."""
    from retrieval import plan as planning
    from retrieval.encoders.bundle import load

    settings = settings_here()
    vectors = load(settings.encoders.names).specs()
    size = planning.Load(passages, cases, vectors, passage_chars, report_chars, picture_kb)
    here = planning.embedded(size)
    there = planning.server(size, settings.retrieval.server.options, node_gb)
    told = planning.to_json(size, here, there) if as_json else planning.to_text(size, here, there)
    print(json.dumps(told, ensure_ascii=False) if as_json else told)


@cases.callback()
def _cases() -> None:
    """Keeps `cases` a group while it has one command."""


@cases.command("add")
def add_cases(
    manifest: Annotated[Path, typer.Argument(help="A manifest (JSONL or CSV), or a folder with one.")],
    domain: InDomain = None,
    wait: Wait = True,
    as_json: AsJson = False,
) -> None:
    """Add the cases of a manifest: image, report and, where known, patient, date, domain and labels. Cases that it no
    longer names are removed."""
    from retrieval.cases import find_manifest, picture_reader
    from retrieval.ingest import add_cases as add_from

    found = find_manifest(manifest)
    with open_library() as (library, store, encoders), bars(not as_json) as progress:
        reader = picture_reader()
        report = add_from(library, store, encoders(), found, reader, domain, progress, waiting_for(wait))
    print_report(report, as_json)


def backup(
    file: Annotated[Path, typer.Argument(help="The file to write, such as consult-2026-01-31.zip.")],
    as_json: AsJson = False,
) -> None:
    """Back up everything in CONSULT_HOME to one file, also while Consult is running. It holds patients' data."""
    from retrieval.backup import backup as back_up

    settings = settings_here()
    with closing(store_of(settings)) as store, bars(not as_json) as progress:
        report = back_up(settings.home, store, file, progress)
    if as_json:
        print(json.dumps(asdict(report)))
        return
    print(f"Backed up {report.files} files, {report.bytes / 1e6:.1f} MB. Settings and model folders are not in it.")
    if not report.indexed:
        print("No index could be read: after a restore, run `consult knowledge rebuild`.")


def restore(
    file: Annotated[Path, typer.Argument(help="What `consult backup` wrote.")],
    replace: Annotated[bool, typer.Option("--replace", help="Remove what CONSULT_HOME holds now.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make an empty CONSULT_HOME what a backup holds, with its index."""
    from retrieval.restore import restore as bring_back

    settings = settings_here()
    with closing(store_of(settings)) as store, bars(not as_json) as progress:
        server = store if settings.retrieval.url else None
        report = bring_back(file, settings.home, server, replace, progress)
    if as_json:
        print(json.dumps(asdict(report)))
        return
    print(f"Restored {settings.home} as of {report.created}: {report.passages} passages, {report.cases} cases.")
    if not report.indexed:
        print("Some vectors were not in the backup: run `consult knowledge rebuild`.")
