"""Report drafts: engines whose figures are known, and the judge afterwards."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from assistant.engines.fake import FakeEngine
from eval.benchmarks import phantom_items
from eval.benchmarks.report import ReportDraft, invented, judged, length_ratio
from eval.exam.benchmark import Answer, Item, Row, Said
from eval.metrics.judge import ERROR_TYPES
from eval.phantoms import make_phantom
from tests.eval.benchmarks.asking import abstains, figures_of, perfect, rows_of, showing, small_films

N = 8
NORMAL = "[findings] The heart is not enlarged. The lungs are clear. There is no pleural effusion or pneumothorax."


@pytest.fixture(scope="module")
def items() -> Iterator[list[Item]]:
    with small_films(phantom_items):
        yield list(ReportDraft().items(N, 0))


@pytest.fixture(scope="module")
def frontal(items: list[Item]) -> list[Item]:
    """Those of one view: what may be said of a side beside a lateral film is for the assistant to rule."""
    return [item for item in items if "LATERAL" not in item.groups["view"]]


def draft_of(item: Item) -> str:
    family, seed = item.phantoms[0]
    report = make_phantom(seed, family=family, size=64).report
    return f"[technique] {report.technique} [image]\n[findings] {report.findings}\n[impression] {report.impression}"


def test_some_studies_have_both_views_and_their_own_subgroup(items: list[Item]) -> None:
    assert [len(item.request().study.pictures) for item in items] == [1, 1, 1, 2] * (N // 4)
    assert {item.groups["view"].endswith(" and LATERAL") for item in items} == {True, False}
    assert {item.groups["family"] for item in items} == {"exam", "exam-barrel", "exam-portable"}


@pytest.mark.anyio
async def test_a_perfect_draft_has_every_figure_at_its_best(frontal: list[Item], tmp_path: Path) -> None:
    says = perfect((item.request(), draft_of(item)) for item in frontal)
    figures = figures_of(ReportDraft(), await rows_of(ReportDraft(), frontal, says, tmp_path))
    nought = (
        "contradiction rate", "wrong side", "without findings", "without impression",
        "change stated without a prior", "findings invented, a draft",
    )  # fmt: skip
    assert [figures.pop(name) for name in nought] == [0] * len(nought)
    assert figures.pop("METEOR (no synonyms)") == pytest.approx(1, abs=1e-3)
    known = {name: value for name, value in figures.items() if not math.isnan(value)}
    assert known == pytest.approx(dict.fromkeys(known, 1.0))
    assert len(known) > 10


@pytest.mark.parametrize(
    ("draft", "found"),
    [
        ("There is a left pleural effusion and a rib fracture.", ["Fracture"]),
        ("Possible pneumothorax.", []),  # a doubt states nothing
        ("There is an opacity at the left base. No pneumothorax.", []),  # stands for the consolidation
        ("Cardiomegaly. There is a nodule.", ["Cardiomegaly", "Lung Lesion"]),
        ("The lungs are clear.", []),
    ],
)
def test_what_is_invented(draft: str, found: list[str]) -> None:
    assert sorted(invented(draft, "Left pleural effusion and consolidation. The heart is normal.")) == found


def test_a_change_without_a_prior_and_what_is_invented_are_counted(items: list[Item]) -> None:
    for text, changed in (("The pneumothorax has grown since the prior study.", 1), ("A pneumothorax is seen.", 0)):
        said = Said(section="pleura", text=text, support="image")
        item = replace(items[0], truth={"report": "The lungs are clear.", "sides": {}})
        score = ReportDraft().score(item, {"asked": Answer(status="answered", text=text, sentences=(said,))})
        figures = {name: figure([score]) for name, figure in ReportDraft().figures.items()}
        assert figures["change stated without a prior"] == changed
        assert figures["findings invented, a draft"] == 1


@pytest.mark.anyio
async def test_who_always_drafts_a_normal_chest_finds_nothing(items: list[Item], tmp_path: Path) -> None:
    ill = [item for item in items if item.groups["findings"] == "one or more"]
    figures = figures_of(ReportDraft(), await rows_of(ReportDraft(), ill, lambda prompt: NORMAL, tmp_path))
    assert (figures["finding F1, macro"], figures["wrong side"], figures["without impression"]) == (0, 0, 1)
    assert figures["without findings"] == 0
    assert 0 < figures["BLEU-1"] < 1


@pytest.mark.anyio
async def test_who_abstains_has_empty_drafts(items: list[Item], tmp_path: Path) -> None:
    figures = figures_of(ReportDraft(), await rows_of(ReportDraft(), items, abstains, tmp_path))
    nought = ("answered", "length ratio", "BLEU-4", "ROUGE-L", "METEOR (no synonyms)")
    assert [figures[name] for name in nought] == [0] * len(nought)
    assert math.isnan(figures["contradiction rate"])
    assert math.isnan(figures["without findings"])


@pytest.mark.anyio
async def test_who_copies_the_reference_contradicts_itself_where_the_reference_does(
    items: list[Item], tmp_path: Path
) -> None:
    words = "There is a large pleural effusion. There is no pleural effusion."
    says = perfect([], otherwise=f"[findings] {words} [1]")
    rows = await rows_of(ReportDraft(), showing(items, words), says, tmp_path)
    assert figures_of(ReportDraft(), rows)["contradiction rate"] == 1


@pytest.mark.anyio
async def test_a_finding_on_the_other_side_is_a_wrong_side(frontal: list[Item], tmp_path: Path) -> None:
    sided = [item for item in frontal if item.truth["sides"]]
    swap = {"left": "right", "right": "left"}
    mirrored = [
        (item.request(), " ".join(swap.get(word, word) for word in draft_of(item).split(" "))) for item in sided
    ]
    figures = figures_of(ReportDraft(), await rows_of(ReportDraft(), sided, perfect(mirrored), tmp_path))
    assert figures["wrong side"] == 1
    assert figures["finding F1, micro"] == 1


def test_the_length_ratio_is_of_all_words_together() -> None:
    assert length_ratio([{"words": [10, 10]}, {"words": [0, 30]}]) == pytest.approx(0.25)
    assert math.isnan(length_ratio([]))


@pytest.mark.anyio
async def test_the_judge_counts_the_drafts_there_are(items: list[Item], tmp_path: Path) -> None:
    rows = await rows_of(ReportDraft(), items[:2], lambda prompt: NORMAL, tmp_path)
    nothing = rows[0].answers["asked"].model_copy(update={"sentences": ()})
    empty = rows[0].model_copy(update={"answers": {"asked": nothing}})
    failed = Row(id="failed", truth=rows[0].truth, error="too-large")
    counts = {kind: {"significant": 0, "insignificant": 0} for kind in ERROR_TYPES}
    counts["omission"] = {"significant": 2, "insignificant": 1}
    engine = FakeEngine([json.dumps(counts)])
    found = await judged([*rows, empty, failed], engine)
    assert (found.errors.shape, found.unjudged) == ((2, 6, 2), 0)
    assert (found.mean, found.mean_significant) == (3, 2)
    assert len(engine.prompts) == 2
