"""What of a network decays while it learns."""

from collections.abc import Iterable
from typing import Any


def parameter_groups(parameters: Iterable[Any], decay: float) -> list[dict[str, Any]]:
    """Groups for a torch optimizer: matrices decay; biases, norms and scales, of fewer than 2 dimensions, don't."""
    every = list(parameters)
    return [
        {"params": [p for p in every if p.ndim >= 2], "weight_decay": decay},
        {"params": [p for p in every if p.ndim < 2], "weight_decay": 0.0},
    ]
