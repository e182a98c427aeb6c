import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval import select
from retrieval.calibrate import Ranking, Worth, fit_leg, fit_stop, held_out, promise, worth
from retrieval.weigh import FLOOR, GAMMA


def scores(seed: int, n: int = 400, a: float = 6.0, b: float = -3.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    raw = rng.uniform(-1, 1, n)
    return raw, rng.random(n) < 1 / (1 + np.exp(-(a * raw + b)))


def test_a_known_curve_is_found_again() -> None:
    a, b = fit_leg(*scores(0, 20_000))
    assert a == pytest.approx(6, rel=0.05)
    assert b == pytest.approx(-3, rel=0.05)


@given(st.integers(0, 50), st.randoms())
def test_the_order_of_the_rows_changes_nothing(seed, random) -> None:
    raw, relevant = scores(seed, 60)
    order = list(range(60))
    random.shuffle(order)
    assert fit_leg(raw[order], relevant[order]) == fit_leg(raw, relevant)


@given(st.integers(0, 200), st.floats(-8, 8), st.floats(-100, 100))
def test_more_score_never_means_less_relevance(seed, a, shift) -> None:
    raw, relevant = scores(seed, 50, a)
    if curve := fit_leg(raw + shift, relevant):
        calibration = select.Calibration({"leg": curve})
        p = [calibration.relevance("leg", value) for value in np.sort(raw + shift)]
        assert p[0] >= 0
        assert p[-1] <= 1
        assert np.all(np.diff(p) >= 0)


def test_separable_scores_get_a_finite_curve() -> None:
    raw = np.r_[np.linspace(0, 0.4, 30), np.linspace(0.6, 1, 30)]
    a, b = fit_leg(raw, raw > 0.5)
    assert 1 < a < 1000
    assert a * 0.5 + b == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize(
    ("raw", "relevant"),
    [
        (np.empty(0), np.empty(0)),
        (np.arange(19.0), np.arange(19) > 9),  # too few
        (np.arange(100.0), np.arange(100) > 96),  # too few that are relevant
        (np.arange(100.0), np.ones(100)),  # one kind only
    ],
)
def test_what_can_not_be_fitted_is_not(raw, relevant) -> None:
    assert fit_leg(raw, relevant) is None


@pytest.mark.parametrize("raw", [np.ones(100), np.arange(100.0)])
def test_a_score_that_says_nothing_gives_every_hit_the_same(raw) -> None:
    a, b = fit_leg(raw, np.arange(100) < 25)  # the higher, the worse
    assert (a, b) == (0, pytest.approx(np.log(1 / 3)))


@pytest.mark.parametrize("raw", [np.array([np.inf, 1.0]), np.array([np.nan, 1.0]), np.ones((2, 1)), np.ones(3)])
def test_bad_scores_are_refused(raw) -> None:
    with pytest.raises(ValueError, match="finite"):
        fit_leg(raw, np.ones(2))


def test_a_held_out_question_has_no_say() -> None:
    raw, relevant = scores(1, 200)
    groups = [f"q{n // 4}" for n in range(200)]
    p = held_out(raw, relevant, groups)
    turned = relevant.copy()
    turned[:4] = ~turned[:4]  # of one question
    assert held_out(raw, turned, groups)[:4] == pytest.approx(p[:4])
    assert held_out(raw, turned, groups)[4:8] != pytest.approx(p[4:8], abs=1e-9)


def test_worth() -> None:
    assert worth(0, 0, 0, 3) == 1  # nothing bears on it, nothing is shown
    assert worth(1, 0, 0, 3) == 0
    assert worth(0, 0, 2, 3) == 0
    assert worth(2, 2, 2, 3) == 1
    assert worth(3, 3, 9, 3) == 1  # more can't be shown
    assert worth(3, 1, 1, 3) == 0.5


def ranking(drawn: tuple[list[tuple[float, bool]], int, bool]) -> Ranking:
    hits, more, silent = drawn
    relevance = np.array(sorted((s for s, _ in hits), reverse=True))
    relevant = np.array([one and not silent for _, one in hits], dtype=bool)
    return Ranking(relevance, relevant, 0 if silent else more + int(relevant.sum()), silent)


hits = st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=6)
rankings = st.lists(st.tuples(hits, st.integers(0, 3), st.booleans()).map(ranking), min_size=1, max_size=12)


def utility(found: list[Ranking], keep) -> float:  # type: ignore[no-untyped-def]
    good, bad = [], []
    for one in found:
        kept = keep(one.relevance)
        if one.silent:
            bad.append(kept > 0)
        else:
            good.append(worth(kept, int(one.relevant[:kept].sum()), one.possible, 3))
    return float((np.mean(good) if good else 0) - (np.mean(bad) if bad else 0))


@given(rankings)
def test_what_is_chosen_is_worth_what_it_says_and_no_less_than_the_defaults(found) -> None:
    stop = fit_stop(found, 3)
    assert 0 <= stop.floor <= 1
    assert stop.gamma > 0
    assert stop.gamma_to_top > 0
    by_mode = {
        "log-ratio": (lambda s: select.log_ratio(s, stop.gamma, stop.floor, 3),
                      lambda s: select.log_ratio(s, GAMMA, FLOOR, 3)),
        "ratio-to-top": (lambda s: select.ratio_to_top(s, 1 + stop.gamma_to_top, stop.floor, 3),
                         lambda s: select.ratio_to_top(s, 1 + GAMMA, FLOOR, 3)),
    }  # fmt: skip
    for mode, (fitted, default) in by_mode.items():
        assert stop.fitted[mode].utility == pytest.approx(utility(found, fitted))
        assert stop.default[mode].utility == pytest.approx(utility(found, default))
    fitted, default = (sum(one.utility for one in by.values()) for by in (stop.fitted, stop.default))
    assert fitted >= default - 1e-8


@given(rankings, st.randoms())
def test_the_order_of_the_questions_changes_nothing(found, random) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)
    one, other = fit_stop(found, 3), fit_stop(shuffled, 3)
    assert (one.gamma, one.gamma_to_top, one.floor) == (other.gamma, other.gamma_to_top, other.floor)


def test_a_floor_between_the_useful_and_the_useless_is_found() -> None:
    good = [Ranking(np.array([0.3, 0.25, 0.1]), np.array([True, True, False]), 2)] * 5
    stop = fit_stop([*good, Ranking(np.array([0.2]), np.array([False]), 0, silent=True)], 3)
    assert 0.2 < stop.floor <= 0.25
    assert stop.fitted == dict.fromkeys(("log-ratio", "ratio-to-top"), Worth(1.0, 0.0))
    lost = [Ranking(np.array([0.2]), np.array([True]), 1)]
    assert fit_stop([*good, *lost, Ranking(np.array([0.25]), np.array([False]), 0, silent=True)], 3).floor > 0.25
    with pytest.raises(ValueError, match="rankings"):
        fit_stop([], 3)


def test_the_promise_in_words() -> None:
    said = promise([1, 3], [1, 2, 3], 120, 0.2, 0.1)
    assert said == (
        "With 1 or 3 contexts at most 20% of the answers to questions like these 120 are wrong, with probability 90% "
        "for all of them at once (of 1, 2 or 3 tried)."
    )
    assert "would show none" in promise([], [1], 10, 0.2, 0.1)
