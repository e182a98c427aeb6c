"""Editions: which documents are editions of one work, and which of them is the newest. Pure functions.

What is superseded is left out of searches, and a guideline hidden by mistake does more harm than an old one shown with
its date, so doubt lets both stand: when either doesn't say which edition it is, when number and date contradict each
other, when one says 2023 and the other May 2023. Nothing supersedes across jurisdictions or domains.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from retrieval.rows import Document

MANY = 50  # editions of one work: what has more is no work but a heading, such as "Editorial"

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_YEAR = r"(?:19|20)\d\d"
_DATE = re.compile(
    rf"(?<!\w)(?:(?P<year>{_YEAR})(?:[-/.](?P<month>\d\d?)(?:[-/.](?P<day>\d\d?))?)?"
    rf"|(?:(?P<on>\d\d?)\s+)?(?P<name>{'|'.join(_MONTHS)})[a-z]*\.?\s+(?P<of>{_YEAR}))(?!\w)",
    re.I,
)
_PLACE = r"\d{1,3}(?:\.\d{1,3})*"
_NUMBER = re.compile(
    rf"\b(?:(?:(?P<before>{_PLACE})(?:st|nd|rd|th)?|(?P<word>{'|'.join(_ORDINALS)}))[\s-]+(?:edition|version|revision|ed)"
    rf"|(?:edition|version|revision|rev|ver)\b\.?\s*(?P<after>{_PLACE})"
    r"|v\.?\s?(?P<v>\d{1,3}(?:\.\d{1,3})+))(?!\w)",  # "V2" alone may be a lead or a nerve
    re.I,
)
_BARE = re.compile(rf"\s*v?\.?\s*({_PLACE})(?:st|nd|rd|th)?\.?\s*", re.I)  # all that an edition may say
_ABOUT = re.compile(r"\b(?:edition|version|revision|revised|updated?)\b", re.I)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an edition stands among others: "3rd edition" is number (3,), "v2.1" (2, 1), "May 2023" date (2023, 5)."""

    number: tuple[int, ...] = ()
    date: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Editions:
    """`newer`: by document the newest one that supersedes it, which itself stands. `undecided`: for people, a line for
    each work whose editions can't be put in order."""

    newer: dict[str, str]
    undecided: tuple[str, ...] = ()


def editions_of(documents: Sequence[Document]) -> Editions:
    """Of a whole library, whatever order its documents come in; their texts aren't read."""
    works: dict[Any, list[Document]] = defaultdict(list)
    for document in sorted(documents, key=lambda document: (document.name, document.id)):
        if work := work_of(document):
            works[work].append(document)
    steps: dict[str, str] = {}
    undecided: list[str] = []
    for group in works.values():
        if len(group) > 1:
            found, doubt = _among(group)
            steps |= found
            undecided += doubt
    said, doubt = _said(documents)
    newer, circles = _newest(steps | said)
    if circles:
        names = sorted(document.name for document in documents if document.id in circles)
        doubt.append(f"{', '.join(names)}: each is said to be newer than the other, so all stand.")
    by_id = {document.id: document for document in documents}
    sound = {old: new for old, new in newer.items() if not _apart(by_id[old], by_id[new])}  # nor by a detour
    return Editions(sound, tuple(undecided + doubt))


def work_of(document: Document) -> tuple[str, str, str, str] | None:
    """Title without case and edition words, who issued it, jurisdiction, domain. None for what is no edition of
    anything: without a title, without a word of who issued it or which edition it is, or written by a model."""
    meta = document.meta
    title = _plain(document.title)
    issuer = _plain(str(meta.get("organisation") or str(meta.get("source") or "").split(";")[0].split(",")[0]))
    if not title or not (issuer or meta.get("edition")) or meta.get("condensed_by"):
        return None
    return title, issuer, _fold(meta.get("jurisdiction")), _fold(meta.get("domain"))


def place_of(document: Document) -> Place:
    """From `edition`, else the title, else (dates only) `dated`."""
    stated = read_place(str(document.meta.get("edition") or ""), alone=True)
    titled = read_place(document.title)
    dated = read_place(str(document.meta.get("dated") or ""))
    return Place(stated.number or titled.number, stated.date or titled.date or dated.date)


def read_place(text: str, alone: bool = False) -> Place:
    """What a text says of an edition's place; of several dates the latest ("2010, updated 2016"). `alone`: the text
    speaks of nothing else, so a number in it needs no word beside it."""
    dates = [date for match in _DATE.finditer(text) if (date := _date(match))]
    rest = _DATE.sub(" ", text)
    if bare := _BARE.fullmatch(text) if alone else None:
        return Place(_number(bare[1]), max(dates, default=()))
    match = _NUMBER.search(rest)
    if not match:
        return Place((), max(dates, default=()))
    if match["word"]:
        return Place((_ORDINALS.index(match["word"].lower()) + 1,), max(dates, default=()))
    return Place(_number(match["before"] or match["after"] or match["v"]), max(dates, default=()))


def compare(one: Place, other: Place) -> int | None:
    """-1, 0 or 1: `one` is older than, the same as or newer than `other`; None: it can't be told."""
    signs: list[int | None] = []
    if one.number and other.number:
        size = max(len(one.number), len(other.number))
        signs.append(_sign(_padded(one.number, size), _padded(other.number, size)))
    if one.date and other.date:
        size = min(len(one.date), len(other.date))
        sign = _sign(one.date[:size], other.date[:size])
        signs.append(None if sign == 0 and len(one.date) != len(other.date) else sign)
    told = {sign for sign in signs if sign}
    if len(told) == 1:
        return told.pop()
    return None if told or not signs or None in signs else 0


