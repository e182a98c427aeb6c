"""Tiny data sets in the layouts in which they are published."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from eval.phantoms import make_phantom

SHARED = Path(os.environ.get("CONSULT_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))


def write_picture(path: Path, seed: int = 0) -> None:
    """One that the quality gate has nothing to say about."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(make_phantom(seed, size=256).pixels).save(path)


def write_json(path: Path, whole: Any) -> None:
    path.write_text(json.dumps(whole))


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def shared(part: str) -> Path:
    """A part of the real data, or the test is skipped."""
    if not (SHARED / part).is_dir():
        pytest.skip(f"the data set {part} is not on this machine (CONSULT_TEST_DATA names its folder)")
    return SHARED / part
