"""Image quality: the model's answers and the gate's defects are two things, and the figures tell each."""

from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from assistant.requests import AskRequest
from eval.benchmarks.quality import FIT, HOW, WHAT, Quality, cases
from eval.exam.benchmark import Answer, Item, Row
from eval.phantoms.faults import FAULTS, SEVERITY, STATES
from tests.eval.benchmarks.asking import Says, abstains, figures_of, perfect, rows_of

N = 8
WHAT_FIGURE, HOW_FIGURE = "what: accuracy (chance .25)", "how: accuracy (chance .33)"


def answers(item: Item) -> dict[str, str]:
    truth = item.truth
    told = {
        FIT: "Yes, the image quality is sufficient." if truth["fit"] else "No, the image quality is not sufficient."
    }
    if truth["fault"]:
        told |= {WHAT: f"The picture is {STATES[truth['fault']]}.", HOW: f"It is {SEVERITY[truth['grade']]}."}
    return told


def knowing(items: list[Item]) -> Says:
    def all_of(item: Item) -> list[tuple[AskRequest, str]]:
        study = item.request().study
        questions, told = item.truth["questions"], answers(item)
        return [(AskRequest(study=study, question=questions[k]), f"[answer] {told[k]} [image]") for k in questions]

    return perfect(pair for item in items for pair in all_of(item))


@pytest.mark.anyio
async def test_engines_with_known_faults(tmp_path: Path) -> None:
    items = list(Quality().items(N, 0))
    assert {item.truth["fit"] for item in items} == {True, False}
    engines = {"perfect": knowing(items), "yes": lambda prompt: "[answer] Yes. [image]", "abstains": abstains}
    expected = {"perfect": (1, 1, 1, 1), "yes": (0.5, 0, 0, 1), "abstains": (0, 0, 0, 0)}
    gates = []
    for name, says in engines.items():
        found = figures_of(Quality(), await rows_of(Quality(), items, says, tmp_path / name))
        told = (found[Quality.headline], found[WHAT_FIGURE], found[HOW_FIGURE], found["fit to be read: answered"])
        assert told == expected[name]
        gates.append({key: value for key, value in found.items() if key.startswith("gate: s")})
    assert str(gates[0]) == str(gates[1]) == str(gates[2])  # nan and all: the gate doesn't listen to the model


def test_the_gate_is_scored_by_what_it_noticed() -> None:
    benchmark = Quality()
    items = {(i.truth["fault"], i.truth["grade"]): i for i in benchmark.items(30, 0)}
    seen = [(("blur", 3), ("blurred",)), (("noise", 3), ("blurred",)), (("cut-off", 2), ()), ((None, None), ())]
    rows = []
    for case, defects in seen:
        asked = {name: Answer(status="answered", text="", defects=defects) for name in (FIT, WHAT, HOW)}
        rows.append(benchmark.score(items[case], asked))
    found = {name: figure(rows) for name, figure in benchmark.figures.items()}
    assert found["gate: sensitivity"] == pytest.approx(2 / 3)
    assert found["gate: specificity"] == 1
    assert found["gate: names the fault"] == pytest.approx(1 / 3)
    assert found["gate: sensitivity, blur"] == 1
    assert found["gate: sensitivity, cut-off"] == 0
    assert found["gate: notices grade 3 (severe)"] == 1
    assert found["gate: notices grade 2 (moderate)"] == 0


def test_thirty_pictures_hold_every_fault_at_every_grade_and_half_are_fit() -> None:
    drawn = list(islice(cases(0), 30))
    assert Counter(fault and fault.kind for fault in drawn) == Counter({**dict.fromkeys(FAULTS, 3), None: 6})
    assert sum(not (fault and fault.changes_reading) for fault in drawn) == 15
    assert drawn == list(islice(cases(0), 30)) != list(islice(cases(1), 30))


def test_a_question_names_its_choices_and_the_true_one_is_among_them() -> None:
    faulty = [item for item in Quality().items(20, 0) if item.truth["fault"]]
    for item in faulty:
        choices = item.truth["choices"]
        assert len(set(choices)) == 4
        assert STATES[item.truth["fault"]] in choices
        assert all(choice in item.truth["questions"][WHAT] for choice in choices)
    places = {item.truth["choices"].index(STATES[item.truth["fault"]]) for item in faulty}
    assert places == {0, 1, 2, 3}


def test_the_gate_is_drawn_by_fault_and_grade(tmp_path: Path) -> None:
    rows = [Row(id="1", scores={"fault": None, "grade": None, "noticed": False})]
    (drawn,) = Quality().draw(rows, tmp_path)
    assert drawn.read_bytes().startswith(b"\x89PNG")
    assert Quality().draw([], tmp_path) == []
