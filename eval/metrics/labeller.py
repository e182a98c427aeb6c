"""Clinical F1 of reports over the 14 CheXpert findings, as `assistant.reports.entities` reads them: one reader of
findings in the house, for the checks on a draft and for what measures it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assistant.reports.entities import Mention, Side, clauses, findings_of, label, own_words
from assistant.reports.entity_words import FINDINGS, Finding
from eval.metrics.base import same_length

__all__ = [
    "FindingF1", "Mention", "Side", "clauses", "f1_of_counts", "finding_counts", "finding_f1", "findings_of", "label",
    "own_words",
]  # fmt: skip


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
