"""What an index is made of: which encoder's vectors a record gets, and what is embedded again."""

from dataclasses import replace

import numpy as np
import pytest

from retrieval.cases import picture_digest
from retrieval.embed import HEADING, indexed_text
from retrieval.encoders.bundle import Encoders
from retrieval.errors import Misconfigured
from retrieval.index import is_current, rebuild
from retrieval.ingest import Source, add_documents
from retrieval.library import Library
from retrieval.retriever import Retriever
from retrieval.store.memory import MemoryStore
from retrieval.types import Case, Filter, Fitted, Leg, Passage, Query
from tests.retrieval.conftest import WordEncoder, picture

CARDS = {
    "lung": "---\ndomain: chest_xray\n---\n# Effusion\n\nEffusion blunts the angle.\n",
    "eye": "---\ndomain: fundus\n---\n# Retinopathy\n\nRetinopathy shows haemorrhages.\n",
    "any": "# Fracture\n\nFracture somewhere.\n",
}


def filled(library: Library, store: MemoryStore, encoders: Encoders) -> None:
    for domain, subject in (("chest_xray", "effusion"), ("fundus", "retinopathy")):
        pixels = picture(subject)
        sha256 = picture_digest(pixels)
        library.put_case(Case(f"00000000-0000-0000-0000-{sha256[:12]}", sha256, f"{subject}.", domain), pixels)
    sources = [Source(f"/{name}.md", f"{name}.md", text.encode()) for name, text in CARDS.items()]
    add_documents(library, store, encoders, sources)


def shown(retriever: Retriever, subject: str, domains: tuple[str, ...]) -> set[str]:
    items = retriever.retrieve(Query("What is abnormal?", images=(picture(subject),), domains=domains)).items
    return {item.content.document if isinstance(item.content, Passage) else item.content.report for item in items}


def test_a_domain_has_its_own_encoder(library: Library, store: MemoryStore, encoders: Encoders) -> None:
    eye, words = WordEncoder("eye-1"), WordEncoder("eye-words-1")
    both = replace(encoders, seeing={"fundus": eye}, reading={"fundus": words})
    filled(library, store, both)
    assert store.manifest is not None
    assert store.manifest.vectors["image@fundus"].domains == ("fundus",)
    assert [text for text in eye.seen if "haemorrhages" in text]
    assert not [text for text in eye.seen if "blunts" in text]
    assert [text for text in words.seen if "somewhere" in text]  # what bears on any is read by all
    retriever = Retriever(store, library, both)
    assert shown(retriever, "retinopathy", ("fundus",)) == {"Retinopathy", "retinopathy."}
    assert shown(retriever, "effusion", ("chest_xray",)) == {"Effusion", "effusion."}
    for subject in ("retinopathy", "effusion"):  # unsure: every encoder looks
        assert shown(retriever, subject, ()) == {subject.capitalize(), f"{subject}."}


def test_legs_of_a_domains_encoder_are_told_apart(library: Library, store: MemoryStore, encoders: Encoders) -> None:
    both = replace(encoders, reading={"fundus": WordEncoder("eye-words-1")})
    filled(library, store, both)
    items = Retriever(store, library, both).retrieve(Query("Is there retinopathy?")).items
    assert "text→passage@fundus" in items[0].scores
    items = Retriever(store, library, both).retrieve(Query("Is there a fracture?")).items
    assert {"text→passage", "text→passage@fundus"} <= set(items[0].scores)


def test_a_new_encoder_of_one_domain_reads_that_domain_only(
    library: Library, store: MemoryStore, encoders: Encoders
) -> None:
    filled(library, store, encoders)
    for encoder in (encoders.image_text, encoders.text):
        encoder.seen.clear()  # type: ignore[union-attr]
    eye = WordEncoder("eye-2")
    rebuild(library, store, replace(encoders, seeing={"fundus": eye}))
    assert len(eye.seen) == 3  # a picture and two cards
    assert encoders.image_text.seen == encoders.text.seen == []  # type: ignore[union-attr]


def test_without_pictures_only_the_main_encoders_embedding_is_used(
    library: Library, store: MemoryStore, encoders: Encoders
) -> None:
    both = replace(encoders, seeing={"fundus": WordEncoder("eye-1")})
    filled(library, store, both)
    retriever = Retriever(store, library, both)
    looked = retriever.look([picture("effusion")])
    items = retriever.retrieve(Query("What is abnormal?", embeddings=looked)).items
    assert np.all([not leg.endswith("@fundus") for item in items for leg in item.scores])


def test_a_passage_under_the_heading_asked_for_stands_above_one_that_mentions_it(
    library: Library, store: MemoryStore, encoders: Encoders
) -> None:
    about = "# Gout\n\n## Treatment\n\nColchicine eases an attack within a day, and urate is lowered later.\n"
    mentions = "# Kidney stones\n\n## Causes\n\nThe treatment of gout, gout treatment by diet: gout is one cause.\n"
    sources = [Source(f"/{n}.md", f"{n}.md", text.encode()) for n, text in enumerate((mentions, about))]
    add_documents(library, store, encoders, sources)
    hits = store.search([Leg("bm25", "bm25", "treatment gout", "passage")], Filter())
    best = max(hits, key=lambda hit: hit.scores["bm25"])
    assert library.passage(best.id).document == "Gout"


def test_what_bm25_reads_names_the_headings_more_than_once() -> None:
    passage = Passage("p", "d", "Gout", "", "Urate crystals.", 0, 15)
    assert indexed_text(passage, ["podagra"]).split() == [*["Gout", "podagra"] * HEADING, "Urate", "crystals."]


def test_what_was_fitted_here_is_in_force_with_its_encoders(
    library: Library, store: MemoryStore, encoders: Encoders
) -> None:
    came = replace(encoders, fitted=Fitted({"bm25": (1.0, -2.0), "text→passage": (3.0, 0.0)}, floor=0.4))
    filled(library, store, came)
    assert store.manifest is not None
    assert store.manifest.fitted == came.fitted
    told = {"identities": came.identities}
    library.put_fitted(Fitted({"bm25": (0.5, -3.0)}, gamma=0.7, ks=(1,), told=told))
    assert not is_current(library, store, came)
    rebuild(library, store, came)
    assert is_current(library, store, came)
    legs = {"bm25": (0.5, -3.0), "text→passage": (3.0, 0.0)}
    assert store.manifest.fitted == Fitted(legs, gamma=0.7, floor=0.4, ks=(1,), told=told)
    other = replace(came, text=WordEncoder("text-2"))
    rebuild(library, store, other)
    assert store.manifest.fitted == came.fitted  # what was fitted for others is left
    library.forget_fitted()
    rebuild(library, store, came)
    assert store.manifest.fitted == came.fitted


def test_damaged_fitted_values_are_told(library: Library) -> None:
    assert library.fitted() is None
    library.put_fitted(Fitted(ks=(1, 2)))
    assert library.fitted() == Fitted(ks=(1, 2))
    with library._write() as db:
        db.execute("UPDATE fitted SET value = '[]'")
    with pytest.raises(Misconfigured, match="consult calibrate"):
        library.fitted()


def test_an_index_of_an_older_layout_is_built_anew(
    library: Library, store: MemoryStore, encoders: Encoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr("retrieval.index.LAYOUT", "1")
        filled(library, store, encoders)
        assert is_current(library, store, encoders)
    assert not is_current(library, store, encoders)
    assert add_documents(library, store, encoders, []).generation is not None
    assert is_current(library, store, encoders)
