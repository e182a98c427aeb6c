from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.cases import picture_digest
from retrieval.copies import without_copies
from retrieval.encoders import load_text
from retrieval.encoders.base import Vectors
from retrieval.encoders.bundle import Encoders, Names
from retrieval.errors import EncoderMismatch, Misconfigured
from retrieval.index import rebuild
from retrieval.ingest import Source, add_documents, bundled_sources
from retrieval.legs import MAX_LOOKS, pooled
from retrieval.library import Library
from retrieval.retriever import FITTED_ON, Retriever
from retrieval.store.bm25 import idf_of
from retrieval.store.memory import MemoryStore
from retrieval.types import Case, Filter, Fitted, Leg, Passage, Query
from retrieval.weigh import UNSAID, Selection, share
from tests.retrieval.conftest import DIM, WordEncoder, bag_of_words, picture

CARDS = {
    "effusion": "# Effusion\n\n## Signs\n- Effusion blunts the angle.\n\n## Symptoms\n- Effusion hinders breath.\n",
    "pneumothorax": "# Pneumothorax\n\n## Signs\n- Pneumothorax shows a pleural line.\n",
    "retinopathy": "---\ndomain: fundus\n---\n# Retinopathy\n\n## Signs\n- Retinopathy shows haemorrhages.\n",
}


@pytest.fixture
def retriever(library: Library, store: MemoryStore, encoders: Encoders) -> Retriever:
    cases = [("effusion", "Large effusion.", "anna"), ("pneumothorax", "Apical pneumothorax.", "bert")]
    for number, (subject, report, patient) in enumerate(cases):
        pixels = picture(subject, number)
        library.put_case(Case(f"00000000-0000-0000-0000-00000000000{number}", picture_digest(pixels), report,
                              "chest_xray", patient, (subject,)), pixels)  # fmt: skip
    sources = [Source(f"/{name}.md", f"{name}.md", text.encode()) for name, text in CARDS.items()]
    add_documents(library, store, encoders, sources)
    return Retriever(store, library, encoders)


def found(retriever: Retriever, text: str, shown: str | None = None, **more: object) -> list[str]:
    """Titles of the passages and reports of the cases."""
    query = Query(text, images=(picture(shown, 7),) if shown else (), **more)  # type: ignore[arg-type]
    items = retriever.retrieve(query).items
    assert [item.number for item in items] == list(range(1, len(items) + 1))
    return [item.content.document if isinstance(item.content, Passage) else item.content.report for item in items]


def passages(retriever: Retriever, text: str, shown: str | None = None, **more: object) -> set[str]:
    return {title for title in found(retriever, text, shown, **more) if not title.endswith(".")}


def test_asked_about_something_its_passages_come(retriever: Retriever) -> None:
    assert found(retriever, "Is there an effusion?") == ["Effusion", "Effusion"]


def test_the_picture_never_lifts_a_passage_about_something_else(retriever: Retriever) -> None:
    assert passages(retriever, "Is there an effusion?", shown="pneumothorax") == {"Effusion"}


def test_an_open_question_is_decided_by_the_picture(retriever: Retriever) -> None:
    assert passages(retriever, "What is abnormal?", shown="pneumothorax") == {"Pneumothorax"}
    assert "Large effusion." in found(retriever, "", shown="effusion")


def test_asked_about_something_unknown_nothing_comes(retriever: Retriever) -> None:
    evidence = retriever.retrieve(Query("Is the tibia fractured?", images=(picture("effusion"),)))
    assert evidence.items == ()
    assert evidence.considered > 0
    assert set(evidence.timings) == {"embed", "search", "select"}


def test_a_follow_up_looks_back(retriever: Retriever) -> None:
    assert passages(retriever, "What are its symptoms?", earlier=("Is there an effusion?",)) == {"Effusion"}
    assert passages(retriever, "Is the tibia fractured?", earlier=("Is there an effusion?",)) == set()


def test_similar_cases_without_ones_own(retriever: Retriever) -> None:
    assert "Large effusion." in found(retriever, "Is there an effusion?", shown="effusion")
    assert "Large effusion." not in found(retriever, "Is there an effusion?", shown="effusion", patient="anna")
    own = picture_digest(picture("effusion", 0))
    assert "Large effusion." not in found(retriever, "Is there an effusion?", shown="effusion", sha256=(own,))


