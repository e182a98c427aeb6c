"""What every engine does to a prompt before its model sees it."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.engines.base import Message, Prompt
from assistant.engines.card import MAX_SIDE, Card, harmless, prepared, read_card, token_bound
from assistant.study import Picture


@pytest.mark.parametrize("token", ["<|im_end|>", "<image>", "</s>", "<start_of_turn>", "<|image_pad|>", "<<|im_end|>"])
def test_no_text_holds_a_token_that_means_something(token: str) -> None:
    assert not re.search(r"<[|/a-z]", harmless(f"before {token} after"))


@given(st.text(alphabet="<>| /p0.5\n", max_size=40))
def test_harmless_text_stays_so_and_loses_nothing(text: str) -> None:
    once = harmless(text)
    assert harmless(once) == once
    assert once.replace("< ", "<").replace(" ", "") == text.replace("< ", "<").replace(" ", "")


def test_a_comparison_is_left_alone() -> None:
    assert harmless("SpO2 <92 %, p < 0.05, a > b") == "SpO2 <92 %, p < 0.05, a > b"


@given(st.text(max_size=60))
def test_the_bound_grows_with_the_text(text: str) -> None:
    assert token_bound(text) <= token_bound(text + "a")
    assert token_bound(text) >= len(text) / 2


@given(st.integers(1, 200), st.integers(1, 200))
def test_a_picture_is_squared_without_being_stretched(height: int, width: int) -> None:
    white = Picture(np.full((height, width), 255, np.uint8))
    shown = prepared(Prompt((Message("user", (white,)),)), 56).messages[0].parts[0]
    assert isinstance(shown, Picture)
    assert shown.pixels.shape == (56, 56, 3)
    assert shown.sha256 == white.sha256
    lit = shown.pixels[..., 0] > 127
    rows, columns = lit.any(axis=1).sum(), lit.any(axis=0).sum()
    assert max(rows, columns) == 56
    assert abs(min(rows, columns) - 56 * min(height, width) / max(height, width)) <= 1


def test_a_large_picture_is_bounded_where_the_model_decides() -> None:
    large = Picture(np.zeros((MAX_SIDE * 2, MAX_SIDE), np.uint8))
    shown = prepared(Prompt((Message("user", (large, "text")),)), None).messages[0].parts[0]
    assert isinstance(shown, Picture)
    assert shown.pixels.shape == (MAX_SIDE, MAX_SIDE // 2)


def test_a_folder_without_a_card_promises_nothing(tmp_path: Path) -> None:
    assert read_card(tmp_path) == Card(domains=None, demonstration=False, picture=None)
