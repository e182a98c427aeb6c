"""Training pictures as they could also have been taken: moved, stretched, turned, otherwise exposed, noisy, soft.

Strong changes of exposure, sharpness and rotation are faults in a phantom's truth, so a batch row is either changed
strongly, and says nothing of faults, or gently, and does.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Change:
    """How far a picture may be changed; one row of a batch each. `free`: it may be mirrored and turned at will."""

    strong: bool
    free: bool = False


def changed(pictures: Any, places: Any, changes: list[Change], size: int, rng: np.random.Generator) -> tuple[Any, Any]:
    """`pictures` (n, 3, H, W) in 0..1 and `places` (n, c, g, g), moved alike; pictures come out (n, 3, size, size)."""
    import torch
    from torch.nn.functional import affine_grid, grid_sample

    theta = torch.from_numpy(np.stack([_affine(change, rng) for change in changes])).to(pictures.device)
    moved = grid_sample(pictures, affine_grid(theta, [len(changes), 3, size, size], False), align_corners=False)
    cells = places.shape[-1]
    where = affine_grid(theta, [len(changes), places.shape[1], cells, cells], False)
    return _exposed(moved, changes, rng), grid_sample(places, where, align_corners=False)


def _affine(change: Change, rng: np.random.Generator) -> Any:
    reach = 1.0 if change.strong else 0.3
    turn = rng.uniform(-8, 8) * (reach if change.strong else 0.2) * np.pi / 180
    stretch = 1 + reach * rng.uniform(-0.14, 0.14) + reach * rng.uniform(-0.08, 0.08, 2)
    shift = reach * rng.uniform(-0.1, 0.1, 2)
    if change.free:
        turn += rng.integers(4) * np.pi / 2
        stretch[0] *= rng.choice([-1, 1])
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return np.concatenate([turned * stretch, shift[:, None]], 1).astype(np.float32)


def _exposed(pictures: Any, changes: list[Change], rng: np.random.Generator) -> Any:
    import torch
    from torch.nn.functional import avg_pool2d

    n = len(changes)
    reach = np.where([change.strong for change in changes], 1.0, 0.35)

    def column(values: Any) -> Any:
        return torch.from_numpy(np.asarray(values, np.float32)).to(pictures.device).view(n, -1, 1, 1)

    free = np.array([change.free for change in changes])
    gamma = np.exp(rng.normal(0, 0.3, n) * reach)
    gain = (1 + rng.uniform(-0.25, 0.2, n) * reach)[:, None] * np.where(
        free[:, None], 1 + rng.uniform(-0.15, 0.15, (n, 3)), 1
    )
    lift = rng.uniform(-0.08, 0.1, n) * reach
    values = pictures.clamp(0, 1) ** column(gamma) * column(gain) + column(lift)
    soft = avg_pool2d(values, 3, 1, 1, count_include_pad=False)
    amount = rng.uniform(-1.2, 0.8, n) * reach * (rng.random(n) < 0.6)  # below 0 sharper, above softer
    values = values + column(amount) * (soft - values)
    noise = rng.uniform(0, 0.04, n) * reach * (rng.random(n) < 0.6)
    grains = torch.Generator(pictures.device).manual_seed(int(rng.integers(2**31)))
    grain = torch.randn((n, 1, *values.shape[2:]), generator=grains, device=pictures.device)
    return (values + column(noise) * grain).clamp(0, 1)
