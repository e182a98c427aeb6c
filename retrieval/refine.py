"""Refinement as in RAD: what the library holds on a disease, condensed by a model under fixed headings.

What is stored is a document of its own, apart from its sources: each statement has its characters in the text and, for
every passage it rests on, the words it was held against (`retrieval.faithful`); what fails is left out and told of. The
model's output is not trusted: it brings no heading, no source and no markup of its own. A document is replaced in one
transaction, so that a killed run leaves the old one; when a source changes it is stale, and no longer searched.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from typing import Protocol

from retrieval.cutting import cut
from retrieval.embed import Progress, no_progress
from retrieval.encoders.bundle import Encoders
from retrieval.errors import BadInput, ConsultError, NotFound
from retrieval.faithful import Support, support, why_not
from retrieval.index import is_current, rebuild
from retrieval.ingest import exclusive, passage_at
from retrieval.library import Library, stable_id
from retrieval.readers import Draft
from retrieval.retriever import Retriever
from retrieval.rows import Document, File, mark
from retrieval.store.base import Store
from retrieval.types import Passage, Query, Statement
from retrieval.weigh import Selection

HEADINGS = {  # as a model names a section, and as it is printed; treatment is left out on purpose
    "description": "Description",
    "symptoms": "Symptoms",
    "laboratory": "Laboratory values",
    "findings": "Radiological or clinical findings",
}
WORDS = 500  # asked for
MAX_WORDS = 600  # kept
MAX_STATEMENTS = 60
VERSION = "1"  # of prompt and checks: raise it when the same passages would give another text
KIND = "condensed"
PATIENCE = 3  # failures of the model in a row
CARDS = ("disease", "finding")  # kinds of documents that are about one disease each


@dataclass(frozen=True, slots=True)
class Claim:
    """What a model wrote: a sentence under a section's name, and the numbers of the passages, from 1, it cites."""

    section: str
    text: str
    numbers: tuple[int, ...]
    whole: bool = True  # False when the answer broke off inside it


@dataclass(frozen=True, slots=True)
class Answer:
    """`shown`: how many of the passages, from the first on, the model was shown."""

    claims: tuple[Claim, ...]
    shown: int


class Condenser(Protocol):
    model: str  # name and hash, so that another model's text is told from it

    def condense(self, disease: str, passages: Sequence[Passage]) -> Answer:
        """Raises `ConsultError`."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A statement that passed, with what it rests on."""

    section: str
    text: str
    support: tuple[Support, ...]


@dataclass(slots=True)
class Outcome:
    """Of one disease. `status`: "refined", "unchanged", or why there is nothing new."""

    disease: str
    status: str = ""
    passages: int = 0
    statements: int = 0
    words: int = 0
    left_out: list[tuple[str, str]] = field(default_factory=list)  # (statement, why)
    not_shown: int = 0  # passages for which the model's context had no room


def refine(
    library: Library, store: Store, encoders: Encoders, diseases: Sequence[str], condenser: Condenser, k: int = 10,
    floor: float | None = None, progress: Progress = no_progress,
) -> list[Outcome]:  # fmt: skip
    """Condenses what is found on each disease and brings the index up to date; what was refined from the same passages
    by the same model is passed over. Raises `Busy`, and what the model last failed with when it fails `PATIENCE` times
    in a row; what was stored before stays, and is published."""
    names = {_path(disease): " ".join(disease.split()) for disease in diseases}
    outcomes, failed = list[Outcome](), 0
    with exclusive(library.home):
        for disease in names.values():
            try:
                outcomes.append(_refine(library, store, encoders, disease, condenser, k, floor))
                failed = 0
            except ConsultError as error:
                failed += 1
                if failed == min(PATIENCE, len(names)):
                    _publish(library, store, encoders)
                    raise
                outcomes.append(Outcome(disease, f"failed: {error}"))
            progress("condensing", len(outcomes), len(names))
        _publish(library, store, encoders)
    return outcomes


