"""Gold questions: each with the sections of the bundled cards that answer it, and some that no card answers.

`gold_pairs.jsonl`, a line: `id`, `question`, `answers`: card file → sections ("" is what stands above the first).
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from eval.phantoms.findings import Kind
from retrieval.errors import BadInput
from retrieval.ingest import bundled_sources
from retrieval.library import Library
from retrieval.types import Passage

PAIRS = Path(__file__).with_name("gold_pairs.jsonl")
CARD_OF: dict[Kind, str] = {
    "effusion": "pleural-effusion.md",
    "consolidation": "consolidation.md",
    "nodule": "lung-nodule.md",
    "pneumothorax": "pneumothorax.md",
    "cardiomegaly": "cardiomegaly.md",
    "oedema": "pulmonary-oedema.md",
    "atelectasis": "atelectasis.md",
}
NORMAL_CARD = "normal-chest-radiograph.md"
SHOWS: dict[str, tuple[Kind, ...]] = {  # chest card → which findings of phantoms it goes with
    **{card: (kind,) for kind, card in CARD_OF.items()},
    NORMAL_CARD: (),
    "copd.md": (),
    "pulmonary-embolism.md": (),
    "community-acquired-pneumonia.md": ("consolidation",),
    "heart-failure.md": ("cardiomegaly", "oedema", "effusion"),
    "pulmonary-tuberculosis.md": ("consolidation",),
    "tension-pneumothorax.md": ("pneumothorax",),
    "acute-respiratory-distress-syndrome.md": ("oedema",),
    "aortic-dissection.md": (),
    "aspiration-pneumonia.md": ("consolidation",),
    "bronchiectasis.md": (),
    "central-venous-catheter-position.md": (),
    "chest-drain-position.md": (),
    "community-acquired-pneumonia-uk.md": ("consolidation",),
    "covid-19-pneumonia.md": ("consolidation",),
    "endotracheal-tube-position.md": (),
    "hiatus-hernia.md": (),
    "idiopathic-pulmonary-fibrosis.md": (),
    "lung-abscess.md": (),
    "lung-cancer.md": ("nodule",),
    "lung-nodule-bts.md": ("nodule",),
    "mediastinal-mass.md": (),
    "nasogastric-tube-position.md": (),
    "pericardial-effusion.md": ("cardiomegaly",),
    "pleural-empyema.md": ("effusion",),
    "pneumomediastinum.md": (),
    "pneumoperitoneum.md": (),
    "pneumothorax-accp.md": ("pneumothorax",),
    "rib-fracture.md": (),
}


@dataclass(frozen=True, slots=True)
class Pair:
    id: str
    question: str
    answers: dict[str, list[str]]

    @property
    def subject(self) -> str:
        """Of a question without an answer: whether a card is at least about its subject."""
        return "" if self.answers else "same" if "-near-" in self.id else "other"

    @property
    def card(self) -> str:
        """The first that answers; "" when none does."""
        return next(iter(self.answers), "")

    @property
    def places(self) -> list[str]:
        return [f"{card} / {section}" for card, sections in self.answers.items() for section in sections]


def gold_pairs(path: Path = PAIRS) -> list[Pair]:
    """In an order in which every stretch holds questions of many cards. Raises `BadInput`."""
    pairs = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            pairs.append(Pair(row["id"], row["question"], row["answers"]))
        except (ValueError, KeyError, TypeError):
            raise BadInput(f"{path.name}, line {number}, is not a gold pair (id, question, answers).") from None
    step = 17  # neighbours in the file are of one card
    return [pair for start in range(step) for pair in pairs[start::step]]


@cache
def card_titles() -> dict[str, str]:
    """Of the bundled cards, by file."""
    texts = {Path(source.name).name: source.data.read_text("utf-8") for source in bundled_sources() if (
        isinstance(source.data, Path))}  # fmt: skip
    return {card: next(line[2:] for line in text.splitlines() if line.startswith("# ")) for card, text in texts.items()}


def place_of(passage: Passage, library: Library) -> str:
    """Card file and section: "pneumothorax.md / Symptoms"."""
    return f"{Path(library.document(passage.document_id).name).name} / {passage.section}"
