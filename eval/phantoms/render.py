"""From anatomy to picture: what each ray crosses (`Layers`), what is left of it, and what the film makes of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter

from eval.phantoms.anatomy import Anatomy
from eval.phantoms.canvas import Array, Canvas, chord, smoothstep
from eval.phantoms.lungs import grain, lung_path, resample, vessels
from eval.phantoms.skeleton import skeleton

MU_WATER = 0.0185  # attenuation per mm at the effective energy of a 120 kV chest beam
MU_BONE = 0.068  # what a mm of cortical bone adds


@dataclass
class Layers:
    """What each ray crosses; every map (size, size) float32. Findings change these, never the picture."""

    body: Array  # mm of body, air included
    lung: Array  # mm of lung
    cavity: Array  # mm of thorax
    density: Array  # of the lung, water = 1
    vessel: Array  # mm of blood in the lung
    bone: Array  # mm of mineral
    gas: Array  # mm of air outside the lungs: airway, stomach
    added: Array  # mm of extra soft tissue

    def attenuation(self) -> Array:
        """Line integral of the attenuation coefficient."""
        water = self.body - self.lung * (1.0 - self.density) + self.vessel + self.added - self.gas
        out: Array = MU_WATER * np.maximum(water, 0.0) + MU_BONE * self.bone
        return out


def build_layers(
    anatomy: Anatomy, canvas: Canvas, rng: np.random.Generator, collapse: Mapping[int, float] | None = None
) -> Layers:
    """The chest without findings; `collapse` (side → fraction) pulls the vessels in with a lung that has come off."""
    lung, cavity = lung_path(anatomy, canvas)
    body = np.maximum(_body(anatomy, canvas), cavity * 1.08) + _breasts(anatomy, canvas)
    inside = smoothstep(0.08, 0.75, lung / (cavity + 1.0))
    vessel = vessels(anatomy, canvas, rng, collapse or {}) * inside
    texture = grain(canvas, rng, anatomy.grain_mm)
    height = canvas.y / anatomy.dome_right
    density = 0.20 + 0.07 * np.clip(height, 0, 1.2) + anatomy.grain_gain * texture * np.float32(0.55)
    return Layers(
        body=body,
        lung=lung,
        cavity=cavity,
        density=density.astype(np.float32),
        vessel=vessel,
        bone=skeleton(anatomy, canvas),
        gas=_gas(anatomy, canvas),
        added=np.zeros_like(lung),
    )


def _body(anatomy: Anatomy, canvas: Canvas) -> Array:
    """Path through neck, shoulders, trunk and arms, mm."""
    chest, w = anatomy.half_width + anatomy.wall + 4.0, anatomy.half_width / 140.0
    up = -anatomy.shoulder
    levels = np.asarray([-120, -62, -34, -12 + up, 12 + up, 40 + up, 85 + up, 130 + up, 175, 260, 400.0])
    widths = [56 * w, 58 * w, 78 * w, 150 * w, 206 * w, 222 * w, 1.30 * chest, 1.06 * chest, chest, 0.98 * chest, chest]
    thick = anatomy.half_depth + anatomy.fat
    depths = np.asarray([0.55, 0.56, 0.60, 0.67, 0.75, 0.84, 0.93, 0.97, 1.0, 1.0, 1.02]) * thick
    rows = canvas.y
    width = PchipInterpolator(levels, widths)(rows).astype(np.float32)
    depth = PchipInterpolator(levels, depths)(rows).astype(np.float32)
    u = np.abs(canvas.x / width)
    trunk = np.sqrt(np.maximum(1.0 - u**4.6, 0.0)) * 2.0 * depth
    lean = 204.0 * w + 0.20 * (rows - 40.0 - up)
    arm = chord(((np.abs(canvas.x) - lean) / (40.0 + 0.5 * anatomy.wall)) ** 2, 80.0) * smoothstep(up, 40.0 + up, rows)
    out: Array = np.maximum(trunk, arm).astype(np.float32)
    return out


def _breasts(anatomy: Anatomy, canvas: Canvas) -> Array:
    """Breast shadows: a sharp lower border, fading upwards."""
    out = np.zeros((canvas.size, canvas.size), np.float32)
    if not anatomy.breast:
        return out
    level = anatomy.dome_right - 18.0 + anatomy.breast
    for side in (-1, 1):
        u = (canvas.x - side * 0.60 * anatomy.half_width) / (0.50 * anatomy.half_width)
        v = (canvas.y - level) / np.where(canvas.y > level, 34.0, 95.0)
        out += chord(u**2 + v**2, anatomy.breast)
    return out


def _gas(anatomy: Anatomy, canvas: Canvas) -> Array:
    """Trachea, main bronchi and the gastric bubble, mm of air."""
    x, y = canvas.x, canvas.y
    carina, bend = anatomy.carina, anatomy.trachea(y)
    gas = chord(((x - bend) / 7.8) ** 2, 17.0) * smoothstep(carina + 7.0, carina - 5.0, y) * smoothstep(-75, -40, y)
    for slope, radius, end in ((-0.62, 6.2, 34.0), (1.05, 5.4, 30.0)):
        axis = bend + slope * (y - carina + 5.0)
        stretch = (y - carina + 5.0) / end
        gas += (
            chord(((x - axis) / (radius * np.hypot(1, slope))) ** 2, 10.0)
            * smoothstep(-0.1, 0.2, stretch)
            * smoothstep(1.0, 0.55, stretch)
        )
    r = anatomy.bubble
    bubble = ((x - 0.46 * anatomy.half_width) / (1.5 * r)) ** 2 + ((y - anatomy.dome(1) - r - 9.0) / r) ** 2
    return (gas + chord(bubble, 12.0 + 1.2 * r)).astype(np.float32)


@dataclass(frozen=True)
class Exposure:
    """Line integrals that the film curve is pinned to: typical lung and dense mediastinum."""

    lung: float
    dense: float


def expose(layers: Layers, canvas: Canvas, darkest: float = 35.0) -> Exposure:
    """Exposure of a chest by the `darkest` percent of its lungs.

    It is read from samples on a 96 x 96 lattice, so that it does not depend on the size of the picture.
    """
    at = ((np.arange(96) + 0.5) * canvas.size / 96).astype(np.intp)
    mesh = np.ix_(at, at)
    attenuation = layers.attenuation()[mesh]
    lungs = attenuation[layers.lung[mesh] > 60.0]
    middle = attenuation[layers.cavity[mesh] > 0]
    return Exposure(float(np.percentile(lungs, darkest)), float(np.percentile(middle, 92)))


def film(
    layers: Layers, anatomy: Anatomy, canvas: Canvas, exposure: Exposure, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Scatter, blur, quantum noise, logarithm and film curve; bright is dense (MONOCHROME2)."""
    primary = np.exp(-layers.attenuation())
    coarse = resample(primary, 64) if canvas.size <= 128 else _shrink(primary)
    haze = resample(gaussian_filter(coarse, 30.0 * len(coarse) / canvas.field, mode="nearest"), canvas.size)
    reference = np.float32(np.exp(-exposure.lung))
    received = primary + anatomy.scatter * np.minimum(haze, 1.5 * reference) * 0.5
    received = gaussian_filter(received, 0.35 / canvas.spacing + 0.3)
    grain_noise = rng.standard_normal(received.shape, np.float32)
    received += grain_noise * np.sqrt(received * reference) * np.float32(anatomy.noise / canvas.spacing)
    density = -np.log(np.maximum(received, 1e-5))
    if anatomy.edge:
        density += np.float32(anatomy.edge) * (density - gaussian_filter(density, 4.0 / canvas.spacing))
    level = (density - exposure.lung) * np.float32(1.0 / (exposure.dense - exposure.lung))
    curve = 1.0 / (1.0 + np.exp(-anatomy.slope * (level - anatomy.middle)))
    curve = anatomy.black + (anatomy.white - anatomy.black) * curve
    _collimate(curve, anatomy, canvas)
    if anatomy.marker:
        _stamp(curve, anatomy, canvas)
    grey: npt.NDArray[np.uint8] = (np.clip(curve, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
    return grey


def _shrink(picture: Array) -> Array:
    step = picture.shape[0] // 64
    side = 64 * step
    if side != picture.shape[0]:
        picture = resample(picture, side)
    out: Array = picture.reshape(64, step, 64, step).mean(axis=(1, 3))
    return out


def _collimate(curve: Array, anatomy: Anatomy, canvas: Canvas) -> None:
    """Blacken what the diaphragms of the tube kept from the film."""
    left, top, right, bottom = (round(share * canvas.size) for share in anatomy.border)
    curve[:top], curve[canvas.size - bottom :] = 0.01, 0.01
    curve[:, :left], curve[:, canvas.size - right :] = 0.01, 0.01


def _stamp(curve: Array, anatomy: Anatomy, canvas: Canvas) -> None:
    """The lead letter L on the patient's left: the only sure sign of the side on a film."""
    x = canvas.x - (anatomy.shift_x + 0.43 * canvas.field)
    y = canvas.y - (anatomy.shift_y - 0.43 * canvas.field)
    stem = (np.abs(x) < 1.6) & (np.abs(y) < 9.0)
    foot = (np.abs(x - 4.0) < 5.6) & (np.abs(y - 7.6) < 1.6)
    curve[stem | foot] = 0.97
