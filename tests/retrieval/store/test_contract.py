"""What every store promises, run against each of them. Set CONSULT_TEST_QDRANT_URL to include a real server."""

from collections.abc import Iterator

import numpy as np
import pytest

from retrieval.errors import Busy, EncoderMismatch, Misconfigured, NotFound
from retrieval.store.base import Store
from retrieval.store.memory import MemoryStore
from retrieval.types import Filter, Leg, Manifest, Record
from tests.retrieval.store.conftest import IMAGE, MANIFEST, TEXT, case, passage, uid, unit

pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant"),
    pytest.mark.filterwarnings("ignore:Local mode performs exact"),
]

ALL = Filter()
WORDS = Leg("bm25", "bm25", "pneumothorax", "passage")


def image(*numbers: float, limit: int = 20) -> Leg:
    return Leg("image→case", IMAGE, unit(*numbers), "case", limit)


def ids(hits: list) -> list[str]:
    return [hit.id for hit in hits]


def test_an_empty_store_finds_nothing(store: Store) -> None:
    assert store.manifest is None
    assert store.search([image(1), WORDS], ALL) == []
    assert store.generations() == []


def test_an_empty_generation_finds_nothing(store: Store) -> None:
    store.publish([], MANIFEST)
    assert store.manifest is not None
    assert store.manifest.records == 0
    assert store.search([image(1), WORDS], ALL) == []


def test_the_manifest_comes_back(store: Store) -> None:
    name = store.publish([case("a", unit(1))], MANIFEST)
    assert store.generations() == [name]
    manifest = store.manifest
    assert manifest is not None
    assert manifest.vectors == MANIFEST.vectors
    assert manifest.domains == MANIFEST.domains
    assert manifest.fitted == MANIFEST.fitted
    assert manifest.records == 1
    assert manifest.created.endswith("+00:00")


def test_a_vector_leg_scores_the_raw_cosine_best_first(store: Store) -> None:
    records = [case("same", unit(1)), case("near", unit(1, 1)), case("far", unit(0, 1)), case("against", unit(-1))]
    store.publish(records, MANIFEST)
    hits = store.search([image(1)], ALL)
    assert ids(hits) == [uid("same"), uid("near"), uid("far"), uid("against")]
    assert [hit.scores["image→case"] for hit in hits] == pytest.approx([1, 0.5**0.5, 0, -1], abs=1e-6)
    assert all(-1 <= hit.scores["image→case"] <= 1 for hit in hits)
    assert ids(store.search([image(1, limit=2)], ALL)) == [uid("same"), uid("near")]
    assert store.search([image(1, limit=0)], ALL) == []


def test_bm25_finds_the_word(store: Store) -> None:
    store.publish([passage("a", "Signs of a pneumothorax"), passage("b", "Signs of an effusion")], MANIFEST)
    (hit,) = store.search([WORDS], ALL)
    assert hit.id == uid("a")
    assert hit.kind == "passage"
    assert hit.scores["bm25"] > 0


def test_bm25_reads_words_as_people_do(store: Store) -> None:
    pairs = {
        "Pulmonary oedema.": "EDEMA",
        "pleural effusions": "effusion?",
        "Pleuraerguß rechts": "pleuraerguß",
        "右侧气胸，建议引流": "气胸",
        "Épanchement": "épanchement",
        "CURB-65 score": "curb 65",
    }
    store.publish([passage(text, text) for text in pairs], MANIFEST)
    for text, query in pairs.items():
        assert ids(store.search([Leg("bm25", "bm25", query, "passage")], ALL)) == [uid(text)]


def test_bm25_with_nothing_to_find(store: Store) -> None:
    store.publish([passage("a", "pneumothorax")], MANIFEST)
    for query in ("", "   ", "?!", "zyzzyva", "\x00"):
        assert store.search([Leg("bm25", "bm25", query, "passage")], ALL) == []


def test_bm25_scores_are_the_same_in_every_engine(store: Store) -> None:
    """A calibration fitted on one engine must hold on another."""
    records = [passage(f"p{i}", "lung " * (i % 7) + "nodule " * (i % 3) + "word " * (i % 11)) for i in range(300)]
    reference = MemoryStore()
    leg = Leg("bm25", "bm25", "nodules of the lung, lung", "passage", 50)
    for one in (reference, store):
        one.publish(records, MANIFEST)
    expected = [hit.scores["bm25"] for hit in reference.search([leg], ALL)]
    assert [hit.scores["bm25"] for hit in store.search([leg], ALL)] == pytest.approx(expected, rel=1e-4)