def _among(group: Sequence[Document]) -> tuple[dict[str, str], list[str]]:
    """Within one work: by document a newer one; and the doubt there is. Documents of one place are parts or copies of
    one edition. Dates alone don't order what stands in one file: they are those of articles, not of editions."""
    places: dict[tuple[Place, str], list[Document]] = defaultdict(list)
    for document in group:
        places[place_of(document), "" if document.meta.get("edition") else document.file].append(document)
    if len({place for place, _ in places}) == 1:
        return {}, []
    if len(places) > MANY:
        return {}, [f"{group[0].title}: more than {MANY} editions, so this is taken for a heading; all stand."]
    newer = {row: [other for other in places if _may(row, other) and compare(row[0], other[0]) == -1] for row in places}
    steps: dict[str, str] = {}
    for row, better in newer.items():
        if better:
            chosen = next((other for other in better if not newer[other]), better[0])
            steps |= {document.id: places[chosen][0].id for document in places[row]}
    heads = [row for row in places if not newer[row]]
    doubtful = [
        row
        for row in heads
        if any(other != row and _may(row, other) and compare(row[0], other[0]) is None for other in heads)
    ]
    names = sorted({document.name for row in doubtful for document in places[row]})
    said = f"{group[0].title} ({_few(names)}): which of them is newest can't be told, so they stand side by side."
    return steps, [said] if doubtful else []


def _may(row: tuple[Place, str], other: tuple[Place, str]) -> bool:
    """Whether two places may be compared: not those of one file that states no edition."""
    return not row[1] or row[1] != other[1]


def _said(documents: Sequence[Document]) -> tuple[dict[str, str], list[str]]:
    """What documents say themselves: `supersedes` names a file (with or without folder and ending) or a title."""
    speakers = [document for document in documents if document.meta.get("supersedes")]
    if not speakers:
        return {}, []
    called: dict[str, list[Document]] = defaultdict(list)
    for document in documents:
        for name in _names(document):
            called[name].append(document)
    steps, doubt = dict[str, str](), list[str]()
    for speaker in sorted(speakers, key=lambda document: (document.name, document.id)):
        told = speaker.meta["supersedes"]
        for name in told if isinstance(told, list) else [told]:
            found = [document for document in called[_fold(name)] if document.file != speaker.file]
            if len({document.file for document in found}) > 1:
                doubt.append(f"{speaker.name} says it supersedes {name!r}, which several files are called; all stand.")
            elif any(_apart(speaker, document) for document in found):
                doubt.append(
                    f"{speaker.name} says it supersedes {name!r} of another jurisdiction or domain; both stand."
                )
            else:
                steps |= {document.id: speaker.id for document in found}
    return steps, doubt


def _names(document: Document) -> set[str]:
    path = PurePosixPath(document.name.partition("#")[0])  # after it: the line of a JSONL file
    return {_fold(name) for name in (document.name, str(path), path.name, path.stem, document.title)}


def _apart(one: Document, other: Document) -> bool:
    pairs = [(_fold(one.meta.get(key)), _fold(other.meta.get(key))) for key in ("jurisdiction", "domain")]
    return any(a and b and a != b for a, b in pairs)


def _newest(steps: dict[str, str]) -> tuple[dict[str, str], set[str]]:
    """Each document's last successor, and those that succeed one another in a circle, which succeed none."""
    circles: set[str] = set()
    for start in steps:
        walked = list(_walk(start, steps))
        if (end := steps.get(walked[-1])) is not None:
            circles |= set(walked[walked.index(end) :])
    sound = {old: new for old, new in steps.items() if old not in circles}
    return {old: list(_walk(old, sound))[-1] for old in sound}, circles


def _walk(start: str, steps: dict[str, str]) -> Iterator[str]:
    """From one document to the next, until there is none or one comes again."""
    seen: set[str] = set()
    here: str | None = start
    while here is not None and here not in seen:
        yield here
        seen.add(here)
        here = steps.get(here)


def _plain(text: str) -> str:
    for pattern in (_DATE, _NUMBER, _ABOUT):
        text = pattern.sub(" ", text)
    return " ".join(re.findall(r"\w+", text.casefold()))


def _fold(value: Any) -> str:
    return " ".join(str(value or "").casefold().split())


def _date(match: re.Match[str]) -> tuple[int, ...]:
    if match["name"]:
        parts = (match["of"], str(_MONTHS.index(match["name"].lower()) + 1), match["on"])
    else:
        parts = (match["year"], match["month"], match["day"])
    numbers = [int(part) for part in parts if part]
    for at, most in ((1, 12), (2, 31)):
        if len(numbers) > at and not 1 <= numbers[at] <= most:
            return tuple(numbers[:at])
    return tuple(numbers)


def _number(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def _padded(number: tuple[int, ...], size: int) -> tuple[int, ...]:
    return number + (0,) * (size - len(number))


def _sign(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    return (one > other) - (one < other)


def _few(names: Iterable[str], shown: int = 4) -> str:
    names = list(names)
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")
