"""Planted errors: do the checks on a whole draft find what is wrong with it, and are they silent where nothing is?

Asked are the checks alone, no model: drafts built from what is true of phantoms of the held-out families, every second
with a prior study, clean and with one planted error of each type. Found is an error when the checks say anything that
they don't say of the clean draft, whatever its severity.
"""

from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np

from assistant.reports.checks import checked
from assistant.reports.draft import Draft
from assistant.requests import ReportRequest
from eval.benchmarks.common import TRUTH_SIZE, study_of
from eval.benchmarks.phantom_items import places, whose
from eval.benchmarks.planting import PLANTS, Lines, draft_of_lines, lines_of, situation_of
from eval.exam.benchmark import Answer, Benchmark, Figure, Item, Scores, mean_of
from eval.exam.candidate import Candidate
from eval.phantoms import make_phantom
from eval.phantoms.pairs import Pair, make_pair
from eval.phantoms.phantom import Phantom

PLACE = 17
_RAISED = {
    "endotracheal tube": "endotracheal-tube", "nasogastric tube": "nasogastric-tube",
    "central venous catheter": "central-line",
}  # fmt: skip
Noticed = set[tuple[str, str, str]]


class Planted(Benchmark):
    name = "planted"
    title = "Planted errors: checks on a whole draft (true reports of phantoms, held-out families, no model)"
    full, quick = 600, 60
    headline = "recall"

    def items(self, n: int, seed: int) -> Iterator[Item]:
        for number, (place, family) in zip(range(n), places(PLACE, seed), strict=False):
            yield item_of(number, place, family)

    async def sit(self, candidate: Candidate, item: Item) -> dict[str, Answer]:
        return {}

    def score(self, item: Item, answers: Mapping[str, Answer]) -> Scores:
        planted = {name: found for name, found in item.truth["planted"].items() if found is not None}
        return {
            "false alarm": bool(item.truth["clean"]),
            "recall": sum(planted.values()) / len(planted),
            **{f"recall, {name}": found for name, found in item.truth["planted"].items()},
            "alert recall": item.truth["raised"],
            "false alert": item.truth["raised wrongly"],
        }

    @property
    def figures(self) -> Mapping[str, Figure]:
        names = ["recall", *(f"recall, {name}" for name in PLANTS), "false alarm", "alert recall", "false alert"]
        return {name: mean_of(name) for name in names}


def item_of(number: int, seed: int, family: str) -> Item:
    """The `number`th: every second has a prior. What the checks say is part of its truth: there is nothing to ask."""
    pair = make_pair(seed, family=family, size=TRUTH_SIZE) if number % 2 else None
    phantom = pair.current if pair else make_phantom(seed, family=family, size=TRUTH_SIZE)
    return Item(
        id=f"{family}-{seed}",
        truth=truth_of(phantom, pair, np.random.default_rng([seed, PLACE])),
        request=partial(_request, phantom),
        **whose(phantom, prior="yes" if pair else "no"),
    )


def truth_of(phantom: Phantom, pair: Pair | None, rng: np.random.Generator) -> dict[str, object]:
    """What the checks say of the clean draft, and whether they find each planted error (None: it has no place)."""
    lines, situation = lines_of(phantom, pair), situation_of(phantom, pair)

    def noticed(of: Lines) -> tuple[Noticed, Draft]:
        draft = checked(draft_of_lines(of), situation)
        said = {statement.id: statement.text for statement in draft.statements}
        return {(c.check, c.message, " ".join(said[i] for i in c.statements)) for c in draft.checks}, draft

    clean, draft = noticed(lines)
    planted: dict[str, bool | None] = {}
    for name, plant in PLANTS.items():
        wrong = plant(lines, pair is not None, rng)
        planted[name] = None if wrong is None else bool(noticed(wrong)[0] - clean)
    raised, due = {alert.kind for alert in draft.alerts}, due_alerts(phantom)
    return {
        "report": [f"[{line.section}] {line.text}" for line in lines],
        "clean": sorted(map(list, clean)),
        "planted": planted,
        "raised": due <= raised if due else None,
        "raised wrongly": bool(raised - due),
    }


def due_alerts(phantom: Phantom) -> set[str]:
    astray = [device for device in phantom.devices if not device.placed]
    pneumothorax = any(finding.kind == "pneumothorax" for finding in phantom.shown)
    return {_RAISED[device.kind] for device in astray} | ({"pneumothorax"} if pneumothorax else set())


def _request(phantom: Phantom) -> ReportRequest:
    return ReportRequest(study=study_of(phantom))