def _publish(library: Library, store: Store, encoders: Encoders) -> None:
    if not is_current(library, store, encoders):
        rebuild(library, store, encoders)


def _refine(
    library: Library, store: Store, encoders: Encoders, disease: str, condenser: Condenser, k: int, floor: float | None
) -> Outcome:
    passages = found(library, store, encoders, disease, k, floor)
    outcome = Outcome(disease, passages=len(passages))
    if not passages:
        outcome.status = "nothing relevant found in the library"
    elif is_refined(library, disease, passages, condenser.model):
        outcome.status = "unchanged"
    else:
        answer = condenser.condense(disease, passages)
        kept, outcome.left_out = checked(answer, passages)
        outcome.not_shown = len(passages) - answer.shown
        outcome.statements, outcome.words = len(kept), sum(len(row.text.split()) for row in kept)
        outcome.status = "refined" if kept else "nothing passed the checks; nothing was stored"
        if kept:
            _store(library, disease, passages, condenser.model, kept)
    return outcome


def found(
    library: Library, store: Store, encoders: Encoders, disease: str, k: int = 10, floor: float | None = None
) -> list[Passage]:
    """The `k` most relevant passages on a disease in their sources' own words, of current editions, best first."""
    how = Selection("log-ratio", inf, floor, k)  # no drop is too steep: what is relevant is read, up to k
    words_only = Encoders(None, encoders.text, encoders.fitted, reading=encoders.reading)
    items = Retriever(store, library, words_only, how).retrieve(Query(disease)).items
    return [item.content for item in items if isinstance(item.content, Passage) and not item.content.condensed_by]


def checked(answer: Answer, passages: Sequence[Passage]) -> tuple[list[Kept], list[tuple[str, str]]]:
    """The statements that may be kept, by heading, and the others with why not."""
    numbered = dict(enumerate(passages[: answer.shown], 1))
    kept: dict[str, Kept] = {}
    left_out, words = list[tuple[str, str]](), 0
    for at, claim in enumerate(answer.claims):
        parts = support(claim.text, [numbered[n] for n in claim.numbers if n in numbered])
        why = "is one too many" if at >= MAX_STATEMENTS else _why_not(claim, numbered, parts)
        if why is None and (claim.text.casefold() in kept or words + len(claim.text.split()) > MAX_WORDS):
            why = "was said before" if claim.text.casefold() in kept else f"is beyond {MAX_WORDS} words"
        if why:
            left_out.append((claim.text[:200], why))
        else:
            words += len(claim.text.split())
            kept[claim.text.casefold()] = Kept(claim.section, claim.text, tuple(parts))
    order = list(HEADINGS)
    return sorted(kept.values(), key=lambda row: order.index(row.section)), left_out


def _why_not(claim: Claim, numbered: dict[int, Passage], parts: Sequence[Support]) -> str | None:
    if claim.section not in HEADINGS:
        return "stands under no heading that was asked for"
    if not claim.whole:
        return "is where the answer broke off"
    if not claim.numbers:
        return "cites no passage"
    if strangers := [number for number in claim.numbers if number not in numbered]:
        return f"cites [{strangers[0]}], which it was not shown"
    return why_not(claim.text, parts)


def _store(library: Library, disease: str, passages: Sequence[Passage], model: str, kept: Sequence[Kept]) -> None:
    file, name = _file(disease, passages, model), _path(disease)
    text, starts = written(disease, kept)
    sources = list({part.passage.id: part.passage for row in kept for part in row.support}.values())
    domains = {passage.domain for passage in sources if passage.domain}
    meta = {
        "kind": KIND, "condensed_by": model, "dated": f"{datetime.now(UTC):%Y-%m-%d}",
        "domain": domains.pop() if len(domains) == 1 else None,
        "source": "; ".join(dict.fromkeys(passage.source or passage.document for passage in sources)),
    }  # fmt: skip
    document = Document(_document_id(disease), file.id, disease, name, text, meta)
    (spans,) = cut([Draft(disease, text)])
    statements = [
        Statement(start, start + len(row.text), part.passage.id, part.quote)
        for start, row in zip(starts, kept, strict=True) for part in row.support
    ]  # fmt: skip
    library.put_file(file, [(document, [passage_at(document, span) for span in spans])], statements)


