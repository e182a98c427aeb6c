import asyncio
import doctest
from dataclasses import replace
from pathlib import Path

import pytest
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import MetadataMode, QueryBundle
from PIL import Image as PillowImage

import retrieval.llama
from retrieval.cases import picture_digest
from retrieval.encoders.bundle import Encoders, Names, load
from retrieval.errors import BadInput, Misconfigured
from retrieval.ingest import Source, add_documents, bundled_sources
from retrieval.library import Library
from retrieval.llama import ConsultRetriever
from retrieval.retriever import Retriever
from retrieval.store import open_store
from retrieval.store.memory import MemoryStore
from retrieval.types import Case, Query
from tests.retrieval.conftest import picture

CARD = """---
source: Society of Chests, 2023
edition: "2023"
---
# Effusion

## Signs
- Effusion blunts the angle.
"""


@pytest.fixture
def ours(library: Library, store: MemoryStore, encoders: Encoders) -> Retriever:
    for number, subject in enumerate(("effusion", "pneumothorax")):
        pixels = picture(subject, number)
        case = Case(f"00000000-0000-0000-0000-00000000000{number}", picture_digest(pixels), f"Large {subject}.",
                    "chest_xray", "anna", (subject,), "City hospital")  # fmt: skip
        library.put_case(case, pixels)
    add_documents(library, store, encoders, [Source("/effusion.md", "effusion.md", CARD.encode())])
    return Retriever(store, library, encoders)


def test_nodes_say_where_they_are_from(ours: Retriever) -> None:
    (hit,) = ConsultRetriever(ours).retrieve("Is there an effusion?")
    (item,) = ours.retrieve(Query("Is there an effusion?")).items
    assert hit.score == item.relevance
    assert hit.node.node_id == item.content.id
    told = hit.node.metadata
    assert {key: told[key] for key in ("kind", "document", "section", "page", "source", "edition")} == {
        "kind": "passage", "document": "Effusion", "section": "Signs", "page": None,
        "source": "Society of Chests, 2023", "edition": "2023",
    }  # fmt: skip
    assert told["scores"] == item.scores
    document = ours.library.document(hit.node.ref_doc_id)
    assert document.text[told["start"] : told["end"]] == hit.text
    assert (hit.node.start_char_idx, hit.node.end_char_idx) == (told["start"], told["end"])


def test_a_language_model_is_given_what_a_person_would_read(ours: Retriever) -> None:
    (hit,) = ConsultRetriever(ours).retrieve("Is there an effusion?")
    shown = hit.node.get_content(MetadataMode.LLM)
    assert "source: Society of Chests, 2023" in shown
    assert "section: Signs" in shown
    for hidden in ("scores", "document_id", "page", "start", "kind", "condensed_by"):
        assert f"{hidden}:" not in shown


def test_nothing_relevant_gives_nothing(ours: Retriever) -> None:
    assert ConsultRetriever(ours).retrieve("Which passport do I need?") == []
    assert ConsultRetriever(Retriever(MemoryStore(), ours.library, ours.encoders)).retrieve("effusion") == []


def test_with_a_picture(ours: Retriever, tmp_path: Path) -> None:
    PillowImage.fromarray(picture("effusion", 9)).save(tmp_path / "study.png")
    bundle = QueryBundle("Is there an effusion?", image_path=str(tmp_path / "study.png"))
    cases = [hit for hit in ConsultRetriever(ours).retrieve(bundle) if hit.node.metadata["kind"] == "case"]
    assert [(hit.text, hit.node.metadata["labels"]) for hit in cases] == [("Large effusion.", ["effusion"])]
    assert picture_digest(ours.library.picture(cases[0].node.metadata["sha256"]))
    assert "anna" not in repr(cases)

    own = ours.library.case("00000000-0000-0000-0000-000000000000")
    (tmp_path / "own.png").write_bytes(ours.library.blob(own.sha256))
    again = ConsultRetriever(ours).retrieve(QueryBundle("effusion?", image_path=str(tmp_path / "own.png")))
    assert own.id not in [hit.node.node_id for hit in again]  # a picture is not similar to itself

    with pytest.raises(BadInput, match="image_path"):
        ConsultRetriever(ours).retrieve(QueryBundle("effusion?", image_path=str(tmp_path / "nowhere.png")))
    blind = ConsultRetriever(Retriever(ours.store, ours.library, replace(ours.encoders, image_text=None)))
    with pytest.raises(Misconfigured):
        blind.retrieve(bundle)


def test_another_study_of_the_patient_is_no_similar_case(
    ours: Retriever, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "study.dcm").write_bytes(b"DICM")
    reader = lambda path, salt: (picture("effusion", 9), "anna")  # noqa: E731
    monkeypatch.setattr("retrieval.llama.retriever.picture_reader", lambda: reader)
    hits = ConsultRetriever(ours).retrieve(QueryBundle("effusion?", image_path=str(tmp_path / "study.dcm")))
    assert {hit.node.metadata["kind"] for hit in hits} == {"passage"}


def test_what_is_searched_for_instead(ours: Retriever) -> None:
    bundle = QueryBundle("And what does it look like?", custom_embedding_strs=["signs of", "an effusion"])
    assert [hit.node.metadata["document"] for hit in ConsultRetriever(ours).retrieve(bundle)] == ["Effusion"]


def test_at_most_k_and_of_a_domain(ours: Retriever, encoders: Encoders) -> None:
    cards = [Source(f"/{n}.md", f"{n}.md", f"---\ndomain: eye\n---\n# Disc {n}\n\nDisc cupping {n}.".encode())
             for n in range(3)]  # fmt: skip
    add_documents(ours.library, ours.store, encoders, cards)
    assert len(ConsultRetriever(ours).retrieve("disc cupping")) == 3
    assert len(ConsultRetriever(ours, k=1).retrieve("disc cupping")) == 1
    assert ConsultRetriever(ours, domains=["chest_xray"]).retrieve("disc cupping") == []


def test_in_a_query_engine(ours: Retriever) -> None:
    engine = RetrieverQueryEngine.from_args(ConsultRetriever(ours), llm=MockLLM())
    answer = engine.query("Is there an effusion?")
    assert "Effusion blunts the angle." in str(answer)  # the mock repeats what it was given
    assert answer.source_nodes[0].node.metadata["document"] == "Effusion"
    assert str(engine.query("Which passport do I need?")) == "Empty Response"
    assert "blunts" in str(asyncio.run(engine.aquery("Is there an effusion?")))


@pytest.fixture
def bundled(home: Path) -> Path:
    with Library(home) as library:
        store = open_store(home)
        add_documents(library, store, load(Names()), bundled_sources())
        store.close()
    return home


def test_the_example(bundled: Path, tmp_path: Path) -> None:
    names = {"home": bundled, "folder": tmp_path / "nodes"}
    result = doctest.testmod(retrieval.llama, extraglobs=names, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert (result.failed, result.attempted) == (0, 13)
