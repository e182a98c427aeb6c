"""Training samples of the pocket vision-language model, built by the tasks' own prompts, so that training and serving
see the same text.

A sample's answer always comes from the picture; its knowledge is drawn apart from the picture (a card on the finding
in question or not, cases with other findings), so that copying a reference never pays. A passage is cited when, and
only when, one on the finding in question was shown.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np

from assistant.engines.base import Prompt, Sampling
from assistant.events import EvidenceItem
from assistant.requests import AskRequest, DiagnoseRequest, ReportRequest, Request, Turn
from assistant.study import STANDARD_RADIOGRAPH, Orientation, Picture, Study
from assistant.tasks import task_of
from eval.benchmarks.diagnosis import CANDIDATES, NORMAL
from eval.benchmarks.phantom_items import with_choices
from eval.phantoms import Device, Fault, Finding
from eval.phantoms.criteria import criteria, diagnosis, history
from eval.phantoms.organs import organs
from eval.phantoms.pairs import Change, change_questions, compare
from eval.phantoms.phrases import TERMS, Question, capital
from eval.phantoms.questions import questions
from finetune.pocket.checklists import card_criteria
from finetune.pocket.material import FINDINGS, Card, case, case_text, passage

UNTRAINED = (
    "a rib fracture", "pulmonary fibrosis", "a mediastinal mass", "emphysema", "tuberculosis", "a hiatus hernia",
    "a breast lesion", "pneumoperitoneum", "a foreign body", "a pacemaker", "lymphadenopathy", "bronchiectasis",
    "an aortic aneurysm", "scoliosis", "sarcoidosis", "a spine fracture", "pericarditis", "a bone tumour",
)  # fmt: skip
_ASKING = ("Is there {a}?", "Does this radiograph show {a}?", "Do you see {a}?", "Any sign of {a}?", "Is {a} present?",
           "Could this be {a}?", "Please look for {a}. Do you find it?", "Tell me whether there is {a}.")  # fmt: skip
_INDICATIONS = (
    "Suspected {}.",
    "{}?",
    "Query {}.",
    "To rule out {}.",
    "Control of {}.",
    "Breathless, {}?",
    "Is there {}?",
)
UNKNOWABLE = 0.05  # share of questions about what no picture of training shows
BLANK = np.zeros((8, 8), np.uint8)
CANNOT_TELL = "I cannot tell: this model was not trained for that question."
NO_SIDE = "The side cannot be told, because the orientation of the picture is not known."
_SIDES = (re.compile(r" on the patient's (?:left|right) side"), re.compile(r"\b(?:left|right) (?=\w)"))


@dataclass(frozen=True)
class Sample:
    """`more`: further questions about the same picture with their answers, learnt in the same pass as later turns."""

    prompt: Prompt
    answer: str
    more: tuple[tuple[str, str], ...] = ()

    @property
    def pictures(self) -> int:
        return sum(not isinstance(part, str) for message in self.prompt.messages for part in message.parts)


def _pick(things: Sequence[str], rng: np.random.Generator) -> str:
    return things[int(rng.integers(len(things)))]


def without_sides(text: str) -> str:
    for pattern in _SIDES:
        text = pattern.sub("", text)
    return text


def _answer(question: Question, sides: bool) -> list[str]:
    """The sentences of the true answer; without sides where the picture doesn't tell them."""
    if question.kind in ("side", "more") and not sides:
        return [NO_SIDE]
    if question.choices:
        return [f"{capital(question.answer)}."]
    return re.split(r"(?<=\.) ", question.answer if sides else without_sides(question.answer))


def _answer_lines(question: Question, sides: bool) -> list[str]:
    return [f"[answer] {part} [image]" for part in _answer(question, sides)]


def asked(question: Question) -> str:
    """As the question is put: with its choices, where it has any."""
    return with_choices(question.text, question.choices) if question.choices else question.text


def mixed(questions: Sequence[Question], rng: np.random.Generator, n: int) -> list[Question]:
    """`n` questions in random order: half on presence, as many of what is there as of what isn't; of the rest each
    kind is as likely, however many questions there are of it."""
    order = [questions[i] for i in rng.permutation(len(questions))]
    present = [q for q in order if q.kind == "presence" and q.present]
    absent = [q for q in order if q.kind == "presence" and not q.present]
    half = (n + 1) // 2
    chosen = [q for pair in zip_longest(present, absent) for q in pair if q][: 2 * max(1, len(present))][:half]
    kinds: dict[str, list[Question]] = {}
    for q in order:
        if q.kind != "presence":
            kinds.setdefault(q.kind, []).append(q)
    while len(chosen) < n and kinds:
        kind = sorted(kinds)[rng.integers(len(kinds))]
        chosen.append(kinds[kind].pop())
        if not kinds[kind]:
            del kinds[kind]
    return [chosen[i] for i in rng.permutation(len(chosen))]


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


