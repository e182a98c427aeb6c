"""What the pocket models read beside pictures: the guideline cards by section, and the reports of phantoms as cases."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.events import EvidenceItem

FINDINGS = {  # phantom kind → the term a question and a card use
    "effusion": "pleural effusion",
    "pneumothorax": "pneumothorax",
    "consolidation": "consolidation",
    "nodule": "lung nodule",
    "cardiomegaly": "cardiomegaly",
    "oedema": "pulmonary oedema",
    "atelectasis": "atelectasis",
}
CARD_FOLDER = Path(__file__).parents[2] / "retrieval" / "knowledge"


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


def passage(number: int, card: Card) -> EvidenceItem:
    return EvidenceItem(
        number=number, id=str(number), kind="passage", title=card.title, section=card.section, text=card.text,
        scores={}, relevance=1.0,
    )  # fmt: skip


def case(number: int, text: str) -> EvidenceItem:
    return EvidenceItem(number=number, id=str(number), kind="case", title="", text=text, scores={}, relevance=1.0)


def case_text(facts: dict[str, Any]) -> str:
    """What a phantom's case says in the library: its report by section, as `consult cases add` stores it."""
    return "\n".join(f"{section.capitalize()}: {text}" for section, text in facts["report"].items())
