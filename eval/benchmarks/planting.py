"""Drafts built from what is true of a phantom, and errors planted into them, one at a time and each of a type.

An error is planted where a reader could find it: in the words of one section, with the others as they were. `None`:
this draft has nothing that such an error could be planted in.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from assistant.events import Identity
from assistant.reports.checks import Shown, Situation
from assistant.reports.draft import Draft, DraftSection, Region, Statement
from assistant.reports.template import Element, Section, Template
from eval.phantoms.pairs import CHANGES, Pair
from eval.phantoms.phantom import Phantom
from eval.phantoms.phrases import TERMS, capital

TEMPLATE = Template(
    name="planted",
    title="Chest radiograph",
    sections=(
        Section(name="technique", title="Technique"),
        Section(name="comparison", title="Comparison", required=True),
        Section(name="lines", title="Tubes and lines", findings=True),
        Section(
            name="lungs", title="Lungs", findings=True, required=True,
            elements=(
                Element(
                    name="lungs", any_of=("lung", "consolidation", "nodule", "oedema", "atelectasis"), required=True
                ),
            ),
        ),
        Section(
            name="pleura", title="Pleura", findings=True, required=True,
            elements=(
                Element(name="pleural effusion", any_of=("effusion",), required=True),
                Element(name="pneumothorax", any_of=("pneumothorax",), required=True),
            ),
        ),
        Section(
            name="heart", title="Heart and mediastinum", findings=True, required=True,
            elements=(Element(name="heart size", any_of=("heart", "cardi"), required=True),),
        ),
        Section(name="impression", title="Impression", required=True),
    ),
)  # fmt: skip
NO_PRIOR = "There is no prior study for comparison."
_SIDE = re.compile(r"\b(left|right)\b(?! atrium)")
_OTHER = {"left": "right", "right": "left"}
_GRADES = (("small", "moderate", "large"), ("mild", "moderate", "severe"), ("mildly", "moderately", "severely"))
_MM = re.compile(r"\b(\d+) mm\b")
_INVENTED = {
    "effusion": "a moderate left pleural effusion", "consolidation": "a large right lower zone consolidation",
    "nodule": "a left upper zone nodule of about 15 mm", "pneumothorax": "a small right pneumothorax",
    "oedema": "severe pulmonary oedema", "atelectasis": "a moderate left lower zone atelectasis",
}  # fmt: skip
_TALES = (  # what no picture shows
    "The patient has a history of breast cancer.", "This was seen on the CT of last week.",
    "He has had fever for days.",
    "The patient underwent lobectomy.", "Biopsy has shown adenocarcinoma.", "She is a heavy smoker.",
    "CRP is raised.", "The patient reports chest pain.",
)  # fmt: skip
_COURSES = (  # stated without any prior study
    "This is unchanged from the prior study.", "This is new.", "It has increased since the last examination.",
    "The appearances have improved.", "Stable appearances.", "It has progressed.",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """A statement of the draft before it is one. `cited`: it says that it is cited, and nothing is."""

    section: str
    text: str
    region: Region | None = None
    cited: bool = False


Lines = list[Line]
Plant = Callable[[Lines, bool, np.random.Generator], Lines | None]


def lines_of(phantom: Phantom, pair: Pair | None = None) -> Lines:
    """The true draft: the phantom's own report (the pair's, with the prior) in the sections of `TEMPLATE`."""
    written = pair.report if pair else phantom.report
    comparison = _sentences(pair.report.comparison) if pair else [NO_PRIOR]
    lines = [Line("technique", text) for text in _sentences(written.technique)]
    lines += [Line("comparison", text) for text in comparison]
    lines += [Line(_system(text), text, _region(text, phantom)) for text in _sentences(written.findings)]
    return lines + [Line("impression", text, _region(text, phantom)) for text in _sentences(written.impression)]


def draft_of_lines(lines: Sequence[Line]) -> Draft:
    statements = [
        (line.section, Statement(
            id=f"s{n}", text=line.text, support="cited" if line.cited else "image", region=line.region
        ))
        for n, line in enumerate(lines, 1)
    ]  # fmt: skip
    sections = tuple(
        DraftSection(
            name=s.name, title=s.title, findings=s.findings,
            statements=tuple(said for name, said in statements if name == s.name),
        )
        for s in TEMPLATE.sections
    )  # fmt: skip
    identity = Identity(model="truth", model_hash="", engine="none")
    return Draft(template=TEMPLATE.name, title=TEMPLATE.title, sections=sections, identity=identity)


def situation_of(phantom: Phantom, pair: Pair | None = None) -> Situation:
    return Situation(
        template=TEMPLATE, prior=pair is not None, prior_report=pair.prior.report.text if pair else "",
        shown=(Shown(phantom.pixels.shape[1], right_on_left=True),),
    )  # fmt: skip


def _sentences(text: str) -> list[str]:
    return re.findall(r"\S[^.]*\.", text)


def _system(sentence: str) -> str:
    if re.search("tube|catheter", sentence):
        return "lines"
    if "heart" in sentence:
        return "heart"
    return "pleura" if re.search("effusion|pneumothorax", sentence) else "lungs"


def _region(sentence: str, phantom: Phantom) -> Region | None:
    """The box of the finding that the sentence states."""
    if " no " in sentence or " not " in sentence:
        return None
    for finding in phantom.shown:
        if TERMS[finding.kind].removeprefix("lung ") in sentence:
            return Region(picture=1, box=finding.box)
    return None


def _change(
    lines: Lines, rng: np.random.Generator, edit: Callable[[Line], str | None], among: Callable[[Line], bool]
) -> Lines | None:
    """One line among those that can be edited, edited."""
    edits = [(n, text) for n, line in enumerate(lines) if among(line) and (text := edit(line))]
    if not edits:
        return None
    n, text = edits[int(rng.integers(len(edits)))]
    return [*lines[:n], replace(lines[n], text=text), *lines[n + 1 :]]


def _described(line: Line) -> bool:
    """Whether the line is one of the two that state a finding."""
    return line.section in ("lungs", "pleura", "heart", "impression")


def _wrong_side(lines: Lines, prior: bool, rng: np.random.Generator) -> Lines | None:
    """In the findings, in the impression, or in both: then only the region tells."""

    def swapped(line: Line) -> str | None:
        return _SIDE.sub(lambda m: _OTHER[m[1]], line.text) if _SIDE.search(line.text) else None

    if rng.random() < 2 / 3:
        return _change(lines, rng, swapped, _described)
    sided = [line.region for line in lines if _described(line) and line.region and _SIDE.search(line.text)]
    if not sided:
        return None
    region = sided[int(rng.integers(len(sided)))]
    return [replace(line, text=swapped(line) or line.text) if line.region == region else line for line in lines]


def _dropped(lines: Lines, prior: bool, rng: np.random.Generator) -> Lines | None:
    """Out of the findings or out of the impression; what remains stands as it did."""
    stated = [n for n, line in enumerate(lines) if _described(line) and _positive(line)]
    if not stated:
        return None
    gone = stated[int(rng.integers(len(stated)))]
    left = lines[:gone] + lines[gone + 1 :]
    if not any(line.section == lines[gone].section for line in left):
        # An empty section would be found by its absence alone.
        left.insert(gone, replace(lines[gone], text="No other abnormality is seen.", region=None))
    return left


def _positive(line: Line) -> bool:
    return line.text.startswith("There is a") or "ly enlarged" in line.text or (
        line.section == "impression" and not line.text.startswith(("No ", "Malpositioned"))
    ) or line.text.startswith(("There is mild", "There is moderate", "There is severe"))  # fmt: skip


def _invented(lines: Lines, prior: bool, rng: np.random.Generator) -> Lines | None:
    """A finding that isn't there, stated in the findings or in the impression."""
    text = " ".join(line.text for line in lines if _positive(line))
    absent = [kind for kind in _INVENTED if TERMS[kind].split()[-1] not in text]  # type: ignore[index]
    phrase = _INVENTED[absent[int(rng.integers(len(absent)))]]
    if rng.random() < 0.5:
        return [*lines, Line("impression", f"{capital(phrase.removeprefix('a '))}.")]
    return [*lines, Line(_system(phrase), f"There is {phrase}.")]


