"""Every loss against its formula written out in loops, and the identities that tie them together."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import normalize

from finetune.losses import (
    alignment,
    clip,
    clip_uniform_align,
    cross_uniformity,
    dhn_nce,
    multi_positive,
    siglip,
    uniformity,
)

seeds = st.integers(0, 10_000)
sizes = st.integers(2, 7)


def drawn(seed: int, n: int, dim: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    """Unit vectors of n pictures and n texts, and their scores at temperature 0.2."""
    generator = torch.Generator().manual_seed(seed)
    left, right = (normalize(torch.randn(n, dim, generator=generator, dtype=torch.float64), dim=1) for _ in range(2))
    return left, right, 5 * left @ right.T


def naive_clip(s: list[list[float]]) -> float:
    n = len(s)
    rows = sum(-s[i][i] + math.log(sum(math.exp(v) for v in s[i])) for i in range(n)) / n
    columns = sum(-s[i][i] + math.log(sum(math.exp(s[k][i]) for k in range(n))) for i in range(n)) / n
    return (rows + columns) / 2


def naive_dhn(s: list[list[float]], beta: float) -> float:
    """One direction, weights and all."""
    n, total = len(s), 0.0
    for i in range(n):
        others = [j for j in range(n) if j != i]
        hardness = sum(math.exp(beta * s[i][k]) for k in others)
        weighted = sum((n - 1) * math.exp(beta * s[i][j]) / hardness * math.exp(s[i][j]) for j in others)
        total += -s[i][i] + math.log(weighted)
    return total / n


@given(seeds, sizes)
def test_clip_is_its_formula(seed: int, n: int) -> None:
    scores = drawn(seed, n)[2]
    assert clip(scores).item() == pytest.approx(naive_clip(scores.tolist()))


def test_clip_of_equal_scores_is_the_logarithm_of_the_batch() -> None:
    assert clip(torch.zeros(8, 8)).item() == pytest.approx(math.log(8))


@given(seeds, sizes)
def test_one_positive_each_is_clip(seed: int, n: int) -> None:
    scores = drawn(seed, n)[2]
    assert multi_positive(scores, torch.eye(n)).item() == pytest.approx(clip(scores).item())


def test_multi_positive_is_its_formula_and_leaves_out_what_has_no_positive() -> None:
    scores = torch.tensor([[1.0, 0.5, -1.0], [0.0, 2.0, 0.3]])
    targets = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0]])  # the third text belongs to no picture
    rows, columns = scores.softmax(1).log(), scores.softmax(0).log()
    by_row = -((rows[0, 0] + rows[0, 1]) / 2 + rows[1, 1]) / 2
    by_column = -(columns[0, 0] + (columns[0, 1] + columns[1, 1]) / 2) / 2
    assert multi_positive(scores, targets).item() == pytest.approx(((by_row + by_column) / 2).item())


def test_pairs_that_share_a_text_are_not_pushed_apart() -> None:
    """Two pictures with one text: both texts scored alike is the best there is for multi-positive, not for CLIP."""
    scores = torch.tensor([[9.0, 9.0, 0.0], [9.0, 9.0, 0.0], [0.0, 0.0, 9.0]], requires_grad=True)
    together = torch.tensor([[1.0, 1, 0], [1, 1, 0], [0, 0, 1]])
    multi_positive(scores, together).backward()
    assert scores.grad is not None
    assert scores.grad[:2, :2].abs().max() < 1e-3
    (gradient,) = torch.autograd.grad(clip(scores), scores)
    assert gradient[0, 1] > 0.1


@given(seeds, sizes)
def test_siglip_is_its_formula(seed: int, n: int) -> None:
    scores = drawn(seed, n)[2] - 3.0
    expected = sum(
        math.log1p(math.exp(-(1 if i == j else -1) * scores[i, j].item())) for i in range(n) for j in range(n)
    )
    assert siglip(scores).item() == pytest.approx(expected / n)
    assert siglip(scores, torch.eye(n)).item() == pytest.approx(siglip(scores).item())


def test_siglip_takes_more_than_one_positive() -> None:
    scores = torch.full((2, 2), 4.0)
    assert siglip(scores, torch.ones(2, 2)) < siglip(scores, torch.eye(2))


@given(seeds, sizes, st.floats(0, 2), st.floats(0, 2))
def test_dhn_nce_is_its_formula(seed: int, n: int, image: float, text: float) -> None:
    scores = drawn(seed, n)[2]
    expected = naive_dhn(scores.tolist(), image) + naive_dhn(scores.T.tolist(), text)
    assert dhn_nce(scores, image, text).item() == pytest.approx(expected)


@given(seeds, sizes)
def test_dhn_nce_without_hardness_is_the_decoupled_loss(seed: int, n: int) -> None:
    """Yeh et al. 2022: InfoNCE without the positive in the denominator."""
    scores = drawn(seed, n)[2]
    others = [[j for j in range(n) if j != i] for i in range(n)]
    one_way = [sum(-s[i, i] + s[i, others[i]].logsumexp(0) for i in range(n)) / n for s in (scores, scores.T)]
    assert dhn_nce(scores, 0, 0).item() == pytest.approx(float(sum(one_way)))


def test_hardness_moves_the_push_to_the_hardest_negative() -> None:
    scores = torch.tensor([[3.0, 2.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 3.0]], requires_grad=True)
    shares = []
    for beta in (0.0, 1.0):
        (gradient,) = torch.autograd.grad(dhn_nce(scores, beta, beta), scores)
        shares.append((gradient[0, 1] / gradient[0, 1:].sum()).item())
    assert shares[1] > shares[0]


@given(seeds, sizes)
def test_alignment_and_uniformity_are_their_formulas(seed: int, n: int) -> None:
    left, right, _ = drawn(seed, n)
    apart = torch.cdist(left, right) ** 2
    inner = torch.cdist(left, left) ** 2
    off = ~torch.eye(n, dtype=torch.bool)
    assert alignment(left, right).item() == pytest.approx(apart.diagonal().mean().item())
    assert uniformity(left).item() == pytest.approx(math.log((-2 * inner[off]).exp().mean().item()), abs=1e-9)
    assert cross_uniformity(left, right).item() == pytest.approx(math.log((-2 * apart[off]).exp().mean().item()))
    assert 0 <= alignment(left, right).item() <= 4
    assert -8 <= uniformity(left).item() <= 0


def test_uniformity_is_best_spread_and_worst_in_one_point() -> None:
    point = normalize(torch.ones(4, 3), dim=1)
    spread = torch.tensor([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]])
    assert uniformity(point).item() == pytest.approx(0, abs=1e-5)
    assert uniformity(spread) < -2


@given(seeds, sizes)
def test_uniformity_and_alignment_add_to_clip(seed: int, n: int) -> None:
    left, right, scores = drawn(seed, n)
    assert clip_uniform_align(left, right, scores, 0, 0, 0).item() == pytest.approx(clip(scores).item())
    parts = (uniformity(left) + uniformity(right)) / 2 * 0.5 + 0.25 * cross_uniformity(left, right)
    whole = clip_uniform_align(left, right, scores, 0.5, 0.25, 2)
    assert whole.item() == pytest.approx((clip(scores) + parts + 2 * alignment(left, right)).item())


LOSSES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "clip": lambda left, right, scores: clip(scores),
    "multi-positive": lambda left, right, scores: multi_positive(scores, torch.eye(len(scores))),
    "siglip": lambda left, right, scores: siglip(scores - 10),
    "dhn-nce": lambda left, right, scores: dhn_nce(scores),
    "clip-uniform-align": lambda left, right, scores: clip_uniform_align(left, right, scores),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("scale", [1.0, 100.0])  # 100 is the largest that CLIP allows
def test_gradients_are_finite_and_one_step_helps(name: str, scale: float) -> None:
    raw = torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(3), requires_grad=True)

    def loss(values: Tensor) -> Tensor:
        left, right = normalize(values, dim=2)
        return LOSSES[name](left, right, scale * left @ right.T)

    before = loss(raw)
    (gradient,) = torch.autograd.grad(before, raw)
    assert gradient.isfinite().all()
    assert loss(raw - 1e-3 * gradient) < before


def test_gradients_are_finite_where_vectors_coincide() -> None:
    raw = torch.ones(4, 3, requires_grad=True)
    vectors = normalize(raw, dim=1)
    clip_uniform_align(vectors, vectors, vectors @ vectors.T).backward()
    assert raw.grad is not None
    assert raw.grad.isfinite().all()


def test_a_batch_a_loss_is_not_defined_on_is_refused() -> None:
    with pytest.raises(ValueError, match="square"):
        clip(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="at least 2"):
        dhn_nce(torch.zeros(1, 1))
    with pytest.raises(ValueError, match="at least 2"):
        uniformity(torch.ones(1, 3))
    with pytest.raises(ValueError, match="shape"):
        multi_positive(torch.zeros(2, 2), torch.eye(3))
    with pytest.raises(ValueError, match="no pair"):
        multi_positive(torch.zeros(2, 2), torch.zeros(2, 2))
