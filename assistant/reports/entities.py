"""A rule labeller of chest reports: which of the 14 CheXpert findings a text states, denies or doubts, on which side.

A text is cut into clauses; inside a clause a cue reaches every finding after it ("no …", "may represent …") or before
it ("… is not seen"). A denial outweighs a doubt, and a phrase that only looks like a denial ("no change in", "not
only", "cannot be excluded") is taken whole, so that its "no" denies nothing. The words stand in `entity_words`. The
method is NegEx/ConText's (Chapman 2001, Harkema 2009); the findings and the merging over a report are CheXpert's
(Irvin 2019).

Conventions. "No change in X" means X is present. "Likely", "probable", "borderline" are uncertain; "unlikely" is
absent; "no new X" and "no definite X" deny X. "The lungs are clear" denies opacity, consolidation, lesion, oedema and
atelectasis; a normal heart, mediastinum, vasculature, pleural space or skeleton denies what stands in the table. A
finding without a side of its own takes the one stated for its neighbour in the same clause; heart and mediastinum have
none. Indication and history aren't told apart from findings: hand in the sections that are to be labelled.

Measured (micro F1 over finding, state and side together): 0.97 on held sentences written before the rules, 0.84 on
those written when the rules were done, which is nearer to what a report from elsewhere will see. What is missed is
mostly words that the table lacks. The sentences: `tests/eval/metrics/sentences.jsonl`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from assistant.reports import entity_words as words_of
from assistant.reports.entity_words import Finding, Reach, State

Side = Literal["left", "right", "both"]


@dataclass(frozen=True, slots=True)
class Mention:
    """One finding where the text names it; `start` and `end` in characters of the text, `side` the patient's."""

    finding: Finding
    state: State
    side: Side | None
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Hit:
    """A phrase of the table in a clause; `start` and `end` in characters of the clause."""

    findings: tuple[Finding, ...]
    state: State
    start: int
    end: int


_Cue = tuple[State, Reach, tuple[int, int]]  # the span in characters of the clause


def label(text: str) -> tuple[Mention, ...]:
    """Every finding the text names, in the order of the text. An empty text has none."""
    # A letter whose lower case is longer stays as it is: it would shift every span behind it.
    lowered = "".join(lower if len(lower := letter.lower()) == 1 else letter for letter in text)
    found: list[Mention] = []
    for start, clause in clauses(lowered):
        hits, cues = _hits(clause), list(_cues(clause))
        for hit, side in zip(hits, _sides(clause, hits), strict=True):
            state = _state(cues, hit, hits)
            if state is not None:
                span = (start + hit.start, start + hit.end)
                found += [Mention(f, state, None if f in words_of.SIDELESS else side, *span) for f in hit.findings]
    return tuple(found)


def findings_of(text: str) -> dict[Finding, State]:
    """What a whole report says: one state a finding it names, present before uncertain before absent.

    "No Finding" is derived: present when the text says something and nothing but devices is present or uncertain;
    otherwise absent. A text that names no finding says nothing: the result is empty.
    """
    states: dict[Finding, State] = {}
    for mention in label(text):
        if "present" in (mention.state, states.get(mention.finding)):
            states[mention.finding] = "present"
        elif "uncertain" in (mention.state, states.get(mention.finding)):
            states[mention.finding] = "uncertain"
        else:
            states[mention.finding] = "absent"
    if states:
        others = (s for f, s in states.items() if f not in ("No Finding", "Support Devices"))
        states["No Finding"] = "present" if all(s == "absent" for s in others) else "absent"
    return states


def named(text: str, phrase: re.Pattern[str]) -> list[tuple[State, Side | None]]:
    """State and side of each place where `text` names `phrase`, which the 14 findings needn't hold."""
    found: list[tuple[State, Side | None]] = []
    for _, clause in clauses(text.lower()):
        cues = list(_cues(clause))
        for match in phrase.finditer(clause):
            hit = _Hit((), "present", *match.span())
            if state := _state(cues, hit, [hit]):
                found.append((state, _sides(clause, [hit])[0]))
    return found


def sentences(text: str) -> list[str]:
    """The text cut after each full stop that ends a sentence, and at line ends."""
    return [part for part in re.split(r"(?<=[.!?;])\s+|\n", text) if part.strip()]


