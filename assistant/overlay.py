"""A picture with the map of one sentence laid over it, its region marked, and what the colours mean written below.

The colours are viridis (Smith & van der Walt 2015), in which equal steps of similarity look equally large. They stand
for this map alone: the same colour in another map is another cosine, so the legend names both ends.
"""

import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assistant.events import Event, Heat, Located, Place, Sentence
from assistant.imaging.pixels import resize
from assistant.reports.draft import statement_id
from assistant.study import Pixels, Study

LONGEST = 1024  # pixels of the longer side: a map this coarse shows no more on a larger picture
STRONGEST = 0.6  # how much of the picture the hottest cell covers; the coldest covers nothing
VIRIDIS = np.array([  # every tenth part of matplotlib's viridis; between them linear
    (68, 1, 84), (72, 37, 118), (65, 68, 135), (53, 95, 141), (42, 120, 142), (33, 145, 140), (34, 168, 132),
    (66, 190, 113), (122, 209, 81), (189, 223, 38), (253, 231, 37),
])  # fmt: skip
MEANING = (
    "Where the image encoder's similarity to the sentence is highest; not a segmentation.",
    "Box: the part at least half as far above the median as the peak. Cross: the peak.",
)
Grey = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Mark:
    """A sentence whose place is known, and the image encoder that told it."""

    sentence: Sentence
    place: Place
    encoder: str


def marks_of(events: Iterable[Event]) -> dict[str, Mark]:
    """Of a run, by statement: "s3" is its third sentence."""
    said: dict[int, Sentence] = {}
    marks: dict[str, Mark] = {}
    for event in events:
        if isinstance(event, Sentence):
            said[event.index] = event
        elif isinstance(event, Located):
            marks |= {statement_id(p.sentence): Mark(said[p.sentence], p, event.encoder) for p in event.places}
    return marks


def write_overlays(folder: Path, marks: dict[str, Mark], study: Study) -> None:
    """A PNG a statement, "s3.png", and `places.json` with the coordinates. Raises `OSError`."""
    folder.mkdir(parents=True, exist_ok=True)
    told = []
    for statement, mark in marks.items():
        region = mark.place.region
        picture = study.pictures[region.picture - 1]
        (folder / f"{statement}.png").write_bytes(overlay(picture.pixels, mark))
        own = {"statement": statement, "section": mark.sentence.section, "text": mark.sentence.text}
        told.append({**own, **region.model_dump(), "encoder": mark.encoder})
    (folder / "places.json").write_text(json.dumps(told, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def overlay(pixels: Pixels, mark: Mark) -> bytes:
    """The PNG: the mark's picture is `pixels`."""
    from PIL import Image, ImageDraw, ImageFont

    (height, width), place = pixels.shape[:2], mark.place
    shown = resize(pixels, LONGEST)
    scale = shown.shape[1] / width
    level = warmth(place.heat, (width, height), (shown.shape[1], shown.shape[0]))
    cover = np.nan_to_num(level, nan=0.0)[..., None] * STRONGEST
    base = shown if shown.ndim == 3 else np.repeat(shown[..., None], 3, axis=2)
    picture = Image.fromarray((base * (1 - cover) + colours(np.nan_to_num(level)) * cover).round().astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    x0, y0, x1, y1 = (edge * scale for edge in place.region.box)
    draw.rectangle((x0, y0, max(x0, x1 - 1), max(y0, y1 - 1)), outline="white", width=2)
    if place.region.peak:
        x, y = ((value + 0.5) * scale for value in place.region.peak)
        draw.line((x - 8, y, x + 8, y), fill="white", width=2)
        draw.line((x, y - 8, x, y + 8), fill="white", width=2)
    lines = (mark.sentence.text, *MEANING, f"Image encoder: {mark.encoder}")
    return _with_legend(picture, place.heat, lines, ImageFont.load_default(14))


def warmth(heat: Heat, picture: tuple[int, int], shown: tuple[int, int]) -> Grey:
    """(height, width) of `shown`: the map of a picture (width, height) between the middles of its cells, 0 for its
    lowest and 1 for its highest cosine; nan where there is no map."""
    from scipy.ndimage import distance_transform_edt, map_coordinates

    cells = np.array(heat.cells, np.float64)  # None becomes nan
    outside = np.isnan(cells)
    nearest = distance_transform_edt(outside, return_distances=False, return_indices=True)
    low, high = float(np.nanmin(cells)), float(np.nanmax(cells))
    filled = (cells[tuple(nearest)] - low) / max(high - low, 1e-9)
    (x0, y0, x1, y1), (rows, columns) = heat.extent, cells.shape
    x = (np.arange(shown[0]) + 0.5) * picture[0] / shown[0]
    y = (np.arange(shown[1]) + 0.5) * picture[1] / shown[1]
    across, down = (x - x0) / (x1 - x0) * columns - 0.5, (y - y0) / (y1 - y0) * rows - 0.5
    level = map_coordinates(filled, np.meshgrid(down, across, indexing="ij"), order=1, mode="nearest")
    level[(down < -0.5) | (down > rows - 0.5), :] = np.nan
    level[:, (across < -0.5) | (across > columns - 0.5)] = np.nan
    return np.asarray(level, np.float32)


def colours(level: Grey) -> Grey:
    """(…, 3) in 0..255 of levels in 0..1."""
    steps = np.linspace(0, 1, len(VIRIDIS))
    return np.stack([np.interp(level, steps, VIRIDIS[:, n]) for n in range(3)], axis=-1).astype(np.float32)


def _with_legend(picture: Any, heat: Heat, lines: tuple[str, ...], font: Any) -> bytes:
    """The picture above a strip: the scale with the cosines at both ends, then what is to be known."""
    from PIL import Image, ImageDraw

    width = max(picture.width, 420)
    written = [part for line in lines for part in _wrapped(line, font, width - 16)]
    whole = Image.new("RGB", (width, picture.height + 40 + 18 * len(written)), "white")
    whole.paste(picture, (0, 0))
    draw = ImageDraw.Draw(whole)
    known = [value for row in heat.cells for value in row if value is not None]
    bar = colours(np.tile(np.linspace(0, 1, 200, dtype=np.float32), (12, 1))).astype(np.uint8)
    low, high = f"cosine {min(known):.2f}", f"{max(known):.2f}"
    left, top = 8 + int(draw.textlength(low, font=font)) + 6, picture.height + 8
    draw.text((8, top - 2), low, fill="black", font=font)
    whole.paste(Image.fromarray(bar), (left, top))
    draw.text((left + 206, top - 2), high, fill="black", font=font)
    for number, line in enumerate(written):
        draw.text((8, top + 22 + 18 * number), line, fill="black", font=font)
    out = io.BytesIO()
    whole.save(out, "PNG")
    return out.getvalue()


def _wrapped(line: str, font: Any, width: int) -> list[str]:
    """The line in parts that are at most so many pixels wide, cut between words."""
    parts = [""]
    for word in line.split():
        longer = f"{parts[-1]} {word}".strip()
        if font.getlength(longer) <= width or not parts[-1]:
            parts[-1] = longer
        else:
            parts.append(word)
    return parts
