"""The parametric chest: numbers drawn from a random stream, and the outlines that follow from them.

mm everywhere; the origin is the midline at the first thoracic vertebra, x to the patient's left, y down, z to the back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.interpolate import PchipInterpolator

from eval.phantoms.canvas import Array, Canvas, smoothstep
from eval.phantoms.family import Family, Range

# Silhouette of the mediastinum without the heart's bulge, and the bulge at heart size 1 (level, half width), for a
# lung of 210 mm. The left side carries the aortic knob, the pulmonary trunk and the left ventricle.
_LEVELS = (-80, -30, 0, 25, 45, 55, 64, 74, 86, 98, 110, 126, 150, 178, 200, 216, 240, 300)
_LEFT = (44, 43, 40, 29, 28, 30, 31, 30, 29, 32, 33, 33, 34, 35, 35, 34, 32, 30)
_KNOB = (0, 0, 0, 0, 2, 8, 10, 7, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)
_LEFT_BULGE = (0, 0, 0, 0, 0, 0, 0, 0, 1, 5, 8, 16, 34, 50, 55, 53, 44, 10)
_RIGHT = (42, 41, 38, 27, 25, 26, 27, 28, 28, 28, 29, 29, 29, 29, 29, 28, 26, 24)
_RIGHT_BULGE = (0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 4, 9, 16, 18, 16, 12, 6, 0)


@dataclass(frozen=True)
class Anatomy:
    """One person and how they stood: every value in mm, radians or a plain factor."""

    sex: str  # "F" or "M"
    age: int
    half_width: float
    half_depth: float
    shape: float
    dome_right: float
    dome_left: float
    recess: float  # how far the costophrenic angle lies below the dome
    wall: float  # soft tissue beside the ribs
    fat: float  # soft tissue in front and behind
    heart: float  # factor on the heart's bulge
    knob: float  # factor on the aortic knob
    rotation: float  # dx/dz
    rib_pitch: float
    rib_drop: float
    bone: float  # factor on mineral density
    branching: float
    vessel_gain: float
    grain_mm: float
    grain_gain: float
    shoulder: float  # how far the shoulders are raised
    scapula: float  # distance of the medial scapular border from the midline
    breast: float  # thickness, 0 where there is none
    bubble: float  # radius of the gastric bubble
    scatter: float
    slope: float
    middle: float  # where on the film curve the lung-mediastinum midpoint falls: exposure
    noise: float
    field: float
    shift_x: float
    shift_y: float
    marker: bool
    black: float = 0.0  # grey of the film's base
    white: float = 1.0  # grey of the densest part
    edge: float = 0.0  # edge enhancement
    heart_magnification: float = 1.0
    border: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)  # collimated part of the field: l, t, r, b
    lift_right: float = 0.0  # how far a lung that lost volume raises its hemidiaphragm
    lift_left: float = 0.0
    pull: float = 0.0  # how far it draws the mediastinum, positive to the patient's left

    def canvas(self, size: int) -> Canvas:
        """The detector plane, `size` pixels square."""
        return Canvas(size, self.field, self.shift_x - self.field / 2, self.shift_y - self.field / 2)

    def width(self, y: Array | float) -> Array:
        """Inner half width of the thorax at level y."""
        low = self.dome_right + 10.0
        u = np.clip((low - np.asarray(y, np.float32)) / (low - 4.0), 0.0, 1.0)
        t = np.clip((np.asarray(y, np.float32) - 3.0) / 34.0, 0.0, 1.0)
        cupola = 1.0 - (1.0 - t) ** 2
        out: Array = np.float32(self.half_width) * (
            (1.0 - u**self.shape) ** np.float32(1 / self.shape) * np.sqrt(cupola)
        )
        return out.astype(np.float32)

    def depth(self, y: Array | float) -> Array:
        """Inner half depth of the thorax at level y."""
        out: Array = self.half_depth * (0.42 + 0.58 * self.width(y) / self.half_width)
        return out

    def dome(self, side: int) -> float:
        """Level of the hemidiaphragm; side -1 is the patient's right, +1 the left."""
        return self.dome_left - self.lift_left if side > 0 else self.dome_right - self.lift_right

    def drop(self, side: int) -> float:
        """How far the costophrenic angle lies below the hemidiaphragm's top."""
        return self.recess + (self.lift_left if side > 0 else self.lift_right)

    @property
    def carina(self) -> float:
        """Level at which the trachea divides."""
        return 0.34 * self.dome_right

    def trachea(self, y: Array | float) -> Array:
        """x of the middle of the trachea at level y: the aortic knob pushes it to the right."""
        bend = -2.5 * self.knob * smoothstep(20.0, 55.0, y) - 18.0 * self.rotation
        return bend + 0.7 * self.pull * smoothstep(-40.0, 60.0, y) if self.pull else bend

    @cached_property
    def _outline(self) -> tuple[PchipInterpolator, PchipInterpolator]:
        levels = np.asarray(_LEVELS, float)
        levels = np.where(levels > 45, 45 + (levels - 45) * (self.dome_right - 45) / 165.0, levels)
        scale = self.half_width / 140.0
        left = np.asarray(_LEFT) * scale + self.knob * np.asarray(_KNOB) + self.heart * np.asarray(_LEFT_BULGE)
        right = np.asarray(_RIGHT) * scale + self.heart * np.asarray(_RIGHT_BULGE)
        return PchipInterpolator(levels, right), PchipInterpolator(levels, left)

    def mediastinum(self, y: Array) -> tuple[Array, Array]:
        """Right (negative) and left (positive) x of the mediastinal silhouette, heart included, at level y."""
        right, left = self._outline
        shift = -22.0 * self.rotation + self.pull  # the heart lies in front of the axis of rotation
        grown = self.heart_magnification
        return (shift - grown * right(y)).astype(np.float32), (shift + grown * left(y)).astype(np.float32)

    @property
    def ctr(self) -> float:
        """True cardiothoracic ratio: widest heart above the diaphragm / widest inner thorax."""
        return float(_heart_width(self.half_width, self.heart) / (2.0 * self.half_width))


