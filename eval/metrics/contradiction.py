"""Does a text contradict itself, or the truth? Built on the rule labeller; what can be read two ways is none.

Compared are statements of the same finding that are certain and of today: doubts, earlier studies, indication and
history don't count, nor does a denial that leaves room ("otherwise clear", "no new …", "no large effusion"). The kinds:

    state     present, and absent on the same or an overlapping side ("normal chest" denies every finding but devices)
    side      the impression, or a sentence about "the effusion", names a side that no earlier sentence does
    severity  small, and large, on the same side; "moderate" agrees with both
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from eval.metrics.base import Rate, rate
from eval.metrics.labeller import Mention, Side, clauses, label, own_words
from eval.metrics.phrases import Finding, State

Truth = Mapping[Finding, tuple[State, Collection[Side]]]

_SECTION = re.compile(r"\s*(?:\[\s*(\w+)\s*\]|(\w+)\s*:)")
_LAST = {"impression", "conclusion", "opinion", "summary"}
_UNREAD = {"indication", "history", "comparison", "technique"}
_SECTIONS = _LAST | _UNREAD | {"findings", "report"}
_EARLIER = re.compile(r"\b(?:previous(?:ly)?|prior|earlier|formerly|history of)\b", re.I)
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
_IN_GENERAL = re.compile(r"\b(?:clear|normal|unremarkable|intact)\b", re.I)
# One label for several things: "no mass" and "a nodule" agree.
_UMBRELLAS = {"Lung Lesion", "Lung Opacity", "Edema", "Pleural Other", "Support Devices"}
_GRADED = {"Cardiomegaly", "Enlarged Cardiomediastinum", "Edema", "Pneumothorax", "Pleural Effusion", "Atelectasis"}
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
class _Statement:
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


def contradictions(sentences: Sequence[str]) -> list[tuple[int, int, str]]:
    """(i, j, why) for every two sentences i < j that contradict each other, each pair and reason once.

    A sentence may open a section with "Impression:" or "[impression]", which then holds for those after it.
    """
    said = list(_statements(sentences))
    found: dict[tuple[int, int, str], None] = {}
    for n, later in enumerate(said):
        for earlier in said[:n]:
            why = _state_clash(earlier, later) or _severity_clash(earlier, later, said)
            if why and earlier.sentence < later.sentence:
                found[earlier.sentence, later.sentence, why] = None
        if (i := _side_clash(said[:n], later)) is not None:
            found[i, later.sentence, f"{later.mention.finding}: side"] = None
    return sorted(found)


def contradiction_rate(answers: Iterable[Sequence[str]]) -> Rate:
    """The share of answers, each a list of its sentences, of which at least two contradict each other."""
    verdicts = [bool(contradictions(sentences)) for sentences in answers]
    return rate(sum(verdicts), len(verdicts))


def contradicts(text: str, truth: Truth) -> tuple[str, ...]:
    """What the text says against the truth: "finding: state" or "finding: side", each once.

    `truth`: finding → (state, sides). A finding that it lacks or calls uncertain can't be contradicted; without sides
    a side can't be wrong, and a denial of one side denies nothing.
    """
    found: dict[str, None] = {}
    for statement in _statements([text]):
        mention = statement.mention
        state, sides = truth.get(mention.finding, ("uncertain", ()))
        true = _ends(sides)
        own = _ends([mention.side] if mention.side else [])
        if mention.state == "present" and state == "absent":
            found[f"{mention.finding}: state"] = None
        elif mention.state == "absent" and state == "present" and not statement.room:
            if len(own) != 1 or own <= true:
                found[f"{mention.finding}: state"] = None
        elif mention.state == state == "present" and true and not own <= true:
            found[f"{mention.finding}: side"] = None
    return tuple(found)


def _statements(sentences: Sequence[str]) -> Iterator[_Statement]:
    section = ""
    for number, sentence in enumerate(sentences):
        for start, clause in clauses(sentence):
            section = _heading(sentence[start : start + len(clause) + 1]) or section
            if section in _UNREAD or _EARLIER.search(clause):
                continue
            yield from _in_clause(number, clause, section in _LAST)


def _heading(text: str) -> str | None:
    match = _SECTION.match(text)
    name = (match[1] or match[2]).lower() if match else None
    return name if name in _SECTIONS else None


def _in_clause(number: int, clause: str, last: bool) -> Iterator[_Statement]:
    mentions = [mention for mention in label(clause) if mention.state != "uncertain"]
    spans = sorted({(mention.start, mention.end) for mention in mentions})
    own = dict(zip(spans, own_words(clause, spans), strict=True))
    for mention in mentions:
        before, after = own[mention.start, mention.end]
        yield _Statement(
            sentence=number,
            mention=mention,
            words=clause[mention.start : mention.end].lower().replace("oe", "e"),
            grades=_grades(before) or _grades(after),
            places=frozenset(place for place, words in _PLACES.items() if words.search(before + after)),
            room=bool(_LEAVES_ROOM.search(clause)) or (mention.state == "absent" and bool(_grades(before))),
            back=last or _REFERS.search(before) is not None,
        )


def _grades(words: str) -> frozenset[int]:
    return frozenset(level for level, grade in enumerate(_GRADES) if grade.search(words))


def _ends(sides: Iterable[Side]) -> frozenset[Side]:
    """Left and right, with both taken apart; nothing when no side is stated."""
    return frozenset(end for side in sides for end in _BOTH.get(side, (side,)))


def _state_clash(one: _Statement, other: _Statement) -> str | None:
    for present, absent in ((one, other), (other, one)):
        if present.mention.state != "present" or absent.room:
            continue
        finding = present.mention.finding
        if absent.mention.state == "absent" and absent.mention.finding == finding and _denied(present, absent):
            return f"{finding}: present and absent"
    for normal, abnormal in ((one, other), (other, one)):
        devices = abnormal.mention.finding in ("No Finding", "Support Devices")
        if normal.mention.finding == "No Finding" and abnormal.mention.state == "present" and not devices:
            return None if normal.room else f"{abnormal.mention.finding}: present, and the study normal"
    return None


def _denied(present: _Statement, absent: _Statement) -> bool:
    """Does the denial cover the place of what is present? A side or zone that isn't stated for the finding isn't."""
    general = _IN_GENERAL.search(absent.words) is not None
    if present.mention.finding in _UMBRELLAS and not general and present.words[:5] != absent.words[:5]:
        return False
    if absent.places and not absent.places & present.places:
        return False
    side = present.mention.side
    return absent.mention.side in (None, "both") or side == "both" or side == absent.mention.side


def _severity_clash(one: _Statement, other: _Statement, said: Sequence[_Statement]) -> str | None:
    finding = one.mention.finding
    if finding != other.mention.finding or finding not in _GRADED or not one.grades or not other.grades:
        return None
    present = [s.mention for s in said if s.mention.finding == finding and s.mention.state == "present"]
    sides = {mention.side for mention in present if mention.side}
    same = one.mention.side == other.mention.side or (None in (one.mention.side, other.mention.side) and len(sides) < 2)
    if not same or "absent" in (one.mention.state, other.mention.state) or _apart(one.places, other.places):
        return None
    far = min(abs(a - b) for a in one.grades for b in other.grades) == 2
    return f"{finding}: small and large" if far else None


def _apart(one: frozenset[str], other: frozenset[str]) -> bool:
    return bool(one and other and not one & other)


def _side_clash(earlier: Sequence[_Statement], later: _Statement) -> int | None:
    """The sentence that last named the finding's side, when `later` speaks of it on a side not named so far."""
    mention = later.mention
    if not later.back or mention.side is None or mention.state != "present":
        return None
    named = [
        s for s in earlier
        if s.mention.finding == mention.finding and s.mention.state == "present" and s.sentence < later.sentence
    ]  # fmt: skip
    known = _ends(s.mention.side for s in named if s.mention.side)
    if not known or any(s.mention.side is None for s in named) or _ends([mention.side]) <= known:
        return None
    return named[-1].sentence
