"""A rule labeller of chest reports: which of the 14 CheXpert findings a text states, denies or doubts, on which side.

A text is cut into clauses; inside a clause a cue reaches every finding after it ("no …", "may represent …") or before
it ("… is not seen"). A denial outweighs a doubt, and a phrase that only looks like a denial ("no change in", "not
only", "cannot be excluded") is taken whole, so that its "no" denies nothing. The words stand in `phrases`. The method
is NegEx/ConText's (Chapman 2001, Harkema 2009); the findings and the merging over a report are CheXpert's (Irvin 2019).

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

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eval.metrics import phrases
from eval.metrics.base import same_length
from eval.metrics.phrases import FINDINGS, Finding, Reach, State

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
                found += [Mention(f, state, None if f in phrases.SIDELESS else side, *span) for f in hit.findings]
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


class FindingF1(NamedTuple):
    """F1 over the findings in 0..1. `findings` holds nan for one that neither reference nor draft ever has; `macro` is
    the mean over the others, `micro` pools the counts."""

    micro: float
    macro: float
    findings: dict[Finding, float]


def finding_counts(references: Sequence[str], drafts: Sequence[str], *, strict: bool = False) -> NDArray[np.int64]:
    """True positives, false positives, false negatives: (reports, 14 findings in the order of `FINDINGS`, 3).

    A finding is positive when it is present or uncertain (CheXpert's U-Ones); `strict`: only when it is present
    (U-Zeros). One row a report, so that an interval can draw reports anew. `BadInput` when the columns
    differ in length.
    """
    same_length(references=references, drafts=drafts)
    positive = ("present",) if strict else ("present", "uncertain")
    truth, said = (
        np.array([[states.get(f) in positive for f in FINDINGS] for states in map(findings_of, texts)], dtype=bool)
        for texts in (references, drafts)
    )
    counts = np.stack([truth & said, ~truth & said, truth & ~said], axis=-1).astype(np.int64)
    return counts.reshape(len(references), len(FINDINGS), 3)


def f1_of_counts(counts: ArrayLike) -> FindingF1:
    """F1 = 2tp / (2tp + fp + fn) of `finding_counts`' rows, or of any draw of them."""
    tp, fp, fn = np.asarray(counts).sum(axis=0).T
    of = 2 * tp + fp + fn
    scores = np.divide(2 * tp, of, out=np.full(len(FINDINGS), math.nan), where=of > 0)
    known = scores[of > 0]
    return FindingF1(
        micro=float(2 * tp.sum() / of.sum()) if of.sum() else math.nan,
        macro=float(known.mean()) if len(known) else math.nan,
        findings=dict(zip(FINDINGS, scores.tolist(), strict=True)),
    )


def finding_f1(references: Sequence[str], drafts: Sequence[str], *, strict: bool = False) -> FindingF1:
    """Clinical F1 of drafted reports against the reports that were written (conventions: `finding_counts`)."""
    return f1_of_counts(finding_counts(references, drafts, strict=strict))


def clauses(text: str) -> Iterator[tuple[int, str]]:
    """(where it begins, clause): the stretches in which cues have their effect."""
    start = 0
    for cut in phrases.BREAK.finditer(text):
        yield start, text[start : cut.start()]
        start = cut.end()
    yield start, text[start:]


def _hits(clause: str) -> list[_Hit]:
    hits: list[_Hit] = []
    for findings, state, phrase in phrases.TABLE:
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
    for match in phrases.CUES.finditer(clause):
        state, reach, _ = phrases.CUE_ROWS[int((match.lastgroup or "c0")[1:])]
        if state is not None:
            yield state, reach, match.span()


def _reaches(reach: Reach, cue: tuple[int, int], hit: _Hit, hits: Sequence[_Hit]) -> bool:
    start, end = cue
    if reach == "before":
        return hit.end <= start
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
        links = [link.end() for link in phrases.LINK.finditer(clause, earliest, start)] if n else [0]
        link = phrases.LINK.search(clause, end, latest) if n + 1 < len(spans) else None
        words.append((clause[links[-1] if links else start : end], clause[end : link.start() if link else latest]))
    return words


def _sides(clause: str, hits: Sequence[_Hit]) -> list[Side | None]:
    """One side a hit: its own words', else the nearest earlier hit's, else the one stated after a later hit
    ("effusion and atelectasis on the left")."""
    stated = [(_side(before), _side(after)) for before, after in own_words(clause, [(h.start, h.end) for h in hits])]
    sides: list[Side | None] = [before or after for before, after in stated]
    for n, side in enumerate(sides):
        if side is None:
            sides[n] = next((s for s in [*reversed(sides[:n]), *(after for _, after in stated[n + 1 :])] if s), None)
    return sides


def _side(words: str) -> Side | None:
    words = phrases.ELSEWHERE.sub(" ", words)
    left, right = phrases.LEFT.search(words), phrases.RIGHT.search(words)
    if phrases.BOTH.search(words) or (left and right):
        return "both"
    return "left" if left else "right" if right else None
