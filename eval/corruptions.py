"""Corruptions of pictures at five severities, and the errors that measure them, after MedMNIST-C.

Kinds by modality, parameters and errors are those of Di Salvo, Doerrich and Ledig, "MedMNIST-C: Comprehensive benchmark
and improved classifier robustness by simulating realistic image corruptions" (2024, arXiv:2406.17536; parameters of
ChestMNIST-C from github.com/francescodisalvo05/medmnistc-api; of the blurs that chests don't have, DermaMNIST-C). They
are defined on pictures of 224 pixels: in a larger one blur and the grain of noise grow with it, so that a severity
means the same to a model that scales pictures down. What needs a stained slide (deposits, bubbles, saturation) is left
out. The same seed draws the same noise at every severity: it only grows.
"""

import io
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve
from skimage.exposure import adjust_gamma
from skimage.util import random_noise

Pixels = NDArray[np.uint8]  # (H, W) or (H, W, 3)
Values = NDArray[np.float64]  # the same, 0..1

SIDE = 224  # pixels; the size that the parameters are meant for
SEVERITIES = (1, 2, 3, 4, 5)


def _scale(values: Values) -> float:
    return max(values.shape[:2]) / SIDE


def _shrunk(values: Values, size: tuple[int, int]) -> Values:
    """Means over the cells of a grid of (width, height)."""
    planes = values.reshape(*values.shape[:2], -1).transpose(2, 0, 1)
    small = [np.asarray(Image.fromarray(p.astype(np.float32)).resize(size, Image.Resampling.BOX)) for p in planes]
    return np.stack(small, axis=-1).astype(np.float64).reshape(size[1], size[0], *values.shape[2:])


def _grained(values: Values, noise: Callable[[Values], Values]) -> Values:
    """The picture with the noise that it would have at 224 pixels, in grains of as many pixels as that takes."""
    height, width = values.shape[:2]
    scale = max(1.0, _scale(values))
    coarse = _shrunk(values, (math.ceil(width / scale), math.ceil(height / scale)))
    change = noise(coarse) - coarse
    rows = np.arange(height) * coarse.shape[0] // height
    columns = np.arange(width) * coarse.shape[1] // width
    return values + change[rows][:, columns]


def _convolved(values: Values, kernel: Values) -> Values:
    """Every plane convolved with a square kernel of odd side; the border's pixels go on outside."""
    margin = kernel.shape[0] // 2
    planes = values.reshape(*values.shape[:2], -1)
    padded = np.pad(planes, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    result: Values = fftconvolve(padded, kernel[:, :, None] / kernel.sum(), mode="valid", axes=(0, 1))
    return result.reshape(values.shape)


def _random(mode: str, parameter: str) -> Callable[[Values, float, np.random.Generator], Values]:
    """scikit-image's noise of this mode; a deviation is given to it as a variance."""

    def corrupted(values: Values, amount: float, rng: np.random.Generator) -> Values:
        given = {parameter: amount**2 if parameter == "var" else amount}
        return _grained(values, lambda coarse: random_noise(coarse, mode=mode, rng=rng, **given))

    return corrupted


def _shot(values: Values, photons: float, rng: np.random.Generator) -> Values:
    return _grained(values, lambda coarse: rng.poisson(coarse * photons) / photons)


def _blurred(values: Values, sigma: float, rng: np.random.Generator) -> Values:
    sigmas = (sigma * _scale(values),) * 2 + (0,) * (values.ndim - 2)
    blurred: Values = gaussian_filter(values, sigmas, mode="nearest")
    return blurred


def _defocused(values: Values, radius: float, rng: np.random.Generator) -> Values:
    """The disc that a point becomes, with a soft rim."""
    radius *= _scale(values)
    reach = math.ceil(radius) + 1
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return _convolved(values, np.clip(radius + 0.5 - np.hypot(rows, columns), 0, 1))


def _moved(values: Values, path: tuple[float, float], rng: np.random.Generator) -> Values:
    """Motion along a line of `path` (length, deviation of the weights) pixels, at most 45° from the horizontal. It is
    symmetric, so that what was in a box stays in its middle."""
    length, sigma = (part * _scale(values) for part in path)
    angle = rng.uniform(-math.pi / 4, math.pi / 4)
    reach = math.ceil(length / 2)
    steps = np.linspace(-length / 2, length / 2, 8 * reach + 1)
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    rows, columns = (np.rint(steps * part).astype(int) + reach for part in (math.sin(angle), math.cos(angle)))
    np.add.at(kernel, (rows, columns), np.exp(-0.5 * (steps / sigma) ** 2))
    return _convolved(values, kernel)


def _pixelated(values: Values, share: float, rng: np.random.Generator) -> Values:
    """`share` of the rows and columns that the picture has at 224 pixels (or less), each shown as a block."""
    height, width = values.shape[:2]
    share /= max(1.0, _scale(values))
    size = max(1, round(width * share)), max(1, round(height * share))
    shown = _image(values).resize(size, Image.Resampling.BOX).resize((width, height), Image.Resampling.NEAREST)
    return np.asarray(shown) / 255


def _compressed(values: Values, quality: int, rng: np.random.Generator) -> Values:
    file = io.BytesIO()
    _image(values).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file)) / 255


def _enhanced(
    enhancer: type[ImageEnhance.Brightness] | type[ImageEnhance.Contrast],
) -> Callable[[Values, float, np.random.Generator], Values]:
    return lambda values, factor, rng: np.asarray(enhancer(_image(values)).enhance(factor)) / 255


def _gamma(values: Values, gamma: float, rng: np.random.Generator) -> Values:
    corrected: Values = adjust_gamma(values, gamma)
    return corrected


