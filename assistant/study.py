"""A study as the reader sees it: pictures, never a patient. Identity lives in `identity.py`."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]  # (H, W) grey or (H, W, 3) RGB, 0..255, as displayed


@dataclass(frozen=True, slots=True)
class Orientation:
    """Towards which side of the patient the picture's right-hand edge and lower edge point, as DICOM's Patient
    Orientation says: one of L, R, A, P, H, F. Known only from the file or from the person who sends it."""

    right: str
    down: str

    @property
    def shows_sides(self) -> bool:
        """Whether the patient's left and right can be told apart in the picture."""
        return bool({self.right, self.down} & {"L", "R"})


STANDARD_RADIOGRAPH = Orientation(right="L", down="F")  # the patient's right is on the picture's left


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One picture, ready to be shown or read.

    `orientation` None means unknown: no side is asked or stated of it. `origin` names where in its file it came from
    ("frame 3 of 12", "axial slice 40 of 80"), in words that name no patient. Radiographs with a known left and right
    are turned so that the patient's right is on the picture's left before they come here.
    """

    pixels: Pixels
    modality: str | None = None  # DICOM code: DX, CR, CT, MR, US, OP, SM, …; None when unknown
    view: str | None = None  # PA, AP, LATERAL, AXIAL, …
    orientation: Orientation | None = None
    spacing_mm: tuple[float, float] | None = None  # row, column
    origin: str = ""
    sha256: str = field(default="")

    def __post_init__(self) -> None:
        if not self.sha256:
            digest = hashlib.sha256(repr(self.pixels.shape).encode() + np.ascontiguousarray(self.pixels).tobytes())
            object.__setattr__(self, "sha256", digest.hexdigest())

    @property
    def shows_sides(self) -> bool:
        return self.orientation is not None and self.orientation.shows_sides


def sides_known(pictures: Sequence[Picture]) -> bool:
    """Whether left and right can be told: a lateral view shows no side, and hides none."""
    return all(picture.orientation for picture in pictures) and any(picture.shows_sides for picture in pictures)


@dataclass(frozen=True, slots=True)
class Study:
    """The pictures of one examination. `patient` is a salted hash that links a patient's studies, or None."""

    pictures: tuple[Picture, ...]
    patient: str | None = None
    warnings: tuple[str, ...] = ()
