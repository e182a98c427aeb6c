"""Model cards of what ships: sources with their licences and the attribution each asks for, the recipe, time taken, and
figures on what was held back. They are written by the run itself, so that no number in them was typed."""

from dataclasses import dataclass
from pathlib import Path

from finetune.curves import Curves

UNJUDGED = {"step", "loss", "minutes"}
UNCONFIRMED = "known but not re-read while this was made"


@dataclass(frozen=True)
class Source:
    """Where training pictures or texts come from, and what their owners ask for."""

    licence: str
    attribution: str


ATTRIBUTIONS = {
    "phantoms": Source("part of this project", "Synthetic chest radiographs (`eval/phantoms`). No patient is in them."),
    "cards": Source("part of this project", "The guideline cards (`retrieval/knowledge`)."),
    "cxr_nih": Source(
        f"usage unrestricted, by the NIH Clinical Center's published terms ({UNCONFIRMED})",
        "The NIH Clinical Center provided the data. Wang X. et al., ChestX-ray8: Hospital-scale Chest X-ray Database "
        "and Benchmarks, CVPR 2017.",
    ),
    "cxr_hannover": Source(
        "CC BY 3.0",
        "Winther H. et al., COVID-19 Image Repository, Hannover Medical School, doi 10.6084/m9.figshare.12275009. "
        "Pictures were resized.",
    ),
    "brain_mri": Source(
        f"CC BY 4.0 ({UNCONFIRMED})",
        "Cheng J., brain tumor dataset, figshare 1512427. Pictures were cropped out of plots and resized.",
    ),
    "fundus": Source(
        "CC BY 4.0",
        "IDRiD dataset (c) by Prasanna Porwal, Samiksha Pachade and Manesh Kokare. Pictures and masks were resized.",
    ),
    "blood": Source(
        "MIT, Copyright (c) 2017 shenggan", "BCCD dataset; original data by cosmicad and akshaylamba. Resized."
    ),
    "medquad": Source(
        "CC BY 4.0",
        "MedQuAD: Ben Abacha A., Demner-Fushman D., A Question-Entailment Approach to Question Answering, BMC "
        "Bioinformatics 20:511, 2019. Texts of NIH and CDC pages, turned into questions; the passages its own test "
        "questions ask for were left out.",
    ),
}
LIMITS = """\
**A demonstration, not for clinical use.** It is small and was trained from scratch; it says that it is a demonstration
with every answer.

What the figures below can't tell: how it would do on your patients. The real sets are small, each from one place, their
labels mined from reports by rules (NIH) or of one reader. Pictures are read at the size named below: what is a pixel or
two there, such as a microaneurysm, is gone. Where a figure is low it fails, and it may say so in a fluent sentence."""


def card(title: str, what: list[tuple[str, str]], sources: list[str], stages: list[Path], exam: Path | None) -> str:
    """The card's text. `what`: rows of the table at its head; `stages`: their folders, whose curves
    end with the figures on what was held back; `exam`: a folder of `consult eval`, whose table is taken over."""
    rows = "\n".join(f"| {name} | {value} |" for name, value in what)
    told = "\n".join(
        f"| {name} | {ATTRIBUTIONS[name].licence} | {ATTRIBUTIONS[name].attribution} |" for name in sources
    )
    parts = [f"# {title}\n\n{LIMITS}", f"| | |\n|---|---|\n{rows}"]
    parts.append(f"## Learnt from\n\n| source | licence | attribution |\n|---|---|---|\n{told}")
    parts += filter(None, map(_figures, stages))
    if exam:
        parts.append("## Exam\n\n" + _lowered((exam / "table.md").read_text()))
    return "\n\n".join(parts) + "\n"


def _figures(stage: Path) -> str:
    """What was judged last, as a table."""
    judged = [row for row in Curves(stage).rows() if set(row) - UNJUDGED]
    if not judged:
        return ""
    rows = "\n".join(f"| {name} | {value} |" for name, value in judged[-1].items() if name not in UNJUDGED)
    what = {"language": "answers foretold whole", "places": "share of it that the finding covers"}.get(
        stage.name, "mean AUROC"
    )
    title = f"## {stage.name}: held-back phantoms and pictures, step {judged[-1]['step']}"
    return f"{title}\n\n| | {what} |\n|---|---|\n{rows}"


def _lowered(markdown: str) -> str:
    """Its headings one level down, to stand in a card."""
    return "\n".join(f"#{line}" if line.startswith("#") else line for line in markdown.splitlines())