def _severity(lines: Lines, prior: bool, rng: np.random.Generator) -> Lines | None:
    def other(line: Line) -> str | None:
        for words in _GRADES:
            for word in words:
                if re.search(rf"\b{word}\b", line.text, re.I):
                    chosen = [w for w in words if w != word][int(rng.integers(2))]
                    return capital(re.sub(rf"\b{word}\b", chosen, line.text, flags=re.I))
        return None

    return _change(lines, rng, other, lambda line: _described(line) and _positive(line))


def _negation(lines: Lines, prior: bool, rng: np.random.Generator) -> Lines | None:
    def flipped(line: Line) -> str | None:
        text = line.text
        if "is not enlarged" in text:
            return text.replace("is not enlarged", "is enlarged")
        if text.startswith("There is no "):
            return text.replace("There is no ", "There is ").replace(" or ", " and ")
        if text.startswith("There is "):
            return re.sub(r"^There is (?:an? )?(?:(?:small|moderate|large|mild|severe) )?", "There is no ", text)
        if "ly enlarged" in text and line.section == "heart":
            return re.sub(r"is \w+ly enlarged", "is not enlarged", text)
        if line.section == "impression" and _positive(line):
            return re.sub(r"^(?:(?:Small|Moderate|Large|Mild|Severe)(?:ly)? )?", "No ", text)
        return None

    return _change(lines, rng, flipped, _described)


