"""Training samples of the pocket vision-language model, built by the tasks' own prompts, so that training and serving
see the same text.

A sample's answer always comes from the picture; its knowledge is drawn apart from the picture (a card on the finding
in question or not, cases with other findings), so that copying a reference never pays. A passage is cited when, and
only when, one on the finding in question was shown.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assistant.engines.base import Prompt, Sampling
from assistant.events import EvidenceItem
from assistant.requests import AskRequest, DiagnoseRequest, ReportRequest, Request, Turn
from assistant.study import STANDARD_RADIOGRAPH, Picture, Study
from assistant.tasks import task_of
from assistant.tasks.report import TASK as REPORT_TASK

FINDINGS = {  # phantom kind → the term a question and a card use
    "effusion": "pleural effusion",
    "pneumothorax": "pneumothorax",
    "consolidation": "consolidation",
    "nodule": "lung nodule",
    "cardiomegaly": "cardiomegaly",
    "oedema": "pulmonary oedema",
    "atelectasis": "atelectasis",
}
UNTRAINED = (
    "a rib fracture", "pulmonary fibrosis", "a mediastinal mass", "emphysema", "tuberculosis", "a hiatus hernia",
    "a breast lesion", "pneumoperitoneum", "a foreign body", "a pacemaker", "lymphadenopathy", "bronchiectasis",
    "an aortic aneurysm", "scoliosis", "sarcoidosis", "a spine fracture", "pericarditis", "a bone tumour",
)  # fmt: skip
_ASKED_WITH_ARTICLE = ("effusion", "pneumothorax", "consolidation", "nodule")
_SUBJECT = re.compile(r"\b(?:an? )?(?:pleural effusion|pneumothorax|consolidation|lung nodule)")
CANNOT_TELL = "I cannot tell: this model was not trained for that question."
NO_SIDE = "The side cannot be told, because the orientation of the picture is not known."
_SIDES = (re.compile(r" on the patient's (?:left|right) side"), re.compile(r"\b(?:left|right) (?=\w)"))


@dataclass(frozen=True)
class Sample:
    """`more`: further questions about the same picture with their answers, learnt in the same pass as later turns."""

    prompt: Prompt
    answer: str
    more: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Card:
    """A section of a guideline card. `finding`: the phantom finding it is about, or None."""

    title: str
    section: str
    text: str
    finding: str | None

    @property
    def about(self) -> str:
        return self.section.lower() or "overview"


def cards(folder: Path) -> list[Card]:
    """Sections of the guideline cards, each a passage as ingestion makes them."""
    import frontmatter

    by_term = {term: kind for kind, term in FINDINGS.items()}
    found = []
    for path in sorted(folder.glob("*.md")):
        if path.name == "README.md":
            continue
        card = frontmatter.load(str(path))
        kind = by_term.get(str(card["title"]).lower())
        opening, *blocks = re.split(r"^## ", card.content, flags=re.MULTILINE)
        found.append(Card(str(card["title"]), "", opening.partition("\n")[2].strip(), kind))
        for block in blocks:
            section, _, text = block.partition("\n")
            found.append(Card(str(card["title"]), section.strip(), text.strip(), kind))
    return found


def without_sides(text: str) -> str:
    for pattern in _SIDES:
        text = pattern.sub("", text)
    return text


def _item(number: int, *, card: Card | None = None, case: str = "") -> EvidenceItem:
    common: dict[str, Any] = {"number": number, "id": str(number), "scores": {}, "relevance": 1.0}
    if card:
        return EvidenceItem(kind="passage", title=card.title, section=card.section, text=card.text, **common)
    return EvidenceItem(kind="case", title="", text=case, **common)


def case_text(facts: dict[str, Any]) -> str:
    """What a phantom's case says in the library: its report by section, as `consult cases add` stores it."""
    return "\n".join(f"{section.capitalize()}: {text}" for section, text in facts["report"].items())


def _answer(question: dict[str, Any], sides: bool) -> list[str]:
    """The sentences of the true answer; without sides where the picture doesn't tell them."""
    if question["kind"] == "side" and not sides:
        return [NO_SIDE]
    return re.split(r"(?<=\.) ", question["answer"] if sides else without_sides(question["answer"]))


