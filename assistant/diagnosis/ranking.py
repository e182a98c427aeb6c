"""The written rule by which candidates are ranked. Pure.

    score = 1 / (1 + exp(-(bias + a·required met + b·required contradicted
                                + c·speaks for + d·speaks against + e·standing)))

- required met, contradicted: the share of the required criteria that are (0 without any)
- speaks for: the share of the supporting criteria that are met
- speaks against: the share of all others that speak against: supporting ones contradicted, opposing ones met
- standing: the model's own order of the candidates: 1 for its first, 1/2 for its second, …, 0 for one it didn't name

A candidate without a guideline has only its standing. The coefficients are in `weights.json`, with how they were fitted
(`eval.calibration.differential`). The score orders; it is no probability of disease.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import exp
from pathlib import Path
from typing import Any, Literal

from assistant.events import Candidate, CheckedCriterion, MissingFact, State

FEATURES = ("required_met", "required_contradicted", "speaks_for", "speaks_against", "standing")
_FLIPS: tuple[Literal["met", "contradicted"], ...] = ("met", "contradicted")


@dataclass(frozen=True, slots=True)
class Weights:
    """`tie`: candidates as near as this to the first are not told apart; `floor`: below it no candidate is put first.
    `told`: how all this was fitted and measured, for people."""

    bias: float
    coefficients: Mapping[str, float]
    tie: float
    floor: float
    told: Mapping[str, Any]


@cache
def bundled_weights() -> Weights:
    raw = json.loads((Path(__file__).parent / "weights.json").read_text(encoding="utf-8"))
    return Weights(raw["bias"], raw["coefficients"], raw["tie"], raw["floor"], raw["told"])


def features(criteria: Sequence[CheckedCriterion], standing: float) -> dict[str, float]:
    required = [c.state for c in criteria if c.weight == "required"]
    supports = [c.state for c in criteria if c.weight == "supports"]
    opposed = [c.state for c in criteria if c.weight == "against"]
    return {
        "required_met": _of(required.count("met"), required),
        "required_contradicted": _of(required.count("contradicted"), required),
        "speaks_for": _of(supports.count("met"), supports),
        "speaks_against": _of(supports.count("contradicted") + opposed.count("met"), [*supports, *opposed]),
        "standing": standing,
    }


def score(criteria: Sequence[CheckedCriterion], standing: float, weights: Weights) -> float:
    found = features(criteria, standing)
    return 1 / (1 + exp(-(weights.bias + sum(weights.coefficients[name] * value for name, value in found.items()))))


def ranked(candidates: Sequence[Candidate], weights: Weights) -> list[Candidate]:
    """With their scores, best first; of equals the one that was named first."""
    scored = [c.model_copy(update={"score": round(score(c.criteria, c.standing, weights), 6)}) for c in candidates]
    return sorted(scored, key=lambda candidate: -candidate.score)


def verdict(
    candidates: Sequence[Candidate], weights: Weights
) -> tuple[Literal["leads", "tie", "not enough to tell"], str]:
    """Of ranked candidates."""
    if not candidates:
        return "not enough to tell", "There is no candidate."
    first = candidates[0]
    known = [c for c in first.criteria if c.state != "unknown"]
    if first.guideline and not known:
        return "not enough to tell", f"Not enough to tell: no criterion of {first.name} is known."
    if first.score < weights.floor:
        return "not enough to tell", "Not enough to tell: too little speaks for any of the candidates."
    near = [c.name for c in candidates if first.score - c.score <= weights.tie]
    if len(near) > 1:
        return "tie", f"Too close to tell apart: {', '.join(near[:-1])} and {near[-1]}."
    if not first.guideline:
        return "leads", f"{first.name} comes first by the model's preference alone; no guideline speaks of it."
    speaking = [c.state for c in first.criteria if c.weight != "against"]
    met = f"{speaking.count('met')} of {len(speaking)}"
    return "leads", f"{first.name} comes first: {met} criteria that speak for it are met."


def missing_fact(candidates: Sequence[Candidate], weights: Weights) -> MissingFact | None:
    """The unknown criterion that would change the ranking most, were it known: one that changes who leads, and by the
    widest margin; else the one that changes the distance of the first two most. Every unknown is tried both ways."""
    if not candidates:
        return None
    before, best = _lead(candidates), None
    for candidate in candidates:
        for criterion in candidate.criteria:
            for state in _FLIPS if criterion.state == "unknown" else ():
                after = ranked([_with(c, criterion.text, state) for c in candidates], weights)
                changes = after[0].name != candidates[0].name
                size = _lead(after) if changes else abs(_lead(after) - before)
                if size > 0 and (best is None or (changes, size) > best[:2]):
                    best = changes, size, candidate.name, criterion.text, state, after[0].name
    if best is None:
        return None
    changes, _, name, text, state, leader = best
    then = f"{leader} would come first" if changes else "the distance between the first two would change most"
    message = f"The missing fact that matters most, for {name}: “{text.rstrip('.')}”. Were it {state}, {then}."
    return MissingFact(
        criterion=text, candidate=name, if_state=state, leader=leader if changes else None, message=message
    )


def _with(candidate: Candidate, text: str, state: State) -> Candidate:
    """The same fact is known of all candidates at once."""
    changed = tuple(
        c.model_copy(update={"state": state}) if c.text == text and c.state == "unknown" else c
        for c in candidate.criteria
    )
    return candidate.model_copy(update={"criteria": changed})


def _lead(candidates: Sequence[Candidate]) -> float:
    return candidates[0].score - (candidates[1].score if len(candidates) > 1 else 0.0)


def _of(count: int, all_: Sequence[object]) -> float:
    return count / len(all_) if all_ else 0.0