def _image(values: Values) -> Image.Image:
    return Image.fromarray(_pixels(values))


def _pixels(values: Values) -> Pixels:
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)


_UP, _DOWN = (1.1, 1.2, 1.3, 1.4, 1.5), (0.9, 0.8, 0.7, 0.6, 0.5)
_MORE, _LESS = (1.1, 1.2, 1.3, 1.4, 1.6), (0.9, 0.8, 0.7, 0.6, 0.4)
_brightness, _contrast = _enhanced(ImageEnhance.Brightness), _enhanced(ImageEnhance.Contrast)
_BY_KIND: dict[str, tuple[Callable[..., Values], tuple[object, ...]]] = {
    "pixelate": (_pixelated, (0.30, 0.25, 0.20, 0.15, 0.10)),
    "jpeg compression": (_compressed, (50, 30, 15, 10, 7)),
    "gaussian noise": (_random("gaussian", "var"), (0.04, 0.08, 0.12, 0.18, 0.26)),
    "speckle noise": (_random("speckle", "var"), (0.05, 0.15, 0.20, 0.35, 0.45)),
    "impulse noise": (_random("s&p", "amount"), (0.01, 0.03, 0.06, 0.09, 0.17)),
    "shot noise": (_shot, (60, 25, 18, 10, 5)),
    "gaussian blur": (_blurred, (0.8, 1.1, 1.4, 1.7, 2.0)),  # deviations of kernels of 3, 5, 7, 9 and 11 pixels
    "defocus blur": (_defocused, (4, 5, 6, 7, 8)),
    "motion blur": (_moved, ((10, 5), (15, 5), (15, 8), (15, 12), (20, 15))),
    "brightness up": (_brightness, _UP),
    "brightness down": (_brightness, _DOWN),
    "contrast up": (_contrast, _MORE),
    "contrast down": (_contrast, _LESS),
    "gamma up": (_gamma, _MORE),
    "gamma down": (_gamma, _LESS),
}
_DENSITY = tuple(kind for kind in _BY_KIND if kind not in ("defocus blur", "motion blur"))
_DIGITAL = ("pixelate", "jpeg compression")
_LIGHT = ("brightness up", "brightness down", "contrast up", "contrast down")
KINDS: dict[str, tuple[str, ...]] = {
    "chest_xray": _DENSITY,
    "ct": _DENSITY,
    "ultrasound": (*_DIGITAL, "speckle noise", "motion blur", "brightness up", "brightness down", "contrast down"),
    "fundus": (
        *_DIGITAL, "gaussian noise", "speckle noise", "defocus blur", "motion blur", "brightness down", "contrast down",
    ),
    "blood": (*_DIGITAL, "defocus blur", "motion blur", *_LIGHT),
}  # fmt: skip


def corrupt(pixels: Pixels, kind: str, severity: int, seed: int) -> Pixels:
    """A corrupted copy of a grey (H, W) or RGB (H, W, 3) uint8 picture; `severity` 1 (slight) to 5.

    Equal arguments give equal bytes. Raises ValueError for an unknown kind or severity or another form of array.
    """
    if kind not in _BY_KIND:
        raise ValueError(f"unknown corruption {kind!r}; known: {', '.join(_BY_KIND)}")
    if severity not in SEVERITIES:
        raise ValueError(f"severity must be 1 to 5, not {severity}")
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (3,)) or not pixels.size:
        raise ValueError(f"a picture is uint8 of (H, W) or (H, W, 3), not {pixels.dtype} of {pixels.shape}")
    apply, parameters = _BY_KIND[kind]
    rng = np.random.default_rng([seed, list(_BY_KIND).index(kind)])
    return _pixels(apply(pixels / 255, parameters[severity - 1], rng))


def corruption_error(model: Sequence[float], baseline: Sequence[float]) -> float:
    """Σₛ BE(model, s) / Σₛ BE(baseline, s) over the severities s of one kind, where BE = 1 − balanced accuracy.

    Below 1 the model errs less than the baseline. nan when the baseline never errs.
    """
    _same_length(model, baseline)
    return sum(model) / sum(baseline) if sum(baseline) > 0 else math.nan


def relative_error(model: Sequence[float], clean: float, baseline: Sequence[float], baseline_clean: float) -> float:
    """Σₛ [BE(model, s) − clean] / Σₛ [BE(baseline, s) − baseline_clean]: what corruption costs the model over what it
    costs the baseline. nan when it costs the baseline nothing: there is nothing to compare with.
    """
    _same_length(model, baseline)
    cost = math.fsum(error - baseline_clean for error in baseline)
    return math.fsum(error - clean for error in model) / cost if cost > 1e-9 else math.nan


def mean_corruption_error(model: Mapping[str, Sequence[float]], baseline: Mapping[str, Sequence[float]]) -> float:
    """The mean of `corruption_error` over the kinds on which the baseline errs; nan when there are none.

    Both map each kind to its balanced errors by severity; ValueError when the kinds differ.
    """
    if model.keys() != baseline.keys():
        raise ValueError(f"model and baseline were measured on other kinds: {sorted(model.keys() ^ baseline.keys())}")
    errors = [corruption_error(model[kind], baseline[kind]) for kind in model]
    defined = [error for error in errors if not math.isnan(error)]
    return sum(defined) / len(defined) if defined else math.nan


def _same_length(model: Sequence[float], baseline: Sequence[float]) -> None:
    if len(model) != len(baseline) or not model:
        raise ValueError(f"{len(model)} errors of the model beside {len(baseline)} of the baseline")
