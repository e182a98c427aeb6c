"""The hard set: subtle findings, references that contradict the picture, references that help. Frozen in `hard.json`,
so that a rate over errors means the same thing next year.

Each study is asked about twice: as drawn, and as the same person without the finding. References are written into the
set, not retrieved. `python -m eval.benchmarks.hard` draws the set anew, for another edition under another name.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from assistant.requests import AskRequest
from eval.benchmarks.closed import Closed, ClosedItem
from eval.benchmarks.common import SIZE, study_of
from eval.benchmarks.phantom_items import LABEL_OF
from eval.benchmarks.vqa_closed import WORDINGS
from eval.ledger import EXAM_SEEDS
from eval.phantoms import EXAM_FAMILIES, FINDINGS, FindingSpec, make_phantom
from eval.phantoms.family import get_family
from eval.phantoms.text import questions, report
from retrieval.types import Case, Evidence, Item

FILE = Path(__file__).with_name("hard.json")
FIRST_SEED = EXAM_SEEDS.stop - 1_000_000  # far from the ranges that exam seeds are drawn from
STUDIES = {"subtle": 126, "conflicting references": 126, "helpful references": 84}  # each asked about twice


class Hard(Closed):
    name = "hard"
    title = "Hard set: subtle findings, conflicting and helpful references"
    full, quick = 2 * sum(STUDIES.values()), 0

    def items(self, n: int, seed: int) -> Iterator[ClosedItem]:
        """The set is frozen: `seed` changes nothing. Fewer than all are spread over the kinds of item."""
        whole = _load()
        spread = np.random.default_rng(0).permutation(len(whole["items"]))[:n]
        for number in sorted(spread) if n < len(whole["items"]) else range(len(whole["items"])):
            yield _item(whole["items"][number], whole["reports"])


@cache
def _load() -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return whole


def _item(line: Mapping[str, Any], reports: Sequence[str]) -> ClosedItem:
    asked = partial(_request, line["seed"], line["family"], line["question"])
    spec = (FindingSpec(**line["finding"]),)
    here, there = (spec, ()) if line["answer"] else ((), spec)
    return ClosedItem(
        id=line["id"],
        truth={
            "answer": line["answer"],
            "finding": line["finding"],
            "question": line["question"],
            "label": LABEL_OF[line["finding"]["kind"]],
        },
        request=partial(asked, here),
        other=partial(asked, there),
        groups={
            "why": line["why"],
            "finding": line["finding"]["kind"],
            "family": line["family"],
            "wording": line["wording"],
        },
        cluster=f"{line['family']}-{line['seed']}",
        phantoms=((line["family"], line["seed"]),),
        references=_references([reports[number] for number in line["references"]]),
    )


def _request(seed: int, family: str, question: str, findings: Sequence[FindingSpec]) -> AskRequest:
    phantom = make_phantom(seed, family=family, size=SIZE, findings=findings)
    return AskRequest(study=study_of(phantom), question=question)


def _references(reports: Sequence[str]) -> Evidence:
    """Other patients' reports, as similar cases of the library are shown."""
    cases = [Case(f"hard-{number}", "", text, "chest_xray") for number, text in enumerate(reports, 1)]
    return Evidence(tuple(Item(n, case, {"image→case": 1.0}, 0.9) for n, case in enumerate(cases, 1)), len(cases))


def draw(seed: int = 0) -> dict[str, Any]:
    """A set in the form of `hard.json`: {"reports": [...], "items": [...]}."""
    rng = np.random.default_rng(seed)
    reports: dict[str, int] = {}
    items: list[dict[str, Any]] = []
    for why, studies in STUDIES.items():
        for number in range(studies):
            kind, family = FINDINGS[number % len(FINDINGS)], EXAM_FAMILIES[number % len(EXAM_FAMILIES)]
            grade = "moderate" if why == "conflicting references" else "small"
            finding = {"kind": kind, "grade": grade}
            for answer in (True, False):
                told = answer if why == "helpful references" else not answer
                shown = [] if why == "subtle" else [_report(kind, told, rng) for _ in range(2)]
                words = list(WORDINGS)[number // 2 % 2]
                place = [reports.setdefault(text, len(reports)) for text in shown]
                items.append({
                    "id": f"hard-{len(items):03d}", "why": why, "seed": FIRST_SEED + len(items) // 2, "family": family,
                    "finding": finding, "wording": words, "question": _question(kind, family, words, rng),
                    "answer": answer, "references": place,
                })  # fmt: skip
    return {"reports": list(reports), "items": items}


def _report(kind: str, present: bool, rng: np.random.Generator) -> str:
    """The report of another phantom, with the finding or without it, beside another finding."""
    others = [other for other in FINDINGS if other != kind]
    specs = [FindingSpec(others[int(rng.integers(len(others)))])] + ([FindingSpec(kind)] if present else [])  # type: ignore[arg-type]
    phantom = make_phantom(FIRST_SEED + 900_000 + int(rng.integers(90_000)), size=64, findings=specs)
    return report(phantom.findings).text


def _question(kind: str, family: str, words: str, rng: np.random.Generator) -> str:
    asked = questions((), WORDINGS[words] or get_family(family).wording, rng)
    return next(question.text for question in asked if question.kind == "presence" and question.finding == kind)


if __name__ == "__main__":
    FILE.write_text(json.dumps(draw(), indent=0, ensure_ascii=False) + "\n", encoding="utf-8")