def _study(facts: dict[str, Any], sides: bool, rng: np.random.Generator) -> Study:
    """A radiograph as DICOM tells it, or a picture of which less is known. Its pixels go another way."""
    lateral = facts["view"] == "LATERAL"
    known = sides or lateral or rng.random() < 0.5
    orientation = Orientation(right="P", down="F") if lateral else STANDARD_RADIOGRAPH if sides else None
    return Study((Picture(BLANK, "DX" if known else None, facts["view"] if known else None, orientation),))


@dataclass(frozen=True)
class Truth:
    """A phantom's facts as the objects that questions are made of."""

    findings: tuple[Finding, ...]
    devices: tuple[Device, ...]
    fault: Fault | None
    changes: tuple[Change, ...]
    age: int
    sex: str

    @classmethod
    def of(cls, facts: dict[str, Any]) -> "Truth":
        return cls(
            tuple(Finding(**told) for told in facts["findings"]),
            tuple(Device(**told) for told in facts["devices"]),
            Fault(**facts["fault"]) if facts["fault"] else None,
            tuple(Change(**told) for told in facts.get("changes", ())),
            facts["age"],
            facts["sex"],
        )


class SampleMaker:
    """Draws samples about phantoms; `facts` as `finetune.pocket.phantoms` tells them."""

    def __init__(self, facts: Sequence[dict[str, Any]], library: Sequence[Card]) -> None:
        self.facts, self.cards = facts, library
        self.by_finding = {kind: [card for card in library if card.finding == kind] for kind in FINDINGS}

    def questions(self, index: int, rng: np.random.Generator) -> tuple[Question, ...]:
        """All questions about picture `index`, in words drawn anew."""
        facts, truth = self.facts[index], Truth.of(self.facts[index])
        return questions(truth.findings, "train", rng, truth.devices, facts["view"], truth.fault)

    def quiz(self, index: int, rng: np.random.Generator, turns: int, knowledge: float = 0.0) -> Sample:
        """`turns` questions about one picture in one sample: more to learn a picture, at less cost. With probability
        `knowledge` items are retrieved, and every answer cites those on its finding."""
        facts, sides = self.facts[index], self._sides(index, rng)
        chosen = mixed(self.questions(index, rng), rng, turns)
        about = [q.finding for q in chosen if q.finding]
        evidence, shown = self._evidence(about, index, rng) if rng.random() < knowledge else ([], [])
        said = [
            (asked(q), "\n".join([*_answer_lines(q, sides), *_citing(shown, [q.finding] if q.finding else [])]))
            for q in chosen
        ]
        for n in np.flatnonzero(rng.random(len(said)) < UNKNOWABLE):
            said[n] = (_pick(_ASKING, rng).format(a=_pick(UNTRAINED, rng)), f"[answer] {CANNOT_TELL}")
        earlier: tuple[Turn, ...] = ()
        if rng.random() < 0.12:
            before = mixed(self.questions(index, rng), rng, 1)[0]
            earlier = (Turn(asked(before), " ".join(_answer(before, sides))),)
        study = _study(facts, sides, rng)
        return sample_of(AskRequest(study=study, question=said[0][0], earlier=earlier), evidence, said)

    def follow_up(self, index: int, rng: np.random.Generator, turns: int) -> Sample:
        """What has changed between the prior study, picture `index - 1`, and the current one, picture `index`."""
        sides = rng.random() < 0.8
        changes = Truth.of(self.facts[index]).changes
        every = list(change_questions(changes, "train", rng))
        told = [q for q in every if q.choices or not q.closed]
        yes = [q for q in every if q.yes]
        no = [q for q in every if q.yes is False]
        some = [pool[rng.integers(len(pool))] for pool in (told, yes, no) if pool]
        some += [every[i] for i in rng.permutation(len(every))]
        chosen = list(dict.fromkeys(some))[:turns]
        chosen = [chosen[i] for i in rng.permutation(len(chosen))]
        chosen += mixed(self.questions(index, rng), rng, 1)
        said = [(asked(q), "\n".join(_answer_lines(q, sides))) for q in chosen]
        study, prior = (_study(self.facts[i], sides, rng) for i in (index, index - 1))
        return sample_of(AskRequest(study=study, prior=prior, question=said[0][0]), [], said)

    def report(self, index: int, rng: np.random.Generator) -> Sample:
        """The report; with its prior study, and sometimes that one's report, where there is one. What the indication
        names is answered."""
        facts, sides = self.facts[index], self._sides(index, rng)
        evidence, _ = self._evidence([f["kind"] for f in facts["findings"]], index, rng)
        truth, before = Truth.of(facts), self.facts[index - 1] if facts["kind"] == "current" else None
        terms, wanted = list(TERMS.items()), int(rng.integers(1, 3)) if rng.random() < 0.4 else 0
        sought = dict(terms[n] for n in rng.permutation(len(terms))[:wanted])
        request = ReportRequest(
            study=_study(facts, sides, rng),
            prior=_study(before, sides, rng) if before else None,
            prior_report=case_text(before) if before and rng.random() < 0.4 else "",
            indication=_pick(_INDICATIONS, rng).format(" or ".join(sought.values())) if sought else "",
            history=history(truth, rng) if rng.random() < 0.3 else "",
        )
        comparison = compare(truth.changes) if before else ""
        told = organs(truth.findings, truth.devices, facts["view"], truth.fault, comparison, tuple(sought))
        return sample_of(request, evidence, [("", "\n".join(_report_lines(told, sides)))])

    def diagnosis(self, index: int, rng: np.random.Generator) -> Sample:
        """The likely diseases, with a history and, mostly, candidates to choose from."""
        facts, truth = self.facts[index], Truth.of(self.facts[index])
        found = diagnosis(truth)
        lines = [f"[diagnosis] {capital(disease)} is likely. [image]" for disease in found]
        lines = lines or [f"[diagnosis] {capital(NORMAL)} is seen. [image]"]
        kinds = [finding["kind"] for finding in facts["findings"]]
        evidence, shown = self._evidence(kinds, index, rng)
        order = rng.permutation(len(CANDIDATES)) if rng.random() < 0.8 else ()
        request = DiagnoseRequest(
            study=_study(facts, self._sides(index, rng), rng),
            history=history(truth, rng) if rng.random() < 0.8 else "",
            candidates=tuple(CANDIDATES[n] for n in order),
        )
        return sample_of(request, evidence, [("", "\n".join([*lines, *_citing(shown, kinds)]))])

    def criteria(self, index: int, rng: np.random.Generator, turns: int) -> Sample:
        """Lines of checklists, the phantoms' and the guideline cards': met, contradicted or unknown, each state as
        likely as there are such. Half of them with a history."""
        facts, truth = self.facts[index], Truth.of(self.facts[index])
        told = history(truth, rng) if rng.random() < 0.5 else ""
        pools: dict[str, list[str]] = {"met": [], "contradicted": [], "unknown": []}
        if told or rng.random() < 0.3:
            for one in (one for checklist in criteria(truth, told).values() for one in checklist):
                pools[one.state].append(one.text)
        else:
            for text, decided in card_criteria(truth, facts["view"]):
                pools[decided].append(text)
        said = []
        for n in range(turns):
            state = _pick([state for state, pool in pools.items() if pool], rng)
            text = pools[state].pop(int(rng.integers(len(pools[state]))))
            question = f"Criterion: {text} Is it met, contradicted or unknown?"
            before = f"History: {told} " if told and n == 0 else ""
            said.append((before + question, f"[answer] {capital(state)}. [image]"))
        study = _study(facts, self._sides(index, rng), rng)
        return sample_of(AskRequest(study=study, question=said[0][0]), [], said)

    def _sides(self, index: int, rng: np.random.Generator) -> bool:
        """Whether the sides may be told. Of a lateral view nothing said names one anyway."""
        return self.facts[index]["view"] == "LATERAL" or rng.random() < 0.8

    def _evidence(
        self, about: Sequence[str], index: int, rng: np.random.Generator
    ) -> tuple[list[EvidenceItem], list[Card | str]]:
        """Items shown, 0 to 3 in random order, and the cards and case reports they are: never a report of the person
        of picture `index`, or the model would learn to copy."""
        chosen: list[Card | str] = []
        for kind in [about[i] for i in rng.permutation(len(about))][:2]:
            own = self.by_finding[kind]
            if rng.random() < 0.65:
                picks = rng.permutation(len(own))[: 1 + (rng.random() < 0.4)]
                chosen += [own[pick] for pick in picks]
        chosen += [self.cards[int(rng.integers(len(self.cards)))] for _ in range(rng.integers(0, 2))]
        mine = (self.facts[index]["family"], self.facts[index]["seed"])
        for _ in range(rng.integers(0, 3)):
            other = self.facts[int(rng.integers(len(self.facts)))]
            if (other["family"], other["seed"]) != mine:
                chosen.append(case_text(other))
        shuffled = [chosen[n] for n in rng.permutation(len(chosen))][:3]
        items = [
            passage(n, thing) if isinstance(thing, Card) else case(n, thing) for n, thing in enumerate(shuffled, 1)
        ]
        return items, shuffled


def sample_of(request: Request, evidence: Sequence[EvidenceItem], said: Sequence[tuple[str, str]]) -> Sample:
    """The request with the first answer, and the further questions as later turns."""
    draft = task_of(request).draft(request, evidence)
    kept = frozenset(name for name, _, _ in draft.parts())
    more = tuple((f"Question: {question}", answer) for question, answer in said[1:])
    return Sample(draft.prompt(kept, Sampling()), said[0][1], more)
