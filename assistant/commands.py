"""`consult ask` and `consult doctor`."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from assistant.errors import BadInput
from assistant.options import Adapter, AsJson, Files, MaxTokens, Prior, PriorCase, Seed, StandardDisplay

if TYPE_CHECKING:  # imported where they are used: `consult --help` answers at once
    from assistant.events import Citation, Event, EvidenceItem
    from assistant.requests import Request
    from assistant.settings import Settings
    from assistant.study import Study


def ask(
    files: Files,
    question: Annotated[str, typer.Option("--question", "-q", help="What to ask about the pictures.")],
    prior: Prior = None,
    prior_case: PriorCase = None,
    standard_display: StandardDisplay = False,
    adapter: Adapter = None,
    seed: Seed = 0,
    max_tokens: MaxTokens = 256,
    as_json: AsJson = False,
) -> None:
    """Ask about pictures; checked sentences are printed as they come, with numbered references."""
    from assistant.requests import AskRequest
    from assistant.settings import load_settings

    settings = load_settings()
    if not question.strip():
        raise BadInput("The question is empty.")
    if len(question) > settings.api.max_question_chars:
        raise BadInput(
            f"The question has {len(question)} characters; at most {settings.api.max_question_chars} are read."
        )
    study, before = studies(files, prior, prior_case, standard_display, settings)
    request = AskRequest(
        study=study, prior=before, question=question, adapter=adapter, seed=seed, max_tokens=max_tokens
    )
    asyncio.run(consult(settings, request, collect if as_json else show))


def studies(
    files: list[Path], prior: list[Path] | None, prior_case: str | None, standard_display: bool, settings: "Settings"
) -> "tuple[Study, Study | None]":
    from assistant.identity import merge
    from assistant.imaging import read_study
    from assistant.priors import prior_study
    from retrieval.db import salt_of
    from retrieval.library import Library

    if prior and prior_case:
        raise BadInput("Name the prior study by its files or by a case, not both.")
    salt = salt_of(settings.home)
    study, identity = read_study(files, standard_display=standard_display, salt=salt)
    if prior_case:
        with Library(settings.home) as library:
            return study, prior_study(library, prior_case, study.patient)
    if not prior:
        return study, None
    before, whose = read_study(prior, standard_display=standard_display, salt=salt)
    merge([identity, whose])  # two patients in one request are refused
    return study, before


async def consult(settings: "Settings", request: "Request", view: Any) -> None:
    from assistant.assistant import Assistant

    assistant = Assistant.open(settings)
    try:
        async with aclosing(assistant.run(request)) as events:
            await view(events)
    finally:
        await assistant.close()


async def collect(events: "AsyncIterator[Event]") -> None:
    """One JSON object: the end of the run, with what came before it under its own name."""
    from assistant.api.results import joined

    print(joined([event async for event in events]).model_dump_json(indent=2))


async def show(events: "AsyncIterator[Event]") -> None:
    from assistant.events import Done, Finding, Located, Quality, Retrieved, Sentence

    console = Console(highlight=False)
    cited: dict[int, tuple[str, str]] = {}
    async for event in events:
        match event:
            case Quality(defects=defects):
                for defect in defects:
                    if not defect.refuse:  # that one is said at the end, as the reason
                        console.print(f"[yellow]{escape(defect.message)}[/yellow]")
            case Retrieved(evidence=evidence, note=note, priors=priors):
                if note:
                    console.print(f"[yellow]{escape(note)}[/yellow]")
                for offer in priors:
                    when = f" ({offer.taken})" if offer.taken else ""
                    said = f"Earlier study of this patient{when}; compare with --prior-case {offer.id}"
                    console.print(f"[dim]{escape(said)}[/dim]")
                shown = {item.number: item for item in evidence}
            case Sentence(text=text, citations=citations):
                marks = "".join(f" [{citation.number}]" for citation in citations) or " [image]"
                console.print(escape(text) + f"[dim]{escape(marks)}[/dim]")
                for citation in citations:
                    heading = ", ".join(filter(None, (citation.title, citation.section)))
                    where = f"{heading}, characters {citation.start}-{citation.end}"
                    cited[citation.number] = (where, _origin(shown[citation.number], citation))
            case Located(places=places):
                for place in places:
                    x0, y0, x1, y1 = place.region.box
                    seen = f"Most like it: picture {place.region.picture}, x {x0}-{x1}, y {y0}-{y1}; no segmentation."
                    console.print(f"[dim]{seen}[/dim]")
            case Finding(message=message):
                console.print(f"[yellow]{escape(message)}[/yellow]")
            case Done() as done:
                _print_end(console, done, cited)


def _origin(item: "EvidenceItem", citation: "Citation") -> str:
    """Where a citation comes from; of a condensed passage also the words its statements rest on."""
    inside = (quote for quote in item.sources if quote.start < citation.end and citation.start < quote.end)
    quotes = (f"{', '.join(filter(None, (quote.document, quote.section)))}: {quote.quote}" for quote in inside)
    return "\n    ".join([item.source or "a case of this library", *quotes])


def _print_end(console: Console, done: Any, cited: dict[int, tuple[str, str]]) -> None:
    if done.reason:
        console.print(escape(done.reason))
    if cited:
        console.print()
    for number, (where, source) in sorted(cited.items()):
        console.print(f"{escape(f'[{number}]')} {escape(where)}\n    [dim]{escape(source)}[/dim]")
    console.print()
    for dropped in done.dropped:
        console.print(f"[dim]Withheld: {escape(dropped.what)}: {escape(dropped.why)}.[/dim]")
    for warning in done.warnings:
        console.print(f"[dim]{escape(warning)}[/dim]")
    who = done.identity
    console.print(f"[dim]{escape(who.model)} ({who.engine}), {done.timings['total']:.1f} s[/dim]")


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Say what works here: settings, model, encoders, knowledge base, versions, and what mends the rest."""
    from assistant.checkup import checkup

    parts = asyncio.run(checkup())
    if as_json:
        print(json.dumps([part.__dict__ for part in parts], ensure_ascii=False, indent=2))
    else:
        console = Console(highlight=False)
        for part in parts:
            mark = "[green]works[/green]" if part.ok else "[red]broken[/red]"
            console.print(f"{mark}  [bold]{part.name}[/bold]  {escape(part.says)}")
            if part.mend:
                console.print(f"        mend with: {escape(part.mend)}")
    if not all(part.ok for part in parts):
        raise typer.Exit(1)
