"""Families: ranges of anatomy and texture. A family the training never sees is what makes an exam an exam."""

from __future__ import annotations

from dataclasses import dataclass

Range = tuple[float, float]


@dataclass(frozen=True)
class Family:
    """Ranges (low, high) that a study's anatomy and film are drawn from; lengths in mm, angles in radians."""

    name: str
    salt: int  # separates the random streams, so that train seed 7 and exam seed 7 share nothing
    half_width: Range = (126.0, 148.0)  # inner half width of the widest level of the thorax
    depth_ratio: Range = (0.62, 0.74)  # half depth / half width of the thorax
    shape: Range = (2.5, 2.95)  # superellipse exponent of the thorax outline: higher has squarer shoulders
    dome: Range = (196.0, 226.0)  # level of the right dome below the first thoracic vertebra: inspiration
    rib_pitch: Range = (21.5, 24.0)
    rib_drop: Range = (28.0, 38.0)
    branching: Range = (0.34, 0.50)  # half angle between two daughters of a vessel
    vessel_gain: Range = (1.3, 1.9)
    grain_mm: Range = (1.6, 2.4)  # scale of the interstitial texture
    grain_gain: Range = (0.025, 0.05)
    scatter: Range = (0.10, 0.22)
    slope: Range = (3.6, 4.4)  # steepness of the film curve
    noise: Range = (0.003, 0.007)
    field: Range = (338.0, 384.0)  # side of the square field of view


_FAMILIES = {
    "train": Family("train", 0),
    "exam": Family(
        "exam",
        1,
        half_width=(122.0, 152.0),
        depth_ratio=(0.56, 0.66),
        shape=(2.2, 2.5),
        rib_pitch=(22.5, 25.0),
        rib_drop=(34.0, 44.0),
        branching=(0.46, 0.62),
        vessel_gain=(1.1, 1.6),
        grain_mm=(2.4, 3.4),
        grain_gain=(0.03, 0.06),
        scatter=(0.18, 0.30),
        slope=(3.1, 3.7),
        noise=(0.006, 0.010),
        field=(332.0, 396.0),
    ),
}


def get_family(name: str) -> Family:
    """The family of this name; ValueError when there is none."""
    try:
        return _FAMILIES[name]
    except KeyError:
        raise ValueError(f"unknown phantom family {name!r}; known: {', '.join(_FAMILIES)}") from None
