"""Small guideline cards, and an assistant that has them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from assistant.assistant import Assistant
from assistant.engines.base import EngineInfo, Prompt
from assistant.engines.fake import INFO, FakeEngine
from retrieval.cards import Card, Criterion, Lab, Range, Source
from tests.assistant.parts import make_assistant

NO_SCORES = replace(INFO, capabilities=frozenset({"logprobs"}))


def source(organisation: str = "Society A", title: str = "Guide", year: int = 2023) -> Source:
    return Source(organisation, title, year, "Diagnosis")


def card(
    title: str, *criteria: Criterion, doid: str | None = None, terms: Sequence[str] = (), aliases: Sequence[str] = (),
    sources: Sequence[Source] = (), ranges: Sequence[Range] = (),
) -> Card:  # fmt: skip
    return Card(
        file=f"{title}.md", title=title, kind="disease", domain="chest_xray", aliases=tuple(aliases),
        terms=tuple(terms), edition="1", jurisdiction="Here", sources=tuple(sources) or (source(),),
        criteria=criteria, text="", ranges=tuple(ranges), doid=doid,
    )  # fmt: skip


CRP = Lab("C-reactive protein", "mg/L", above=100)
PNEUMONIA = card(
    "Pneumonia",
    Criterion("The lung shows consolidation.", "imaging", "required", 0),
    Criterion("The patient coughs.", "history", "supports", 0),
    Criterion("C-reactive protein is above 100 mg/L.", "laboratory", "supports", 0, lab=CRP),
    doid="DOID:552", aliases=["lung infection"], ranges=[Range("C-reactive protein", "mg/L", 0, high=5)],
)  # fmt: skip
EFFUSION = card(
    "Pleural effusion",
    Criterion("A pleural effusion blunts the costophrenic angle.", "imaging", "required", 0),
    Criterion("Breath sounds are reduced.", "sign", "supports", 0),
)


def reader(met: Sequence[str], named: Sequence[str] = ()) -> Callable[[Prompt], str]:
    """Names diseases, and says of each criterion "met" if a text of `met` is in the question, else "contradicted"."""

    def answer(prompt: Prompt) -> str:
        question = str(prompt.messages[-1].parts[-1])
        if "Criterion:" not in question:
            return "\n".join(f"[diagnosis] {name} is likely. [image]" for name in named)
        return f"[answer] {'Met' if any(text in question for text in met) else 'Contradicted'}. [image]"

    return answer


def assistant_with(
    home: Path, cards: Sequence[Card], answers: Callable[[Prompt], str], info: EngineInfo = NO_SCORES, **more: object
) -> Assistant:
    made = make_assistant(home, answers, info=info, **more)  # type: ignore[arg-type]
    made.cards = lambda: cards
    return made


def prompts(assistant: Assistant) -> list[str]:
    assert isinstance(assistant.engine, FakeEngine)
    return [
        "".join(part for message in prompt.messages for part in message.parts if isinstance(part, str))
        for prompt in assistant.engine.prompts
    ]
