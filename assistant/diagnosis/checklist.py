"""A candidate's criteria, each decided by what it is about: a value by its limits, a history by its words, a picture by
the model. What nothing decides is unknown, and says why."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from assistant.bench import Bench, only_named
from assistant.citations import used_span
from assistant.diagnosis.history import by_rule
from assistant.diagnosis.names import plain
from assistant.diagnosis.values import Measured, value_of
from assistant.errors import BadInput
from assistant.events import CheckedCriterion, Citation, Sentence, Shown, State
from assistant.requests import DiagnoseRequest
from assistant.tasks.base import Draft, quoted
from assistant.tasks.diagnosis import CHECKLIST
from assistant.tasks.vqa import TASK
from retrieval.cards import Card, Criterion, Sex, Source
from retrieval.types import Passage

STATES: tuple[State, ...] = ("met", "contradicted", "unknown")
_QUOTE = re.compile(r"[\"“”«»]([^\"“”«»]+)[\"“”«»]")
_MODALITIES = {"CT": r"\bCT\b", "MR": r"\bMRI?\b", "US": r"(?i)\b(?:ultrasound|echocardiogra\w+)\b"}
_UNTOLD = "Neither the request nor the history tells."


@dataclass(frozen=True, slots=True)
class Decision:
    state: State
    shown: Shown | None = None
    why: str = ""


UNTOLD = Decision("unknown", why=_UNTOLD)


class Checker:
    """Decides the criteria of one request; what the picture or the history was once asked is not asked again."""

    def __init__(self, bench: Bench, request: DiagnoseRequest, values: Sequence[Measured]) -> None:
        self.bench, self.request, self.values = bench, request, values
        self.released: list[Sentence] = []
        self._asked: dict[tuple[str, str], Decision] = {}
        self._passages: dict[str, list[Passage]] = {}

    async def checked(self, card: Card, criterion: Criterion) -> CheckedCriterion:
        decision = await self._decide(card, criterion)
        return CheckedCriterion(
            text=criterion.text, kind=criterion.kind, weight=criterion.weight, state=decision.state,
            source=printed(card.source_of(criterion)),
            passage=self._passage(card, criterion), shown=decision.shown, why=decision.why,
        )  # fmt: skip

    async def _decide(self, card: Card, criterion: Criterion) -> Decision:
        if criterion.lab:
            return by_value(card, criterion, self.values, self.request.history)
        key = ("picture" if criterion.kind == "imaging" else "history", criterion.text)
        if key not in self._asked:
            ask = self._in_picture if criterion.kind == "imaging" else self._in_history
            self._asked[key] = await ask(criterion.text)
        return self._asked[key]

    async def _in_picture(self, text: str) -> Decision:
        """One closed question, without the history: what was told must not change what is seen."""
        if missing := other_modality(text, {picture.modality for picture in self.bench.course.pictures}):
            return Decision("unknown", why=f"It takes {missing}, and the request has none.")
        question = f"Question: Criterion: {quoted(text)} Is it met, contradicted or unknown?"
        draft = Draft(TASK, (), self.request.study, question, self.request.prior)
        state = await self.bench.choose(draft, {state: f"[answer] {state.capitalize()}. [image]" for state in STATES})
        if state is None or state == "unknown":
            return Decision(
                "unknown", why="The model can't tell from the picture." if state else "The model gave no state."
            )
        sentence = self.bench.release(CHECKLIST, f"{state.capitalize()}: {text}")
        if sentence is None:
            return Decision("unknown", why="A check withheld the model's reading.")
        self.released.append(sentence)
        return Decision("met" if state == "met" else "contradicted", Shown(kind="image", text=sentence.text))

    async def _in_history(self, text: str) -> Decision:
        """By rule; what the rules leave open the model may decide by words that stand in the history."""
        history = self.request.history
        if not history.strip():
            return UNTOLD
        if found := by_rule(text, history):
            decided, start, end = found
            return Decision(decided, Shown(kind="history", text=history[start:end], start=start, end=end))
        question = (
            f"Question: History: {quoted(history)} Criterion: {quoted(text)} Is it met, contradicted or unknown? "
            'Quote the words of the history that say so: Met: "words".'
        )
        said = " ".join(line.text for line in await self.bench.hear(Draft(TASK, (), self.request.study, question)))
        state = only_named(_QUOTE.sub("", said), STATES)
        if state is None or state == "unknown":
            return UNTOLD
        quote = _QUOTE.search(said)
        start = history.find(quote[1].strip()) if quote and quote[1].strip() else -1
        if quote is None or start < 0:
            return Decision("unknown", why="The model's words for it don't stand in the history.")
        words = quote[1].strip()
        return Decision(
            "met" if state == "met" else "contradicted",
            Shown(kind="history", text=words, start=start, end=start + len(words)),
        )

    def _passage(self, card: Card, criterion: Criterion) -> Citation | None:
        """Where the library holds the card's text: the sentence of the criterion's section that is nearest to it."""
        if card.file not in self._passages:
            library = self.bench.assistant.library
            own = [document.id for document in library.outlines() if plain(document.title) == plain(card.title)]
            self._passages[card.file] = [p for one in own for p in library.passages(one)]
        within = [p for p in self._passages[card.file] if p.section.endswith(criterion.section)]
        if not within:
            return None
        passage = within[0]
        start, end = used_span(criterion.text, passage.text)
        numbers = {item.id: item.number for item in self.bench.evidence}
        return Citation(
            number=numbers.get(passage.id, 0), kind="passage", id=passage.id, document_id=passage.document_id,
            title=passage.document, section=passage.section, start=passage.start + start, end=passage.start + end,
            quote=passage.text[start:end],
        )  # fmt: skip


def printed(source: Source) -> str:
    return f"{source.organisation}, {source.title}, {source.year}, {source.section}"


def other_modality(text: str, present: set[str | None]) -> str:
    """The modality that a criterion names and none of the pictures is; "" where it names none, or a radiograph too."""
    named = [name for name, pattern in _MODALITIES.items() if re.search(pattern, text)]
    if not named or present & set(named) or re.search(r"\bradiograph", text, re.I):
        return ""
    return named[0]


def by_value(card: Card, criterion: Criterion, values: Sequence[Measured], history: str) -> Decision:
    lab = criterion.lab
    assert lab is not None
    value = value_of(lab.name, values, history)
    if value is None:
        return UNTOLD
    if lab.sex and sex_of(history) is None:
        return Decision("unknown", why=f"The limit is for {lab.sex} patients, and the history doesn't tell.")
    try:
        within = value.range_of(card.ranges)
        state: State = "met" if lab.meets(value.within(lab.unit)) else "contradicted"
    except BadInput as error:  # a unit of another kind: the value stands, this limit can't be held against it
        return Decision("unknown", why=str(error))
    text = f"{value.text}, {within}" if within else value.text
    return Decision(state, Shown(kind="value", text=text, start=value.start, end=value.end))


def sex_of(history: str) -> Sex | None:
    """As the history's first word for it says."""
    match = re.search(r"\b(?:(woman|female|lady|girl)|(man|male|gentleman|boy))\b", history, re.I)
    return ("female" if match[1] else "male") if match else None
