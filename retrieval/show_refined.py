"""How `consult knowledge refine` and `review` print: statements and passages are shown as they are, never as markup."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rich.console import Console
from rich.markup import escape

from retrieval.library import Library
from retrieval.refine import Outcome, by_statement
from retrieval.rows import Document, source_of
from retrieval.types import Passage, Statement

SHOWN = 100  # characters of a passage in a list


def show_found(found: Mapping[str, Sequence[Passage]], as_json: bool) -> None:
    """The passages that would be condensed, by disease."""
    if as_json:
        print(json.dumps({name: [asdict(p) for p in passages] for name, passages in found.items()}, ensure_ascii=False))
        return
    console = Console(highlight=False)
    for name, passages in found.items():
        console.print(f"[bold]{escape(name)}[/bold]: {len(passages) or 'no relevant'} passages")
        for number, passage in enumerate(passages, 1):
            heading = ", ".join(filter(None, (passage.document, passage.section)))
            start = " ".join(passage.text.split())
            start = start if len(start) <= SHOWN else start[:SHOWN] + "…"
            console.print(f"  {escape(f'[{number}] {heading}')}: [dim]{escape(start)}[/dim]")


def show_outcomes(outcomes: Sequence[Outcome], as_json: bool) -> None:
    """What was stored, and each statement that was not, with why."""
    if as_json:
        print(json.dumps([asdict(outcome) for outcome in outcomes], ensure_ascii=False))
        return
    console = Console(highlight=False)
    for outcome in outcomes:
        told = f"[bold]{escape(outcome.disease)}[/bold]: {escape(outcome.status)}"
        if outcome.statements:
            told += f", {outcome.statements} statements in {outcome.words} words from {outcome.passages} passages"
        console.print(f"{told}, {len(outcome.left_out)} left out" if outcome.left_out else told)
        if outcome.not_shown:
            console.print(f"  [yellow]{outcome.not_shown} passages did not fit the model's context.[/yellow]")
        for text, why in outcome.left_out:
            console.print(f"  [dim]left out, it {escape(why)}: {escape(text)}[/dim]")
    if any(outcome.statements for outcome in outcomes):
        console.print("Not reviewed by a person yet: consult knowledge review DISEASE")


def show_review(library: Library, document: Document, as_json: bool) -> None:
    """Each statement of a condensed document beside the words it rests on."""
    rows = by_statement(library.statements(document.id))
    said = [(document.text[start:end], quotes) for (start, end), quotes in rows.items()]
    if as_json:
        statements = [{"text": text, "sources": [asdict(quote) for quote in quotes]} for text, quotes in said]
        meta = {"disease": document.title, "stale": document.id in library.stale(), **document.meta}
        print(json.dumps({**meta, "statements": statements}, ensure_ascii=False))
        return
    console = Console(highlight=False)
    console.print(f"[bold]{escape(document.title)}[/bold], {escape(source_of(document.meta))}")
    for text, quotes in said:
        console.print(f"\n{escape(text)}")
        for quote in quotes:
            console.print(f"    [dim]{escape(_place(quote))}:[/dim] {escape(quote.quote)}")
    if document.id in library.stale():
        console.print("\n[yellow]Stale: a source has changed. Run consult knowledge refine --stale.[/yellow]")


def _place(quote: Statement) -> str:
    return ", ".join(filter(None, (quote.document, quote.section))) or "a passage that is gone"