def written(disease: str, kept: Sequence[Kept]) -> tuple[str, list[int]]:
    """Markdown under the fixed headings, a bullet a statement, and where in it each statement starts."""
    text, starts, section = f"# {disease}\n", list[int](), ""
    for row in kept:
        if row.section != section:
            section = row.section
            text += f"\n## {HEADINGS[section]}\n"
        starts.append(len(text) + len("- "))
        text += f"- {row.text}\n"
    return text, starts


def is_refined(library: Library, disease: str, passages: Sequence[Passage], model: str) -> bool:
    """Whether what is stored was condensed from these passages, as they are now, by this model."""
    new = _file(disease, passages, model)
    old = next((file for file in library.files() if file.id == new.id), None)
    same = old is not None and (old.sha256, old.made_by) == (new.sha256, new.made_by)
    return same and _document_id(disease) not in library.stale()


def _file(disease: str, passages: Sequence[Passage], model: str) -> File:
    """A passage's id changes with its words, so the ids say what was condensed."""
    path, ids = _path(disease), "\n".join(sorted(passage.id for passage in passages))
    sha256 = hashlib.sha256(ids.encode()).hexdigest()
    return File(stable_id("file", path), path, path, sha256, f"refine {VERSION} {model}")


def _path(disease: str) -> str:
    """The same for names that differ in case and punctuation alone. Raises `BadInput`."""
    slug = "-".join(re.findall(r"\w+", disease.casefold()))
    if not slug or len(disease) > 200 or not disease.isprintable():
        raise BadInput("The name of a disease has between 1 and 200 characters and at least one letter.")
    return f"{KIND}/{slug}"


def _document_id(disease: str) -> str:
    return stable_id("document", _path(disease), "")


# What was refined before


def condensed(library: Library) -> list[Document]:
    """The documents that were condensed, in the order they were stored."""
    return [document for document in library.documents() if document.meta.get("condensed_by")]


def refined(library: Library, only_stale: bool = False) -> list[str]:
    """The diseases that were refined before."""
    stale = library.stale()
    return [document.title for document in condensed(library) if document.id in stale or not only_stale]


def notes(library: Library) -> dict[str, str]:
    """By file what a list says of a condensed document."""
    stale = library.stale()
    late = "; stale: not searched until it is refined again"
    return {d.file: f"({mark(d.meta)}{late if d.id in stale else ''})" for d in condensed(library)}


def named_by_cards(library: Library) -> list[str]:
    """What the cards of the library are about: documents whose front matter says `kind: disease` or `finding`."""
    return [document.title for document in library.documents() if document.meta.get("kind") in CARDS]


def of_disease(library: Library, disease: str) -> Document:
    """Raises `NotFound`."""
    try:
        return library.document(_document_id(disease))
    except NotFound:
        raise NotFound(f"Nothing was condensed for this name. Run `consult knowledge refine '{disease}'`.") from None


def accept(library: Library, disease: str, by: str) -> None:
    """Marks a disease's document as compared with its sources by a person. Raises `NotFound`, `BadInput`."""
    document = of_disease(library, disease)
    if document.id in library.stale():
        raise BadInput("Its sources have changed since. Run `consult knowledge refine --stale`, then review it again.")
    if not by.strip() or not by.isprintable():
        raise BadInput("Say who reviewed it: --by NAME.")
    library.set_reviewed(document.id, by.strip())


def by_statement(statements: Iterable[Statement]) -> dict[tuple[int, int], list[Statement]]:
    """The quotes of each statement, by its characters."""
    rows: dict[tuple[int, int], list[Statement]] = {}
    for row in statements:
        rows.setdefault((row.start, row.end), []).append(row)
    return rows
