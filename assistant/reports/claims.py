"""What a sentence claims of a finding: the labeller's mention with how severe, where, and how firmly it is said.

Doubts are no claims, nor is what is said of earlier studies, of the indication or of the history.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from assistant.reports.entities import Mention, Side, clauses, label, own_words

_SECTION = re.compile(r"\s*(?:\[\s*(\w+)\s*\]|(\w+)\s*:)")
_LAST = {"impression", "conclusion", "opinion", "summary"}
_UNREAD = {"indication", "history", "comparison", "technique"}
_SECTIONS = _LAST | _UNREAD | {"findings", "report"}
EARLIER = re.compile(r"\b(?:previous(?:ly)?|prior(?! to)|earlier|formerly|history of)\b", re.I)
# What today is held against: "larger than on the previous film" speaks of today.
THAN_BEFORE = re.compile(
    r"\b(?:since|from|than|compared (?:with|to)|in comparison (?:with|to)|relative to)(?: on| in)?(?: the| a)?"
    r" (?:prior|previous|earlier|last)(?: (?:study|examination|exam|radiograph|film|report))?\b",
    re.I,
)
_LEAVES_ROOM = re.compile(
    r"\b(?:other(?:wise)?|elsewhere|remain(?:der|ing)|rest|additional|further|new|acute|active|significant"
    r"|overt|frank)\b",
    re.I,
)
# "The effusion is on the left" speaks of one that was named; "the left lung shows an effusion" doesn't.
_REFERS = re.compile(
    r"^\s*the (?:(?:small|large|tiny|moderate|known|described|same|lung|pulmonary) )*"
    r"(?:(?:pleural )?effusion|pleural fluid|pneumothorax|consolidation|pneumonia|atelectasis|opacity|nodule|mass)$",
    re.I,
)
# "No fat within the mass" denies the fat.
_PART_OF = re.compile(r"\b(?:within|in|inside|around|along|into|from) (?:the|this) (?:\w+ ){0,2}$", re.I)
_IN_GENERAL = re.compile(r"\b(?:clear|normal|unremarkable|intact)\b", re.I)
# One label for several things: "no mass" and "a nodule" agree.
_UMBRELLAS = {"Lung Lesion", "Lung Opacity", "Edema", "Pleural Other", "Support Devices"}
GRADED = {"Cardiomegaly", "Enlarged Cardiomediastinum", "Edema", "Pneumothorax", "Pleural Effusion", "Atelectasis"}
_GRADES = tuple(
    re.compile(rf"\b(?:{words})\b", re.I)
    for words in (
        "tiny|trace|minimal(?:ly)?|small|mild(?:ly)?|slight(?:ly)?|subtle|minor",
        "moderate(?:ly)?",
        "large|massive(?:ly)?|severe(?:ly)?|marked(?:ly)?|extensive|gross(?:ly)?",
    )
)
_BOTH: dict[Side, tuple[Side, ...]] = {"both": ("left", "right")}
_PLACES = {
    place: re.compile(rf"\b(?:{words})\b", re.I)
    for place, words in {
        "upper": "upper|apical|apex|apices|biapical|[rl]ul",
        "middle": "mid|middle|rml|lingula|perihilar",
        "lower": r"lower|bas(?:al|es?|ilar)|bibas\w+|[rl]ll|retrocardiac",
        "rib": "ribs?",
        "clavicle": "clavicles?|clavicular",
        "spine": "spine|vertebra\\w*|compression",
    }.items()
}


@dataclass(frozen=True, slots=True)
class Claim:
    """A mention with what its own words add; `words` are the phrase itself, without the spelling "oe".

    `grades`: 0 small, 1 moderate, 2 large. `room`: a denial of less than the finding. `back`: of what was said before.
    """

    sentence: int
    mention: Mention
    words: str
    grades: frozenset[int]
    places: frozenset[str]
    room: bool
    back: bool


def of_earlier(text: str) -> bool:
    """Whether it speaks of an earlier study or of the history, and not of today beside them."""
    return EARLIER.search(THAN_BEFORE.sub("", text)) is not None


def claims(sentences: Sequence[str]) -> Iterator[Claim]:
    """What the sentences claim, in their order; "Impression:" or "[impression]" opens a section for those after it."""
    section = ""
    for number, sentence in enumerate(sentences):
        for start, clause in clauses(sentence):
            section = _heading(sentence[start : start + len(clause) + 1]) or section
            if section in _UNREAD or of_earlier(clause):
                continue
            yield from _in_clause(number, clause, section in _LAST)


def _heading(text: str) -> str | None:
    match = _SECTION.match(text)
    name = (match[1] or match[2]).lower() if match else None
    return name if name in _SECTIONS else None


def _in_clause(number: int, clause: str, last: bool) -> Iterator[Claim]:
    mentions = [mention for mention in label(clause) if mention.state != "uncertain"]
    spans = sorted({(mention.start, mention.end) for mention in mentions})
    own = dict(zip(spans, own_words(clause, spans), strict=True))
    for mention in mentions:
        before, after = own[mention.start, mention.end]
        yield Claim(
            sentence=number,
            mention=mention,
            words=clause[mention.start : mention.end].lower().replace("oe", "e"),
            grades=_grades(before) or _grades(after),
            places=frozenset(place for place, words in _PLACES.items() if words.search(before + after)),
            room=bool(_LEAVES_ROOM.search(clause) or _PART_OF.search(clause[: mention.start]))
            or (mention.state == "absent" and bool(_grades(before))),
            back=last or _REFERS.search(before) is not None,
        )


def _grades(words: str) -> frozenset[int]:
    return frozenset(level for level, grade in enumerate(_GRADES) if grade.search(words))


def ends(sides: Iterable[Side]) -> frozenset[Side]:
    """Left and right, with both taken apart; nothing when no side is stated."""
    return frozenset(end for side in sides for end in _BOTH.get(side, (side,)))


def denies(present: Claim, absent: Claim) -> bool:
    """Does the denial cover the place of what is present? A side or zone that isn't stated for the finding isn't."""
    general = _IN_GENERAL.search(absent.words) is not None
    if present.mention.finding in _UMBRELLAS and not general and present.words[:5] != absent.words[:5]:
        return False
    if absent.places and not absent.places & present.places:
        return False
    side = present.mention.side
    return absent.mention.side in (None, "both") or side == "both" or side == absent.mention.side


def apart(one: frozenset[str], other: frozenset[str]) -> bool:
    return bool(one and other and not one & other)