def _answer_lines(question: dict[str, Any], sides: bool) -> list[str]:
    return [f"[answer] {part} [image]" for part in _answer(question, sides)]


def _balanced(questions: Sequence[dict[str, Any]], rng: np.random.Generator) -> list[dict[str, Any]]:
    """As many findings that are there as that aren't, and one question of another kind, in random order."""
    mixed = [questions[n] for n in rng.permutation(len(questions))]
    present = [q for q in mixed if q["kind"] == "presence" and q["present"]]
    absent = [q for q in mixed if q["kind"] == "presence" and not q["present"]][: max(1, len(present))]
    other = [q for q in mixed if q["kind"] != "presence"][:1]
    return [q for q in mixed if q in present or q in absent or q in other]


def _citing(shown: Sequence["Card | str"], about: Sequence[str]) -> list[str]:
    """A sentence for every passage shown that is on one of these findings."""
    return [
        f"[guideline] The cited passage covers {FINDINGS[thing.finding]}: {thing.about}. [{n}]"
        for n, thing in enumerate(shown, 1)
        if isinstance(thing, Card) and thing.finding and thing.finding in about[:2]
    ]


def _report_lines(report: dict[str, str], sides: bool) -> list[str]:
    told = {section: text if sides else without_sides(text) for section, text in report.items()}
    return [f"[{section}] {part} [image]" for section, text in told.items() for part in re.split(r"(?<=\.) ", text)]


def _study(pixels: NDArray[np.uint8], sides: bool, rng: np.random.Generator) -> Study:
    """A DICOM radiograph, or a picture of which less is known."""
    known = sides or rng.random() < 0.5
    orientation = STANDARD_RADIOGRAPH if sides else None
    return Study((Picture(pixels, "DX" if known else None, "PA" if known else None, orientation),))