def test_a_record_found_by_several_legs_is_one_hit_with_every_score(store: Store) -> None:
    both = passage("both", "pneumothorax", vectors={TEXT: unit(1, dim=4)})
    store.publish([both, passage("one", "effusion", vectors={TEXT: unit(1, 1, dim=4)})], MANIFEST)
    hits = {hit.id: hit for hit in store.search([Leg("text→passage", TEXT, unit(1, dim=4), "passage"), WORDS], ALL)}
    assert set(hits[uid("both")].scores) == {"text→passage", "bm25"}
    assert set(hits[uid("one")].scores) == {"text→passage"}
    assert len(hits) == 2


def test_legs_of_one_name_keep_the_better_score(store: Store) -> None:
    store.publish([case("a", unit(1))], MANIFEST)
    for legs in ([image(1), image(1, 1)], [image(1, 1), image(1)]):
        (hit,) = store.search(legs, ALL)
        assert hit.scores["image→case"] == pytest.approx(1, abs=1e-6)


def test_a_leg_sees_only_its_kind(store: Store) -> None:
    store.publish([case("c", unit(1), text="pneumothorax"), passage("p", "", vectors={IMAGE: unit(1)})], MANIFEST)
    assert ids(store.search([image(1)], ALL)) == [uid("c")]
    assert ids(store.search([Leg("image→passage", IMAGE, unit(1), "passage")], ALL)) == [uid("p")]
    assert store.search([WORDS], ALL) == []


def test_domains_restrict_and_a_record_without_one_fits_all(store: Store) -> None:
    records = [case("x", unit(1), domain="chest_xray"), case("f", unit(1), domain="fundus"), case("any", unit(1))]
    store.publish(records, MANIFEST)
    assert set(ids(store.search([image(1)], Filter(domains=("fundus",))))) == {uid("f"), uid("any")}
    assert set(ids(store.search([image(1)], Filter(domains=("fundus", "chest_xray"))))) == {r.id for r in records}
    assert set(ids(store.search([image(1)], Filter(domains=("blood",))))) == {uid("any")}
    assert len(store.search([image(1)], ALL)) == 3


def test_the_patient_and_the_picture_asked_about_are_left_out(store: Store) -> None:
    records = [case("mine", unit(1), patient="p1", sha256="s1"), case("other", unit(1), patient="p2", sha256="s2")]
    store.publish([*records, case("nobody", unit(1))], MANIFEST)
    assert set(ids(store.search([image(1)], Filter(not_patient="p1")))) == {uid("other"), uid("nobody")}
    assert set(ids(store.search([image(1)], Filter(not_sha256=("s1", "s2"))))) == {uid("nobody")}
    assert ids(store.search([image(1)], Filter(not_patient="p1", not_sha256=("s2",)))) == [uid("nobody")]


def test_however_many_are_left_out_the_next_best_are_found(store: Store) -> None:
    """Also when the first dozens of hits are all the patient's own."""
    mine = [case(f"mine{i}", unit(1, i / 1000), patient="p1") for i in range(60)]
    store.publish([*mine, case("near", unit(1, 1), patient="p2"), case("far", unit(0, 1))], MANIFEST)
    assert ids(store.search([image(1, limit=5)], Filter(not_patient="p1"))) == [uid("near"), uid("far")]
    some = store.search([image(1, limit=3)], Filter(not_sha256=("none",)))
    assert ids(some) == [uid("mine0"), uid("mine1"), uid("mine2")]


def test_superseded_passages_are_left_out_unless_asked_for(store: Store) -> None:
    old = [passage(f"old{i}", "pneumothorax", vectors={TEXT: unit(1, dim=4)}, superseded=True) for i in range(40)]
    store.publish([*old, passage("new", "pneumothorax drain", vectors={TEXT: unit(1, 1, dim=4)})], MANIFEST)
    for leg in (WORDS, Leg("text→passage", TEXT, unit(1, dim=4), "passage")):
        assert ids(store.search([leg], ALL)) == [uid("new")]
        assert len(store.search([leg], Filter(all_editions=True))) == leg.limit


def test_reports_of_cases_do_not_move_the_scores_of_passages(store: Store) -> None:
    passages = [passage("a", "Signs of a pneumothorax"), passage("b", "Signs of an effusion")]
    store.publish(passages, MANIFEST)
    alone = [hit.scores for hit in store.search([WORDS], ALL)]
    reports = [case(f"c{i}", unit(1), text="pneumothorax on the left, seen by all") for i in range(50)]
    store.publish([*reports, *passages], MANIFEST)
    assert [hit.scores for hit in store.search([WORDS], ALL)] == alone
    assert len(store.search([Leg("bm25", "bm25", "pneumothorax", "case", 100)], ALL)) == 50