def test_only_the_domain_asked_for(retriever: Retriever) -> None:
    assert passages(retriever, "Is there retinopathy?", domains=("fundus",)) == {"Retinopathy"}
    assert passages(retriever, "Is there retinopathy?", domains=("chest_xray",)) == set()


def test_evidence_carries_scores_and_relevance(retriever: Retriever) -> None:
    first, *_ = retriever.retrieve(Query("Is there an effusion?", images=(picture("effusion"),))).items
    assert {"image→passage", "text→passage", "bm25"} <= set(first.scores)
    assert 0.35 <= first.relevance <= 1


def test_embeddings_may_be_handed_in(retriever: Retriever) -> None:
    looked = retriever.look([picture("pneumothorax")])
    retriever.encoders.image_text.seen.clear()  # type: ignore[union-attr]
    retriever.retrieve(Query("What is abnormal?", embeddings=looked))
    assert retriever.encoders.image_text.seen == []  # type: ignore[union-attr]


@pytest.mark.parametrize("more", [0, 1, 15, 80])
def test_a_library_of_one_document_answers_as_one_of_many(
    more: int, library: Library, store: MemoryStore, encoders: Encoders
) -> None:
    """By words alone: the very words that the only document is about are in all its passages."""

    class Blind(WordEncoder):
        def encode_queries(self, texts: Sequence[str]) -> Vectors:
            return -bag_of_words(texts)

    text = Blind("blind")
    cards = {"ward": "# Effusion on the ward\n\nThe ward is told of an effusion by telephone.\n"}
    cards |= {f"other{n}": f"# Thing {n}\n\nOf something else, number {n}.\n" for n in range(more)}
    sources = [Source(f"/{name}.md", f"{name}.md", words.encode()) for name, words in cards.items()]
    add_documents(library, store, Encoders(encoders.image_text, text), sources)
    retriever = Retriever(store, library, Encoders(None, text))
    assert found(retriever, "How is the ward told of an effusion?") == ["Effusion on the ward"]
    assert found(retriever, "Is the tibia fractured?") == []
    (item,) = retriever.retrieve(Query("How is the ward told of an effusion?")).items
    raw = store.search([Leg("bm25", "bm25", "ward told effusion", "passage")], Filter())[0].scores["bm25"]
    assert item.scores["bm25"] == raw if more >= FITTED_ON else item.scores["bm25"] > raw
    half = 10 if more < FITTED_ON else 10 * idf_of(5, library.counts()["passages"]) / idf_of(5, FITTED_ON)
    assert item.relevance == pytest.approx(item.scores["bm25"] / (item.scores["bm25"] + half))


def test_texts_that_say_the_same_come_once(
    retriever: Retriever, library: Library, store: MemoryStore, encoders: Encoders
) -> None:
    copy = CARDS["effusion"].replace("blunts the angle.", "blunts the angle")
    add_documents(library, store, encoders, [Source("/copy.md", "copy.md", copy.encode())])
    assert found(retriever, "Is there an effusion?") == ["Effusion", "Effusion"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Effusion on the left, drained.", "Effusion on the right, drained."),
        ("The effusion is an emergency.", "The effusion is not an emergency."),
        ("Drain an effusion of ≥ 2 cm.", "Drain an effusion of ≤ 2 cm."),
        ("Effusion  on the LEFT", "effusion on the left."),
    ],
)
def test_only_the_same_words_are_the_same(one: str, other: str) -> None:
    cases = [Case(str(n), str(n), report) for n, report in enumerate((one, other))]
    same = one.strip(".").lower().split() == other.strip(".").lower().split()
    assert list(without_copies(cases)) == ([0] if same else [0, 1])


def test_similar_cases_speak_of_what_was_asked(
    retriever: Retriever, library: Library, store: MemoryStore, encoders: Encoders
) -> None:
    pixels = picture("effusion", 5)
    plain = Case("00000000-0000-0000-0000-000000000009", picture_digest(pixels), "Chest radiograph: normal, left.")
    library.put_case(plain, pixels)
    rebuild(library, store, encoders)
    asked = "Does this chest radiograph show a left effusion?"
    assert plain.report in found(retriever, "What is abnormal?", shown="effusion")
    with_passages = found(retriever, asked, shown="effusion")
    assert {"Effusion", "Large effusion."} <= set(with_passages)
    assert plain.report not in with_passages
    assert found(retriever, "Does this chest radiograph show a left hernia?", shown="effusion") == []


