"""`consult diagnose`: the differential on the command line."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from assistant.errors import BadInput
from assistant.options import Adapter, AsJson, Files, MaxTokens, Prior, PriorCase, Seed, StandardDisplay

if TYPE_CHECKING:
    from assistant.events import Candidate, CheckedCriterion, Differential, Event

_MARKS = {"met": "[green]met[/green]", "contradicted": "[red]contradicted[/red]", "unknown": "[dim]unknown[/dim]"}

_WEIGHTS = {"required": "Required: ", "against": "Speaks against it: ", "supports": ""}


def diagnose(
    files: Files,
    history: Annotated[str, typer.Option("--history", help="The clinical history, in words.")] = "",
    lab: Annotated[
        list[str] | None, typer.Option(help='A value with unit, and range if known: "CRP = 18 mg/L (0-5)"; again.')
    ] = None,
    candidate: Annotated[list[str] | None, typer.Option(help="A diagnosis to consider; may be given again.")] = None,
    prior: Prior = None,
    prior_case: PriorCase = None,
    standard_display: StandardDisplay = False,
    adapter: Adapter = None,
    seed: Seed = 0,
    max_tokens: MaxTokens = 256,
    as_json: AsJson = False,
) -> None:
    """Work through a differential: candidates, each guideline's checklist against this patient, what is missing."""
    from assistant.commands import collect, consult, studies
    from assistant.requests import DiagnoseRequest
    from assistant.settings import load_settings

    settings = load_settings()
    study, before = studies(files, prior, prior_case, standard_display, settings)
    request = DiagnoseRequest(
        study=study, prior=before, history=history, laboratory=values_of(lab or ()), candidates=tuple(candidate or ()),
        adapter=adapter, seed=seed, max_tokens=max_tokens,
    )  # fmt: skip
    asyncio.run(consult(settings, request, collect if as_json else _print))


def values_of(given: "list[str] | tuple[str, ...]") -> dict[str, str]:
    """ "CRP = 18 mg/L" → {"CRP": "18 mg/L"}. Raises `BadInput`."""
    found: dict[str, str] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise BadInput(f"--lab {one!r}: write a name, = and a value with its unit, as CRP = 18 mg/L.")
        if name.strip() in found:
            raise BadInput(f"--lab: {name.strip()} is given twice; give the value that counts.")
        found[name.strip()] = value.strip()
    return found


async def _print(events: "AsyncIterator[Event]") -> None:
    """The differential as a table, between what any answer prints."""
    from assistant.commands import show
    from assistant.events import Differential, Sentence
    from assistant.tasks.diagnosis import CHECKLIST

    console = Console(highlight=False)

    async def others() -> "AsyncIterator[Event]":
        async for event in events:
            if isinstance(event, Differential):
                _print_differential(console, event)
            elif not (isinstance(event, Sentence) and event.section == CHECKLIST):  # stands in the table
                yield event

    await show(others())


def _print_differential(console: Console, found: "Differential") -> None:
    console.print(f"\n[bold]{escape(found.message)}[/bold]")
    for place, candidate in enumerate(found.candidates, 1):
        console.print(_heading(place, candidate))
        if candidate.criteria:
            table = Table(box=None, padding=(0, 2, 0, 3), show_header=False)
            for line in candidate.criteria:
                table.add_row(_MARKS[line.state], escape(_WEIGHTS[line.weight] + line.text), escape(_reason(line)))
            console.print(table)
            sources = dict.fromkeys(line.source for line in candidate.criteria)
            console.print(f"[dim]   {escape('; '.join(sources))}[/dim]")
    if found.missing:
        console.print(f"\n{escape(found.missing.message)}")
    for conflict in found.conflicts:
        console.print(
            f"\n[yellow]Guidelines disagree on {escape(conflict.about)} for {escape(conflict.candidate)}:[/yellow]"
        )
        for said, source in zip(conflict.statements or ("", ""), conflict.sources, strict=True):
            console.print(f"   {escape(said)} [dim]{escape(source)}[/dim]")
    console.print()


def _heading(place: int, candidate: "Candidate") -> str:
    about = [
        candidate.doid or "",
        "" if candidate.guideline else "no guideline",
        f"from {', '.join(candidate.origins)}",
    ]
    return escape(f"{place}. {candidate.name}  {candidate.score:.2f}  ({'; '.join(filter(None, about))})")


def _reason(line: "CheckedCriterion") -> str:
    if line.shown is None:
        return line.why
    where = {"image": "the model's reading of the picture", "history": f"“{line.shown.text}”", "value": line.shown.text}
    return where[line.shown.kind]
