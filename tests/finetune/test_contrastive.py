"""What the training loop is made of: the schedule, the ranks, and which pairs belong together."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from finetune import losses
from finetune.contrastive import first_ranks, learning_rate, loss_of
from finetune.encoder_config import Loss, Training
from finetune.grouping import alike, numbered, spread


def test_the_rate_rises_then_falls_to_nothing() -> None:
    how = Training(steps=100, batch=2, lr=0.5, warmup=0.1)
    rates = [learning_rate(step, how) for step in range(100)]
    assert rates[0] == pytest.approx(0.05)
    assert max(rates) == pytest.approx(0.5) == rates[10]
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 0.001


def test_ranks_count_the_best_of_several_and_never_flatter_a_tie() -> None:
    scores = np.array([[0.9, 0.1, 0.5], [0.9, 0.1, 0.5], [0.2, 0.2, 0.2]], np.float32)
    wanted = np.array([[1, 0, 0], [0, 1, 1], [1, 0, 0]], bool)
    assert first_ranks(scores, wanted).tolist() == [1, 2, 3]


@given(st.integers(0, 999), st.integers(1, 8))
def test_ranks_without_ties_are_places_in_the_sorted_row(seed: int, n: int) -> None:
    scores = np.random.default_rng(seed).permutation(n * n).reshape(n, n).astype(np.float32)
    expected = [list(np.argsort(-row)).index(i) + 1 for i, row in enumerate(scores)]
    assert first_ranks(scores, np.eye(n, dtype=bool)).tolist() == expected


def test_pairs_belong_together_by_any_key() -> None:
    texts, pictures = numbered(["a", "b", "a", "c"]), numbered([1, 2, 3, 2])
    assert alike([texts, pictures], [0, 1, 2, 3]).astype(int).tolist() == [
        [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1]
    ]  # fmt: skip
    assert alike([texts, pictures], [2, 0]).all()


def test_some_of_many_are_spread_over_all() -> None:
    assert spread(list(range(100)), 3) == [0, 50, 99]
    assert spread([1, 2], 3) == [1, 2]


@pytest.mark.parametrize(
    ("told", "function"),
    [
        ({"name": "clip"}, lambda a, b, s, p: losses.clip(s)),
        ({"name": "siglip"}, lambda a, b, s, p: losses.siglip(s)),
        ({"name": "multi-positive"}, lambda a, b, s, p: losses.multi_positive(s, p)),
        ({"name": "dhn-nce", "beta_image": 1, "beta_text": 2}, lambda a, b, s, p: losses.dhn_nce(s, 1, 2)),
        (
            {"name": "clip-uniform-align", "within": 0.1, "across": 0.2, "align": 0.3},
            lambda a, b, s, p: losses.clip_uniform_align(a, b, s, 0.1, 0.2, 0.3),
        ),
    ],
)
def test_a_loss_is_what_its_name_says(told: dict[str, object], function: object) -> None:
    left, right = torch.nn.functional.normalize(torch.randn(2, 4, 3), dim=2)
    together = torch.tensor([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=torch.bool)
    loss: Loss = TypeAdapter(Loss).validate_python(told)
    scores = 5 * left @ right.T
    assert loss_of(loss, left, right, scores, together) == function(left, right, scores, together)  # type: ignore[operator]
