"""On a small library with fake encoders: a question about a card's subject shares words with it, any other none."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from assistant.assistant import Assistant
from assistant.engines.base import Prompt
from assistant.study import Picture
from eval.calibration.fit import How, LegFit, fit
from eval.calibration.questions import Data, Question
from eval.phantoms import make_phantom
from retrieval.errors import BadInput
from retrieval.types import Fitted
from tests.assistant.parts import make_assistant

SUBJECTS = ("effusion", "nodule", "cardiomegaly", "oedema", "atelectasis", "pneumothorax", "emphysema", "fibrosis")
STRANGERS = ("eczema", "cataract", "gallstones", "migraine", "psoriasis", "appendicitis")
WAYS = ("Is there {}?", "What does {} look like?", "How is {} treated?")
NO_ANSWERS = How(3, False, 0.2, 0.1)
CARDS = {f"{name}.md": f"# {name}\n\nPatients with {name} improve slowly. See {name}.\n".encode() for name in SUBJECTS}


def quiet(phase: str, done: int, total: int) -> None:
    """Nobody watches."""


def picture(seed: int) -> Picture:
    return Picture(make_phantom(seed, size=128).pixels)


def data(*more: Question) -> Data:
    known = [
        Question(f"{n}-{w}", way.format(n), frozenset([f"{n}.md"])) for n in SUBJECTS for w, way in enumerate(WAYS)
    ]
    other = [Question(f"{n}-{w}", way.format(n), frozenset()) for n in STRANGERS for w, way in enumerate(WAYS)]
    return Data("ours", (*known, *other, *more))


def closed(n: int) -> list[Question]:
    return [
        Question(f"closed-{seed}", "Is there effusion?", frozenset(), partial(picture, seed % 2), True, judged=False)
        for seed in range(n)
    ]


def fitted(
    home: Path, asked: Data, how: How = NO_ANSWERS, answers: list[str] | Callable[[Prompt], str] | None = None
) -> tuple[Fitted, dict[str, LegFit], Assistant]:
    assistant = make_assistant(home, answers or [""], documents=CARDS)
    return *asyncio.run(fit(assistant, asked, how, quiet)), assistant


def test_what_is_fitted_keeps_the_useless_out(tmp_path: Path) -> None:
    found, legs, assistant = fitted(tmp_path, data())
    assert legs.keys() == {"bm25", "text→passage"}
    assert found.legs.keys() == {"text→passage"}  # BM25 found nothing that isn't relevant: what is in force stays
    assert found.told["identities"] == assistant.retriever.identities
    assert found.told["data"] == {"name": "ours", "n": 42, "sha256": data().sha256}
    assert found.ks is None
    for mode, worth in found.told["stop"]["fitted"].items():
        assert worth["F1"] >= 0.9, mode
        assert worth["false evidence"] == 0, mode
    assert found.told["legs"]["bm25"] == {"n": 24, "relevant": 24}
    assert 0 <= found.told["legs"]["text→passage"]["brier"] < 0.1


def test_an_encoder_that_learnt_from_the_questions_keeps_its_curve(tmp_path: Path) -> None:
    found, legs, _ = fitted(tmp_path, replace(data(), learnt=frozenset(["text→passage"])))
    assert found.legs == {}
    assert legs["text→passage"].curve is not None


def test_curves_that_make_it_worse_are_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    never = LegFit((1.0, -1e3), np.full(1, np.nan), np.ones(1, bool))
    monkeypatch.setattr("eval.calibration.fit.fit_legs", lambda *_: {"bm25": never, "text→passage": never})
    found, _, _ = fitted(tmp_path, data())
    assert found.legs == {}
    assert found.told["stop"]["fitted"]["log-ratio"]["F1"] > 0.5


def test_numbers_of_contexts_are_trusted_when_the_model_is_right(tmp_path: Path) -> None:
    how = How(2, True, 0.4, 0.1)
    right, _, assistant = fitted(tmp_path / "a", data(*closed(30)), how, lambda _: "[answer] Yes. [image]")
    assert right.ks == (1, 2)
    assert right.told["ks"]["wrong"] == {"1": 0.0, "2": 0.0}
    assert "With 1 or 2 contexts at most 40%" in right.told["ks"]["promise"]
    assert right.told["ks"]["model_hash"] == asyncio.run(assistant.engine.info()).model_hash
    wrong, _, _ = fitted(tmp_path / "b", data(*closed(30)), how, lambda _: "[answer] No. [image]")
    assert wrong.ks == ()
    assert "would show none" in wrong.told["ks"]["promise"]


def test_what_can_not_be_fitted_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--no-answers"):
        fitted(tmp_path / "a", data(), How(2, True, 0.2, 0.1))
    with pytest.raises(BadInput, match="names anything relevant"):
        fitted(tmp_path / "b", Data("none", data().questions[-5:]))
    with pytest.raises(BadInput, match="no document"):
        fitted(tmp_path / "c", data(Question("q", "Why?", frozenset(["asthma.md"]))))
    with pytest.raises(BadInput, match="consult knowledge add"):
        asyncio.run(fit(make_assistant(tmp_path / "d", [""], documents={}), data(), NO_ANSWERS, quiet))
