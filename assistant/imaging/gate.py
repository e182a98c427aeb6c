"""The quality gate: what about a picture speaks against reading it. Pure.

Invariant: a defect that refuses is one no reader could read through (too small, blank, noise); everything else warns
and leaves the judgement to the person. Thresholds were set on open radiographs, fundus photographs, brain slices and
phantoms; `tests/assistant/imaging/test_gate.py` keeps them where they are.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assistant.events import Defect
from assistant.imaging.pixels import resize
from assistant.study import Picture, Pixels

SCALE = 512  # the longer side at which everything but the size is measured
REFUSED_SIDE, SMALL_SIDE = 64, 128  # pixels
RADIOGRAPHS = {"CR", "DX", "RG"}

# The average frontal chest radiograph (of phantoms), 16 rows of its left half, one digit a cell: 0 dark, 9 bright.
CHEST = """
00000122 01112333 12344444 34554225 56662126 67752127 67742138 46742258
26643379 25654579 15655679 15656789 15678899 14789999 14789999 15789999
"""


@dataclass(frozen=True, slots=True)
class Measures:
    """Of one picture at the working scale, in grey levels 0..255 unless said otherwise."""

    contrast: float  # between the 1st and the 99th percentile
    top: float  # the 99th percentile
    spread: float  # standard deviation of the central region
    middle: float  # median of the central region
    bright: float  # 95th percentile of the central region
    white: float  # share of the central region at 250 or more
    fine: float  # standard deviation of what two pixels' smoothing takes away, per cent of the contrast
    edges: float  # its 99th percentile: how steep the steepest edges are
    kinship: float  # correlation of neighbouring pixels, −1..1: near 0 is noise
    dark_rim: float  # share of the outermost pixels that are nearly black


def inspect(picture: Picture, number: int, *, chest: bool | None = None) -> list[Defect]:
    """What the gate notices about picture `number` (1-based), worst first. `chest`: whether it is known to be a frontal
    chest radiograph, or known not to be; None leaves that to what the picture says of itself."""
    height, width = picture.pixels.shape[:2]
    if min(height, width) < REFUSED_SIDE:
        text = f"is only {width} × {height} pixels: too small to be read. Send the original picture."
        return [_defect("too-small", number, text, refuse=True)]
    measured = measure(picture.pixels)
    if measured.contrast < 6:
        text = "is blank: it shows nearly the same grey everywhere. Was the right picture sent?"
        return [_defect("blank", number, text, refuse=True)]
    if measured.kinship < 0.5:
        text = "shows nothing but noise. Was it exported or transferred correctly?"
        return [_defect("noise", number, text, refuse=True)]
    return [
        *_shape(height, width, number),
        *_look(picture, measured, number),
        *_framing(picture, chest, measured, number),
    ]


def measure(pixels: Pixels) -> Measures:
    from scipy import ndimage

    grey = _grey(resize(pixels, SCALE))
    low, high = (float(v) for v in np.percentile(grey, (1, 99)))
    detail = np.abs(ndimage.gaussian_filter(grey, 1) - ndimage.gaussian_filter(grey, 2)) * (100 / max(high - low, 1))
    height, width = grey.shape
    centre = grey[height // 5 : height - height // 5, width // 5 : width - width // 5]
    around = grey - grey.mean()
    rim = np.concatenate([grey[:2].ravel(), grey[-2:].ravel(), grey[:, :2].ravel(), grey[:, -2:].ravel()])
    return Measures(
        contrast=high - low,
        top=high,
        spread=float(centre.std()),
        middle=float(np.median(centre)),
        bright=float(np.percentile(centre, 95)),
        white=float((centre >= 250).mean()),
        fine=float(np.sqrt((detail**2).mean())),
        edges=float(np.percentile(detail, 99)),
        kinship=float((around[:, 1:] * around[:, :-1]).mean() / max(float((around**2).mean()), 1e-6)),
        dark_rim=float((rim < 12).mean()),
    )


def _shape(height: int, width: int, number: int) -> list[Defect]:
    found = []
    if min(height, width) < SMALL_SIDE:
        text = f"is only {width} × {height} pixels: small findings can't be seen in it."
        found.append(_defect("too-small", number, text))
    if max(height, width) > 4 * min(height, width):
        text = f"is a narrow strip ({width} × {height} pixels): much of it will be lost when it is scaled down."
        found.append(_defect("aspect-ratio", number, text))
    return found


def _look(picture: Picture, measured: Measures, number: int) -> list[Defect]:
    """Exposure, contrast and sharpness. What lies on black ground (slices, ultrasound, fundus) is mostly dark and
    colour pictures are bright by nature: there only the extremes count."""
    plain = picture.pixels.ndim == 2 and measured.dark_rim < 0.6
    found = []
    if measured.white > (0.3 if plain else 0.6) or (plain and measured.middle > 228):
        text = "is too bright: large parts of its centre are white, and what lies there can't be judged."
        found.append(_defect("too-bright", number, text))
    if measured.bright < 40 or measured.top < 56 or (plain and measured.middle < 55):
        text = "is too dark: its centre is nearly black, and what lies there can't be judged."
        found.append(_defect("too-dark", number, text))
    if measured.contrast < 40 or (plain and measured.spread < 12):
        text = "has little contrast: soft differences may not show. Check the window it was exported with."
        found.append(_defect("low-contrast", number, text))
    if measured.fine < 0.32 or measured.edges < 1.3:
        text = "is blurred: fine lines such as a pleural edge or small vessels can't be judged."
        found.append(_defect("blurred", number, text))
    return found


def _framing(picture: Picture, chest: bool | None, measured: Measures, number: int) -> list[Defect]:
    """A frontal chest radiograph of which a part is missing. Anything else is not judged."""
    if chest is None:
        could_be = picture.modality in RADIOGRAPHS | {None} and picture.view in ("PA", "AP", None)
        if not (could_be and picture.pixels.ndim == 2 and measured.dark_rim < 0.6):
            return []
    if chest is False or chest_likeness(picture.pixels) >= 0.3:
        return []
    lead = "seems" if chest else "seems, if it is a frontal chest radiograph,"
    text = (
        f"{lead} to be cut off or badly centred: both lungs and the mediastinum are not where a whole chest has them."
    )
    return [_defect("cut-off", number, text)]


def chest_likeness(pixels: Pixels) -> float:
    """How much this is laid out like a whole frontal chest: correlation with the average one (−1..1), and half of how
    much brighter the mediastinum is than the less dark of the two lungs (−1..1)."""
    from PIL import Image

    small = Image.fromarray(_grey(resize(pixels, SCALE)).astype(np.uint8)).resize((16, 16), Image.Resampling.BOX)
    cells = np.asarray(small, np.float64)
    low, high = np.percentile(cells, (2, 98))
    cells = np.clip((cells - low) / max(high - low, 1), 0, 1)
    half = np.array([[int(digit) for digit in row] for row in CHEST.split()], np.float64)
    average = np.hstack([half, half[:, ::-1]])
    a, b = cells - cells.mean(), average - average.mean()
    alike = float((a * b).sum() / max(np.sqrt((a * a).sum() * (b * b).sum()), 1e-9))
    middle, lungs = cells[4:9, 7:9].mean(), max(cells[4:9, 3:6].mean(), cells[4:9, 10:13].mean())
    return alike + 0.5 * float(middle - lungs)


def _grey(pixels: Pixels) -> NDArray[np.float32]:
    values = pixels.astype(np.float32)
    return values if pixels.ndim == 2 else values @ np.array([0.299, 0.587, 0.114], np.float32)


def _defect(kind: str, number: int, text: str, refuse: bool = False) -> Defect:
    return Defect(kind=kind, picture=number, message=f"Picture {number} {text}", refuse=refuse)