def test_filters_hold_for_bm25_too(store: Store) -> None:
    records = [passage("x", "pneumothorax", domain="chest_xray"), passage("f", "pneumothorax", domain="fundus")]
    store.publish(records, MANIFEST)
    assert ids(store.search([WORDS], Filter(domains=("fundus",)))) == [uid("f")]


def test_records_may_lack_vectors(store: Store) -> None:
    store.publish([passage("words", "pneumothorax"), passage("v", "", vectors={TEXT: unit(1, dim=4)})], MANIFEST)
    assert ids(store.search([Leg("text→passage", TEXT, unit(1, dim=4), "passage")], ALL)) == [uid("v")]
    assert ids(store.search([WORDS], ALL)) == [uid("words")]
    assert store.search([image(1)], ALL) == []


def test_a_generation_may_have_no_vectors_at_all(store: Store) -> None:
    store.publish([passage("a", "pneumothorax")], Manifest(vectors={}))
    assert ids(store.search([WORDS], ALL)) == [uid("a")]


def test_a_repeated_record_counts_once_the_last_wins(store: Store) -> None:
    store.publish([passage("a", "effusion"), passage("a", "pneumothorax")], MANIFEST)
    assert ids(store.search([WORDS], ALL)) == [uid("a")]
    assert store.search([Leg("bm25", "bm25", "effusion", "passage")], ALL) == []
    assert store.manifest is not None
    assert store.manifest.records == 1


def test_publishing_replaces_what_is_searched(store: Store) -> None:
    old = store.publish([case("old", unit(1))], MANIFEST)
    assert ids(store.search([image(1)], ALL)) == [uid("old")]
    new = store.publish(iter([case("new", unit(1))]), MANIFEST)
    assert ids(store.search([image(1)], ALL)) == [uid("new")]
    assert store.generations() == [old, new]


def _failing() -> Iterator[Record]:
    for i in range(600):
        yield case(f"new{i}", unit(1))
    raise RuntimeError("interrupted")


FAILURES = [
    (_failing, RuntimeError),
    (lambda: [case("a", unit(1)), case("bad", unit(1, dim=5))], EncoderMismatch),
    (lambda: [Record(uid("a"), "case", {"unknown-00000000": unit(1)}, "")], EncoderMismatch),
    (lambda: [case("a", np.full(8, np.nan, np.float32))], Misconfigured),
    (lambda: [case("a", np.zeros(8, np.float32))], Misconfigured),
]


def test_a_failed_publish_leaves_the_old_and_nothing_new(store: Store) -> None:
    old = store.publish([case("old", unit(1))], MANIFEST)
    for records, error in FAILURES:
        with pytest.raises(error):
            store.publish(records(), MANIFEST)
        assert store.generations() == [old]
        assert ids(store.search([image(1)], ALL)) == [uid("old")]
    store.publish([case("new", unit(1))], MANIFEST)
    assert ids(store.search([image(1)], ALL)) == [uid("new")]


def test_a_search_made_for_another_encoder_names_the_command(store: Store) -> None:
    store.publish([case("a", unit(1))], MANIFEST)
    for using, query in (("image-encoder-ffffffff", unit(1)), (IMAGE, unit(1, dim=16))):
        with pytest.raises(EncoderMismatch, match="consult knowledge rebuild"):
            store.search([Leg("image→case", using, query, "case")], ALL)


def test_only_what_is_not_current_can_be_deleted(store: Store) -> None:
    old = store.publish([case("old", unit(1))], MANIFEST)
    with pytest.raises(Busy):
        store.delete(old)
    new = store.publish([case("new", unit(1))], MANIFEST)
    store.delete(old)
    assert store.generations() == [new]
    for missing in (old, "", "..", "CURRENT"):
        with pytest.raises(NotFound):
            store.delete(missing)
    assert ids(store.search([image(1)], ALL)) == [uid("new")]


def test_five_thousand_records_give_the_exact_answer(store: Store) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((5000, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    domains = ("chest_xray", "fundus")
    store.publish((case(str(i), vectors[i], domain=domains[i % 2]) for i in range(5000)), MANIFEST)
    assert store.manifest is not None
    assert store.manifest.records == 5000
    for query in vectors[:5]:
        exact = np.sort(vectors[1::2] @ query)[::-1][:20]
        hits = store.search([Leg("image→case", IMAGE, query, "case", 20)], Filter(domains=("fundus",)))
        assert [hit.scores["image→case"] for hit in hits] == pytest.approx(exact.tolist(), abs=1e-5)
