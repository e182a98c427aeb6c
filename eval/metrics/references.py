"""Does the model look at the image, or at the retrieved references? (MMed-RAG, Xia et al. 2024.)

Every column holds, for each item, whether the answer was right: `right_with` from image and references (v, r);
`right_damaged` from a damaged or unrelated image and the same references (v*, r), retrieved with the clean image;
`right_without` from the image alone.
"""

from __future__ import annotations

from numpy.typing import ArrayLike

from eval.metrics.base import Rate, booleans, rate


def copy_reference_rate(right_with: ArrayLike, right_damaged: ArrayLike) -> Rate:
    """Among items right with (v, r), the share still right with (v*, r): the answer came from r, not from the image.

    nan when no item was right with (v, r).
    """
    with_references, damaged = booleans(right_with=right_with, right_damaged=right_damaged)
    return rate(int((with_references & damaged).sum()), int(with_references.sum()))


def over_reliance_rate(right_with: ArrayLike, right_without: ArrayLike) -> Rate:
    """Among items wrong with (v, r), the share that were right with v alone: the references misled.

    nan when no item was wrong with (v, r).
    """
    with_references, without = booleans(right_with=right_with, right_without=right_without)
    return rate(int((~with_references & without).sum()), int((~with_references).sum()))