def _course(lines: Lines, prior: bool, rng: np.random.Generator) -> Lines | None:
    """Without a prior, any change; with one, another course than the true one."""
    if not prior:
        return [*lines, Line("impression", _COURSES[int(rng.integers(len(_COURSES)))])]
    said = {
        "new": "is new since the prior study", "larger": "is larger than on the prior study",
        "smaller": "is smaller than on the prior study", "resolved": "has resolved since the prior study",
        "unchanged": "is unchanged from the prior study",
    }  # fmt: skip

    def other(line: Line) -> str | None:
        for name in CHANGES:
            # Whether it has resolved is the findings' to say: there the other courses would be its return.
            if line.text.startswith("The ") and said[name] in line.text:
                wrong = [n for n in CHANGES if n != name]
                return line.text.replace(said[name], said[wrong[int(rng.integers(len(wrong)))]])
        return None

    return _change(lines, rng, other, lambda line: line.section == "comparison")


def _number(lines: Lines, prior: bool, rng: np.random.Generator) -> Lines | None:
    """Another size, or the same in another unit, in one of the two places that give it."""

    def other(line: Line) -> str | None:
        match = _MM.search(line.text)
        if match is None:
            return None
        wrong = (f"{int(match[1]) + 5} mm", f"{match[1]} cm", f"{match[1]}0 mm")[int(rng.integers(3))]
        return _MM.sub(wrong, line.text)

    return _change(lines, rng, other, lambda line: line.section in ("lungs", "impression") and "nodule" in line.text)


def _element(lines: Lines, prior: bool, rng: np.random.Generator) -> Lines | None:
    """Nothing more about the heart, about a pneumothorax, or no impression, or no word about a comparison."""
    gone = ("heart", "comparison", "impression", "pneumothorax")[int(rng.integers(4))]
    if gone != "pneumothorax":
        return [line for line in lines if line.section != gone]
    if any("pneumothorax" in line.text and _positive(line) for line in lines):
        return None
    return [
        replace(line, text=re.sub(r" or pneumothorax\b", "", line.text)) if line.section != "comparison" else line
        for line in lines
        if line.text != "There is no pneumothorax."
    ]


def _unsupported(lines: Lines, prior: bool, rng: np.random.Generator) -> Lines | None:
    if rng.random() < 0.5:
        n = int(rng.integers(len(lines)))
        return [*lines[:n], replace(lines[n], cited=True), *lines[n + 1 :]]
    return [*lines, Line("impression", _TALES[int(rng.integers(len(_TALES)))])]


PLANTS: dict[str, Plant] = {
    "wrong side": _wrong_side,
    "dropped finding": _dropped,
    "invented finding": _invented,
    "changed severity": _severity,
    "flipped negation": _negation,
    "invented change": _course,
    "wrong number": _number,
    "missing element": _element,
    "unsupported statement": _unsupported,
}
