"""Citation rates by hand, per item and pooled."""

import math

from eval.metrics.citations import CitedSentence, citation_coverage, citation_precision, citation_recall, pool


def test_precision_counts_every_citation() -> None:
    assert citation_precision(["p1", "p1", "p9"], {"p1", "p2"}) == (2 / 3, 2, 3)
    assert citation_precision(["p9"], set()) == (0, 0, 1)
    assert math.isnan(citation_precision([], {"p1"}).value)


def test_recall_counts_every_passage_once() -> None:
    assert citation_recall(["p1", "p1", "p9"], {"p1", "p2"}) == (0.5, 1, 2)
    assert citation_recall([], {"p1"}).value == 0
    assert math.isnan(citation_recall(["p1"], []).value)
    assert citation_recall(["p1"], ["p1", "p1"]) == (1, 1, 1)


def test_coverage() -> None:
    answer = [
        CitedSentence(True, ("p1",)),
        CitedSentence(True, own_reading=True),
        CitedSentence(True),
        CitedSentence(True, ("p1", "p2"), own_reading=True),
        CitedSentence(False),  # "Thank you for this study."
        CitedSentence(False, ("p1",)),
    ]
    assert citation_coverage(answer) == (0.75, 3, 4)
    assert math.isnan(citation_coverage([CitedSentence(False)]).value)
    assert math.isnan(citation_coverage([]).value)


def test_pooled_and_mean_differ() -> None:
    rates = [
        citation_precision(["a"], {"a"}),
        citation_precision(["b", "c", "d"], {"a"}),
        citation_precision([], {"a"}),
    ]
    assert pool(rates) == (0.25, 1, 4)
