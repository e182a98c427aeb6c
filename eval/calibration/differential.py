"""The weights by which a differential is ranked, fitted on validation phantoms and measured on held-out families.

    python -m eval.calibration.differential --n 400 --errs 0.15 --out assistant/diagnosis/weights.json

Every study goes the whole way of a request, `Assistant.run`, with a reader that knows the truth and errs at a stated
rate (`reader`): the weights say how far a checklist is to be trusted when its readings are not, and depend on no model.
Fitted is a logistic regression of "the study shows this disease" on the features of `assistant.diagnosis.ranking`.
"""

import asyncio
import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from assistant.assistant import Assistant
from assistant.diagnosis.names import plain
from assistant.diagnosis.ranking import FEATURES, Weights, bundled_weights, features, ranked, verdict
from assistant.events import Differential
from assistant.requests import DiagnoseRequest
from assistant.study import Study
from eval.benchmarks.common import TRUTH_SIZE, picture_of
from eval.benchmarks.diagnosis import PLACE, story
from eval.benchmarks.phantom_items import drawn
from eval.calibration.phantom_cards import phantom_cards
from eval.calibration.reader import SimulatedReader
from eval.metrics.criteria import criteria_macro_f1
from eval.phantoms import TRAINING_FAMILIES, Phantom, make_phantom
from eval.phantoms.criteria import DISEASES, criteria, diagnosis
from retrieval.encoders.bundle import Encoders
from retrieval.encoders.fake import FakeImageTextEncoder, FakeTextEncoder
from retrieval.library import Library
from retrieval.retriever import Retriever
from retrieval.store.memory import MemoryStore

FIRST_SEED = 640_000  # of validation: training and the exam draw elsewhere
RIGHT_AT_FLOOR, RIGHT_AT_TIE = 0.5, 0.75  # how often the first must be right, for its score and its lead to count


@dataclass(frozen=True, slots=True)
class Row:
    """One study: its differential, and what is true of it."""

    found: Differential
    diseases: tuple[str, ...]
    states: Mapping[str, str]  # criterion → state, history known


def validation(n: int) -> Iterable[Phantom]:
    """Studies from families of training, with seeds of their own."""
    for at in range(n):
        yield make_phantom(FIRST_SEED + at, size=TRUTH_SIZE, family=TRAINING_FAMILIES[at % len(TRAINING_FAMILIES)])


async def sit(phantoms: Iterable[Phantom], errs: float, *, scores: bool = True) -> list[Row]:
    """Their differentials, with all diseases as candidates in an order of their own."""
    picture = picture_of(make_phantom(FIRST_SEED, size=256))  # one for all: the reader doesn't look
    rows = []
    with tempfile.TemporaryDirectory() as home, Library(Path(home)) as library:
        retriever = Retriever(MemoryStore(), library, Encoders(FakeImageTextEncoder(), FakeTextEncoder(64)))
        for phantom in phantoms:
            told, order = story(phantom)
            wanted = tuple(name for name in order if name in DISEASES)
            reader, cards = SimulatedReader(phantom, told, errs, scores=scores), phantom_cards(phantom)
            assistant = Assistant(reader, retriever, cards=lambda cards=cards: cards)  # type: ignore[misc]
            request = DiagnoseRequest(study=Study((picture,)), history=told, candidates=wanted)
            async with aclosing(assistant.run(request)) as events:
                (found,) = [event async for event in events if isinstance(event, Differential)]
            states = {line.text: line.state for lines in criteria(phantom, told).values() for line in lines}
            rows.append(Row(found, diagnosis(phantom), states))
    return rows


