"""Acquisition faults: what spoils a good picture, at three grades, and what a reader says of it.

A fault only touches the pixels. With equal random streams the grades of a kind differ in nothing but strength, so each
is further from the original than the one before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, rotate
from scipy.signal import oaconvolve

FaultKind = Literal["noise", "blur", "motion", "underexposure", "overexposure", "cut-off", "rotation", "artefact"]
FaultGrade = Literal[1, 2, 3]
Picture = npt.NDArray[np.float32]  # (H, W), 0 black to 1 white
Mask = npt.NDArray[np.bool_]

FAULTS: tuple[FaultKind, ...] = get_args(FaultKind)
GRADES: tuple[FaultGrade, ...] = get_args(FaultGrade)  # slight: the reading stands; marked; severe: to be repeated
SEVERITY: dict[FaultGrade, str] = {1: "slight", 2: "moderate", 3: "severe"}
STATES: dict[FaultKind, str] = {
    "noise": "noisy",
    "blur": "out of focus",
    "motion": "blurred by motion",
    "underexposure": "underexposed",
    "overexposure": "overexposed",
    "cut-off": "cut off at one edge",
    "rotation": "rotated",
    "artefact": "disturbed by an artefact",
}
_ADVERBS: dict[FaultGrade, str] = {1: "slightly ", 2: "", 3: "severely "}

_NOISE_SD = (0.025, 0.065, 0.15)  # in white
_BLUR = (0.0022, 0.006, 0.014)  # standard deviation, of the height
_MOTION = (0.010, 0.028, 0.065)  # length of the path, of the height
_SHIFT = (0.7, 1.5, 2.6)  # along the film curve's exposure axis
_TOE = (0.01, 0.04, 0.10)  # share of the density range lost at either end
_CUT = (0.06, 0.18, 0.34)  # of the picture
_TURN = (4.0, 8.0, 14.0)  # degrees
_CONTRAST = (0.06, 0.14, 0.30)  # of an artefact, in white
_EXTENT = (0.5, 0.9, 1.6)  # of an artefact, relative


@dataclass(frozen=True)
class Fault:
    """A fault of one kind; ValueError on a kind or grade that does not exist."""

    kind: FaultKind
    grade: FaultGrade

    def __post_init__(self) -> None:
        if self.kind not in FAULTS or self.grade not in GRADES:
            raise ValueError(
                f"no fault {self.kind!r} of grade {self.grade!r}; kinds: {', '.join(FAULTS)}; grades 1 to 3"
            )

    @property
    def changes_reading(self) -> bool:
        """Whether a finding could be missed or imagined: from grade 2, but a turned picture still shows all till 3."""
        return self.grade >= (3 if self.kind == "rotation" else 2)


def describe(fault: Fault) -> str:
    """The fault as a sentence: "The film is severely underexposed."."""
    return f"The film is {_ADVERBS[fault.grade]}{STATES[fault.kind]}."


def consequence(fault: Fault) -> str:
    """What follows for the reader, as a sentence."""
    if not fault.changes_reading:
        return "The reading is not affected."
    return "It should be repeated." if fault.grade == 3 else "The reading is limited."


def apply_fault(pixels: npt.NDArray[np.uint8], fault: Fault, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """The picture (H, W), bright is dense, as it would have come out with this fault; the input is left as it is."""
    if pixels.ndim != 2 or pixels.dtype != np.uint8:
        raise ValueError(f"expected one grey picture of bytes, not {pixels.dtype} of shape {pixels.shape}")
    spoilt = _APPLY[fault.kind](pixels.astype(np.float32) / 255.0, fault.grade - 1, rng)
    return np.asarray(np.round(np.clip(spoilt, 0.0, 1.0) * 255.0), np.uint8)


def shown_mask(mask: Mask, fault: Fault, rng: np.random.Generator) -> Mask:
    """Where a mask (H, W) of the good picture lies in the spoilt one, given a stream in the state `apply_fault` had."""
    if fault.kind not in ("cut-off", "rotation"):
        return mask
    return np.asarray(_APPLY[fault.kind](mask.astype(np.float32), fault.grade - 1, rng) > 0.5)


def _noise(picture: Picture, grade: int, rng: np.random.Generator) -> Picture:
    """Quantum noise: fewest photons pass where the picture is bright, so it is worst there."""
    grains = gaussian_filter(rng.standard_normal(picture.shape, np.float32), 0.5)
    return picture + np.float32(_NOISE_SD[grade]) * (0.35 + 0.65 * picture) * grains / grains.std()


def _blur(picture: Picture, grade: int, rng: np.random.Generator) -> Picture:
    return np.asarray(gaussian_filter(picture, _BLUR[grade] * len(picture)), np.float32)


def _motion(picture: Picture, grade: int, rng: np.random.Generator) -> Picture:
    """The mean along a straight path, mostly up and down: the patient breathed."""
    angle = rng.uniform(-0.6, 0.6)
    reach = _MOTION[grade] * len(picture) / 2
    half = int(np.ceil(reach)) + 1
    path = np.linspace(-reach, reach, 8 * half + 1)
    kernel = np.zeros((2 * half + 1,) * 2, np.float32)
    np.add.at(kernel, tuple(np.round(half + path * f(angle)).astype(int) for f in (np.cos, np.sin)), 1.0 / len(path))
    return np.asarray(oaconvolve(np.pad(picture, half, mode="edge"), kernel, mode="valid"), np.float32)


def _expose(picture: Picture, shift: float, toe: float) -> Picture:
    """Move every value along a logistic film curve, and lose what falls on its flat ends."""
    inside = np.clip(picture, 0.002, 0.998)
    moved = 1.0 / (1.0 + np.exp(-(np.log(inside / (1.0 - inside)) + shift)))
    return np.asarray((moved - toe) / (1.0 - 2.0 * toe), np.float32)


def _underexposure(picture: Picture, grade: int, rng: np.random.Generator) -> Picture:
    return _expose(picture, _SHIFT[grade], _TOE[grade])


def _overexposure(picture: Picture, grade: int, rng: np.random.Generator) -> Picture:
    return _expose(picture, -_SHIFT[grade], _TOE[grade])


def _cut(picture: Picture, grade: int, rng: np.random.Generator) -> Picture:
    """The collimated field ends too early at one edge: apex, base or one side is not on the film."""
    turns = int(rng.integers(4))
    cut = np.rot90(picture, turns).copy()
    cut[: round(_CUT[grade] * len(cut))] = 0.0
    return np.rot90(cut, -turns)


def _turn(picture: Picture, grade: int, rng: np.random.Generator) -> Picture:
    degrees = _TURN[grade] * (1 if rng.random() < 0.5 else -1)
    return np.asarray(rotate(picture, degrees, reshape=False, order=1, mode="constant", cval=0.0), np.float32)


def _artefact(picture: Picture, grade: int, rng: np.random.Generator) -> Picture:
    """Grid lines, something metal, a braid of hair, or a stripe from processing."""
    rows, columns = picture.shape
    y, x = np.mgrid[0.0 : 1.0 : rows * 1j, 0.0 : 1.0 : columns * 1j].astype(np.float32)
    kind, u, v, phase = int(rng.integers(4)), *rng.uniform(0.25, 0.75, 2), rng.uniform(0.0, 2 * np.pi)
    contrast, extent = _CONTRAST[grade], _EXTENT[grade]
    if kind == 0:
        return picture + contrast * np.sin(2 * np.pi * 42.0 * x + phase, dtype=np.float32)
    if kind == 1:
        radius = 0.04 * extent  # a ring: a full disc could be taken for a nodule
        covered = np.clip((0.35 * radius - np.abs(np.hypot(x - u, y - v) - 0.65 * radius)) * rows, 0.0, 1.0)
        return picture + covered * (1.0 - picture)
    if kind == 2:
        end = 0.34 * extent
        strands = [np.abs(x - u - 0.012 * np.sin(60.0 * y + phase + turn)) for turn in (0.0, np.pi)]
        hair = np.maximum(*(np.clip(1.0 - strand / 0.02, 0.0, 1.0) for strand in strands))
        return picture + 2.0 * contrast * hair * np.clip((end - y) * 20.0, 0.0, 1.0)
    return picture + 1.5 * contrast * np.clip((0.03 * extent - np.abs(y - v)) * rows / 2, 0.0, 1.0)


_APPLY: dict[FaultKind, Callable[[Picture, int, np.random.Generator], Picture]] = {
    "noise": _noise,
    "blur": _blur,
    "motion": _motion,
    "underexposure": _underexposure,
    "overexposure": _overexposure,
    "cut-off": _cut,
    "rotation": _turn,
    "artefact": _artefact,
}
