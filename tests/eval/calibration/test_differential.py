"""The differential on phantoms: right when its reader is, and moved only by what bears on the disease."""

import asyncio
from contextlib import aclosing
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assistant.assistant import Assistant
from assistant.diagnosis.names import plain
from assistant.diagnosis.ranking import FEATURES, bundled_weights
from assistant.engines.fake import FakeEngine
from assistant.events import Differential
from assistant.requests import DiagnoseRequest
from assistant.study import Study
from eval.benchmarks.common import picture_of
from eval.benchmarks.diagnosis import story
from eval.calibration.differential import fit, measure, sit, validation
from eval.calibration.phantom_cards import phantom_cards
from eval.calibration.reader import SimulatedReader
from eval.phantoms import Phantom, make_phantom
from eval.phantoms.criteria import DISEASES, diagnosis
from retrieval.cards import FOLDER
from tests.assistant.diagnosis.cards import NO_SCORES, reader
from tests.assistant.parts import make_assistant, study

IRRELEVANT = (
    "She keeps two cats.", "He works as a baker.", "Her father had a cough.", "He is left-handed.",
    "The garden was renewed in 1998.", "She speaks four languages.",
)  # fmt: skip
MORE = st.lists(st.sampled_from(IRRELEVANT), min_size=1, max_size=3)
QUIET = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))


@cache
def phantom(seed: int) -> Phantom:
    return make_phantom(seed, size=64)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Assistant:
    """Without documents: all that is ranked was asked for."""
    return make_assistant(tmp_path_factory.mktemp("empty"), [""], documents={})


def differential(assistant: Assistant, request: DiagnoseRequest) -> Differential:
    async def one() -> Differential:
        async with aclosing(assistant.run(request)) as events:
            (found,) = [event async for event in events if isinstance(event, Differential)]
            return found

    return asyncio.run(one())


def told_of(assistant: Assistant, case: Any, history: str) -> Differential:
    """With a reader that knows the truth of `case`."""
    assistant.engine, assistant.cards = SimulatedReader(case, history), lambda: phantom_cards(phantom(1))
    picture = picture_of(make_phantom(1, size=256))
    return differential(assistant, DiagnoseRequest(study=Study((picture,)), history=history, candidates=DISEASES))


@QUIET
@given(seed=st.integers(0, 400), more=MORE, first=st.booleans())
def test_irrelevant_history_changes_nothing(empty: Assistant, seed: int, more: list[str], first: bool) -> None:
    history = story(phantom(seed))[0]
    longer = " ".join([*more, history] if first else [history, *more])
    before, after = told_of(empty, phantom(seed), history), told_of(empty, phantom(seed), longer)
    assert [(c.name, c.score) for c in after.candidates] == [(c.name, c.score) for c in before.candidates]
    assert after.verdict == before.verdict


@QUIET
@given(seed=st.integers(0, 400))
def test_without_the_decisive_finding_another_leads_or_none(empty: Assistant, seed: int) -> None:
    case, history = phantom(seed), story(phantom(seed))[0]
    if not diagnosis(case):
        return
    before = told_of(empty, case, history)
    top = plain(before.candidates[0].name)
    assert top in diagnosis(case)
    without = SimpleNamespace(findings=(), devices=(), age=case.age, sex=case.sex, seed=case.seed)
    kept = [f for f in case.findings if top not in diagnosis(SimpleNamespace(**{**vars(without), "findings": (f,)}))]
    rest = SimpleNamespace(**{**vars(without), "findings": tuple(kept)})
    if top != "tube malposition":
        rest.devices = case.devices
    after = told_of(empty, rest, history)
    assert plain(after.candidates[0].name) != top or after.verdict == "not enough to tell"


def test_the_machinery_is_right_when_its_reader_is() -> None:
    rows = asyncio.run(sit(validation(40), errs=0.0))
    told = measure(rows, bundled_weights())
    assert told["criteria macro-F1"] == told["top-1"] == told["right when said to lead"] == 1.0
    assert told["of them not enough to tell"] == 1.0


def test_without_scores_the_order_of_naming_serves() -> None:
    told = measure(asyncio.run(sit(validation(20), errs=0.0, scores=False)), bundled_weights())
    assert told["criteria macro-F1"] == told["top-1"] == 1.0


def test_what_is_fitted_trusts_what_speaks_for_and_not_what_speaks_against() -> None:
    weights = fit(asyncio.run(sit(validation(60), errs=0.2)), {})
    signs = {name: weights.coefficients[name] > 0 for name in FEATURES}
    assert signs == dict(zip(FEATURES, (True, False, True, False, True), strict=True))
    assert 0 <= weights.floor < 1


def test_an_erring_reader_is_noticed() -> None:
    told = measure(asyncio.run(sit(validation(40), errs=0.5)), bundled_weights())
    assert told["criteria macro-F1"] < 0.9
    assert told["top-1"] < 1.0


@pytest.mark.parametrize("more", IRRELEVANT)
def test_irrelevant_history_changes_no_leader_among_the_bundled_cards(bundled: Assistant, more: str) -> None:
    bundled.engine = FakeEngine(reader(["opacity", "shadowing"], ["Pneumonia"]), info=NO_SCORES)
    history = "A 60-year-old man with cough and fever. C-reactive protein 180 mg/L."
    before, after = (
        differential(bundled, DiagnoseRequest(study=study(), history=told)) for told in (history, f"{history} {more}")
    )
    assert before.candidates[0].name == after.candidates[0].name == "Community-acquired pneumonia"


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Assistant:
    documents = {path.name: path.read_bytes() for path in sorted(FOLDER.glob("*.md")) if path.name != "README.md"}
    return make_assistant(tmp_path_factory.mktemp("bundled"), [""], documents=documents)
