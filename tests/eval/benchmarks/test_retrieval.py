"""Rankings against hand-computed values, and the real path over the bundled cards with encoders that compare words."""

import itertools
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from assistant.assistant import Assistant
from assistant.requests import AskRequest
from assistant.study import Picture, Study
from eval.benchmarks import retrieval
from eval.benchmarks.gold import CARD_OF, NORMAL_CARD, SHOWS, card_titles, gold_pairs
from eval.benchmarks.medquad import MedQuad
from eval.benchmarks.ranked import by_chance, measured
from eval.benchmarks.retrieval import ImageCase, ImagePassage, TextPassage, labels_of, shared
from eval.exam.benchmark import Answer, Item
from eval.exam.candidate import Candidate
from eval.ledger import CORPUS_SEEDS
from eval.phantoms import FINDINGS, make_phantom
from retrieval.cases import read_plain
from retrieval.encoders.bundle import Encoders
from retrieval.encoders.fake import FakeImageTextEncoder, FakeTextEncoder
from retrieval.errors import BadInput
from retrieval.ingest import add_cases, bundled_sources
from retrieval.types import Case
from tests.assistant.parts import make_assistant

ITEM = Item("1", {"relevant": {"a": 1.0, "b": 1.0}, "of": 5, "subject": ""}, lambda: None)  # type: ignore[arg-type]


def listed(*places: str) -> Answer:
    return Answer(status="answered", text="\n".join(places), retrieved=tuple(f"id-{n}" for n in range(len(places))))


@pytest.fixture(scope="module")
def over_cards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assistant]:
    cards = {Path(source.name).name: Path(str(source.data)).read_bytes() for source in bundled_sources()}
    assistant = make_assistant(tmp_path_factory.mktemp("cards"), ["[answer] Yes. [image]"], documents=cards)
    yield assistant
    assistant.library.close()


def test_one_ranking_by_hand() -> None:
    scores = ImagePassage().score(ITEM, {"image": listed("x", "x", "a", "y", "b"), "shown": listed("x", "b")})
    assert scores["recall@1, image"] == 0
    assert scores["recall@5, image"] == 1  # x counts once, so the order is x, a, y, b
    assert scores["MRR, image"] == 1 / 2
    assert scores["nDCG@10, image"] == pytest.approx((0.63093 + 0.43068) / (1 + 0.63093), abs=1e-4)
    assert scores["recall@5, shown"] == 1 / 2
    assert scores["wrong"] == 1 / 2
    assert scores["recall@1, chance"] == 1 / 5


def test_one_relevant_case_among_the_first_is_enough() -> None:
    scores = ImageCase().score(ITEM, {"image": listed("x", "a"), "shown": Answer(status="abstained", text="")})
    assert (scores["hit@1, image"], scores["hit@5, image"]) == (0, 1)
    assert (scores["hit@5, shown"], scores["shown"], scores["wrong"]) == (0, False, None)


@pytest.mark.parametrize("one_is_enough", [True, False])
def test_chance_is_the_mean_over_all_orders(one_is_enough: bool) -> None:
    gains = {"a": 2.0, "b": 1.0}
    every = [measured(order, gains, one_is_enough) for order in itertools.permutations("abcde")]
    means = {name: sum(one[name] for one in every) / len(every) for name in every[0]}
    assert by_chance(list(gains.values()), 5, one_is_enough) == pytest.approx(means)


def test_a_case_is_worth_more_the_more_it_shares() -> None:
    wanted = frozenset({"left effusion", "cardiomegaly"})
    assert shared(wanted, wanted) == 2
    assert shared(wanted, frozenset({"cardiomegaly"})) == 1
    assert shared(wanted, frozenset({"right effusion"})) == 0
    assert shared(frozenset(), frozenset()) == 2


def test_gold_names_sections_that_are_there(over_cards: Assistant) -> None:
    pairs = gold_pairs()
    there = {TextPassage().place(passage, over_cards.library) for passage in over_cards.library.passages()}
    assert {place for pair in pairs for place in pair.places} <= there
    answered = [pair for pair in pairs if pair.answers]
    assert len(answered) >= 90
    assert len(pairs) - len(answered) >= 15
    assert {card for pair in answered for card in pair.answers} == set(card_titles())
    assert len({pair.id for pair in pairs}) == len({pair.question for pair in pairs}) == len(pairs)
    assert {*CARD_OF.values(), NORMAL_CARD, *SHOWS} <= set(card_titles())
    assert set(CARD_OF) == set(FINDINGS)


