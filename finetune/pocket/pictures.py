"""Real pictures as training material: the sources that published weights may learn from, read once into arrays.

Each source is a folder with `studies.jsonl`, `images/` and, where there are any, `masks/`. Only its "train" lines
teach; "val" lines measure. Any source can be left out.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from assistant.engines.chat import squared
from finetune.errors import Problem, WrongData
from finetune.manifest import check_apart, rows, split_of
from finetune.pocket.phantoms import GRID
from finetune.pocket.targets import PLACES, Vector, of_real

DOMAIN_OF = {
    "cxr_nih": "chest_xray", "cxr_hannover": "chest_xray", "brain_mri": "brain_mri", "fundus": "fundus",
    "blood": "blood",
}  # fmt: skip
SOURCES = tuple(DOMAIN_OF)


@dataclass(frozen=True)
class RealSet:
    """`pixels` (n, size, size, 3) uint8, squared on black as engines square them; `places` (n, PLACES, GRID, GRID)
    uint8; `marked` (n, PLACES) bool: whether all there is of a place is marked; `rows` the source's lines."""

    pixels: NDArray[np.uint8]
    places: NDArray[np.uint8]
    marked: NDArray[np.bool_]
    targets: Vector
    rows: list[dict[str, Any]]
    sources: list[str]


def real_set(folder: Path, size: int, *, split: str = "train", without: tuple[str, ...] = ()) -> RealSet:
    """All pictures of `split` under `folder/SOURCE`."""
    rows = [
        (source, row)
        for source in SOURCES
        if source not in without
        for row in map(json.loads, (folder / source / "studies.jsonl").read_text().splitlines())
        if row["split"] == split
    ]
    read = [_read(folder / source, row, size) for source, row in rows]
    return RealSet(
        np.stack([pixels for pixels, _, _ in read]),
        np.stack([places for _, places, _ in read]),
        np.stack([marked for _, _, marked in read]),
        np.stack([of_real(source, row) for source, row in rows]),
        [row for _, row in rows],
        [source for source, _ in rows],
    )


def check_sources(folder: Path, sources: Sequence[str]) -> None:
    """Raises `WrongData` with every line that can't be learnt from: a missing picture or mask, an unknown split, a
    patient in two splits, a count or grade that isn't there."""
    problems: list[Problem] = []
    for source in sources:
        placed = []
        path = folder / source / "studies.jsonl"
        for number, row, wrong in rows(path, None, problems.append):
            for name in (row.get("image"), *_mask_files(row)):
                if not isinstance(name, str) or not (folder / source / name).is_file():
                    wrong("its image or a mask is not there")
            split = split_of(row, wrong)
            if split is None:
                wrong("names no split")
            if source == "cxr_nih" and not isinstance(row.get("labels"), list):
                wrong("has no labels")
            if source == "blood" and not isinstance(row.get("grade"), dict):
                wrong("has no counts")
            placed.append((path, number, row.get("patient"), split))
        check_apart(placed, problems.append)
    if problems:
        raise WrongData(problems)


def _mask_files(row: dict[str, Any]) -> list[str]:
    masks = row.get("mask") or {}
    return [masks] if isinstance(masks, str) else list(masks.values())


def _read(
    folder: Path, row: dict[str, Any], size: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bool_]]:
    with Image.open(folder / row["image"]) as image:
        pixels = np.asarray(squared(np.asarray(image.convert("RGB")), size))
    places, marked = np.zeros((len(PLACES), GRID, GRID), np.uint8), np.zeros(len(PLACES), bool)
    for name, mask in _masks(folder, row).items():
        if name in PLACES:
            grey = squared(np.repeat(mask[..., None], 3, 2), size).resize((GRID, GRID), Image.Resampling.BOX)
            places[PLACES.index(name)] = np.asarray(grey)[..., 0]
            marked[PLACES.index(name)] = True
    if folder.name == "blood":
        marked[[PLACES.index(name) for name in ("red blood cell", "white blood cell", "platelet")]] = True
    return pixels, places, marked


def _masks(folder: Path, row: dict[str, Any]) -> dict[str, NDArray[np.uint8]]:
    """Lesion masks, and boxes of cells drawn as masks; (H, W) 0 or 255."""
    masks = row.get("mask") or {}
    if isinstance(masks, str):
        masks = {row["labels"][0]: masks}
    found = {name.replace("_", " "): np.asarray(Image.open(folder / path).convert("L")) for name, path in masks.items()}
    for box in (row.get("boxes") or []) if folder.name == "blood" else []:
        canvas = found.setdefault(box["label"], np.zeros((row["height"], row["width"]), np.uint8))
        x0, y0, x1, y1 = (int(v) for v in box["xyxy"])
        canvas[y0:y1, x0:x1] = 255
    return found
