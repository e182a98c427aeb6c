"""Losses: pure functions, each with its source. First contrastive ones, of scores or unit vectors, which give a scalar;
then those of preferences between two answers.

`scores` (B, T) are scaled cosines, exp(logit_scale)·V̂T̂ᵀ (SigLIP: + logit_bias): row i is picture (or question) i,
column j text (or passage) j. Where there are no `targets` B = T and the diagonal belongs together. Losses are computed
in the precision of what they are given: hand them float32, whatever the towers ran in. ValueError for a batch that a
loss isn't defined on.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax, logsigmoid


def clip(scores: Tensor) -> Tensor:
    """½[CE(S, diag) + CE(Sᵀ, diag)], symmetric InfoNCE: Radford et al., "Learning Transferable Visual Models From
    Natural Language Supervision" (2021), figure 3. scores (B, B); in [0, ∞), log B when nothing is told apart."""
    _square(scores, 1)
    own = torch.arange(len(scores), device=scores.device)
    return (cross_entropy(scores, own) + cross_entropy(scores.T, own)) / 2


def multi_positive(scores: Tensor, targets: Tensor) -> Tensor:
    """−Σⱼ P̂ᵢⱼ log softmax(S)ᵢⱼ, the mean over rows, and the same of the transposes, halved: Yang et al., "Unified
    Contrastive Learning in Image-Text-Label Space" (UniCL, 2022), L_BiC. scores, targets (B, T); `targets` P
    is above 0 where two belong together, P̂ its rows scaled to a sum of 1. A row or column without a positive only
    pushes: it has no term of its own. In [0, ∞); `clip` when P is the identity."""
    if scores.shape != targets.shape:
        raise ValueError(f"scores {tuple(scores.shape)} and targets {tuple(targets.shape)} differ in shape")
    wanted = targets.to(scores.dtype)
    return (_one_way(scores, wanted) + _one_way(scores.T, wanted.T)) / 2


def _one_way(scores: Tensor, wanted: Tensor) -> Tensor:
    rows = wanted.sum(1) > 0
    if not rows.any():
        raise ValueError("no pair belongs together")
    spread = wanted[rows] / wanted[rows].sum(1, keepdim=True)
    return -(spread * log_softmax(scores[rows], 1)).sum(1).mean()


def siglip(scores: Tensor, targets: Tensor | None = None) -> Tensor:
    """−Σᵢⱼ log σ(zᵢⱼ·sᵢⱼ) / B, z = 1 where two belong together, else −1: Zhai et al., "Sigmoid Loss for Language Image
    Pre-Training" (2023), algorithm 1. scores (B, T) hold the bias, which starts at −10 beside a scale of
    10, so that the many negatives don't rule at first. targets (B, T), the identity where None. In [0, ∞)."""
    if targets is None:
        _square(scores, 1)
        targets = torch.eye(len(scores), device=scores.device)
    sign = torch.where(targets > 0, 1.0, -1.0).to(scores.dtype)
    return -logsigmoid(sign * scores).sum() / len(scores)


def dhn_nce(scores: Tensor, beta_image: float = 0.15, beta_text: float = 0.15) -> Tensor:
    """−sᵢᵢ + log Σ_{j≠i} wᵢⱼ e^{sᵢⱼ} with wᵢⱼ = (B−1)·e^{βsᵢⱼ} / Σ_{k≠i} e^{βsᵢₖ}, the mean over i of both directions'
    sum: Koleilat et al., "MedCLIP-SAM" (2024), L_DHN-NCE. The positive isn't in the sum (decoupled), harder
    negatives weigh more. scores (B, B), B ≥ 2; β ≥ 0 of picture → text and text → picture; in (−∞, ∞). With β = 0 it is
    the decoupled contrastive loss (Yeh et al. 2022). The code released with the paper leaves β out of the weight's
    denominator and counts the diagonal as a negative with score 0; this is the paper's formula."""
    _square(scores, 2)
    return _decoupled(scores, beta_image) + _decoupled(scores.T, beta_text)


def _decoupled(scores: Tensor, beta: float) -> Tensor:
    own = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    hard = ((1 + beta) * scores).masked_fill(own, -torch.inf).logsumexp(1)
    weights = (beta * scores).masked_fill(own, -torch.inf).logsumexp(1)
    return (hard - weights - scores.diagonal()).mean() + math.log(len(scores) - 1)