def clauses(text: str) -> Iterator[tuple[int, str]]:
    """(where it begins, clause): the stretches in which cues have their effect, blank where a source is spoken of."""
    text, start = of_the_patient(text), 0
    for cut in words_of.BREAK.finditer(text):
        yield start, text[start : cut.start()]
        start = cut.end()
    yield start, text[start:]


def of_the_patient(text: str) -> str:
    """The text with spaces in place of sentences on what a passage, a guideline or a similar case says."""
    return words_of.OF_A_SOURCE.sub(lambda found: " " * len(found[0]), text)


def _hits(clause: str) -> list[_Hit]:
    hits: list[_Hit] = []
    for findings, state, phrase in words_of.TABLE:
        for match in phrase.finditer(clause):
            hit = _Hit(findings, state, match.start(), match.end())
            if all(hit.end <= other.start or other.end <= hit.start for other in hits):
                hits.append(hit)
    return sorted((hit for hit in hits if hit.findings), key=lambda hit: hit.start)


def _state(cues: Sequence[_Cue], hit: _Hit, hits: Sequence[_Hit]) -> State | None:
    """The state the clause's cues give the hit; None for a normal statement that is itself denied ("not clear")."""
    reached = {state for state, reach, cue in cues if _reaches(reach, cue, hit, hits)}
    if "absent" in reached:
        return None if hit.state == "absent" else "absent"
    return "uncertain" if "uncertain" in reached else hit.state


def _cues(clause: str) -> Iterator[_Cue]:
    for match in words_of.CUES.finditer(clause):
        state, reach, _ = words_of.CUE_ROWS[int((match.lastgroup or "c0")[1:])]
        if state is not None:
            yield state, reach, match.span()


def _reaches(reach: Reach, cue: tuple[int, int], hit: _Hit, hits: Sequence[_Hit]) -> bool:
    start, end = cue
    if reach == "before":
        return hit.end <= start
    if any(h.start < start and end <= h.end for h in hits if h.state == "absent"):
        return hit.start < start < hit.end  # "not clear, and …": that something isn't normal denies nothing further
    if reach == "after":
        return start < hit.end and start != hit.start  # inside counts ("heart is not enlarged"); as its first word not
    nearest = [h for h in hits if h.end <= start][-1:] + [h for h in hits if h.start >= end][:1]
    return hit in nearest


def own_words(clause: str, spans: Sequence[tuple[int, int]]) -> list[tuple[str, str]]:
    """For each of the ordered phrases at `spans` the words that are its own: (before it and itself, after it).

    Words between two phrases are parted at their links ("and", "with", a comma); without a link they belong to the
    earlier phrase: "effusion on the left and nodule", "opacity in the right base suggesting pneumonia".
    """
    words = []
    for n, (start, end) in enumerate(spans):
        earliest = spans[n - 1][1] if n else 0
        latest = spans[n + 1][0] if n + 1 < len(spans) else len(clause)
        links = [link.end() for link in words_of.LINK.finditer(clause, earliest, start)] if n else [0]
        link = words_of.LINK.search(clause, end, latest) if n + 1 < len(spans) else None
        words.append((clause[links[-1] if links else start : end], clause[end : link.start() if link else latest]))
    return words


def _sides(clause: str, hits: Sequence[_Hit]) -> list[Side | None]:
    """One side a hit: its own words', else the nearest earlier hit's, else the one stated after a later hit
    ("effusion and atelectasis on the left")."""
    stated = [
        (side_of(before), side_of(after)) for before, after in own_words(clause, [(h.start, h.end) for h in hits])
    ]
    sides: list[Side | None] = [before or after for before, after in stated]
    for n, side in enumerate(sides):
        if side is None:
            sides[n] = next((s for s in [*reversed(sides[:n]), *(after for _, after in stated[n + 1 :])] if s), None)
    return sides


def side_of(words: str) -> Side | None:
    """The side that lower-case words name, "both" for two."""
    words = words_of.ELSEWHERE.sub(" ", words)
    left, right = words_of.LEFT.search(words), words_of.RIGHT.search(words)
    if words_of.BOTH.search(words) or (left and right):
        return "both"
    return "left" if left else "right" if right else None
