"""Prototypes of domains from pictures whose domain is known: a mean each, and where each ends. Pure functions on
embeddings; what `retrieval.domain` reads is made here."""

from collections.abc import Sequence
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from retrieval.domain import SURE
from retrieval.errors import BadInput

LEAST = 20  # pictures of a domain
FOLDS = 5  # one of these parts is held out: means are made from the rest, limits from it
TEMPERATURES = np.geomspace(0.005, 0.5, 80)
CERTAIN = 0.02  # of those named with a confidence that counts as sure at most this share is named wrongly
Floats = NDArray[np.floating[Any]]


def fit_prototypes(
    embeddings: Floats, names: Sequence[str], groups: Sequence[str], false_alarms: float = 0.01
) -> dict[str, Any]:
    """What `domains.json` holds, and under "told" how it was measured.

    `embeddings` (n, dim) of unit length, `names` their domains, `groups` what must stay together (patients). Of a
    domain's held-out pictures the share `false_alarms` lies below its threshold and is taken for none it knows. The
    temperature is that of the greatest likelihood, counting every held-out picture twice: as what it is, and, with its
    own prototype away, as none of them. Raises `BadInput` for a domain with too few pictures.
    """
    of, known = np.array(names), sorted(set(names))
    held = np.array([crc32(group.encode()) % FOLDS == 0 for group in groups])
    for name in known:
        if min((of[~held] == name).sum(), FOLDS * (of[held] == name).sum()) < LEAST:
            raise BadInput(
                f"{name}: {(of == name).sum()} pictures are too few for a prototype; bring {2 * LEAST} or more, of "
                "several patients."
            )
    means = np.stack([_mean(embeddings[~held & (of == name)]) for name in known])
    cosines, truth = embeddings[held] @ means.T, np.searchsorted(known, of[held])
    thresholds = np.array([np.quantile(cosines[truth == n, n], false_alarms) for n in range(len(known))])
    margins = cosines - thresholds
    temperature = min(TEMPERATURES, key=lambda t: _unlikelihood(margins, truth, float(t)))
    shares, labels = _twice(margins, truth, float(temperature))
    return {
        "temperature": round(float(temperature), 4),
        "sure": _sure(shares, labels),
        "domains": {
            name: {"mean": [round(float(v), 6) for v in means[n]], "threshold": round(float(thresholds[n]), 4)}
            for n, name in enumerate(known)
        },
        "told": {
            "pictures": {name: int((of == name).sum()) for name in known},
            "held out": {name: int((of[held] == name).sum()) for name in known},
            "false alarms": false_alarms,
            "strangers known for strangers": round(float(_right(shares[len(truth) :], labels[len(truth) :])), 4),
        },
    }


def _mean(embeddings: Floats) -> Floats:
    mean = embeddings.mean(axis=0)
    return mean / np.linalg.norm(mean)


def _twice(margins: Floats, truth: NDArray[np.int64], temperature: float) -> tuple[Floats, NDArray[np.int64]]:
    """(2n, domains + 1) shares of the softmax of `Domains.identify`, and what is right: first every picture as it is,
    then each as a stranger, without its own prototype. The last column is "none of them"."""
    n, domains = margins.shape
    without = margins.copy()
    without[np.arange(n), truth] = -np.inf
    logits = np.concatenate([margins, without]) / temperature
    logits = np.concatenate([logits, np.zeros((2 * n, 1))], axis=1)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True), np.concatenate([truth, np.full(n, domains)])


def _unlikelihood(margins: Floats, truth: NDArray[np.int64], temperature: float) -> float:
    shares, labels = _twice(margins, truth, temperature)
    return float(-np.log(np.maximum(shares[np.arange(len(labels)), labels], 1e-12)).sum())


def _right(shares: Floats, labels: NDArray[np.int64]) -> float:
    return float((shares.argmax(axis=1) == labels).mean())


def _sure(shares: Floats, labels: NDArray[np.int64]) -> float:
    """The least confidence, from `SURE` up, with which pictures are named rightly often enough."""
    named = shares.argmax(axis=1) < shares.shape[1] - 1
    confidence, wrong = shares.max(axis=1)[named], (shares.argmax(axis=1) != labels)[named]
    for limit in np.arange(SURE, 1, 0.01):
        if not (reached := confidence >= limit).any() or wrong[reached].mean() <= CERTAIN:
            return round(float(limit), 2)
    return 0.99
