"""How a picture lies in the patient, and turning it as it is hung on the wall. Pure.

Invariant: turning moves pixels and the orientation that describes them together; nothing is resampled.
"""

from collections.abc import Sequence

import numpy as np

from assistant.study import Orientation, Pixels

AXES = ({"L", "R"}, {"A", "P"}, {"H", "F"})
OPPOSITE = {"L": "R", "R": "L", "A": "P", "P": "A", "H": "F", "F": "H"}


def from_letters(values: Sequence[str]) -> Orientation | None:
    """DICOM's Patient Orientation: where rows and columns run to, main direction first ("LF" is mainly left)."""
    letters = [value.strip().upper()[:1] for value in values]
    return _checked(*letters) if len(letters) == 2 else None


def from_cosines(cosines: Sequence[float]) -> Orientation | None:
    """DICOM's Image Orientation (Patient): direction cosines of a row, then of a column, x to the left, y to the back,
    z to the head. An oblique plane is called by its main directions."""
    vectors = np.asarray(cosines, float).reshape(2, 3)
    lengths = np.linalg.norm(vectors, axis=1)
    if not (np.isfinite(vectors).all() and (abs(lengths - 1) < 0.1).all()):
        return None
    letters = []
    for vector in vectors:
        axis = int(np.argmax(np.abs(vector)))
        letters.append(("LPH" if vector[axis] > 0 else "RAF")[axis])
    return _checked(*letters)


def plane(orientation: Orientation) -> str:
    """AXIAL, CORONAL or SAGITTAL: the plane the picture's two directions span."""
    shown = {orientation.right, orientation.down}
    missing = next(i for i, axis in enumerate(AXES) if not shown & axis)
    return ("SAGITTAL", "CORONAL", "AXIAL")[missing]


def hang(pixels: Pixels, orientation: Orientation) -> tuple[Pixels, Orientation, bool]:
    """The picture with the patient's right on its left and the head (or the front, on an axial one) up; the third value
    says whether rows and columns changed places. A picture that shows no sides is left as it is."""
    right, down = orientation.right, orientation.down
    if not orientation.shows_sides:
        return pixels, orientation, False
    if swapped := down in AXES[0]:
        pixels, right, down = np.swapaxes(pixels, 0, 1), down, right
    if right == "R":
        pixels, right = pixels[:, ::-1], "L"
    if down in ("H", "A"):
        pixels, down = pixels[::-1], OPPOSITE[down]
    return np.ascontiguousarray(pixels), Orientation(right, down), swapped


def _checked(right: str, down: str) -> Orientation | None:
    """An orientation, if the two are directions and not of one axis."""
    if right not in OPPOSITE or down not in OPPOSITE or down in (right, OPPOSITE[right]):
        return None
    return Orientation(right, down)
