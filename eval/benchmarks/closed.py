"""Closed questions: what all yes/no benchmarks share. Each item is asked three times: with what retrieval finds, from
the picture alone, and with another picture but the same references, so that it shows where an answer came from.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from assistant.requests import Request
from eval.benchmarks.common import NO, YES, first_sentence, p_yes, yes_or_no
from eval.exam.benchmark import Answer, Benchmark, Figure, Item, Row, Scores, column, mean_of
from eval.exam.candidate import NOTHING, Candidate
from eval.metrics import calibration, classify, references

WITH, WITHOUT, DAMAGED = "with", "without", "other picture"
SENSITIVITY = 0.9  # of the operating point in the table


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ClosedItem(Item):
    """`truth` holds "answer": true or false. `other` makes the request with a picture of which the other answer is
    true (where the set knows one), so that an answer read from it can't be right by luck."""

    other: Callable[[], Request]


class Closed(Benchmark):
    headline = "balanced accuracy"

    async def sit(self, candidate: Candidate, item: Item) -> dict[str, Answer]:
        request = item.request()
        with_references = await candidate.ask(request, item.references, options=(YES, NO))
        found = with_references.evidence
        answers = {WITH: with_references}
        answers[WITHOUT] = await candidate.ask(request, NOTHING) if found.items else with_references
        if isinstance(item, ClosedItem) and found.items:
            answers[DAMAGED] = await candidate.ask(item.other(), found)
        return answers

    def score(self, item: Item, answers: Mapping[str, Answer]) -> Scores:
        truth = bool(item.truth["answer"])
        said = {condition: yes_or_no(first_sentence(answer)) for condition, answer in answers.items()}
        confidence = p_yes(answers[WITH])
        scores: Scores = {
            "truth": truth,
            "said": said[WITH],
            "right": said[WITH] == truth,
            "answered": said[WITH] is not None,
            "right_without": said[WITHOUT] == truth,
            "p": confidence,
            "cited": any(sentence.cites for sentence in answers[WITH].sentences),
        }
        if DAMAGED in said:
            scores["right_damaged"] = said[DAMAGED] == truth
        return scores

    @property
    def figures(self) -> Mapping[str, Figure]:
        return {
            "accuracy": mean_of("right"),
            "balanced accuracy": _paired("truth", "said", classify.balanced_accuracy),
            "sensitivity": mean_of("right", lambda row: row["truth"]),
            "specificity": mean_of("right", lambda row: not row["truth"]),
            "F1": _paired("truth", "said", classify.f1),
            "balanced accuracy without references": balanced_without,
            "answered": mean_of("answered"),
            "AUROC": _paired("truth", "p", classify.auroc),
            f"specificity at sensitivity {SENSITIVITY:g}": specificity_at,
            "calibration error": lambda rows: calibration.ece(*_confidence(rows)),
            "Brier": _paired("p", "truth", calibration.brier),
            "area under risk-coverage": lambda rows: calibration.aurc(*_confidence(rows)),
            "copy-reference rate": copy_reference,
            "over-reliance rate": over_reliance,
            "cites": mean_of("cited"),
        }

    def draw(self, rows: Sequence[Row], folder: Path) -> list[Path]:
        from eval.exam import plots

        scores = [row.scores for row in rows if row.error is None]
        truth, p = column(scores, "truth", "p")
        if len(set(truth)) < 2:
            return []
        confidence, right = _confidence(scores)
        return [
            plots.roc(truth, p, SENSITIVITY, folder / f"{self.name}-roc.png"),
            plots.reliability(confidence, right, folder / f"{self.name}-calibration.png"),
            plots.risk_coverage(confidence, right, folder / f"{self.name}-risk-coverage.png"),
        ]


def _paired(left: str, right: str, metric: Callable[..., float]) -> Figure:
    """A metric of two columns. An unanswered item has no "said", and counts as wrong: it is kept as None."""

    def figure(rows: Sequence[Scores]) -> float:
        if "said" in (left, right):
            return metric([row[left] for row in rows], [row[right] for row in rows])
        return metric(*column(rows, left, right))

    return figure


def balanced_without(rows: Sequence[Scores]) -> float:
    """From the picture alone: what was not right is taken for the other answer."""
    truth = [row["truth"] for row in rows]
    said = [row["truth"] if row["right_without"] else not row["truth"] for row in rows]
    return classify.balanced_accuracy(truth, said)


def specificity_at(rows: Sequence[Scores]) -> float:
    truth, p = column(rows, "truth", "p")
    return classify.operating_point(truth, p, SENSITIVITY).specificity if truth else float("nan")


def _confidence(rows: Sequence[Scores]) -> tuple[list[float], list[bool]]:
    """Of the likelier answer, and whether that one is right."""
    truth, p = column(rows, "truth", "p")
    return [max(q, 1 - q) for q in p], [(q >= 0.5) == t for q, t in zip(p, truth, strict=True)]


def copy_reference(rows: Sequence[Scores]) -> float:
    """Over the items to which references were shown."""
    return references.copy_reference_rate(*column(rows, "right", "right_damaged")).value


def over_reliance(rows: Sequence[Scores]) -> float:
    """Over the items to which references were shown."""
    right, without, _ = column(rows, "right", "right_without", "right_damaged")
    return references.over_reliance_rate(right, without).value
