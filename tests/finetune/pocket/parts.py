"""Small material for the pocket school's tests: a few phantoms, and real pictures in the sources' layout, made up."""

import json
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from PIL import Image

from finetune.pocket.phantoms import PhantomSet, phantom_set


@cache
def phantoms() -> PhantomSet:
    return phantom_set(Path(mkdtemp()), range(5, 35), size=224)


def row(source: str, n: int, split: str = "train", **more: Any) -> dict[str, Any]:
    common = {"id": f"{source}_{n}", "image": f"images/{n}.jpg", "patient": f"p{n}", "split": split, "view": None}
    return {**common, "width": 120, "height": 90, "labels": [], "grade": None, "boxes": None, "mask": None, **more}


def rows() -> dict[str, list[dict[str, Any]]]:
    """Three lines of each source, the last one held back."""
    splits = ("train", "train", "val")
    cells = [{"label": "platelet", "xyxy": [10, 10, 40, 40]}]
    return {
        "cxr_nih": [row("cxr_nih", n, s, labels=["effusion", "mass"][n:], view="PA") for n, s in enumerate(splits)],
        "cxr_hannover": [row("cxr_hannover", n, s, labels=["covid-19"], view="AP") for n, s in enumerate(splits)],
        "brain_mri": [
            row("brain_mri", n, s, labels=["brain tumor"], mask=f"masks/{n}.png") for n, s in enumerate(splits)
        ],
        "fundus": [row("fundus", n, s, grade={"dr": n, "dme": 0}) for n, s in enumerate(splits)],
        "blood": [
            row("blood", n, s, boxes=cells, grade={"red_blood_cells": 3, "white_blood_cells": 1, "platelets": 1})
            for n, s in enumerate(splits)
        ],
    }  # fmt: skip


def write_sources(folder: Path, told: dict[str, list[dict[str, Any]]] | None = None) -> Path:
    """The sources with pictures of noise; the brains' tumour is in the upper left quarter."""
    rng = np.random.default_rng(0)
    for source, lines in (told or rows()).items():
        for name in ("images", "masks"):
            (folder / source / name).mkdir(parents=True, exist_ok=True)
        (folder / source / "studies.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        for line in lines:
            Image.fromarray(rng.integers(0, 256, (90, 120, 3), dtype=np.uint8)).save(folder / source / line["image"])
            if isinstance(line["mask"], str):
                mask = np.zeros((90, 120), np.uint8)
                mask[5:30, 5:40] = 255
                Image.fromarray(mask).save(folder / source / line["mask"])
    return folder
