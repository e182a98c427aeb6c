"""Overlap of a text with its reference: (hypothesis, reference) in, a number in 0..1 out, per item.

Corpus BLEU is no mean of items, so it has sufficient statistics: summed over any draw of items they give the corpus
BLEU of that draw exactly. A reference without a word can't be scored: nan; an empty hypothesis scores 0.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

import numpy as np
from nltk.translate.meteor_score import single_meteor_score
from numpy.typing import ArrayLike, NDArray
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU

from eval.metrics.base import same_length

_ORDERS = 4
_ARTICLES = frozenset({"a", "an", "the"})
_APOSTROPHE = re.compile(r"['’]")
_PUNCTUATION = re.compile(r"(?!(?<=\d)\.(?=\d))[^\w\s]")  # all but the decimal point
_WORD = re.compile(r"\w+")
_COUNTER = BLEU(lowercase=True, tokenize="13a")
_ROUGE = RougeScorer(["rougeL"], use_stemmer=False)


def normalise(answer: str) -> str:
    """An open answer as it's compared: lower case, no articles (a, an, the), no punctuation, single spaces.

    As SQuAD does (Rajpurkar et al. 2016), but punctuation splits words ("left-sided" is "left sided") and a decimal
    point stays (3.5 is not 35). An answer that is an article and nothing else, such as choice "A", stays.
    """
    text = _APOSTROPHE.sub("", unicodedata.normalize("NFKC", answer).lower())
    words = _PUNCTUATION.sub(" ", text).split()
    return " ".join([word for word in words if word not in _ARTICLES] or words)


def exact_match(hypothesis: str, reference: str) -> float:
    """1.0 when both are equal after `normalise`, else 0.0."""
    wanted = normalise(reference)
    return float(normalise(hypothesis) == wanted) if wanted else math.nan


def token_f1(hypothesis: str, reference: str) -> float:
    """F1 of the bags of words after `normalise` (SQuAD): repeated words count as often as both have them."""
    said, wanted = normalise(hypothesis).split(), normalise(reference).split()
    if not wanted:
        return math.nan
    shared = (Counter(said) & Counter(wanted)).total()
    return 2 * shared / (len(said) + len(wanted))


def bleu_statistics(hypothesis: str, reference: str) -> NDArray[np.int64]:
    """Sufficient statistics of BLEU, (10,): both lengths, matched n-grams for n = 1..4, all n-grams for n = 1..4.

    Counted by sacrebleu, lower-cased, tokenised by 13a.
    """
    score = _COUNTER.corpus_score([hypothesis], [[reference]])
    return np.array([score.sys_len, score.ref_len, *score.counts, *score.totals], dtype=np.int64)


def bleu_of(statistics_sum: ArrayLike, n: int = _ORDERS) -> float:
    """Corpus BLEU-n (1..4, uniform weights) of summed `bleu_statistics`, as sacrebleu's corpus score / 100.

    Smoothing is sacrebleu's default "exp" (method 3 of Chen and Cherry 2014): the first order without a match counts
    as 1/2 a match, the next as 1/4, and so on. No match of any order is 0.
    """
    return _bleu(np.asarray(statistics_sum), n, effective_order=False)


def corpus_bleu(hypotheses: Sequence[str], references: Sequence[str], n: int = _ORDERS) -> float:
    """Corpus BLEU-n over all pairs; nan over no pairs. See `bleu_of`."""
    same_length(hypotheses=hypotheses, references=references)
    pairs = zip(hypotheses, references, strict=True)
    return bleu_of(sum((bleu_statistics(h, r) for h, r in pairs), start=np.zeros(2 + 2 * _ORDERS, dtype=np.int64)), n)


def sentence_bleu(hypothesis: str, reference: str, n: int = _ORDERS) -> float:
    """BLEU-n of one text, "exp" smoothing and effective order: orders longer than the hypothesis are left out.

    Its mean over items is not corpus BLEU, and is higher for short texts.
    """
    return _bleu(bleu_statistics(hypothesis, reference), n, effective_order=True)


def rouge_l(hypothesis: str, reference: str) -> float:
    """ROUGE-L F1 of the whole text (rouge-score): lower case, letters a-z and digits only, no stemming."""
    if not _WORD.search(reference):
        return math.nan
    return float(_ROUGE.score(reference, hypothesis)["rougeL"].fmeasure)


def meteor(hypothesis: str, reference: str) -> float:
    """METEOR with exact and stem (Porter) matches only, by nltk: alpha 0.9, beta 3, gamma 0.5; words, no punctuation.

    Synonyms are not matched, since WordNet would have to be downloaded. Never compare it with published METEOR, which
    has them and is higher; compare it with itself. Equal texts of m words score 1 - 0.5 / m³, not 1.
    """
    wanted = _WORD.findall(reference)
    if not wanted:
        return math.nan
    return float(single_meteor_score(wanted, _WORD.findall(hypothesis), wordnet=_NoSynonyms()))


class _NoSynonyms:
    """A WordNet with no word in it."""

    def synsets(self, word: str) -> tuple[()]:
        return ()


def _bleu(statistics: NDArray[np.int64], n: int, *, effective_order: bool) -> float:
    system, reference, *counts = (int(count) for count in statistics)
    if not reference:
        return math.nan
    matched, total = counts[:n], counts[_ORDERS : _ORDERS + n]
    score = BLEU.compute_bleu(
        matched, total, system, reference, smooth_method="exp", effective_order=effective_order, max_ngram_order=n
    )
    # e^(log 100) rounds above 100 for some lengths.
    return min(score.score / 100, 1.0)