def test_without_a_word_in_common_a_passage_counts_for_less(
    library: Library, store: MemoryStore, encoders: Encoders
) -> None:
    class Near(WordEncoder):
        """Everything is as near to everything else as `cosine`."""

        cosine = 0.0

        def encode_passages(self, texts: Sequence[str]) -> Vectors:
            return np.tile(np.eye(1, DIM, dtype=np.float32), (len(texts), 1))

        def encode_queries(self, texts: Sequence[str]) -> Vectors:
            return np.float32([[self.cosine, (1 - self.cosine**2) ** 0.5, *[0] * (DIM - 2)]])

    text = Near("near")
    card = "---\ntitle: Effusion\naliases: [hydrothorax]\n---\nFluid."
    add_documents(library, store, Encoders(encoders.image_text, text), [Source("/e.md", "e.md", card.encode())])
    for cosine, floor, question, expected in [
        (0.4, 0.35, "Is there an effusion?", 0.4),
        (0.4, 0.35, "Is there a hydrothorax?", 0.4),  # another name
        (1.0, 0.35, "Is the tibia fractured?", None),
        (0.8, 0.2, "Is the tibia fractured?", 0.8 * UNSAID),
    ]:
        text.cosine = cosine
        retriever = Retriever(store, library, Encoders(None, text), Selection(floor=floor))
        items = retriever.retrieve(Query(question)).items
        assert [item.relevance for item in items] == ([] if expected is None else [pytest.approx(expected)])


def test_the_pocket_encoder_on_the_bundled_cards(library: Library, store: MemoryStore, encoders: Encoders) -> None:
    text = load_text("pocket")
    add_documents(library, store, Encoders(encoders.image_text, text, Names().fitted()), bundled_sources())
    retriever = Retriever(store, library, Encoders(None, text))
    for question, card in POCKET.items():
        items = [item for item in retriever.retrieve(Query(question)).items if isinstance(item.content, Passage)]
        assert [item.content.document for item in items][:1] == ([card] if card else []), question  # type: ignore[union-attr]


POCKET = {
    "What is the capital of France?": None,
    "Is there appendicitis?": None,
    "Does this radiograph show a scoliosis?": None,
    "Does this radiograph show a hiatus hernia?": "Hiatus hernia",
    "Is the tibia fractured?": None,
    "Is there a pleural effusion?": "Pleural effusion",
    "Any sign of pneumothorax?": "Pneumothorax",
    "Is the heart enlarged?": "Cardiomegaly",
    "Is there a consolidation?": "Consolidation",
    "Do you see a lung nodule?": "Lung nodule",
    "Is there fluid in the pleural space?": "Pleural effusion",
    "What are the symptoms of tuberculosis?": "Pulmonary tuberculosis",
}


def test_what_was_removed_is_not_cited(retriever: Retriever, library: Library) -> None:
    library.remove(library.files()[0].id)  # the index still has it
    assert found(retriever, "Is there an effusion?") == []


def test_nothing_published_nothing_found(library: Library, encoders: Encoders) -> None:
    empty = Retriever(MemoryStore(), library, encoders)
    assert empty.retrieve(Query("Is there an effusion?")).items == ()


def test_an_index_of_other_encoders_names_the_mend(
    retriever: Retriever, library: Library, store: MemoryStore, encoders: Encoders
) -> None:
    reading = Retriever(store, library, Encoders(None, WordEncoder("reading-2")))
    with pytest.raises(EncoderMismatch, match="consult knowledge rebuild"):
        reading.retrieve(Query("Is there an effusion?"))
    seeing = Retriever(store, library, Encoders(WordEncoder("seeing-2"), encoders.text))
    with pytest.raises(EncoderMismatch, match="seeing-2"):
        seeing.retrieve(Query("", images=(picture("effusion"),)))
    rebuild(library, store, Encoders(WordEncoder("seeing-2"), encoders.text))
    assert seeing.retrieve(Query("", images=(picture("effusion"),))).items


