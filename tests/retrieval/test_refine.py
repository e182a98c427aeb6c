import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval import refine as refining
from retrieval.encoders.bundle import Encoders
from retrieval.errors import BadInput, Busy, NotFound, Unavailable
from retrieval.index import is_current, rebuild
from retrieval.ingest import Source, add_documents, exclusive, remove
from retrieval.library import Library
from retrieval.refine import HEADINGS, MAX_STATEMENTS, MAX_WORDS, Answer, Claim, checked, refine, written
from retrieval.retriever import Retriever
from retrieval.store.memory import MemoryStore
from retrieval.types import Case, Passage, Query
from retrieval.weigh import Selection
from tests.retrieval.conftest import CHILD_ENV

CARD = """---
domain: chest_xray
kind: finding
source: {source}
---
# Effusion

## Signs
- Effusion blunts the costophrenic angle.
- A large effusion has a curved upper edge.

## Symptoms
- A small effusion may cause no symptom.
"""
BLUNTS = Claim("findings", "The costophrenic angle is blunted by an effusion.", (1, 2))
SILENT = Claim("symptoms", "A small effusion may cause no symptom.", (1, 2))
WRONG = Claim("findings", "The costophrenic angle is blunted by 300 mL.", (1,))


@dataclass
class Scripted:
    """Says the same of every disease."""

    claims: Sequence[Claim] = (BLUNTS, SILENT, WRONG)
    model: str = "script (1)"
    error: Exception | None = None
    asked: list[str] = field(default_factory=list)

    def condense(self, disease: str, shown: Sequence[Passage]) -> Answer:
        self.asked.append(disease)
        if self.error:
            raise self.error
        return Answer(tuple(self.claims), len(shown))


@dataclass
class Desk:
    library: Library
    store: MemoryStore
    encoders: Encoders

    def add(self, text: str = CARD.format(source="Thoracic Society, 2023"), name: str = "effusion.md") -> None:
        add_documents(self.library, self.store, self.encoders, [Source("/" + name, name, text.encode())])

    def refine(self, condenser: Scripted, *names: str) -> list[refining.Outcome]:
        return refine(self.library, self.store, self.encoders, names or ("Effusion",), condenser)

    def search(self, text: str, k: int = 8) -> list[Passage | Case]:
        retriever = Retriever(self.store, self.library, self.encoders, Selection(gamma=9.0, floor=0.1, k_max=k))
        return [item.content for item in retriever.retrieve(Query(text)).items]


@pytest.fixture
def desk(library: Library, store: MemoryStore, encoders: Encoders) -> Desk:
    desk = Desk(library, store, encoders)
    desk.add()
    return desk


def passages(found: Sequence[Passage | Case]) -> list[Passage]:
    return [content for content in found if isinstance(content, Passage)]


def texts(found: Sequence[Passage | Case]) -> list[str]:
    return [passage.text for passage in passages(found)]


def test_statements_lie_where_they_say_and_keep_their_sources_words(desk: Desk) -> None:
    (outcome,) = desk.refine(Scripted())
    assert (outcome.status, outcome.statements, outcome.passages) == ("refined", 2, 2)
    assert outcome.left_out == [(WRONG.text, 'has a number that no cited sentence has ("300 ml")')]
    document = refining.of_disease(desk.library, "effusion")
    assert document.text == (
        "# Effusion\n\n## Symptoms\n- A small effusion may cause no symptom.\n\n"
        "## Radiological or clinical findings\n- The costophrenic angle is blunted by an effusion.\n"
    )
    statements = desk.library.statements(document.id)
    assert {document.text[s.start : s.end] for s in statements} == {BLUNTS.text, SILENT.text}
    for said in statements:
        source = desk.library.passage(said.passage)
        assert said.quote in source.text
        assert (said.document, said.section) == (source.document, source.section)
    assert document.meta["domain"] == "chest_xray"
    assert document.meta["kind"] == "condensed"
    assert is_current(desk.library, desk.store, desk.encoders)


def test_what_was_condensed_says_so_and_comes_after_its_sources(desk: Desk) -> None:
    desk.refine(Scripted([BLUNTS]))
    found = passages(desk.search("effusion costophrenic angle"))
    assert [bool(passage.condensed_by) for passage in found] == [False, False, True]
    assert found[-1].source == "condensed by script (1), not reviewed by a person, from: Thoracic Society, 2023"
    assert found[-1].rests_on[0].quote == "Effusion blunts the costophrenic angle."
    assert all(not passage.rests_on for passage in found[:2])
    assert len(texts(desk.search("effusion costophrenic angle", k=2))) == 2  # and no place is taken from a source
    assert not any(passage.condensed_by for passage in passages(desk.search("effusion costophrenic angle", k=2)))


def test_a_source_that_says_the_same_stands_for_what_was_condensed(desk: Desk) -> None:
    desk.refine(Scripted([Claim("findings", "Effusion blunts the costophrenic angle.", (1, 2))]))
    desk.add("# Effusion\n\n- Effusion blunts the costophrenic angle.\n", "same.md")
    found = passages(desk.search("effusion costophrenic angle"))
    (same,) = [passage for passage in found if passage.text == "- Effusion blunts the costophrenic angle."]
    assert not same.condensed_by


