"""A few synthetic studies as material for pairs, without any model."""

from collections.abc import Callable, Sequence
from pathlib import Path

from assistant.engines.base import Prompt
from assistant.engines.card import Card
from assistant.engines.fake import INFO
from assistant.events import EvidenceItem
from finetune.preferences.draft import Speak
from finetune.preferences.material import Case, Material
from finetune.preferences.phantoms import FIRST_SEED, write_phantoms
from finetune.preferences.voices import Served
from finetune.sft_config import Data
from finetune.sft_data import Row, read_rows

READER = Served("fake", "fake", None, Card(), INFO, frozenset())
SALT = b"salt"


def rows_of(folder: Path, n: int = 3, first: int = FIRST_SEED) -> list[Row]:
    path = write_phantoms(folder, range(first, first + n), size=64)
    problems: list[object] = []
    rows = read_rows(Data(manifests=(path,)), SALT, 0, problems.append)
    assert not problems
    return rows


def case_of(row: Row, evidence: Sequence[EvidenceItem] = ()) -> Case:
    return Material(READER, {row.trace.id: evidence} if evidence else {}, SALT, 256).case(row)


def reference(text: str = "A pneumothorax is air in the pleural space.") -> EvidenceItem:
    return EvidenceItem(number=1, id="1", kind="passage", title="Card", section="", text=text, scores={}, relevance=1.0)


def saying(answer: Callable[[Prompt], str | None]) -> tuple[Speak, list[Prompt]]:
    """A speaker that answers so, and what it was asked."""
    asked: list[Prompt] = []

    async def speak(prompt: Prompt) -> str | None:
        asked.append(prompt)
        return answer(prompt)

    return speak, asked


def read(prompt: Prompt) -> str:
    return "".join(part for message in prompt.messages for part in message.parts if isinstance(part, str))