def test_a_broken_gold_file_is_told_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl").write_text('{"id": "1", "question": "?", "answers": {}}\n{"id": "secret"}\n')
    with pytest.raises(BadInput, match=r"^pairs.jsonl, line 2") as error:
        gold_pairs(tmp_path / "pairs.jsonl")
    assert "secret" not in str(error.value)


def test_each_leg_is_told_and_no_engine_asked(over_cards: Assistant) -> None:
    request = AskRequest(study=Study(()), question="What are Light's criteria for an exudate?")
    answers = TextPassage().rank(over_cards, request)
    assert set(answers) == {"dense", "BM25", "fused", "shown"}
    assert answers["BM25"].text.splitlines()[0] == "pleural-effusion.md / Laboratory"
    ids = {passage.id for passage in over_cards.library.passages()}
    assert all(set(answer.retrieved) <= ids for answer in answers.values())
    assert len(answers["dense"].retrieved) > 20  # deeper than an answer looks
    assert 0 < len(answers["shown"].retrieved) <= over_cards.retriever.selection.k_max
    assert over_cards.engine.prompts == []  # type: ignore[attr-defined]


@pytest.mark.anyio
async def test_an_empty_library_finds_nothing_and_pads_nothing(tmp_path: Path) -> None:
    benchmark = TextPassage()
    empty = make_assistant(tmp_path / "empty", [""], documents={})
    answers = [await benchmark.sit(Candidate(empty), item) for item in benchmark.items(144, 0)]
    scores = [benchmark.score(item, answer) for item, answer in zip(benchmark.items(144, 0), answers, strict=True)]
    found = {name: figure(scores) for name, figure in benchmark.figures.items()}
    assert found["recall@10, fused"] == found["something shown"] == found["false evidence"] == 0
    empty.library.close()


def test_false_evidence_is_told_apart() -> None:
    unanswered = Item("1", {"relevant": {}, "subject": "other"}, ITEM.request)
    benchmark = TextPassage()
    padded = benchmark.score(unanswered, {"shown": listed("x")})
    silent = benchmark.score(unanswered, {"shown": listed()})
    figures = benchmark.figures
    assert figures["false evidence"]([padded, silent]) == 0.5
    assert figures["false evidence, other subject"]([padded, silent]) == 0.5
    assert padded["wrong"] is None


def test_image_queries_are_of_the_exam_() -> None:
    items = list(ImagePassage().items(6, 0))
    assert [item.id for item in items] == [item.id for item in ImagePassage().items(6, 0)]
    assert all(family != "train" for item in items for family, _ in item.phantoms)
    assert all(set(item.truth["relevant"]) <= set(card_titles()) for item in items)
    normal = [item for item in items if not item.truth["findings"]]
    assert all(list(item.truth["relevant"]) == [NORMAL_CARD] for item in normal)


def test_image_to_passage_over_the_cards(over_cards: Assistant) -> None:
    benchmark = ImagePassage()
    item = next(benchmark.items(1, 0))
    request = item.request()
    assert isinstance(request, AskRequest)
    answers = benchmark.rank(over_cards, request)
    assert set(answers["image"].text.splitlines()) <= set(card_titles())
    assert benchmark.score(item, answers)["recall@1, chance"] == pytest.approx(1 / len(card_titles()))


