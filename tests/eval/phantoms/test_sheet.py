"""The contact sheet: every picture in its place, real ones right of the bar."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.phantoms.sheet import contact_sheet, read_folder, sheet


def test_pictures_stand_in_rows_and_are_never_enlarged_or_squeezed() -> None:
    tall, wide = np.full((80, 40), 200, np.uint8), np.full((16, 32), 100, np.uint8)
    page = contact_sheet([tall, wide, wide], columns=2, tile=40)
    assert page.shape == (2 * 44 + 4, 2 * 44 + 4)
    assert (page == 200).sum() == 40 * 20
    assert (page == 100).sum() == 2 * 16 * 32
    assert (page[:44, :44] == 200).sum() == 40 * 20
    with pytest.raises(ValueError, match="no pictures"):
        contact_sheet([], columns=2, tile=40)


def test_real_pictures_stand_right_of_the_bar(tmp_path: Path) -> None:
    Image.fromarray(np.full((64, 64), 137, np.uint8)).save(tmp_path / "real.png")
    sheet(tmp_path / "sheet.png", beside=tmp_path, rows=1, columns=2, tile=64, family="train", view="PA", seed=0)
    page = np.asarray(Image.open(tmp_path / "sheet.png"))
    bar = 2 * 68 + 4
    assert (page[:, bar : bar + 4] == 255).all()
    assert (page[:, bar + 4 :] == 137).sum() == 64 * 64


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no"):
        read_folder(tmp_path, 3, 0)