def test_a_disease_is_refined_again_only_when_something_changed(desk: Desk) -> None:
    desk.refine(Scripted())
    again = Scripted()
    assert [outcome.status for outcome in desk.refine(again, "effusion", "EFFUSION")] == ["unchanged"]
    assert again.asked == []
    assert [outcome.status for outcome in desk.refine(Scripted(model="script (2)"))] == ["refined"]
    desk.add("# Effusion\n\nAn effusion is fluid.\n", "more.md")
    assert [outcome.status for outcome in desk.refine(Scripted(model="script (2)"))] == ["refined"]
    assert len(refining.condensed(desk.library)) == 1


def test_what_was_condensed_is_never_condensed(desk: Desk) -> None:
    desk.refine(Scripted())
    found = refining.found(desk.library, desk.store, desk.encoders, "Effusion")
    assert len(found) == 2
    assert not any(passage.condensed_by for passage in found)
    assert refining.named_by_cards(desk.library) == ["Effusion"]


def test_a_changed_source_takes_what_rests_on_it_out_of_the_search(desk: Desk) -> None:
    desk.refine(Scripted())
    assert BLUNTS.text in " ".join(texts(desk.search("effusion")))
    desk.add(CARD.format(source="Thoracic Society, 2023").replace("blunts", "fills"))
    document = refining.of_disease(desk.library, "Effusion")
    assert desk.library.stale() == {document.id}
    assert BLUNTS.text not in " ".join(texts(desk.search("effusion")))
    assert is_current(desk.library, desk.store, desk.encoders)  # the index leaves it out on purpose
    assert "stale" in refining.notes(desk.library)[document.file]
    assert refining.refined(desk.library, only_stale=True) == ["Effusion"]
    with pytest.raises(BadInput, match="--stale"):
        refining.accept(desk.library, "Effusion", "Dr A")

    claim = Claim("findings", "The costophrenic angle is filled by an effusion.", (1, 2))
    assert [outcome.status for outcome in desk.refine(Scripted([claim]))] == ["refined"]
    assert desk.library.stale() == set()
    assert claim.text in " ".join(texts(desk.search("effusion")))


def test_a_removed_source_counts_from_the_first_moment(desk: Desk) -> None:
    desk.refine(Scripted())
    (file,) = [file for file in desk.library.files() if file.name == "effusion.md"]
    desk.library.remove(file.id)  # the index is still the old one
    assert texts(desk.search("effusion")) == []
    remove_all = refining.of_disease(desk.library, "Effusion")
    rebuild(desk.library, desk.store, desk.encoders)
    assert [outcome.status for outcome in desk.refine(Scripted())] == ["nothing relevant found in the library"]
    assert remove(desk.library, desk.store, desk.encoders, remove_all.id) == 1


def test_a_newer_edition_of_a_source_makes_it_stale(desk: Desk) -> None:
    desk.refine(Scripted())
    (old,) = [document for document in desk.library.documents() if not document.meta.get("condensed_by")]
    desk.add("# Effusion, second edition\n\nAn effusion is fluid.\n", "newer.md")
    (newer,) = [document for document in desk.library.documents() if document.name == "newer.md"]
    desk.library._db.execute("UPDATE documents SET newer = ? WHERE id = ?", (newer.id, old.id))
    assert desk.library.stale() == {refining.of_disease(desk.library, "Effusion").id}


def test_what_a_person_reviewed_is_marked_until_it_changes(desk: Desk) -> None:
    with pytest.raises(NotFound, match="knowledge refine"):
        refining.accept(desk.library, "Effusion", "Dr A")
    desk.refine(Scripted())
    with pytest.raises(BadInput, match="--by"):
        refining.accept(desk.library, "Effusion", " ")
    refining.accept(desk.library, "Effusion", "Dr A")
    assert is_current(desk.library, desk.store, desk.encoders)
    document = refining.of_disease(desk.library, "Effusion")
    assert document.meta["reviewed_at"]
    (last,) = [p for p in passages(desk.search("effusion")) if p.section == HEADINGS["findings"]]
    assert last.reviewed_by == "Dr A"
    assert "reviewed by Dr A, from: Thoracic Society" in last.source
    desk.refine(Scripted(model="script (2)"))
    assert "reviewed_by" not in refining.of_disease(desk.library, "Effusion").meta


def test_nothing_that_passes_keeps_what_was_there(desk: Desk) -> None:
    desk.refine(Scripted())
    before = refining.of_disease(desk.library, "Effusion")
    (outcome,) = desk.refine(Scripted([WRONG], model="worse"))
    assert outcome.status == "nothing passed the checks; nothing was stored"
    assert refining.of_disease(desk.library, "Effusion") == before


