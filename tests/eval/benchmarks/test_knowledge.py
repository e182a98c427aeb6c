"""What each arm is shown, over the real cards, the useless passages and a few cases."""

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest

from assistant.assistant import Assistant
from eval.benchmarks import hard
from eval.benchmarks.knowledge import (
    ADAPTIVE,
    ARMS,
    BESIDE,
    HELPFUL,
    MISLEADING,
    NONE,
    USELESS,
    USELESS_FILE,
    HardKnowledge,
    Within,
    classified,
    minus_best,
)  # fmt: skip
from eval.exam.benchmark import Answer, Said
from eval.exam.candidate import Candidate
from eval.exam.library import bundled_documents, phantom_cases
from eval.phantoms import FINDINGS
from retrieval.cases import read_plain
from retrieval.ingest import add_cases
from retrieval.legs import legs_of
from retrieval.types import Filter, Query
from tests.assistant.parts import make_assistant
from tests.eval.benchmarks.asking import small_films

ITEMS = list(HardKnowledge().items(40, 0))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assistant]:
    files = {path.name: path.read_bytes() for path in (*bundled_documents(), USELESS_FILE)}
    home = tmp_path_factory.mktemp("knowledge")
    assistant = make_assistant(home, lambda _: "[answer] Yes. [image]", documents=files)
    own = assistant.retriever
    add_cases(assistant.library, own.store, own.encoders, phantom_cases(home / "cases", 12), read_plain)
    yield assistant
    assistant.library.close()


def test_every_kind_of_knowledge_is_asked_about() -> None:
    whole = Counter(item.truth["knowledge"] for item in HardKnowledge().items(10_000, 0))
    assert whole == {USELESS: 252, MISLEADING: 252, HELPFUL: 168}
    assert all(item.references is None for item in ITEMS)
    assert {item.groups["knowledge"] for item in ITEMS} == {USELESS, MISLEADING, HELPFUL}


@pytest.mark.parametrize("kind", FINDINGS)
def test_what_a_record_is_depends_on_the_finding_and_a_case_on_the_answer(filled: Assistant, kind: str) -> None:
    yes, no = (classified(filled.library, kind, answer) for answer in (True, False))
    passages = {passage.id: passage for passage in filled.library.passages()}
    cases = {case.id: case for case in filled.library.cases()}
    assert {one: what for one, what in yes.items() if one in passages} == {
        one: what for one, what in no.items() if one in passages
    }
    for one, what in yes.items():
        other = {HELPFUL: MISLEADING, MISLEADING: HELPFUL}
        if one in cases:
            assert no[one] == other.get(what, what)
        else:
            assert what in (HELPFUL, USELESS, BESIDE)
            if what == USELESS:
                assert passages[one].domain != "chest_xray"
    assert sum(what == USELESS for what in yes.values()) >= 24
    assert HELPFUL in yes.values()


def test_within_a_store_only_what_is_allowed_is_found_and_no_less_of_it(filled: Assistant) -> None:
    own = filled.retriever
    assert own.store.manifest is not None
    ids = [passage.id for passage in filled.library.passages()]
    allowed = frozenset(ids[::7])
    query = Query("What does a pleural effusion look like?")
    legs = legs_of(query, query.text, own.encoders, own.store.manifest)
    hits = Within(own.store, allowed).search(legs, Filter())
    assert {hit.id for hit in hits} <= allowed
    dense = [hit for hit in hits if "text→passage" in hit.scores]
    assert len(dense) == min(legs[0].limit, len(allowed))  # also those that the whole store would not have reached


def test_each_arm_is_shown_what_it_should_be(filled: Assistant) -> None:
    benchmark, asked = HardKnowledge(), Counter[str]()
    with small_films(hard):
        for item in ITEMS[::5]:
            answers = asyncio.run(benchmark.sit(Candidate(filled), item))
            assert tuple(answers) == ARMS
            shown = {arm: len(answer.findings) for arm, answer in answers.items()}
            assert shown[NONE] == 0
            assert [shown[f"k={k}"] for k in (1, 3, 5)] == [1, 3, 5]
            assert shown[ADAPTIVE] <= filled.retriever.selection.k_max
            for answer in answers.values():
                assert set(answer.findings) <= {item.truth["knowledge"], USELESS, BESIDE}
            scores = benchmark.score(item, answers)
            assert scores["right, k=3"] == item.truth["answer"]  # this engine always says yes
            asked[item.truth["knowledge"]] += 1
    assert len(asked) == 3


def answer(text: str, *shown: str) -> Answer:
    said = (Said(section="answer", text=text, support="image"),)
    return Answer(status="answered", text=text, sentences=said, findings=shown)


def test_scores_and_figures_by_hand() -> None:
    benchmark, item = HardKnowledge(), ITEMS[0]
    right, wrong = ("Yes.", "No.") if item.truth["answer"] else ("No.", "Yes.")
    answers = {
        NONE: answer(wrong), "k=1": answer(right, MISLEADING), "k=3": answer(right, USELESS, HELPFUL, HELPFUL),
        "k=5": answer(wrong, BESIDE), ADAPTIVE: answer(right),
    }  # fmt: skip
    scores = benchmark.score(item, answers)
    assert [scores[f"right, {arm}"] for arm in ARMS] == [False, True, True, False, True]
    assert [scores[f"useless, {arm}"] for arm in ARMS] == [False, False, True, True, False]
    assert [scores[f"other organ, {arm}"] for arm in ARMS] == [False, False, True, False, False]
    assert scores["misleading, k=1"]
    figures = {name: figure([scores]) for name, figure in benchmark.figures.items()}
    assert figures["adaptive minus the best other"] == 0
    assert figures["passages and cases shown, k=3"] == 3
    worse = {**scores, f"right, {ADAPTIVE}": False}
    assert minus_best([scores, worse]) == -0.5
