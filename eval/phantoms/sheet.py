"""A contact sheet: phantoms in rows, with real radiographs beside them where a folder of such is given.

    python -m eval.phantoms.sheet OUT.png [--beside FOLDER] [--family train] [--view PA]

Left of the white bar phantoms, right of it what lies in FOLDER. A sheet that shows real patients is for looking at, and
is not to be published without leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image

from eval.phantoms.phantom import make_phantom

Grey = NDArray[np.uint8]
_GAP = 4  # pixels of black between pictures
_SUFFIXES = {".png", ".jpg", ".jpeg"}


def contact_sheet(pictures: Sequence[Grey], columns: int, tile: int) -> Grey:
    """`pictures` (H, W) in rows of `columns`, each scaled to fit a square of `tile` pixels and centred on black."""
    if not pictures:
        raise ValueError("no pictures for the contact sheet")
    rows = -(-len(pictures) // columns)
    step = tile + _GAP
    sheet = np.zeros((rows * step + _GAP, columns * step + _GAP), np.uint8)
    for number, pixels in enumerate(pictures):
        picture = Image.fromarray(pixels)
        picture.thumbnail((tile, tile), Image.Resampling.LANCZOS)
        top = _GAP + number // columns * step + (tile - picture.height) // 2
        left = _GAP + number % columns * step + (tile - picture.width) // 2
        sheet[top : top + picture.height, left : left + picture.width] = np.asarray(picture)
    return sheet


def read_folder(folder: Path, n: int, seed: int) -> list[Grey]:
    """`n` pictures of a folder drawn at random, greyscale; ValueError when it has none."""
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
    if not files:
        raise ValueError(f"{folder} has no {', '.join(sorted(_SUFFIXES))} files")
    chosen = np.random.default_rng(seed).permutation(len(files))[:n]
    pictures = []
    for index in chosen:
        with Image.open(files[index]) as picture:
            pictures.append(np.asarray(picture.convert("L")))
    return pictures


def sheet(
    out: Annotated[Path, typer.Argument(help="PNG file to write.")],
    beside: Annotated[Path | None, typer.Option(help="Folder of real radiographs to show beside them.")] = None,
    family: Annotated[str, typer.Option(help="Family of the phantoms.")] = "train",
    view: Annotated[str, typer.Option(help="PA or LATERAL.")] = "PA",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first phantom.")] = 0,
    rows: Annotated[int, typer.Option(min=1, help="Rows of pictures.")] = 4,
    columns: Annotated[int, typer.Option(min=1, help="Columns of phantoms, and as many of real pictures.")] = 4,
    tile: Annotated[int, typer.Option(min=64, help="Pixels a picture.")] = 256,
) -> None:
    """Write a contact sheet of phantoms."""
    n = rows * columns
    phantoms = [make_phantom(seed + i, family=family, view=view, size=tile).pixels for i in range(n)]
    page = contact_sheet(phantoms, columns, tile)
    if beside is not None:
        real = contact_sheet(read_folder(beside, n, seed), columns, tile)
        page = np.hstack([page, np.full((len(page), _GAP), 255, np.uint8), real])
    Image.fromarray(page).save(out)


if __name__ == "__main__":
    typer.run(sheet)
