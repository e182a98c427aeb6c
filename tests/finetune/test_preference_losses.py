"""The preference losses against what their formulas give by hand."""

import math

import pytest
import torch

from finetune.losses import likelihood, preference, preference_margins


def logsig(x: float) -> float:
    return -math.log1p(math.exp(-x))


ANSWERS = torch.tensor([[-3.0, -10.0, -4.0, -6.0], [-5.0, -2.0, -4.0, -9.0]])
REFERENCE = torch.tensor([[-4.0, -9.0, -4.0, -8.0], [-4.5, -4.0, -4.0, -7.0]])
RAW = (1 - -0.5, -1 - 2, 0 - 0, 2 - -2)  # what the policy gained on the chosen, less what it gained on the rejected


@pytest.mark.parametrize("weight", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("size", [1, 4])
def test_loss_and_gradient_of_a_weighted_batch(weight: float, size: int) -> None:
    """−w·log σ(β·m) has the gradient −w·β·σ(−β·m) by the chosen log-probability, and the opposite by the rejected."""
    beta, answers = 0.1, ANSWERS[:, :size].clone().requires_grad_()
    loss = preference(preference_margins(answers, REFERENCE[:, :size], beta), torch.full((size,), weight))
    loss.backward()
    expected = -sum(weight * logsig(beta * m) for m in RAW[:size]) / size
    assert float(loss.detach()) == pytest.approx(expected, abs=1e-6)
    slope = [-weight * beta / (1 + math.exp(beta * m)) / size for m in RAW[:size]]
    assert answers.grad is not None
    assert answers.grad.tolist() == [pytest.approx(slope, abs=1e-7), pytest.approx([-s for s in slope], abs=1e-7)]


def test_a_batch_is_the_mean_of_its_pairs_whatever_they_weigh() -> None:
    """Four batches of one and one batch of four teach the same: no weight is divided away."""
    weights, margins = torch.tensor([0.0, 1.0, 2.0, 0.75]), preference_margins(ANSWERS, REFERENCE, 0.1)
    alone = torch.stack([preference(margins[n : n + 1], weights[n : n + 1]) for n in range(4)])
    assert float(alone.mean()) == pytest.approx(float(preference(margins, weights)))
    assert alone.tolist() == pytest.approx([-w * logsig(0.1 * m) for w, m in zip(weights.tolist(), RAW, strict=True)])


def test_a_margin_per_token_divides_each_answer_by_its_own_length() -> None:
    tokens = torch.tensor([[2, 4, 1, 1], [5, 2, 1, 2]])
    expected = [0.5 * (1 / 2 - -0.5 / 5), 0.5 * (-1 / 4 - 2 / 2), 0.0, 0.5 * (2 - -2 / 2)]
    assert preference_margins(ANSWERS, REFERENCE, 0.5, tokens).tolist() == pytest.approx(expected)


def test_likelihood_is_per_token_and_a_mean_over_pairs() -> None:
    assert float(likelihood(torch.tensor([-3.0, -8.0]), torch.tensor([3, 4]))) == pytest.approx((1 + 2) / 2)
