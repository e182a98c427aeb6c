"""Does a text contradict itself, or the truth? Built on the rule labeller; what can be read two ways is none.

Compared are statements of the same finding that are certain and of today: doubts, earlier studies, indication and
history don't count, nor does a denial that leaves room ("otherwise clear", "no new …", "no large effusion"). The kinds:

    state     present, and absent on the same or an overlapping side ("normal chest" denies every finding but devices)
    side      the impression, or a sentence about "the effusion", names a side that no earlier sentence does
    severity  small, and large, on the same side; "moderate" agrees with both
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from assistant.reports.claims import GRADED, Claim, apart, claims, denies, ends
from assistant.reports.entities import Side
from assistant.reports.entity_words import Finding, State
from eval.metrics.base import Rate, rate

Truth = Mapping[Finding, tuple[State, Collection[Side]]]


def contradictions(sentences: Sequence[str]) -> list[tuple[int, int, str]]:
    """(i, j, why) for every two sentences i < j that contradict each other, each pair and reason once.

    A sentence may open a section with "Impression:" or "[impression]", which then holds for those after it.
    """
    said = list(claims(sentences))
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
    for statement in claims([text]):
        mention = statement.mention
        state, sides = truth.get(mention.finding, ("uncertain", ()))
        true = ends(sides)
        own = ends([mention.side] if mention.side else [])
        if mention.state == "present" and state == "absent":
            found[f"{mention.finding}: state"] = None
        elif mention.state == "absent" and state == "present" and not statement.room:
            if len(own) != 1 or own <= true:
                found[f"{mention.finding}: state"] = None
        elif mention.state == state == "present" and true and not own <= true:
            found[f"{mention.finding}: side"] = None
    return tuple(found)


def _state_clash(one: Claim, other: Claim) -> str | None:
    for present, absent in ((one, other), (other, one)):
        if present.mention.state != "present" or absent.room:
            continue
        finding = present.mention.finding
        if absent.mention.state == "absent" and absent.mention.finding == finding and denies(present, absent):
            return f"{finding}: present and absent"
    for normal, abnormal in ((one, other), (other, one)):
        devices = abnormal.mention.finding in ("No Finding", "Support Devices")
        if normal.mention.finding == "No Finding" and abnormal.mention.state == "present" and not devices:
            return None if normal.room else f"{abnormal.mention.finding}: present, and the study normal"
    return None


def _severity_clash(one: Claim, other: Claim, said: Sequence[Claim]) -> str | None:
    finding = one.mention.finding
    if finding != other.mention.finding or finding not in GRADED or not one.grades or not other.grades:
        return None
    present = [s.mention for s in said if s.mention.finding == finding and s.mention.state == "present"]
    sides = {mention.side for mention in present if mention.side}
    same = one.mention.side == other.mention.side or (None in (one.mention.side, other.mention.side) and len(sides) < 2)
    if not same or "absent" in (one.mention.state, other.mention.state) or apart(one.places, other.places):
        return None
    far = min(abs(a - b) for a in one.grades for b in other.grades) == 2
    return f"{finding}: small and large" if far else None


def _side_clash(earlier: Sequence[Claim], later: Claim) -> int | None:
    """The sentence that last named the finding's side, when `later` speaks of it on a side not named so far."""
    mention = later.mention
    if not later.back or mention.side is None or mention.state != "present":
        return None
    named = [
        s for s in earlier
        if s.mention.finding == mention.finding and s.mention.state == "present" and s.sentence < later.sentence
    ]  # fmt: skip
    known = ends(s.mention.side for s in named if s.mention.side)
    if not known or any(s.mention.side is None for s in named) or ends([mention.side]) <= known:
        return None
    return named[-1].sentence