def _heart_width(half_width: float, heart: float) -> float:
    scale = half_width / 140.0
    left = max(a * scale + heart * b for a, b in zip(_LEFT, _LEFT_BULGE, strict=True))
    right = max(a * scale + heart * b for a, b in zip(_RIGHT, _RIGHT_BULGE, strict=True))
    return left + right


def heart_for_ctr(half_width: float, ctr: float) -> float:
    """The heart factor that gives this cardiothoracic ratio (bisection: the width grows with the factor)."""
    low, high = 0.0, 4.0
    for _ in range(40):
        mid = (low + high) / 2
        low, high = (mid, high) if _heart_width(half_width, mid) < ctr * 2 * half_width else (low, mid)
    return (low + high) / 2


def sample_anatomy(rng: np.random.Generator, family: Family) -> Anatomy:
    """Draw a healthy person and an acquisition; always the same number of draws, so that fields stay independent."""

    def draw(bounds: Range) -> float:
        return float(rng.uniform(*bounds))

    female = bool(rng.random() < 0.5)
    age = int(rng.integers(20, 90))
    half_width = draw(family.half_width) * (0.955 if female else 1.0)
    half_depth = half_width * draw(family.depth_ratio)
    dome = draw(family.dome) * (0.96 if female else 1.0)
    habitus = float(np.clip(rng.normal(0.4, 0.22), 0.0, 1.0))
    breast = draw((12.0, 34.0)) * (0.7 + 0.6 * habitus)
    return Anatomy(
        sex="F" if female else "M",
        age=age,
        half_width=half_width,
        half_depth=half_depth,
        shape=draw(family.shape),
        dome_right=dome,
        dome_left=dome + draw((5.0, 16.0)),
        recess=draw((46.0, 62.0)),
        wall=30.0 + 26.0 * habitus + draw((0.0, 6.0)),
        fat=16.0 + 22.0 * habitus,
        heart=heart_for_ctr(half_width, draw(family.ctr)),
        knob=draw((0.5, 1.0)) + 0.012 * max(age - 40, 0),
        rotation=draw((-0.06, 0.06)),
        rib_pitch=draw(family.rib_pitch) * dome / 212.0,
        rib_drop=draw(family.rib_drop),
        bone=draw(family.bone) * (1.0 - 0.003 * max(age - 50, 0)),
        branching=draw(family.branching),
        vessel_gain=draw(family.vessel_gain),
        grain_mm=draw(family.grain_mm),
        grain_gain=draw(family.grain_gain),
        shoulder=draw((-12.0, 14.0)),
        scapula=draw((112.0, 150.0)),
        breast=breast if female else 0.0,
        bubble=draw((8.0, 20.0)),
        scatter=draw(family.scatter),
        slope=draw(family.slope),
        middle=draw(family.middle),
        noise=draw(family.noise),
        field=draw(family.field) * max(1.0, half_width / 136.0),  # the film is chosen to fit the chest
        shift_x=draw((-10.0, 10.0)),
        shift_y=dome / 2 + draw((18.0, 40.0)),
        marker=bool(rng.random() < 0.7),
        black=draw(family.black),
        white=draw(family.white),
        heart_magnification=draw(family.heart_magnification),
        border=_border(rng, family.collimated),
        edge=draw(family.edge),
    )


def _border(rng: np.random.Generator, chance: float) -> tuple[float, float, float, float]:
    """Collimated share of the field at the four edges, at most 5 %: nothing of the chest is lost."""
    show, edges = rng.random(), rng.uniform(-0.02, 0.05, 4)
    left, top, right, bottom = (float(max(edge, 0.0)) if show < chance else 0.0 for edge in edges)
    return left, top, right, bottom


def reacquired(anatomy: Anatomy, family: Family, rng: np.random.Generator) -> Anatomy:
    """The same person on another day: turned and placed a little differently, another exposure of another film."""
    return replace(
        anatomy,
        rotation=float(np.clip(anatomy.rotation + rng.uniform(-0.03, 0.03), -0.06, 0.06)),
        shift_x=anatomy.shift_x + float(rng.uniform(-7.0, 7.0)),
        shift_y=anatomy.shift_y + float(rng.uniform(-7.0, 7.0)),
        field=anatomy.field * float(rng.uniform(0.98, 1.03)),
        middle=float(rng.uniform(*family.middle)),
        slope=float(rng.uniform(*family.slope)),
        scatter=float(rng.uniform(*family.scatter)),
        noise=float(rng.uniform(*family.noise)),
        marker=bool(rng.random() < 0.7),
        border=_border(rng, family.collimated),
    )
