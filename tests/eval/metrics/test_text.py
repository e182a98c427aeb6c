"""Text overlap against hand-computed cases and the libraries themselves."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU

from eval.metrics.text import (
    bleu_of,
    bleu_statistics,
    corpus_bleu,
    exact_match,
    meteor,
    normalise,
    rouge_l,
    sentence_bleu,
    token_f1,
)
from retrieval.errors import BadInput

SENTENCES = "the heart is not enlarged . small left pleural effusion , no pneumothorax seen in right lung 3.5 cm"
WORDS = SENTENCES.split()


def texts(seed: int, n: int = 30) -> tuple[list[str], list[str]]:
    random = np.random.default_rng(seed)
    sides = [[" ".join(random.choice(WORDS, size=random.integers(1, 20))) for _ in range(n)] for _ in range(2)]
    return sides[0], [f"{ref} The heart" for ref in sides[1]]


@pytest.mark.parametrize(
    ("answer", "normal"),
    [
        ("The  LEFT lung.", "left lung"),
        ("left-sided, an effusion!", "left sided effusion"),
        ("3.5 cm.", "3.5 cm"),
        ("patient’s heart isn't", "patients heart isnt"),
        ("A", "a"),
        ("...", ""),
    ],
)
def test_normalise(answer: str, normal: str) -> None:
    assert normalise(answer) == normal


def test_open_answers_by_hand() -> None:
    assert exact_match("The right lung.", "right lung") == 1
    assert exact_match("left lung", "right lung") == 0
    assert exact_match("35 cm", "3.5 cm") == 0
    assert exact_match("A", "B") == 0
    # 2 of 3 words said, 2 of 2 wanted
    assert token_f1("the right upper lung", "right lung") == pytest.approx(2 * (2 / 3) * 1 / (2 / 3 + 1))
    assert token_f1("lung lung", "lung") == pytest.approx(2 / 3)
    assert token_f1("", "lung") == 0


def test_bleu_by_hand() -> None:
    # Unigrams 3 of 4, bigrams 1 of 3; as long as the reference: no brevity penalty.
    statistics = bleu_statistics("a b c d", "a b x d")
    assert statistics.tolist() == [4, 4, 3, 1, 0, 0, 4, 3, 2, 1]
    assert bleu_of(statistics, 1) == pytest.approx(3 / 4)
    assert bleu_of(statistics, 2) == pytest.approx(math.sqrt(3 / 4 * 1 / 3))
    # Orders 3 and 4 have no match: half a match of 2, a quarter of a match of 1.
    assert bleu_of(statistics, 4) == pytest.approx((3 / 4 * 1 / 3 * 1 / 4 * 1 / 4) ** 0.25)
    # Shorter than the reference: e^(1 - 4/2).
    assert corpus_bleu(["a b"], ["a b c d"], 1) == pytest.approx(math.exp(-1))


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(3))
def test_corpus_bleu_equals_sacrebleu(seed: int, n: int) -> None:
    hypotheses, references = texts(seed)
    library = BLEU(lowercase=True, max_ngram_order=n)
    assert corpus_bleu(hypotheses, references, n) == pytest.approx(
        library.corpus_score(hypotheses, [references]).score / 100
    )
    own = BLEU(lowercase=True, max_ngram_order=n, effective_order=True)
    for hypothesis, reference in zip(hypotheses, references, strict=True):
        assert sentence_bleu(hypothesis, reference, n) == pytest.approx(
            own.sentence_score(hypothesis, [reference]).score / 100
        )


def test_statistics_give_the_bleu_of_any_draw() -> None:
    hypotheses, references = texts(7)
    statistics = np.array([bleu_statistics(h, r) for h, r in zip(hypotheses, references, strict=True)])
    drawn = np.random.default_rng(0).integers(30, size=30)
    library = BLEU(lowercase=True).corpus_score([hypotheses[i] for i in drawn], [[references[i] for i in drawn]])
    assert bleu_of(statistics[drawn].sum(axis=0)) == pytest.approx(library.score / 100)


def test_equal_texts_have_bleu_one_and_never_more() -> None:
    for length in range(4, 40):
        text = " ".join(f"w{i}" for i in range(length))
        assert sentence_bleu(text, text) == pytest.approx(1)
        assert sentence_bleu(text, text) <= 1


def test_rouge_l_by_hand_and_library() -> None:
    # Longest common subsequence "small effusion": 2 of 4 said, 2 of 3 wanted.
    assert rouge_l("small right lung effusion", "Small left effusion.") == pytest.approx(
        2 * (1 / 2) * (2 / 3) / (7 / 6)
    )
    library = RougeScorer(["rougeL"])
    for hypothesis, reference in zip(*texts(1), strict=True):
        assert rouge_l(hypothesis, reference) == library.score(reference, hypothesis)["rougeL"].fmeasure


def test_meteor_by_hand() -> None:
    # Two matches of 2 said and 4 wanted, in one chunk: F = P·R / (.9·P + .1·R), penalty .5·(1/2)³.
    f = 1 * 0.5 / (0.9 * 1 + 0.1 * 0.5)
    assert meteor("left lung", "The left lung, clear.") == pytest.approx(f * (1 - 0.5 / 8))
    # Two chunks: penalty .5·(2/2)³.
    assert meteor("lung left", "left lung") == pytest.approx(0.5)


def test_meteor_matches_stems_but_no_synonyms() -> None:
    assert meteor("effusions", "effusion") == pytest.approx(0.5)
    assert meteor("physician", "doctor") == 0
    assert meteor("a b c", "a b c") == pytest.approx(1 - 0.5 / 27)


@pytest.mark.parametrize("metric", [exact_match, token_f1, sentence_bleu, rouge_l, meteor])
def test_empty_texts(metric: Callable[[str, str], float]) -> None:
    assert metric("", "left lung") == 0
    assert math.isnan(metric("left lung", ""))
    assert math.isnan(metric("", ""))


def test_corpus_needs_pairs() -> None:
    assert math.isnan(corpus_bleu([], []))
    with pytest.raises(BadInput, match="hypotheses 1, references 2"):
        corpus_bleu(["a"], ["a", "b"])