def alignment(left: Tensor, right: Tensor) -> Tensor:
    """mean ‖Iᵢ − Tᵢ‖² of unit vectors (B, D): Wang and Isola, "Understanding Contrastive Representation Learning
    through Alignment and Uniformity on the Hypersphere" (2020), with α = 2. In [0, 4]: 0 where pairs fall together."""
    return (left - right).square().sum(1).mean()


def uniformity(vectors: Tensor, t: float = 2.0) -> Tensor:
    """log mean_{i≠j} e^{−t‖aᵢ−aⱼ‖²} of unit vectors (B, D), B ≥ 2, within one modality (Wang and Isola 2020). In
    [−4t, 0]; 0 when all are one point."""
    return _repulsion(vectors, vectors, t)


def cross_uniformity(left: Tensor, right: Tensor, t: float = 2.0) -> Tensor:
    """log mean_{i≠j} e^{−t‖Iᵢ−Tⱼ‖²} of unit vectors (B, D), B ≥ 2, across modalities, own pairs left out: Fahim et al.,
    "It's Not a Modality Gap" (2024), the XU term. In [−4t, 0]."""
    return _repulsion(left, right, t)


def _repulsion(left: Tensor, right: Tensor, t: float) -> Tensor:
    products = left @ right.T
    _square(products, 2)
    own = torch.eye(len(products), dtype=torch.bool, device=products.device)
    apart = 2 - 2 * products  # ‖a−b‖² of unit vectors, without the root whose gradient is infinite at 0
    return (-t * apart).masked_fill(own, -torch.inf).logsumexp((0, 1)) - math.log(len(products) * (len(products) - 1))


def clip_uniform_align(
    left: Tensor, right: Tensor, scores: Tensor, within: float = 1.0, across: float = 1.0, align: float = 1.0
) -> Tensor:
    """`clip` + within·½[U(I) + U(T)] + across·U(I, T) + align·A(I, T): L_CUAXU of Fahim et al., "It's Not a Modality
    Gap: Characterizing and Addressing the Contrastive Gap" (2024); L_CUA with across = 0. left, right (B, D) unit
    vectors, scores (B, B), B ≥ 2. Pictures and texts then share the sphere, so that one index can hold both."""
    spread = (uniformity(left) + uniformity(right)) / 2
    return clip(scores) + within * spread + across * cross_uniformity(left, right) + align * alignment(left, right)


def _square(scores: Tensor, least: int) -> None:
    if scores.ndim != 2 or scores.shape[0] != scores.shape[1] or len(scores) < least:
        raise ValueError(f"scores {tuple(scores.shape)} are not square with at least {least} rows")


def preference_margins(answers: Tensor, reference: Tensor, beta: float, tokens: Tensor | None = None) -> Tensor:
    """β[log π(y_w|x_w)/π₀(y_w|x_w) − log π(y_l|x_l)/π₀(y_l|x_l)], (B,): Rafailov et al., "Direct Preference
    Optimization" (2023). answers, reference (2, B): log-probabilities of whole answers under what learns and under what
    it started from, the chosen ones first; x_l may show other pictures than x_w (MMedPO, MMed-RAG). tokens (2, B): each
    answer's ratio is divided by its length first (SimPO's cure for a liking of long answers), and β is then larger."""
    ratios = answers - reference
    if tokens is not None:
        ratios = ratios / tokens
    return beta * (ratios[0] - ratios[1])


def preference(margins: Tensor, weights: Tensor) -> Tensor:
    """−mean wᵢ log σ(mᵢ): Zhu et al., "MMedPO" (2024), with w of clinical relevance; DPO where all are 1. margins,
    weights (B,), w ≥ 0. The mean is over pairs, not over weights: divided by Σw, the weight of a batch of one would
    cancel, and that of any batch depend on which pairs fell into it. So steps are as large as DPO's when weights are 1
    on average over the data. In [0, ∞); log 2 where nothing is preferred yet."""
    return -(weights * logsigmoid(margins)).mean()


def likelihood(answers: Tensor, tokens: Tensor) -> Tensor:
    """−mean log π(y|x) / |y| of answers (B,) of so many tokens (B,): what keeps the chosen answers likely beside a
    preference, which is content when both fall (Pang et al., "Iterative Reasoning Preference Optimization", 2024)."""
    return -(answers / tokens).mean()
