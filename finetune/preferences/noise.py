"""Damage to a region of a picture, so that an answer that still names the lesion was not read from the picture
(MMedPO's lesion neglect). Pure functions on arrays; outside the region no pixel changes.

`diffused` is a forward step of denoising diffusion (Ho 2020) inside the region: v*_k = √ξ̄_k·v + √(1−ξ̄_k)·ε with
ξ̄_k = ∏(1−βᵢ), β linear from 1e-4 to 0.02 over 1000 steps, pixels scaled to −1..1. The step that MMedPO used is not
published; at 500, the default here, ξ̄ is 0.08.
"""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from assistant.study import Pixels

Mask = NDArray[np.bool_]  # (H, W)
Damage = Literal["diffusion", "replacement", "blur"]
DAMAGES: tuple[Damage, ...] = get_args(Damage)
STEPS, STEP = 1000, 500
_BETAS = np.linspace(1e-4, 0.02, STEPS)


def kept_share(step: int) -> float:
    """ξ̄ at this step, 0..1: the share of the picture's variance that is left. ValueError outside 1..1000."""
    if not 1 <= step <= STEPS:
        raise ValueError(f"diffusion step {step} is not in 1..{STEPS}")
    return float(np.prod(1 - _BETAS[:step]))


def damaged(pixels: Pixels, mask: Mask, how: Damage, rng: np.random.Generator, step: int = STEP) -> Pixels:
    """The picture (H, W) or (H, W, 3) with its region damaged; `step` is of the diffusion. Grey stays grey."""
    if how == "diffusion":
        other = diffused(pixels, rng, step)
    elif how == "replacement":
        other = replaced(pixels, mask, rng)
    else:
        other = blurred(pixels, mask)
    inside = mask[..., None] if pixels.ndim == 3 else mask
    changed: Pixels = np.where(inside, other, pixels)
    return changed


def diffused(pixels: Pixels, rng: np.random.Generator, step: int = STEP) -> Pixels:
    left = kept_share(step)
    scaled = pixels.astype(np.float64) / 127.5 - 1
    mixed = np.sqrt(left) * scaled + np.sqrt(1 - left) * _noise(pixels, rng)
    return _as_pixels((mixed + 1) * 127.5)


def replaced(pixels: Pixels, mask: Mask, rng: np.random.Generator) -> Pixels:
    """Noise with the mean and spread of what surrounds the region: what was there is gone, how bright it was too."""
    around = pixels[~mask] if not mask.all() else pixels.reshape(-1, *pixels.shape[2:])
    return _as_pixels(around.mean(axis=0) + around.std(axis=0) * _noise(pixels, rng))


def blurred(pixels: Pixels, mask: Mask) -> Pixels:
    """Blurred with a third of the region's own size, so that its border and what is in it run into each other."""
    from scipy.ndimage import gaussian_filter

    sigma = max(2.0, np.sqrt(mask.sum()) / 3)
    return _as_pixels(gaussian_filter(pixels.astype(np.float64), sigma, axes=(0, 1)))


def _noise(pixels: Pixels, rng: np.random.Generator) -> NDArray[np.float64]:
    """Unit noise, the same in all channels."""
    noise = rng.standard_normal(pixels.shape[:2])
    return noise[..., None] if pixels.ndim == 3 else noise


def _as_pixels(values: NDArray[np.float64]) -> Pixels:
    pixels: Pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return pixels
