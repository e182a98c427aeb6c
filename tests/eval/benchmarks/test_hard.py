"""The hard set is frozen: what it says of its studies is still true, and it is large enough for rates over errors."""

import json
from collections import Counter
from typing import Any

import pytest

from eval.benchmarks.hard import FILE, Hard
from eval.benchmarks.phantom_items import LABEL_OF
from eval.ledger import EXAM_SEEDS
from eval.metrics.labeller import findings_of
from eval.phantoms import EXAM_FAMILIES, FindingSpec, make_phantom

SET: dict[str, Any] = json.loads(FILE.read_text())
LINES = SET["items"]


def test_the_set_has_at_least_600_items_half_of_them_to_be_answered_no() -> None:
    assert len(LINES) == Hard.full >= 600
    assert len({line["id"] for line in LINES}) == len(LINES)
    assert Counter(line["answer"] for line in LINES)[True] == len(LINES) / 2
    for group in ("why", "wording"):
        counts = Counter((line[group], line["answer"]) for line in LINES)
        assert min(counts.values()) >= 80


def test_every_finding_comes_in_every_exam_family() -> None:
    met = {(line["finding"]["kind"], line["family"]) for line in LINES}
    assert met == {(kind, family) for kind in LABEL_OF for family in EXAM_FAMILIES}
    assert all(line["seed"] in EXAM_SEEDS for line in LINES)


def test_references_say_what_their_kind_promises() -> None:
    for line in LINES:
        label = LABEL_OF[line["finding"]["kind"]]
        told = {findings_of(SET["reports"][number]).get(label) == "present" for number in line["references"]}
        promised = {"subtle": set(), "conflicting references": {not line["answer"]},
                    "helpful references": {line["answer"]}}  # fmt: skip
        assert told == promised[line["why"]], line["id"]


@pytest.mark.parametrize("line", LINES[:: len(LINES) // 12], ids=lambda line: line["id"])
def test_the_studies_can_still_be_drawn_as_the_set_says(line: dict[str, Any]) -> None:
    drawn = make_phantom(line["seed"], family=line["family"], size=64, findings=[FindingSpec(**line["finding"])])
    assert [(f.kind, f.grade) for f in drawn.findings] == [(line["finding"]["kind"], line["finding"]["grade"])]


def test_items_show_the_finding_exactly_when_the_answer_is_yes() -> None:
    for item in list(Hard().items(6, 0)):
        shown, other = item.request().study.pictures[0], item.other().study.pictures[0]
        assert shown.sha256 != other.sha256
    assert len(list(Hard().items(50, 0))) == 50
    assert [item.id for item in Hard().items(50, 0)] == [item.id for item in Hard().items(50, 9)]