def test_a_query_finds_its_own_picture_among_the_cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval, "CASES", 5)
    benchmark = ImageCase()
    corpus = benchmark.corpus()
    assert corpus.cases is not None
    assistant = make_assistant(tmp_path / "home", [""], documents={})
    encoders = Encoders(FakeImageTextEncoder(), FakeTextEncoder(256))
    manifest = corpus.cases(tmp_path / "cases")
    add_cases(assistant.library, assistant.retriever.store, encoders, manifest, read_plain)
    phantom = make_phantom(CORPUS_SEEDS[3], size=512)
    brighter = Picture(np.clip(phantom.pixels.astype(int) + 3, 0, 255).astype(np.uint8), "DX", "PA")
    answers = benchmark.rank(assistant, AskRequest(study=Study((brighter,)), question=retrieval.OPEN))
    assistant.library.close()
    wanted = {case: shared(labels_of(phantom), labels) for case, labels in retrieval.case_labels(5).items()}
    item = Item("1", {"relevant": {case: gain for case, gain in wanted.items() if gain}, "of": 5}, ITEM.request)
    assert answers["image"].text.splitlines()[0] == f"train-{CORPUS_SEEDS[3]}"
    assert benchmark.score(item, answers)["hit@1, image"] == 1


def test_a_case_is_known_by_the_phantom_it_is() -> None:
    case = Case("id", "0" * 64, "", source="Synthetic study, family train, seed 40000003")
    assert ImageCase().place(case, None) == "train-40000003"  # type: ignore[arg-type]


def medquad(folder: Path, questions: list[dict[str, object]]) -> Path:
    documents = [
        {"id": "d1", "title": "Gout", "section": "treatment", "text": "Gout is treated with colchicine."},
        {"id": "d2", "title": "Asthma", "section": "symptoms", "text": "Asthma causes wheezing at night."},
    ]
    (folder / "medquad.jsonl").write_text("".join(json.dumps(row) + "\n" for row in documents))
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in questions))
    return folder


def test_medquad_ranks_documents(tmp_path: Path) -> None:
    questions = [{"id": "q1", "question": "How is gout treated?", "relevant_ids": ["d1"], "section": "treatment"}]
    benchmark = MedQuad(medquad(tmp_path, questions))  # type: ignore[arg-type]
    corpus = benchmark.corpus()
    assert corpus.documents is not None
    documents = {path.name: path.read_bytes() for path in corpus.documents()}
    assistant = make_assistant(tmp_path / "home", [""], documents=documents)
    item = next(benchmark.items(5, 0))
    request = item.request()
    assert isinstance(request, AskRequest)
    scores = benchmark.score(item, benchmark.rank(assistant, request))
    assert scores["recall@1, BM25"] == scores["recall@1, dense"] == scores["nDCG@10, fused"] == 1
    assert scores["recall@1, plain BM25"] == 1
    assert benchmark.place(next(assistant.library.passages()), assistant.library) == "d1"
    assistant.library.close()


def test_medquad_searches_all_texts_beside_the_questions(tmp_path: Path) -> None:
    benchmark = MedQuad(medquad(tmp_path, []))
    (tmp_path / "more.jsonl").write_text('{"id": "m1", "title": "Gout", "section": "causes", "text": "Urate."}\n')
    (tmp_path / "notes.txt").write_text("Gout.")
    assert [path.name for path in benchmark.documents()] == ["medquad.jsonl", "more.jsonl"]
    assert set(benchmark.plain.scores("gout")) == {"d1", "m1"}


def test_medquad_says_which_leg_found_what_and_how_far_above_plain_bm25() -> None:
    item = Item("1", {"relevant": {"a": 1.0, "b": 1.0}}, ITEM.request)
    answers = {
        "fused": listed("a", "b"), "dense": listed("b", "x"), "BM25": listed("b", "a"), "shown": listed("a"),
        "plain BM25": listed("x", "a"),
    }  # fmt: skip
    scores = MedQuad().score(item, answers)
    assert scores["recall@5, fused − plain BM25"] == 0.5
    assert scores["nDCG@10, fused − BM25"] == 0
    shares = {name: figure([scores]) for name, figure in MedQuad().figures.items() if "found by" in name}
    assert list(shares.values()) == [0.5, 0, 0.5, 0]  # b by both, a by BM25 alone
    assert math.isnan(MedQuad().figures["of the relevant in the first 5, found by both"]([]))


def test_medquad_tells_what_is_wrong_by_its_line(tmp_path: Path) -> None:
    benchmark = MedQuad(medquad(tmp_path, [{"id": "q1", "question": "?"}]))  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=r"questions.jsonl, line 1, has no list 'relevant_ids'"):
        list(benchmark.items(5, 0))