class SampleMaker:
    """Draws samples. `knowledge` is the share of samples that come with retrieved items."""

    def __init__(self, facts: Sequence[dict[str, Any]], library: Sequence[Card], knowledge: float) -> None:
        self.facts = facts
        self.cards = library
        self.by_finding = {kind: [card for card in library if card.finding == kind] for kind in FINDINGS}
        self.knowledge = knowledge

    def make(self, index: int, pixels: NDArray[np.uint8], rng: np.random.Generator, task: str = "ask") -> Sample:
        """A sample of `task` on picture `index`, shown as `pixels`."""
        sides = rng.random() < 0.7
        study = _study(pixels, sides, rng)
        if task == "report":
            return self._report(study, index, sides, rng)
        if task == "diagnose":
            return self._diagnosis(study, index, rng)
        return self._question(study, index, sides, rng)

    def quiz(self, index: int, pixels: NDArray[np.uint8], rng: np.random.Generator, turns: int) -> Sample:
        """Up to `turns` questions about one bare picture in one sample, and now and then its report: more to learn a
        picture, at less cost. As many findings that are there are asked about as that aren't."""
        facts, sides = self.facts[index], rng.random() < 0.8
        chosen = _balanced(facts["questions"], rng)[:turns]
        first, *rest = [
            (q["text"], "\n".join(f"[answer] {part} [image]" for part in _answer(q, sides))) for q in chosen
        ]
        more = [(f"Question: {text}", answer) for text, answer in rest]
        if rng.random() < 0.15:
            more.append((f"{REPORT_TASK}\nDraft the report.", "\n".join(_report_lines(facts["report"], sides))))
        return self._sample(AskRequest(study=_study(pixels, sides, rng), question=first[0]), [], [first[1]], more)

    def _question(self, study: Study, index: int, sides: bool, rng: np.random.Generator) -> Sample:
        facts = self.facts[index]
        if rng.random() < 0.08:
            finding = str(rng.choice(_ASKED_WITH_ARTICLE))
            # Asked in the words of any other question: only the subject tells that the model can't know.
            known = next(q for q in facts["questions"] if q["finding"] == finding)
            text = _SUBJECT.sub(str(rng.choice(UNTRAINED)), known["text"])
            about, line = [], f"[answer] {CANNOT_TELL}"
        else:
            question = self._draw(facts["questions"], rng)
            about = [question["finding"]] if question["finding"] else [f["kind"] for f in facts["findings"]]
            text, line = question["text"], "\n".join(_answer_lines(question, sides))
        evidence, shown = self._evidence(about, index, rng)
        earlier: tuple[Turn, ...] = ()
        if rng.random() < 0.15:
            before = self._draw(facts["questions"], rng)
            earlier = (Turn(before["text"], " ".join(_answer(before, sides))),)
        lines = [line, *_citing(shown, about)]
        more = [
            (f"Question: {q['text']}", "\n".join([*_answer_lines(q, sides), *_citing(shown, [q["finding"]])]))
            for q in _balanced(facts["questions"], rng)[:3]
            if q["finding"]
        ]
        return self._sample(AskRequest(study=study, question=text, earlier=earlier), evidence, lines, more)

    @staticmethod
    def _draw(questions: Sequence[dict[str, Any]], rng: np.random.Generator) -> dict[str, Any]:
        """Present and absent findings are asked about equally often; other kinds of question share the rest."""
        presence = [q for q in questions if q["kind"] == "presence"]
        other = [q for q in questions if q["kind"] != "presence"]
        if other and rng.random() < 0.4:
            return other[rng.integers(len(other))]
        wanted = rng.random() < 0.5
        pool = [q for q in presence if q["present"] == wanted] or presence
        return pool[rng.integers(len(pool))]

    def _report(self, study: Study, index: int, sides: bool, rng: np.random.Generator) -> Sample:
        facts = self.facts[index]
        lines = _report_lines(facts["report"], sides)
        evidence, _ = self._evidence([finding["kind"] for finding in facts["findings"]], index, rng)
        return self._sample(ReportRequest(study=study), evidence, lines)

    def _diagnosis(self, study: Study, index: int, rng: np.random.Generator) -> Sample:
        facts = self.facts[index]
        kinds = [finding["kind"] for finding in facts["findings"]]
        lines = [f"[diagnosis] {FINDINGS[kind].capitalize()} is likely. [image]" for kind in kinds]
        lines = lines or ["[diagnosis] No abnormality is seen. [image]"]
        evidence, shown = self._evidence(kinds, index, rng)
        return self._sample(DiagnoseRequest(study=study), evidence, [*lines, *_citing(shown, kinds)])

    def _evidence(
        self, about: Sequence[str], index: int, rng: np.random.Generator
    ) -> tuple[list[EvidenceItem], list[Card | str]]:
        """Items shown, 0 to 3 in random order, and the cards and case reports they are: never the report of picture
        `index` itself, or the model would learn to copy."""
        if rng.random() >= self.knowledge:
            return [], []
        chosen: list[Card | str] = []
        for kind in about[:2]:
            own = self.by_finding[kind]
            if rng.random() < 0.65:
                picks = rng.permutation(len(own))[: 1 + (rng.random() < 0.4)]
                chosen += [own[pick] for pick in picks]
        chosen += [self.cards[int(rng.integers(len(self.cards)))] for _ in range(rng.integers(0, 2))]
        others = (index + 1 + int(rng.integers(len(self.facts) - 1)) for _ in range(rng.integers(0, 3)))
        chosen += [case_text(self.facts[other % len(self.facts)]) for other in others]
        shuffled = [chosen[n] for n in rng.permutation(len(chosen))][:3]
        items = [
            _item(n, card=thing) if isinstance(thing, Card) else _item(n, case=thing)
            for n, thing in enumerate(shuffled, 1)
        ]
        return items, shuffled

    @staticmethod
    def _sample(
        request: Request, evidence: Sequence[EvidenceItem], lines: Sequence[str], more: Sequence[tuple[str, str]] = ()
    ) -> Sample:
        draft = task_of(request).draft(request, evidence)
        kept = frozenset(name for name, _, _ in draft.parts())
        return Sample(draft.prompt(kept, Sampling()), "\n".join(lines), tuple(more))