@pytest.mark.parametrize("mode", ["log-ratio", "ratio-to-top"])
def test_modes_and_their_limit(retriever: Retriever, mode: str) -> None:
    retriever.selection = Selection(mode=mode, gamma=5, k_max=1)  # type: ignore[arg-type]
    assert len(found(retriever, "Is there an effusion?", shown="effusion")) == 1
    retriever.selection = Selection(mode=mode, k_max=0)  # type: ignore[arg-type]
    assert found(retriever, "Is there an effusion?") == []


def test_the_calibrated_mode_wants_a_calibration(
    retriever: Retriever, library: Library, store: MemoryStore, encoders: Encoders
) -> None:
    retriever.selection = Selection(mode="calibrated", k_max=4)
    with pytest.raises(Misconfigured, match="calibrated"):
        found(retriever, "Is there an effusion?")
    rebuild(library, store, replace(encoders, fitted=Fitted({"bm25": (1.0, 0.0)}, ks=(1,))))
    assert found(retriever, "Is there an effusion?") == ["Effusion"]


def test_a_leg_is_calibrated(retriever: Retriever, library: Library, store: MemoryStore, encoders: Encoders) -> None:
    never = (0.0, -20.0)
    rebuild(library, store, replace(encoders, fitted=Fitted({"bm25": never, "text→passage": never})))
    assert found(retriever, "Is there an effusion?") == []


class Contrary:
    """Says the opposite of what the others found: the passage of symptoms first."""

    identity = "contrary-1"

    def __init__(self) -> None:
        self.read: list[str] = []

    def score(self, question: str, passages: Sequence[str]) -> np.ndarray:
        self.read += passages
        return np.float32([8.0 if "hinders breath" in text else -8.0 for text in passages])


def test_a_reranker_orders_and_once_calibrated_decides(
    retriever: Retriever, library: Library, store: MemoryStore, encoders: Encoders
) -> None:
    reranker = Contrary()
    retriever.encoders = replace(encoders, reranker=reranker)
    items = retriever.retrieve(Query("Is there an effusion?")).items
    assert [item.scores["rerank"] for item in items] == [8.0, -8.0]
    assert "Effusion\nSymptoms\n- Effusion hinders breath." in reranker.read
    assert retriever.identities["reranker"] == "contrary-1"
    rebuild(library, store, replace(encoders, fitted=Fitted({"rerank": (1.0, 0.0)})))
    (item,) = retriever.retrieve(Query("Is there an effusion?")).items
    assert item.relevance == pytest.approx(1 / (1 + np.exp(-8)))
    assert "rerank" not in Retriever(store, library, encoders).retrieve(Query("Is there an effusion?")).items[0].scores


def test_an_encoder_without_words_finds_cases_only(
    library: Library, store: MemoryStore, encoders: Encoders, retriever: Retriever
) -> None:
    eye = WordEncoder("eye-1")
    eye.reads_text = False
    seeing = Encoders(eye, encoders.text)
    rebuild(library, store, seeing)
    assert set(seeing.identities) == {"image_text", "text"}
    evidence = Retriever(store, library, seeing).retrieve(Query("What is abnormal?", images=(picture("effusion"),)))
    assert [item.content.report for item in evidence.items] == ["Large effusion."]  # type: ignore[union-attr]


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 10))
def test_places_are_shared(passages: int, cases: int, k_max: int) -> None:
    of_passages, of_cases = share(passages, cases, k_max)
    assert 0 <= of_passages <= passages
    assert 0 <= of_cases <= cases
    assert of_passages + of_cases == min(k_max, passages + cases)  # nothing is left free
    assert of_passages >= min(passages, k_max // 2)
    assert of_cases >= min(cases, k_max // 2)


def test_many_pictures_are_pooled() -> None:
    many = bag_of_words([f"{word}aaaa" for word in "abcdefghijklm"])
    few = pooled(many)
    assert few.shape == (MAX_LOOKS, many.shape[1])
    np.testing.assert_allclose(np.linalg.norm(few, axis=1), 1, rtol=1e-5)
    assert (many @ few.T).max(axis=1).min() > 0.5  # every picture counts in one of them
    np.testing.assert_array_equal(pooled(many[:3]), many[:3])
