"""Families: ranges of anatomy, texture and film. A family the training never sees is what makes an exam an exam."""

from __future__ import annotations

from dataclasses import dataclass

Range = tuple[float, float]


@dataclass(frozen=True)
class Family:
    """Ranges (low, high) that a study's anatomy and film are drawn from; lengths in mm, angles in radians."""

    name: str
    salt: int  # separates the random streams, so that train seed 7 and exam seed 7 share nothing
    wording: str = "train"  # whose words the questions use, a name of `wordings`
    projection: str = "PA"  # what `view="PA"` means here: "PA", or "AP" in bed
    half_width: Range = (126.0, 148.0)  # inner half width of the widest level of the thorax
    depth_ratio: Range = (0.62, 0.74)  # half depth / half width of the thorax
    shape: Range = (2.5, 2.95)  # superellipse exponent of the thorax outline: higher has squarer shoulders
    dome: Range = (196.0, 226.0)  # level of the right dome below the first thoracic vertebra: inspiration
    ctr: Range = (0.40, 0.48)  # cardiothoracic ratio of a healthy heart
    heart_magnification: Range = (1.0, 1.0)  # heart on the film / heart: above 1 where the heart is far from the film
    rib_pitch: Range = (21.5, 24.0)
    rib_drop: Range = (28.0, 38.0)
    branching: Range = (0.34, 0.50)  # half angle between two daughters of a vessel
    vessel_gain: Range = (1.3, 1.9)
    grain_mm: Range = (1.6, 2.4)  # scale of the interstitial texture
    grain_gain: Range = (0.025, 0.05)
    bone: Range = (0.8, 1.2)  # factor on mineral density
    scatter: Range = (0.10, 0.22)
    slope: Range = (3.6, 4.4)  # steepness of the film curve
    middle: Range = (0.30, 0.40)  # where on the curve the middle between lung and mediastinum falls: exposure
    black: Range = (0.0, 0.0)  # grey of the film's base, 0 to 1
    white: Range = (1.0, 1.0)  # grey of the densest part, 0 to 1
    edge: Range = (0.0, 0.0)  # edge enhancement, as digital films are processed: gain of detail under 4 mm
    noise: Range = (0.003, 0.007)
    field: Range = (338.0, 384.0)  # side of the square field of view
    collimated: float = 0.0  # chance that the diaphragms of the tube show as a black border


_FAMILIES = {
    family.name: family
    for family in (
        Family("train", 0),
        Family(  # tall and narrow, on every kind of film
            "train-tall",
            4,
            half_width=(118.0, 132.0),
            depth_ratio=(0.67, 0.77),
            shape=(2.6, 2.98),
            dome=(214.0, 231.0),
            ctr=(0.38, 0.45),
            rib_pitch=(22.5, 24.4),
            rib_drop=(27.5, 33.5),
            branching=(0.33, 0.45),
            vessel_gain=(1.2, 1.7),
            grain_mm=(1.5, 2.3),
            grain_gain=(0.015, 0.04),
            scatter=(0.10, 0.45),
            slope=(2.6, 4.4),
            middle=(0.0, 0.40),
            black=(0.0, 0.08),
            white=(0.82, 1.0),
            edge=(0.0, 0.9),
            noise=(0.003, 0.020),
            field=(346.0, 410.0),
            collimated=0.3,
        ),
        Family(  # lying, tube in front, but a full breath and a heart that is hardly magnified
            "train-lying",
            5,
            projection="AP",
            half_width=(128.0, 150.0),
            depth_ratio=(0.62, 0.70),
            shape=(2.5, 2.75),
            dome=(193.0, 212.0),
            heart_magnification=(1.03, 1.075),
            rib_pitch=(22.0, 23.5),
            rib_drop=(33.0, 39.5),
            branching=(0.40, 0.50),
            vessel_gain=(1.2, 1.6),
            grain_mm=(1.8, 2.4),
            grain_gain=(0.02, 0.04),
            bone=(0.9, 1.2),
            scatter=(0.25, 0.70),
            slope=(2.4, 3.6),
            middle=(-0.10, 0.30),
            black=(0.0, 0.10),
            white=(0.82, 1.0),
            edge=(0.0, 0.8),
            noise=(0.005, 0.024),
            field=(360.0, 410.0),
            collimated=0.5,
        ),
        Family(
            "exam",
            1,
            wording="exam",
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
        Family(  # hyperinflated lungs in a deep chest: flat ribs, low domes, a narrow heart, thinned vessels
            "exam-barrel",
            2,
            wording="exam",
            half_width=(132.0, 152.0),
            depth_ratio=(0.78, 0.92),
            shape=(3.0, 3.5),
            dome=(232.0, 254.0),
            ctr=(0.35, 0.42),
            rib_pitch=(24.5, 27.0),
            rib_drop=(18.0, 27.0),
            branching=(0.24, 0.33),
            vessel_gain=(0.9, 1.25),
            grain_mm=(1.0, 1.5),
            grain_gain=(0.010, 0.022),
            scatter=(0.24, 0.36),
            slope=(2.9, 3.5),
            middle=(0.06, 0.22),
            black=(0.02, 0.06),
            white=(0.84, 0.96),
            edge=(0.5, 1.0),
            noise=(0.010, 0.016),
            field=(386.0, 420.0),
            collimated=0.5,
        ),
        Family(  # in bed, tube in front: shallow breath, large heart border, flat and noisy film
            "exam-portable",
            3,
            wording="clinic",
            projection="AP",
            half_width=(126.0, 148.0),
            depth_ratio=(0.56, 0.61),
            shape=(2.1, 2.45),
            dome=(168.0, 192.0),
            heart_magnification=(1.08, 1.15),
            rib_pitch=(20.0, 22.0),
            rib_drop=(40.0, 50.0),
            branching=(0.51, 0.66),
            vessel_gain=(0.95, 1.28),
            grain_mm=(2.5, 3.4),
            grain_gain=(0.012, 0.024),
            bone=(1.2, 1.5),
            scatter=(0.45, 0.80),
            slope=(2.3, 3.0),
            middle=(-0.16, 0.10),
            black=(0.04, 0.12),
            white=(0.80, 0.94),
            edge=(0.3, 0.8),
            noise=(0.016, 0.026),
            field=(388.0, 420.0),
            collimated=0.7,
        ),
    )
}

FAMILIES: tuple[str, ...] = tuple(_FAMILIES)
TRAINING_FAMILIES: tuple[str, ...] = tuple(name for name in FAMILIES if name.startswith("train"))
EXAM_FAMILIES: tuple[str, ...] = tuple(name for name in FAMILIES if name not in TRAINING_FAMILIES)


def get_family(name: str) -> Family:
    """The family of this name; ValueError when there is none."""
    try:
        return _FAMILIES[name]
    except KeyError:
        raise ValueError(f"unknown phantom family {name!r}; known: {', '.join(_FAMILIES)}") from None
