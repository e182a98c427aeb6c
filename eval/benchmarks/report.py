"""Report drafting on phantoms of the held-out families, compared by findings and impression.

Technique is left out of every comparison: it repeats what the request says, and would be most of the overlap. A draft
that was refused is an empty one. `judged` lets a second model count the errors once the exam is over.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from assistant.checks import states_change
from assistant.engines.base import Engine
from assistant.reports.checks.impression import kin
from assistant.reports.template import built_in
from assistant.requests import ReportRequest
from eval.benchmarks.phantom_items import TOLD, drawn, rendered, sides_of, spoken, whose
from eval.benchmarks.vqa_open import bleu, side_against
from eval.exam.benchmark import Answer, Benchmark, Figure, Item, Row, Scores, mean_of
from eval.metrics.contradiction import contradictions
from eval.metrics.judge import JudgeSummary, judge, summary
from eval.metrics.labeller import FindingF1, f1_of_counts, finding_counts, findings_of
from eval.metrics.text import bleu_statistics, meteor, rouge_l
from eval.phantoms import Phantom
from eval.phantoms.text import Report

PLACE = 3
FINDINGS = tuple(s.name for name in ("chest", "free") for s in built_in(name).sections if s.findings)
SECTIONS = (*FINDINGS, "impression")
_BOTH_VIEWS = 4  # one study in so many has a lateral film, too; no divisor of the number of families


class ReportDraft(Benchmark):
    name = "report"
    title = "Report drafts (phantoms, held-out families)"
    full, quick = 600, 30
    headline = "finding F1, micro"

    def items(self, n: int, seed: int) -> Iterator[Item]:
        for number, phantom in zip(range(n), drawn(PLACE, seed), strict=False):
            yield item_of(phantom, ("LATERAL",) if number % _BOTH_VIEWS == _BOTH_VIEWS - 1 else ())

    def score(self, item: Item, answers: Mapping[str, Answer]) -> Scores:
        answer, reference = answers["asked"], item.truth["report"]
        draft, sides = spoken(answer, *SECTIONS), item.truth["sides"]
        written = {sentence.section for sentence in answer.sentences}
        told = [f"[{'findings' if s.section in FINDINGS else s.section}] {s.text}" for s in answer.sentences]
        return {
            "answered": bool(draft),
            "counts": finding_counts([reference], [draft])[0].tolist(),
            "bleu": bleu_statistics(draft, reference).tolist(),
            "rouge_l": rouge_l(draft, reference),
            "meteor": meteor(draft, reference),
            "invented": len(invented(draft, reference)) if draft else None,
            "unfounded_change": states_change(draft) if draft else None,
            "contradicts_itself": bool(contradictions(told)) if draft else None,
            "wrong_side": side_against(draft, sides) if sides else None,
            "words": [len(draft.split()), len(reference.split())],
            "no_findings": written.isdisjoint(FINDINGS) if draft else None,
            "no_impression": "impression" not in written if draft else None,
        }

    @property
    def figures(self) -> Mapping[str, Figure]:
        return {
            "finding F1, micro": lambda rows: _f1(rows).micro,
            "finding F1, macro": lambda rows: _f1(rows).macro,
            **{f"F1: {label}": partial(_f1_of, label) for label in TOLD},
            **{f"BLEU-{n}": bleu(n) for n in range(1, 5)},
            "ROUGE-L": mean_of("rouge_l"),
            "METEOR (no synonyms)": mean_of("meteor"),
            "contradiction rate": mean_of("contradicts_itself"),
            "wrong side": mean_of("wrong_side"),
            "change stated without a prior": mean_of("unfounded_change"),
            "findings invented, a draft": mean_of("invented"),
            "length ratio": length_ratio,
            **{f"without {section}": mean_of(f"no_{section}") for section in ("findings", "impression")},
            "answered": mean_of("answered"),
        }


def item_of(phantom: Phantom, more: tuple[str, ...] = ()) -> Item:
    """`more`: views beside the frontal one."""
    return Item(
        id=f"{phantom.family}-{phantom.seed}",
        truth={"report": compared(phantom.report), "sides": sides_of(phantom)},
        request=partial(_request, phantom, more),
        **whose(phantom, view=" and ".join((phantom.view, *more)), findings=_findings(phantom)),
    )


def invented(draft: str, reference: str) -> list[str]:
    """Findings that a draft states and its reference neither has nor suspects, nor one that may stand for them."""
    true = [finding for finding, state in findings_of(reference).items() if state != "absent"]
    said = [finding for finding, state in findings_of(draft).items() if state == "present"]
    return [one for one in said if one != "No Finding" and not any(kin(one, other) for other in true)]


def _findings(phantom: Phantom) -> str:
    return "one or more" if phantom.findings else "none"


def compared(report: Report) -> str:
    """The part of a report that a draft is compared with."""
    return f"{report.findings} {report.impression}"


def _request(phantom: Phantom, more: tuple[str, ...]) -> ReportRequest:
    return ReportRequest(study=rendered(phantom, *more))


def _f1(rows: Sequence[Scores]) -> FindingF1:
    return f1_of_counts([row["counts"] for row in rows])


def _f1_of(label: str, rows: Sequence[Scores]) -> float:
    return {str(name): value for name, value in _f1(rows).findings.items()}[label]


def length_ratio(rows: Sequence[Scores]) -> float:
    """Words of all drafts over words of all references."""
    drafts, references = (sum(row["words"][n] for row in rows) for n in (0, 1))
    return drafts / references if references else float("nan")


async def judged(rows: Sequence[Row], engine: Engine, *, seed: int = 0) -> JudgeSummary:
    """Errors in the drafts of these rows by the engine's count, a draft after another; rows that failed or hold no
    draft are left out. Raises what `Engine.stream` raises."""
    drafts = [(row.truth["report"], spoken(row.answers["asked"], *SECTIONS)) for row in rows if row.error is None]
    return summary([await judge(engine, reference, draft, seed=seed) for reference, draft in drafts if draft])
