"""Closed questions: what all yes/no benchmarks share. Each item is asked three times: with what retrieval finds, from
the picture alone, and with another picture but the same references, so that it shows where an answer came from.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from assistant.requests import Request
from eval.benchmarks.common import NO, YES, first_sentence, p_yes, yes_or_no
from eval.exam.benchmark import Answer, Benchmark, Figure, Item, Row, Scores, column, mean_of
from eval.exam.candidate import NOTHING, Candidate
from eval.metrics import calibration, classify, references

WITH, WITHOUT, DAMAGED = "with", "without", "other picture"
SENSITIVITY = 0.9  # of the operating point, which is chosen on the items themselves: an upper bound
GAIN = "accuracy with minus without references"
AUROC, SPECIFICITY = "AUROC, yes against no", f"specificity at sensitivity {SENSITIVITY:g}, yes against no"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ClosedItem(Item):
    """`truth` holds "answer": true or false. `other` makes the request with a picture of which the other answer is
    true (where the set knows one), so that an answer read from it can't be right by luck."""

    other: Callable[[], Request]


class Closed(Benchmark):
    headline = "balanced accuracy"
    ranked = frozenset({AUROC, SPECIFICITY})

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
        label = item.truth.get("label")
        said = {condition: yes_or_no(first_sentence(answer), label) for condition, answer in answers.items()}
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
            "balanced accuracy of what is answered": balanced_answered,
            "sensitivity": mean_of("right", lambda row: row["truth"]),
            "specificity": mean_of("right", lambda row: not row["truth"]),
            "F1": _paired("truth", "said", classify.f1),
            "balanced accuracy without references": balanced_without,
            GAIN: gain,
            "answered": mean_of("answered"),
            AUROC: _paired("truth", "p", classify.auroc),
            SPECIFICITY: specificity_at,
            "positive predictive value there": partial(predictive, "ppv"),
            "negative predictive value there": partial(predictive, "npv"),
            "calibration error of what is answered": lambda rows: calibration.ece(*confidence_of(rows)),
            "Brier, yes against no": _paired("p", "truth", calibration.brier),
            "area under risk-coverage": lambda rows: calibration.aurc(*confidence_of(rows)),
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
        drawn = [plots.roc(truth, p, SENSITIVITY, folder / f"{self.name}-roc.png", self.name)]
        confidence, right = confidence_of(scores)
        if right:
            drawn.append(plots.reliability(confidence, right, folder / f"{self.name}-calibration.png", self.name))
            file = folder / f"{self.name}-risk-coverage.png"
            drawn.append(plots.risk_coverage(confidence, right, file, self.name, asked=len(truth)))
        return drawn


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


def gain(rows: Sequence[Scores]) -> float:
    """Paired: the same items, asked both ways. An item to which no reference was shown is alike in both."""
    gained = [int(row["right"]) - int(row["right_without"]) for row in rows]
    return sum(gained) / len(gained) if gained else float("nan")


def specificity_at(rows: Sequence[Scores]) -> float:
    truth, p = column(rows, "truth", "p")
    return classify.operating_point(truth, p, SENSITIVITY).specificity if truth else float("nan")


def predictive(which: str, rows: Sequence[Scores]) -> float:
    """At the prevalence of the items: half of them are to be answered yes."""
    truth, p = column(rows, "truth", "p")
    return float(getattr(classify.operating_point(truth, p, SENSITIVITY), which)) if truth else float("nan")


def balanced_answered(rows: Sequence[Scores]) -> float:
    """Over the items that were answered yes or no."""
    return classify.balanced_accuracy(*column(rows, "truth", "said"))


def confidence_of(rows: Sequence[Scores]) -> tuple[list[float], list[bool]]:
    """In the answers that were given, and whether they are right: what was not answered has no confidence."""
    said, right, p = column(rows, "said", "right", "p")
    return [q if yes else 1 - q for yes, q in zip(said, p, strict=True)], right


def copy_reference(rows: Sequence[Scores]) -> float:
    """Over the items to which references were shown."""
    return references.copy_reference_rate(*column(rows, "right", "right_damaged")).value


def over_reliance(rows: Sequence[Scores]) -> float:
    """Over the items to which references were shown."""
    right, without, _ = column(rows, "right", "right_without", "right_damaged")
    return references.over_reliance_rate(right, without).value