def test_a_model_that_fails_again_and_again_ends_the_run(desk: Desk) -> None:
    down = Scripted(error=Unavailable("The engine is down."))
    with pytest.raises(Unavailable):
        desk.refine(down)
    with pytest.raises(Unavailable):
        desk.refine(down, "Effusion", "Effusion signs", "Effusion edge", "Effusion angle")
    assert len(down.asked) == 4
    assert refining.condensed(desk.library) == []


def test_one_failure_does_not_end_the_run(desk: Desk) -> None:
    class Once(Scripted):
        def condense(self, disease: str, shown: Sequence[Passage]) -> Answer:
            self.error = None if self.asked else Unavailable("Once.")
            return super().condense(disease, shown)

    outcomes = desk.refine(Once(), "Effusion signs", "Effusion")
    assert [outcome.status for outcome in outcomes] == ["failed: Once.", "refined"]


def test_one_at_a_time(desk: Desk) -> None:
    with exclusive(desk.library.home), pytest.raises(Busy):
        desk.refine(Scripted())


@pytest.mark.parametrize("name", ["", "  ", "...", "x" * 201, "a\x00b"])
def test_names_that_are_none(desk: Desk, name: str) -> None:
    with pytest.raises(BadInput, match="name of a disease"):
        desk.refine(Scripted(), name)


KILLED = """
import os, signal, sys
from pathlib import Path
from retrieval import refine as refining
from retrieval.library import Library
from retrieval.store.memory import MemoryStore
from retrieval.encoders.bundle import Encoders
from retrieval.index import rebuild
from retrieval.types import Statement
from tests.retrieval.conftest import WordEncoder
from tests.retrieval.test_refine import Scripted

class Dies:  # in the middle of the transaction
    def __iter__(self):
        yield Statement(0, 1, "p", "q")
        os.kill(os.getpid(), signal.SIGKILL)

library, store, encoders = Library(Path(sys.argv[1])), MemoryStore(), Encoders(WordEncoder("s"), WordEncoder("r"))
rebuild(library, store, encoders)
put = library.put_file
library.put_file = lambda file, content, statements: put(file, content, Dies())
refining.refine(library, store, encoders, ["Effusion"], Scripted(model="other"))
"""


def test_killed_in_the_middle_the_old_one_is_still_there(desk: Desk, home: Path) -> None:
    desk.refine(Scripted())
    before = refining.of_disease(desk.library, "Effusion")
    statements = desk.library.statements(before.id)
    done = subprocess.run([sys.executable, "-c", KILLED, str(home)], env=CHILD_ENV, capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    with Library(home) as library:
        assert refining.of_disease(library, "Effusion") == before
        assert library.statements(before.id) == statements
        assert library.stale() == set()


# The model's output is not trusted.

SOURCE = Passage("p", "d", "Effusion", "", "Effusion blunts the costophrenic angle. It is fluid.", 0, 52)
said = st.sampled_from(
    ["Effusion blunts the angle.", "It is fluid.", "# Treatment", "It is not fluid.", "Give 5 mg.", "x"]
)
claims = st.builds(
    Claim, st.sampled_from([*HEADINGS, "", "treatment", "# Notes"]), said | st.text(max_size=80),
    st.lists(st.integers(0, 4), max_size=3).map(tuple), st.booleans(),
)  # fmt: skip


@given(st.lists(claims, max_size=12))
def test_only_what_was_shown_and_asked_for_is_kept(written_claims: list[Claim]) -> None:
    kept, left_out = checked(Answer(tuple(written_claims), 1), [SOURCE, SOURCE])
    assert len(kept) + len(left_out) == len(written_claims)
    allowed = {claim.text for claim in written_claims if claim.whole and claim.numbers and set(claim.numbers) == {1}}
    assert {row.text for row in kept} <= allowed
    assert all(row.section in HEADINGS and row.support for row in kept)
    text, starts = written("Effusion", kept)
    assert [text[start : start + len(row.text)] for start, row in zip(starts, kept, strict=True)] == [
        r.text for r in kept
    ]
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert set(headings) <= {"# Effusion", *(f"## {heading}" for heading in HEADINGS.values())}
    assert len(headings) == len(set(headings))


def test_lengths_have_limits() -> None:
    words = [f"word{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(300)]
    source = Passage("p", "d", "T", "", " ".join(words), 0, 1)
    many = [Claim("symptoms", word, (1,)) for word in words]
    kept, left_out = checked(Answer(tuple(many), 1), [source])
    assert len(kept) == MAX_STATEMENTS
    assert {why for _, why in left_out} == {"is one too many"}
    long = [Claim("symptoms", " ".join(words[n : n + 40]), (1,)) for n in range(20)]
    kept, left_out = checked(Answer(tuple(long), 1), [source])
    assert sum(len(row.text.split()) for row in kept) <= MAX_WORDS
    assert {why for _, why in left_out} == {f"is beyond {MAX_WORDS} words"}
    twice = checked(Answer((many[0], many[0]), 1), [source])
    assert (len(twice[0]), twice[1]) == (1, [(words[0], "was said before")])
