"""Two studies in, pairs of studies out; a patient's own earlier studies are offered, never similar."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.cases import picture_digest
from retrieval.encoders.bundle import Encoders
from retrieval.index import rebuild
from retrieval.library import Library, stable_id
from retrieval.pairs import PAIR, similarity
from retrieval.retriever import Retriever
from retrieval.store.memory import MemoryStore
from retrieval.types import Case, Evidence, Query
from retrieval.weigh import Selection
from tests.retrieval.conftest import picture

# patient, taken, what the picture shows, report
STUDIES = [
    ("anna", "2024-01-01", "nodule", "A nodule."),
    ("anna", "2024-02-01", "effusion", "The nodule is gone, new effusion."),
    ("bert", "2024-01-01", "effusion", "An effusion."),
    ("bert", "2024-03-01", "nodule", "The effusion is gone, a nodule has come."),
    ("carl", "", "effusion", "Effusion at an unknown time."),
    ("dora", "2024-01-01", "effusion", "Effusion, seen once."),
]


@pytest.fixture
def retriever(library: Library, store: MemoryStore, encoders: Encoders) -> Retriever:
    for seed, (patient, taken, subject, report) in enumerate(STUDIES):
        pixels = picture(subject, seed)
        sha256 = picture_digest(pixels)
        case = Case(stable_id("case", sha256), sha256, report, "chest_xray", patient, taken=taken)
        library.put_case(case, pixels)
    rebuild(library, store, encoders)
    return Retriever(store, library, encoders)


def asked(retriever: Retriever, now: str, before: str | None = None, **more: object) -> Evidence:
    prior = (picture(before, 77),) if before else ()
    return retriever.retrieve(Query("", images=(picture(now, 78),), prior_images=prior, **more))  # type: ignore[arg-type]


def test_a_pair_is_alike_in_both_studies(retriever: Retriever) -> None:
    (item,) = asked(retriever, "effusion", before="nodule").items
    assert isinstance(item.content, Case)
    assert item.earlier is not None
    assert (item.earlier.report, item.content.report) == ("A nodule.", "The nodule is gone, new effusion.")
    assert item.scores[PAIR] == pytest.approx(1)


def test_half_a_pair_is_half_as_near(retriever: Retriever) -> None:
    retriever.selection = Selection(floor=0.2)
    scores = {item.content.report: item.scores[PAIR] for item in asked(retriever, "effusion", "effusion").items}  # type: ignore[union-attr]
    assert scores == pytest.approx(dict.fromkeys([STUDIES[1][3], STUDIES[3][3]], 0.5), abs=1e-5)


def test_without_a_prior_single_cases_are_similar(retriever: Retriever) -> None:
    items = asked(retriever, "effusion").items
    assert items
    assert all(item.earlier is None and PAIR not in item.scores for item in items)


def test_where_no_study_has_a_time_single_cases_are_similar(
    library: Library, store: MemoryStore, encoders: Encoders
) -> None:
    pixels = picture("effusion")
    library.put_case(Case(stable_id("case"), picture_digest(pixels), "Effusion.", patient="erna"), pixels)
    rebuild(library, store, encoders)
    items = asked(Retriever(store, library, encoders), "effusion", before="nodule").items
    assert [item.content.report for item in items] == ["Effusion."]  # type: ignore[union-attr]


def test_ones_own_studies_are_offered_as_priors(retriever: Retriever) -> None:
    evidence = asked(retriever, "effusion", patient="anna")
    assert [case.report for case in evidence.priors] == ["The nodule is gone, new effusion.", "A nodule."]
    assert not {case.id for case in evidence.priors} & {item.content.id for item in evidence.items}
    assert asked(retriever, "effusion").priors == ()
    assert asked(retriever, "effusion", patient="anna", domains=("fundus",)).priors == ()
    own = picture_digest(picture("effusion", 1))
    assert [case.taken for case in asked(retriever, "effusion", patient="anna", sha256=(own,)).priors] == ["2024-01-01"]


def test_ones_own_pair_is_not_read(retriever: Retriever) -> None:
    items = asked(retriever, "effusion", before="nodule", patient="anna").items
    assert all(item.content.patient != "anna" for item in items)  # type: ignore[union-attr]


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_a_pairs_likeness(n: int, m: int, p: int, seed: int) -> None:
    rng = np.random.default_rng(seed)

    def unit(rows: int) -> np.ndarray:
        vectors = rng.standard_normal((rows, 4)).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    now, before, later, earlier = unit(n), unit(m), unit(p), unit(p)
    scores = similarity(now, before, later, earlier)
    assert scores.shape == (p,)
    assert (np.abs(scores) <= 1 + 1e-6).all()
    again = similarity(now[::-1], before[::-1], later, earlier)  # the order of pictures says nothing
    np.testing.assert_allclose(scores, again, atol=1e-6)
    np.testing.assert_allclose(similarity(later[:1], earlier[:1], later[:1], earlier[:1]), 1, atol=1e-5)
