"""A guideline's checklist: every criterion is met, contradicted or unknown, in truth and in the answer.

Pool the criteria of all items into one pair of columns: a single checklist is too short for a macro average. An answer
that is none of the three states (one that could not be parsed, None) is a miss.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from sklearn.metrics import f1_score

from eval.metrics.base import Rate, rate, same_length
from retrieval.errors import BadInput

STATES = ("met", "contradicted", "unknown")


def criteria_f1(truth: Sequence[str], said: Sequence[str | None]) -> dict[str, float]:
    """F1 of each state; nan for a state that neither truth nor answer has, 0 for one that is only answered."""
    wanted, given = _checked(truth, said)
    if not wanted:
        return dict.fromkeys(STATES, math.nan)
    scores = f1_score(wanted, given, labels=STATES, average=None, zero_division=math.nan)
    return dict(zip(STATES, map(float, scores), strict=True))


def criteria_macro_f1(truth: Sequence[str], said: Sequence[str | None]) -> float:
    """Mean of the three states' F1, without a state that neither truth nor answer has; nan over no criteria."""
    wanted, given = _checked(truth, said)
    if not wanted:
        return math.nan
    return float(f1_score(wanted, given, labels=STATES, average="macro", zero_division=math.nan))


def criteria_recall(truth: Sequence[str], said: Sequence[str | None]) -> Rate:
    """Of the criteria truly met, the share answered "met"; nan when none is.

    Reported beside the macro-F1, never in its place: whoever answers "met" to everything has a recall of 1. Nor is it
    the guideline recall published for RAD, which counts the indicators a model attends to.
    """
    wanted, given = _checked(truth, said)
    met = [answer for state, answer in zip(wanted, given, strict=True) if state == "met"]
    return rate(met.count("met"), len(met))


def _checked(truth: Sequence[str], said: Sequence[str | None]) -> tuple[list[str], list[str]]:
    same_length(truth=truth, said=said)
    if not set(truth) <= set(STATES):
        raise BadInput(f"a criterion's true state must be one of {', '.join(STATES)}")
    return list(truth), [answer if answer in STATES else "" for answer in map(str, said)]
