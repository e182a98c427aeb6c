"""A whole build by fakes: balanced, apart by patient, resumed after a kill, and never of what the exam asks."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from assistant.engines.base import Prompt
from assistant.engines.fake import FakeEngine
from assistant.errors import EngineDown
from eval.errors import LeakFound
from eval.phantoms import make_phantom
from finetune.errors import BadInput, Problem, WrongData
from finetune.preferences.answers import Answers, Speaker
from finetune.preferences.balance import apart, in_turn, key_of, without_duplicates
from finetune.preferences.build import Voices, build
from finetune.preferences.pair import Pair, read_pairs
from finetune.preferences.phantoms import FIRST_SEED, samples
from finetune.preferences.plan import Plan
from finetune.preferences.region import Region
from finetune.preferences.typed import Facts, asked_of
from retrieval.cases import read_plain
from retrieval.encoders.bundle import Encoders
from retrieval.encoders.fake import FakeImageTextEncoder, FakeTextEncoder
from retrieval.ingest import add_cases
from retrieval.library import Library
from retrieval.store.memory import MemoryStore
from tests.finetune.preferences.parts import READER, read
from tests.finetune.preferences.test_pair import line


def plan_of(**told: Any) -> Plan:
    common = {
        "recipes": ["typed", "lesion"],
        "n": 8,
        "model": "fake",
        "phantoms": 4,
        "first_seed": FIRST_SEED,
        "size": 64,
    }
    return Plan.model_validate({**common, **told})


def built(folder: Path, plan: Plan, voices: Voices | None = None) -> tuple[dict[str, Any], list[Pair]]:
    (folder / "home").mkdir(parents=True, exist_ok=True)
    summary = asyncio.run(build(plan, voices or Voices(READER), folder / "home", folder / "out"))
    problems: list[Problem] = []
    pairs = read_pairs(folder / "out" / "pairs.jsonl", problems.append)
    assert not problems
    return summary, pairs


def test_a_build_gives_what_was_asked_for(tmp_path: Path) -> None:
    summary, pairs = built(tmp_path, plan_of(validation=0.5))
    assert summary["made"] == {"typed": 4, "lesion": 4}
    assert Counter(pair.source for pair in pairs) == {"hallucination": 4, "lesion": 4}
    assert len({pair.finding for pair in pairs}) > 2
    sides: dict[str, set[str]] = {}
    for pair in pairs:
        sides.setdefault(pair.patient, set()).add(pair.split)
        assert pair.weight == 1
        assert pair.weighed_by == "none"
        assert pair.patient.startswith("family train")
    assert all(len(splits) == 1 for splits in sides.values())
    assert summary["splits"].keys() == {"train", "val"}
    assert built(tmp_path / "again", plan_of(validation=0.5))[1] == pairs


def sure(prompt: Prompt) -> str:
    return "0.4" if "wrong answer" in read(prompt) else f"[answer] Yes. [image] {prompt.sampling.seed % 2}"


def test_killed_at_any_answer_it_goes_on_to_the_same_pairs(tmp_path: Path) -> None:
    plan = plan_of(recipes=["typed", "sampled"], n=6, judges=["fake"])

    def voices(folder: Path, engine: FakeEngine) -> Voices:
        speaker = Speaker(engine, Answers(folder / "out" / "answers.jsonl"))
        return Voices(READER, speaker, (speaker,))

    whole = FakeEngine(sure)
    _, undisturbed = built(tmp_path / "a", plan, voices(tmp_path / "a", whole))
    asked = len(whole.prompts)
    assert asked > 8
    for limit in (1, 5):
        count = 0

        def dying(prompt: Prompt, limit: int = limit) -> str:
            nonlocal count
            count += 1
            if count > limit:
                raise EngineDown("killed")
            return sure(prompt)

        with pytest.raises(EngineDown):
            built(tmp_path / "b", plan, voices(tmp_path / "b", FakeEngine(dying)))
        assert not (tmp_path / "b" / "out" / "pairs.jsonl").exists()
    with (tmp_path / "b" / "out" / "answers.jsonl").open("a") as file:
        file.write('{"key": "half')
    rest = FakeEngine(sure)
    _, resumed = built(tmp_path / "b", plan, voices(tmp_path / "b", rest))
    assert resumed == undisturbed
    assert len(rest.prompts) == asked - 6
    with pytest.raises(BadInput, match=r"plan\.n was 6, is 7"):
        built(tmp_path / "b", plan.model_copy(update={"n": 7}), voices(tmp_path / "b", rest))


def write_data(folder: Path, *lines: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60)).astype(np.uint8)).save(folder / "a.png")
    path = folder / "data.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return path


REAL = {
    "image": "a.png", "task": "report", "patient": "Doe", "modality": "DX", "view": "PA", "standard_display": True,
    "report": {"lungs": "There is a left nodule of 8 mm."},
}  # fmt: skip


def test_own_data_gives_pairs_by_its_words_and_its_boxes(tmp_path: Path) -> None:
    data = write_data(tmp_path, {**REAL, "box": [10, 5, 30, 20]})
    _, pairs = built(tmp_path, plan_of(phantoms=0, data=[data], n=2))
    typed, lesion = pairs
    assert typed.chosen == "[lungs] There is a left nodule of 8 mm. [image]"
    assert lesion.chosen == lesion.rejected == typed.chosen
    assert "Doe" not in (tmp_path / "out" / "pairs.jsonl").read_text()
    was, now = (np.asarray(Image.open(tmp_path / "out" / name[0])) for name in (lesion.images, lesion.rejected_images))
    rows, columns = np.nonzero(was != now)
    assert (columns.min(), rows.min(), columns.max(), rows.max()) == (10, 5, 29, 19)


def test_a_finder_of_regions_and_its_confidence_plug_in(tmp_path: Path) -> None:
    data = write_data(tmp_path, REAL, {**REAL, "task": "ask", "question": "A nodule?", "answer": "Yes.", "report": {}})
    heat = np.zeros((4, 6), np.float32)
    heat[1, 1] = 1
    (tmp_path / "home").mkdir()
    confidences = iter((0.2, 0.9))
    finders = [lambda case: Region(heat=heat, confidence=next(confidences))]
    plan = plan_of(phantoms=0, data=[data], n=2, recipes=["lesion"])
    asyncio.run(build(plan, Voices(READER), tmp_path / "home", tmp_path / "out", finders=finders))
    pairs = read_pairs(tmp_path / "out" / "pairs.jsonl", print)
    assert sorted(pair.weight for pair in pairs) == [0.75, 1.25]
    assert {pair.weighed_by for pair in pairs} == {"detector"}


def test_an_answer_that_serving_would_withhold_is_not_taught(tmp_path: Path) -> None:
    asked = {**REAL, "task": "ask", "question": "Where is the nodule?", "answer": "Left.", "report": {}}
    data = write_data(tmp_path, {**asked, "standard_display": False, "box": [10, 5, 30, 20]})
    summary, pairs = built(tmp_path, plan_of(phantoms=0, data=[data], n=2))
    assert pairs == []
    assert summary["made"] == {"typed": 0, "lesion": 0}


def test_many_cases_at_once_give_the_same_pairs(tmp_path: Path) -> None:
    plan = plan_of(recipes=["sampled", "typed"], n=5, judges=["fake"])
    files = []
    for name, at_once in (("a", 1), ("b", 4)):
        speaker = Speaker(FakeEngine(sure), Answers(tmp_path / name / "answers.jsonl"))
        voices = Voices(READER, speaker, (speaker,))
        asyncio.run(build(plan, voices, tmp_path / f"home-{name}", tmp_path / name, at_once=at_once))
        files.append((tmp_path / name / "pairs.jsonl").read_bytes())
    assert files[0] == files[1]


@pytest.mark.parametrize("first", [5, 2_000_000, 40_000_000, 100_000_000])
def test_seeds_that_are_not_for_training_are_refused(tmp_path: Path, first: int) -> None:
    with pytest.raises(LeakFound, match="seeds 1000000 to 1999999 alone"):
        built(tmp_path, plan_of(first_seed=first, phantoms=1))


def test_families_of_the_exam_are_refused(tmp_path: Path) -> None:
    data = write_data(tmp_path, {**REAL, "family": "exam", "seed": FIRST_SEED})
    with pytest.raises(LeakFound, match="family exam"):
        built(tmp_path, plan_of(phantoms=0, data=[data]))


def test_what_the_library_answers_from_teaches_nothing(tmp_path: Path) -> None:
    phantom = make_phantom(FIRST_SEED, family="train-tall", size=64)
    folder = tmp_path / "cases"
    folder.mkdir()
    Image.fromarray(phantom.pixels).save(folder / "1.png")
    told = {
        "id": "1",
        "image": "1.png",
        "report": "A nodule.",
        "patient": "x",
        "seed": FIRST_SEED,
        "family": "train-tall",
    }
    (folder / "studies.jsonl").write_text(json.dumps(told) + "\n")
    fakes = Encoders(FakeImageTextEncoder(), FakeTextEncoder())
    with Library(tmp_path / "home") as library:
        add_cases(library, MemoryStore(), fakes, folder / "studies.jsonl", read_plain)
    data = write_data(tmp_path, REAL)
    Image.fromarray(phantom.pixels).save(tmp_path / "a.png")
    with pytest.raises(LeakFound, match="are in the library"):
        built(tmp_path, plan_of(phantoms=0, data=[data]))


def test_wrong_data_is_told_by_line_and_nothing_is_written(tmp_path: Path) -> None:
    data = write_data(tmp_path, REAL, {**REAL, "image": "gone.png"})
    with pytest.raises(WrongData, match=r"data\.jsonl:2: its image is not there"):
        built(tmp_path, plan_of(phantoms=0, data=[data]))
    assert not (tmp_path / "out" / "pairs.jsonl").exists()


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"phantoms": 0}, "give --phantoms or --data"),
        ({"recipes": ["rag_a"]}, "need knowledge"),
        ({"recipes": ["typed", "typed"]}, "named twice"),
        ({"recipes": ["guess"]}, "recipes"),
    ],
)
def test_an_impossible_plan_is_refused(told: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        plan_of(**told)


def test_quotas_add_up() -> None:
    assert sum(plan_of(n=7, recipes=["typed", "lesion", "whole_noise"]).quotas().values()) == 7


PAIRS = st.lists(
    st.builds(
        lambda patient, split, chosen, rejected: Pair.model_validate(
            line(patient=patient, split=split, chosen=chosen, rejected=rejected)
        ),
        st.sampled_from("abc"), st.sampled_from(["train", "val"]), st.sampled_from(["Yes.", "yes. ", "Left."]),
        st.sampled_from(["No.", "Right."]),
    )
)  # fmt: skip


@given(PAIRS)
def test_nothing_stands_twice_and_nobody_on_both_sides(pairs: list[Pair]) -> None:
    once = without_duplicates(pairs)
    assert {key_of(pair) for pair in once} == {key_of(pair) for pair in pairs}
    assert len(once) == len({key_of(pair) for pair in pairs})
    kept = apart(once)
    assert len({(pair.patient, pair.split) for pair in kept}) == len({pair.patient for pair in kept})


@given(st.dictionaries(st.text(max_size=2), st.lists(st.integers(), max_size=6), max_size=5), st.integers(0, 30))
def test_groups_take_turns(groups: dict[str, list[int]], n: int) -> None:
    marked = {name: [(name, place) for place in range(len(items))] for name, items in groups.items()}
    order = list(in_turn(marked, np.random.default_rng(0)))
    assert sorted(order) == sorted(item for items in marked.values() for item in items)
    counts = Counter(name for name, _ in order[:n])
    for name, items in marked.items():
        assert counts[name] >= min(len(items), max(counts.values(), default=0) - 1)


def test_phantom_samples_ask_as_often_for_what_is_there_as_for_what_is_not() -> None:
    phantom = make_phantom(FIRST_SEED + 4, family="train", size=64)
    lines = list(samples(phantom, "x.png"))
    assert [one["task"] for one in lines].count("report") == 1
    known = {question.answer for question in asked_of(Facts.of(phantom), phantom.seed)}
    for one in lines[1:]:
        assert one["answer"] in known or one["answer"].rstrip(".").lower() in {answer.lower() for answer in known}
