"""llama-index's own usage of a vector store, by its own classes."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core import Document, StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import ImageNode, NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)
from llama_index.core.vector_stores.utils import build_metadata_filter_fn

from retrieval.encoders.fake import FakeTextEncoder
from retrieval.errors import BadInput
from retrieval.llama import ConsultEmbedding, ConsultVectorStore

EMBED = ConsultEmbedding(FakeTextEncoder())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ConsultVectorStore]:
    store = ConsultVectorStore(tmp_path / "nodes")
    yield store
    store.close()


def node(name: str, text: str, document: str | None = None, **metadata: Any) -> TextNode:
    source = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=document)} if document else {}
    return TextNode(
        id_=name, text=text, metadata=metadata, relationships=source, embedding=EMBED.get_text_embedding(text)
    )


def where(key: str, value: Any, operator: str = "==") -> MetadataFilters:
    return MetadataFilters(filters=[MetadataFilter(key=key, value=value, operator=FilterOperator(operator))])


def ids(store: ConsultVectorStore, **about: Any) -> list[str]:
    return [found.node_id for found in store.get_nodes(**about)]


def test_an_index_is_filled_asked_and_emptied(store: ConsultVectorStore) -> None:
    index = VectorStoreIndex.from_vector_store(store, embed_model=EMBED)
    assert index.as_retriever().retrieve("effusion") == []
    documents = [
        Document(text="Pleural effusion blunts the angle.", id_="effusion", metadata={"year": 2023, "organ": "lung"}),
        Document(text="Glaucoma cups the disc.", id_="glaucoma", metadata={"year": 2019, "organ": "eye"}),
    ]
    for document in documents:
        index.insert(document)
    retriever = index.as_retriever(similarity_top_k=2)
    best, other = retriever.retrieve("pleural effusion")
    assert (best.node.ref_doc_id, best.node.metadata["year"], best.text) == ("effusion", 2023, documents[0].text)
    assert best.score > other.score
    asked = index.as_retriever(similarity_top_k=2, filters=where("year", 2020, "<"))
    assert [hit.node.ref_doc_id for hit in asked.retrieve("pleural effusion")] == ["glaucoma"]
    only = index.as_retriever(doc_ids=["glaucoma"])
    assert [hit.node.ref_doc_id for hit in only.retrieve("pleural effusion")] == ["glaucoma"]
    index.delete_ref_doc("effusion")
    assert [hit.node.ref_doc_id for hit in retriever.retrieve("pleural effusion")] == ["glaucoma"]
    index.update_ref_doc(Document(text="Glaucoma raises pressure.", id_="glaucoma"))
    assert [hit.text for hit in retriever.retrieve("glaucoma")] == ["Glaucoma raises pressure."]


def test_an_index_is_built_from_documents(store: ConsultVectorStore, tmp_path: Path) -> None:
    context = StorageContext.from_defaults(vector_store=store)
    documents = [Document(text=f"Card number {number}.", id_=str(number)) for number in range(30)]
    index = VectorStoreIndex.from_documents(documents, storage_context=context, embed_model=EMBED)
    assert len(index.as_retriever(similarity_top_k=50).retrieve("card")) == 30
    context.persist(str(tmp_path / "storage"))
    again = StorageContext.from_defaults(vector_store=store, persist_dir=str(tmp_path / "storage"))
    loaded = load_index_from_storage(again, embed_model=EMBED)
    assert len(loaded.as_retriever(similarity_top_k=50).retrieve("card")) == 30


def test_the_folder_keeps_everything(store: ConsultVectorStore, tmp_path: Path) -> None:
    first = node("a", "Pleural effusion.", "doc", organ="lung", pages=[1, 2], extra={"deep": None})
    assert store.add([first, node("b", "Glaucoma.")]) == ["a", "b"]
    store.close()
    again = ConsultVectorStore(tmp_path / "nodes")
    (kept,) = again.get_nodes(node_ids=["a"])
    assert kept.model_copy(update={"embedding": first.embedding}) == first
    again.add([node("a", "Now something else.")])
    assert sorted(found.text for found in again.get_nodes()) == ["Glaucoma.", "Now something else."]
    again.close()


def test_a_picture_node(store: ConsultVectorStore) -> None:
    index = VectorStoreIndex.from_vector_store(store, embed_model=EMBED)
    index.insert_nodes([ImageNode(id_="x", text="An effusion.", image="aGk=", metadata={"view": "frontal"})])
    (hit,) = index.as_retriever().retrieve("effusion")
    assert isinstance(hit.node, ImageNode)
    assert hit.node.image == "aGk="


def test_deleting_nodes(store: ConsultVectorStore) -> None:
    store.add([node(name, f"Card {name}.", year=year) for name, year in zip("abcd", (1, 1, 2, 2), strict=True)])
    store.delete_nodes(["a"], where("year", 2))
    assert sorted(ids(store)) == list("abcd")  # nothing is both
    store.delete_nodes(["a"])
    store.delete_nodes(filters=where("year", 2))
    assert ids(store) == ["b"]
    store.delete("unknown")
    for nothing in ({}, {"filters": MetadataFilters(filters=[])}):
        with pytest.raises(BadInput, match="clear"):
            store.delete_nodes(**nothing)
    store.clear()
    assert ids(store) == []


def test_a_pipeline_replaces_what_changed(store: ConsultVectorStore) -> None:
    def pipeline(strategy: DocstoreStrategy) -> IngestionPipeline:
        steps = [SentenceSplitter(chunk_size=24, chunk_overlap=0), EMBED]
        return IngestionPipeline(
            transformations=steps, vector_store=store, docstore=docstore, docstore_strategy=strategy, disable_cache=True
        )

    docstore = SimpleDocumentStore()
    old = [Document(text="Effusion. " * 30, id_="a"), Document(text="Glaucoma.", id_="b")]
    upsert = pipeline(DocstoreStrategy.UPSERTS)
    assert len(upsert.run(documents=old)) > 2
    assert upsert.run(documents=old) == []
    upsert.run(documents=[Document(text="Effusion, once.", id_="a")])
    assert sorted(found.text for found in store.get_nodes()) == ["Effusion, once.", "Glaucoma."]
    pipeline(DocstoreStrategy.UPSERTS_AND_DELETE).run(documents=[Document(text="Glaucoma.", id_="b")])
    assert [found.text for found in store.get_nodes()] == ["Glaucoma."]


def test_without_waiting(store: ConsultVectorStore) -> None:
    async def use() -> list[str]:
        index = VectorStoreIndex.from_vector_store(store, embed_model=EMBED)
        await index.ainsert_nodes([TextNode(text="An effusion.", id_="a"), TextNode(text="Glaucoma.", id_="b")])
        hits = await index.as_retriever(similarity_top_k=2).aretrieve("effusion")
        await index.adelete_nodes(["a"])
        left = [found.node_id for found in await store.aget_nodes()]
        await index.adelete_ref_doc("unknown")
        await store.aclear()
        return [hit.node.node_id for hit in hits] + left

    assert asyncio.run(use()) == ["a", "b", "b"]
    assert ids(store) == []


def test_modes(store: ConsultVectorStore) -> None:
    index = VectorStoreIndex.from_vector_store(store, embed_model=EMBED)
    index.insert_nodes([
        TextNode(text=text, id_=name)
        for name, text in {"a": "effusion effusion", "b": "an effusion effusion", "c": "effusion glaucoma"}.items()
    ])  # fmt: skip

    def asked(text: str, **options: Any) -> list[str]:
        return [hit.node.node_id for hit in index.as_retriever(**options).retrieve(text)]

    assert asked("glaucoma", vector_store_query_mode="text_search") == ["c"]
    assert asked("glaucoma", vector_store_query_mode="sparse", sparse_top_k=1) == ["c"]
    assert asked("effusion", similarity_top_k=2) == ["a", "b"]
    mmr = {"vector_store_query_mode": "mmr", "similarity_top_k": 2}
    assert asked("effusion", **mmr, vector_store_kwargs={"mmr_threshold": 1.0}) == ["a", "b"]
    assert asked("effusion", **mmr, vector_store_kwargs={"mmr_threshold": 0.1}) == ["a", "c"]
    with pytest.raises(BadInput, match="hybrid"):
        asked("effusion", vector_store_query_mode="hybrid")
    with pytest.raises(BadInput, match="embed_model"):
        store.query(VectorStoreQuery(query_str="effusion", mode=VectorStoreQueryMode.DEFAULT))


def test_lists_and_texts(store: ConsultVectorStore) -> None:
    store.add([node("a", "A.", tags=["lung", "heart"], title="Guide of 2023"), node("b", "B.", tags=["eye"], title="")])
    assert ids(store, filters=where("tags", "heart", "contains")) == ["a"]
    assert ids(store, filters=where("tags", ["eye", "skin"], "any")) == ["b"]
    assert ids(store, filters=where("tags", ["lung", "heart"], "all")) == ["a"]
    assert ids(store, filters=where("tags", ["lung", "eye"], "all")) == []
    assert ids(store, filters=where("title", "of 20", "text_match")) == ["a"]
    assert ids(store, filters=where("title", None, "is_empty")) == ["b"]
    both = MetadataFilters(filters=[where("tags", "heart"), where("title", None, "is_empty")], condition="or")
    assert sorted(ids(store, filters=both)) == ["a", "b"]


@pytest.mark.parametrize(
    ("key", "value", "operator"),
    [("a", "x", "text_match_insensitive"), ("a", "2023-01-01", ">"), ("a", None, "=="), ('a"b', 1, "=="),
     ("a", ["x"], "=="), ("a", ["x"], "!="), ("a", 3, "text_match")],
)  # fmt: skip
def test_a_filter_that_can_not_be_kept_is_refused(
    store: ConsultVectorStore, key: str, value: Any, operator: str
) -> None:
    store.add([node("a", "A.", a="x")])
    with pytest.raises(BadInput):
        ids(store, filters=where(key, value, operator))


KEYS = st.sampled_from(["year", "organ", "a.b", "odd key", "größe"])
WORDS = st.sampled_from(["lung", "eye", "", "lung and eye", "3"])
NUMBERS = st.integers(-3, 3) | st.sampled_from([-0.5, 1.0, 2.5])
VALUES = WORDS | NUMBERS
METADATA = st.dictionaries(KEYS, VALUES | st.none(), max_size=4)
FILTER = st.one_of(
    st.builds(MetadataFilter, key=KEYS, value=VALUES, operator=st.sampled_from(["==", "!="])),
    st.builds(
        MetadataFilter, key=KEYS, operator=st.sampled_from(["in", "nin"]),
        value=st.lists(WORDS, max_size=3) | st.lists(st.integers(-3, 3), max_size=3),
    ),
    st.builds(MetadataFilter, key=KEYS, value=st.none(), operator=st.just("is_empty")),
    st.builds(MetadataFilter, key=st.just("age"), value=NUMBERS, operator=st.sampled_from([">", ">=", "<", "<="])),
    st.builds(MetadataFilter, key=st.just("title"), value=WORDS, operator=st.just("text_match")),
)  # fmt: skip
FILTERS = st.builds(
    MetadataFilters, filters=st.lists(FILTER, min_size=1, max_size=3), condition=st.sampled_from(FilterCondition)
)
ROWS = st.lists(
    st.builds(lambda some, age, title: some | {"age": age, "title": title}, METADATA, NUMBERS, WORDS), max_size=6
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsultVectorStore]:
    store = ConsultVectorStore(tmp_path_factory.mktemp("nodes"))
    yield store
    store.close()


@settings(max_examples=80)
@given(ROWS, FILTERS)
def test_filters_mean_what_llama_index_says_they_mean(
    shared: ConsultVectorStore, rows: list[dict[str, Any]], filters: MetadataFilters
) -> None:
    """Held against llama-index's own reading of them, which its in-memory store uses."""
    store, metadata = shared, {str(number): row for number, row in enumerate(rows)}
    if ids(store):
        store.delete_nodes(ids(store))
    store.add([node(name, "Text.", **row) for name, row in metadata.items()])
    fits = build_metadata_filter_fn(metadata.__getitem__, filters)
    assert sorted(ids(store, filters=filters)) == sorted(name for name in metadata if fits(name))