def fit(rows: Sequence[Row], told: dict[str, Any]) -> Weights:
    from sklearn.linear_model import LogisticRegression

    every = [(c, plain(c.name) in row.diseases) for row in rows for c in row.found.candidates]
    x = np.array([[features(c.criteria, c.standing)[name] for name in FEATURES] for c, _ in every])
    model = LogisticRegression(C=1.0).fit(x, [true for _, true in every])
    coefficients = {name: round(float(value), 4) for name, value in zip(FEATURES, model.coef_[0], strict=True)}
    weights = Weights(round(float(model.intercept_[0]), 4), coefficients, 0.0, 0.0, told)
    again = [(ranked(row.found.candidates, weights), row) for row in rows]
    firsts = [(found[0], found[0].score - found[1].score, row) for found, row in again]
    floor = _until([(first.score, plain(first.name) in row.diseases) for first, _, row in firsts], RIGHT_AT_FLOOR)
    leads = [(lead, plain(first.name) in row.diseases) for first, lead, row in firsts if row.diseases]
    tie = _until(leads, RIGHT_AT_TIE)
    return Weights(weights.bias, coefficients, tie, floor, told)


def measure(rows: Sequence[Row], weights: Weights) -> dict[str, float | int]:
    """Top-1 and top-3 over studies with a disease, any that is there counts; criteria pooled over all checklists."""
    healthy = [verdict(ranked(row.found.candidates, weights), weights)[0] for row in rows if not row.diseases]
    truth, said = zip(*_states(rows), strict=True)
    rows = [row for row in rows if row.diseases]
    again = [ranked(row.found.candidates, weights) for row in rows]
    top = [[plain(c.name) in row.diseases for c in some] for row, some in zip(rows, again, strict=True)]
    judged = [verdict(some, weights)[0] for some in again]
    leads = [right[0] for right, one in zip(top, judged, strict=True) if one == "leads"]
    return {
        "studies": len(rows),
        "top-1": round(float(np.mean([right[0] for right in top])), 4),
        "top-3": round(float(np.mean([any(right[:3]) for right in top])), 4),
        "said to lead": round(len(leads) / len(rows), 4),
        "right when said to lead": round(float(np.mean(leads)), 4) if leads else float("nan"),
        "healthy studies": len(healthy),
        "of them not enough to tell": round(healthy.count("not enough to tell") / max(len(healthy), 1), 4),
        "criteria": len(truth),
        "criteria macro-F1": round(criteria_macro_f1(truth, said), 4),
    }


def _states(rows: Sequence[Row]) -> Iterable[tuple[str, str]]:
    for row in rows:
        for candidate in row.found.candidates:
            for line in candidate.criteria:
                yield row.states[line.text], line.state


def _until(pairs: Sequence[tuple[float, bool]], wanted: float) -> float:
    """The largest value at which, by isotonic regression, fewer than `wanted` are right; 0 where that is never so."""
    from sklearn.isotonic import IsotonicRegression

    values, right = (np.array(column, dtype=float) for column in zip(*sorted(pairs), strict=True))
    share = IsotonicRegression(y_min=0, y_max=1).fit_transform(values, right)
    return round(float(max(values[share < wanted], default=0.0)), 4)


def main(
    n: Annotated[int, typer.Option(min=50, help="Validation phantoms to fit on.")] = 400,
    exam: Annotated[int, typer.Option(min=20, help="Held-out phantoms to measure on.")] = 200,
    errs: Annotated[float, typer.Option(min=0.0, max=0.6, help="How often the simulated reader is wrong.")] = 0.15,
    out: Annotated[
        Path | None, typer.Option(help="Write the weights here; without it only measure those in use.")
    ] = None,
) -> None:
    """Fit the weights of the differential and say how good they are, with a reader that errs and one that doesn't."""
    weights = bundled_weights() if out is None else fit(asyncio.run(sit(validation(n), errs)), {})
    told: dict[str, Any] = {"fitted on": f"{n} validation phantoms, a simulated reader that errs at {errs}"}
    for rate in (0.0, errs, 2 * errs):
        held = [phantom for _, phantom in zip(range(exam), drawn(PLACE, 0), strict=False)]
        told[f"held-out families, reader errs at {rate:g}"] = measure(asyncio.run(sit(held, rate)), weights)
    raw = {"bias": weights.bias, "coefficients": dict(weights.coefficients), "tie": weights.tie, "floor": weights.floor}
    text = json.dumps({**raw, "told": told}, indent=1, ensure_ascii=False) + "\n"
    if out:
        out.write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    typer.run(main)
