"""Consult's parts for somebody's own llama-index app: retriever, embedding model and vector store.

`ConsultRetriever` is the whole of our retrieval over a home: the legs, calibrated relevance and the decision how many
hits deserve to be read. Its scores are calibrated relevance, 0..1, and nothing relevant gives an empty list.

    >>> from retrieval.llama import ConsultEmbedding, ConsultRetriever, ConsultVectorStore
    >>> retriever = ConsultRetriever.at(home)  # a CONSULT_HOME that `consult knowledge add` has filled
    >>> best = retriever.retrieve("What are the signs of a pleural effusion on a radiograph?")[0]
    >>> best.node.metadata["document"], best.node.metadata["section"], 0 < best.score <= 1
    ('Pleural effusion', 'Radiological findings', True)
    >>> retriever.retrieve("How do I renew a passport?")
    []
    >>> retriever.close()

With a picture: `QueryBundle("Is there an effusion?", image_path="study.dcm")`, any format of the installed readers.

`ConsultVectorStore` is a folder of nodes of your own, on the engine that Consult's index runs on; `ConsultEmbedding`
embeds them as Consult embeds passages. A home's index is not offered as a vector store: its generations are immutable,
and nodes added behind the library's back would be cited without a document. Needs `pip install 'consult[knowledge]'`.

    >>> from llama_index.core import Document, VectorStoreIndex
    >>> store = ConsultVectorStore(folder)
    >>> index = VectorStoreIndex.from_vector_store(store, embed_model=ConsultEmbedding.named("pocket"))
    >>> index.insert(Document(text="Drain the effusion.", metadata={"year": 2024}, id_="effusion"))
    >>> [hit] = index.as_retriever(similarity_top_k=1).retrieve("effusion")
    >>> hit.node.ref_doc_id, hit.node.metadata["year"]
    ('effusion', 2024)
    >>> store.close()
"""

from retrieval.llama.embedding import ConsultEmbedding
from retrieval.llama.nodes import ConsultVectorStore
from retrieval.llama.retriever import ConsultRetriever

__all__ = ["ConsultEmbedding", "ConsultRetriever", "ConsultVectorStore"]
