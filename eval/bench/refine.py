"""What do the checks on condensed statements let through, and what do they leave out that was right?

Right statements: condensations of the bundled cards, written by hand in other words (`condensations.jsonl`; every other
one fitted `faithful.COVERAGE` and the word lists, the rest is held out), and sentences of a corpus as they stand.
In each, one error is planted where it can be: a number changed, a denial added or dropped, an organ swapped, a side or
direction swapped, words of something else added, a
passage of something else cited. Run: `python -m eval.bench.refine [CORPUS.jsonl]`.
"""

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from retrieval.cutting import cut
from retrieval.faithful import support, why_not
from retrieval.guarded import guarded
from retrieval.ingest import bundled_sources
from retrieval.readers import read_document
from retrieval.types import Passage

Rng = random.Random
Row = tuple[str, Passage]  # a right statement, and what it cites
ORGANS = (
    "lung", "heart", "liver", "kidney", "brain", "spleen", "stomach", "bladder", "skin", "bone", "eye", "pancreas",
    "chest", "pleural", "pulmonary", "retinal", "cardiac", "renal", "hepatic", "gastric", "abdominal", "cerebral",
    "mediastinum",
)  # fmt: skip
OPPOSITES = {
    one: other for pair in (
        "left right", "upper lower", "raised reduced", "increased decreased", "high low", "higher lower",
        "acute chronic", "large small", "normal abnormal", "early late", "often rarely", "typically rarely",
        "mild severe", "common rare",
    ) for one, other in (pair.split(), pair.split()[::-1])
}  # fmt: skip
_VERB = re.compile(r"\b(is|are|can|may|was|were|has|have|does|do|should|could)\b(?! not\b)", re.I)
_DENIAL = re.compile(r"\b(not|no|cannot|without|neither)\b", re.I)


def number_changed(text: str, rng: Rng) -> str | None:
    match = re.search(r"(?<![A-Za-z\d.-])\d+(?:\.\d+)?", text)
    return match and text[: match.start()] + f"{float(match[0]) * rng.choice((2, 3, 10)):g}" + text[match.end() :]


def denial_added(text: str, rng: Rng) -> str | None:
    match = _VERB.search(text)
    return match and f"{text[: match.end()]} not{text[match.end() :]}"


def denial_dropped(text: str, rng: Rng) -> str | None:
    match = _DENIAL.search(text)
    kept = {"cannot": "can", "without": "with", "neither": "either"}
    return match and " ".join((text[: match.start()] + kept.get(match[1].lower(), "") + text[match.end() :]).split())


def organ_swapped(text: str, rng: Rng) -> str | None:
    match = re.search(rf"\b(?:{'|'.join(ORGANS)})\b", text, re.I)
    others = [organ for organ in ORGANS if not guarded(organ) & guarded(text)]  # "hepatic" is no swap for "liver"
    return match and text[: match.start()] + rng.choice(others) + text[match.end() :]


def opposite(text: str, rng: Rng) -> str | None:
    match = re.search(rf"\b(?:{'|'.join(OPPOSITES)})\b", text, re.I)
    return match and text[: match.start()] + OPPOSITES[match[0].lower()] + text[match.end() :]


PLANTED: dict[str, Callable[[str, Rng], str | None]] = {
    "number changed": number_changed, "denial added": denial_added, "denial dropped": denial_dropped,
    "organ swapped": organ_swapped, "side or direction swapped": opposite,
}  # fmt: skip
ADDED, STRANGE = "six words of something else added", "another passage cited"


def let_through(text: str, passage: Passage) -> bool:
    return why_not(text, support(text, [passage])) is None


def measured(rows: list[Row], seed: int = 0) -> dict[str, tuple[int, int]]:
    """By kind: how many statements were let through, of how many."""
    rng, through, tried = random.Random(seed), Counter[str](), Counter[str]()

    def count(kind: str, text: str, passage: Passage) -> None:
        tried[kind] += 1
        through[kind] += let_through(text, passage)

    for text, passage in rows:
        count("right", text, passage)
        for kind, plant in PLANTED.items():
            if wrong := plant(text, rng):
                count(kind, wrong, passage)
        other, elsewhere = rng.choice(rows)
        if elsewhere.document != passage.document:
            count(ADDED, f"{text.rstrip('.')}, and {' '.join(other.split()[-6:])}", passage)
            count(STRANGE, text, elsewhere)
    return {kind: (through[kind], tried[kind]) for kind in ("right", *PLANTED, ADDED, STRANGE)}


def condensations() -> list[Row]:
    """Of the bundled cards, each with the whole section it condenses."""
    sections: dict[tuple[str, str], Passage] = {}
    for source in bundled_sources():
        (draft,) = read_document(Path(str(source.data)).read_bytes(), source.name).drafts
        for span in cut([draft])[0]:
            text = draft.text[span.start : span.end]
            card = Path(source.name).stem
            sections[card, span.section] = Passage("", "", draft.title, span.section, text, span.start, span.end)
    lines = (Path(__file__).parent / "condensations.jsonl").read_text(encoding="utf-8").splitlines()
    return [(row["text"], sections[row["card"], row["section"]]) for row in map(json.loads, lines)]


def corpus_sentences(corpus: Path, most: int) -> Iterator[Row]:
    """One sentence of 8 to 30 words each of `most` passages drawn from a JSONL corpus, but for those on treatment."""
    rows = [json.loads(line) for line in corpus.read_text(encoding="utf-8").splitlines()]
    rng = random.Random(0)
    rng.shuffle(rows)
    for row in rows[:most]:
        sentences = [s.strip(" -") for s in re.split(r"(?<=[.!?])\s+|\n", row["text"]) if 8 <= len(s.split()) <= 30]
        if sentences and "treat" not in row["section"]:
            passage = Passage("", "", row["title"], row["section"], row["text"], 0, len(row["text"]))
            yield rng.choice(sentences), passage


def main(
    corpus: Annotated[Path | None, typer.Argument(help="JSONL with title, section, text.")] = None,
    most: Annotated[int, typer.Option(help="Passages drawn from the corpus.")] = 2000,
    show: Annotated[bool, typer.Option(help="Print what was decided wrongly of the condensations.")] = False,
) -> None:
    """Print how many statements of each kind the checks let through."""
    by_hand = condensations()
    arms = {"by hand, fitted on": by_hand[1::2], "by hand, held out": by_hand[::2]}
    if corpus:
        arms["corpus, as it stands"] = list(corpus_sentences(corpus, most))
    figures = {name: measured(rows) for name, rows in arms.items()}
    table = Table("let through", *figures)
    for kind in next(iter(figures.values())):
        table.add_row(kind, *(f"{a}/{n} = {a / n:.3f}" if n else "" for a, n in (f[kind] for f in figures.values())))
    Console().print(table)
    if show:
        _show(arms["by hand, fitted on"])


def _show(rows: list[Row]) -> None:
    rng = random.Random(0)
    for text, passage in rows:
        if why := why_not(text, support(text, [passage])):
            print(f"left out, right: {text} | {why}")
        for kind, plant in PLANTED.items():
            if (wrong := plant(text, rng)) and let_through(wrong, passage):
                print(f"let through, {kind}: {wrong}")


if __name__ == "__main__":
    typer.run(main)
