"""Pictures and words that belong together, for contrastive training: labels of pictures, captions, and which goes with
which."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune.pocket.samples import FINDINGS, Card, case_text
from finetune.pocket.targets import HALVES, NAMES

OTHER = "an image of another kind, not a chest radiograph"
Labels = frozenset[str]
NORMAL: Labels = frozenset(["normal"])
STRANGE: Labels = frozenset(["other"])
_NIH_WORD = {"effusion": "effusion", "consolidation": "consolidation", "nodule": "nodule", "mass": "nodule",
             "pneumothorax": "pneumothorax", "cardiomegaly": "cardiomegaly", "edema": "oedema",
             "atelectasis": "atelectasis"}  # fmt: skip
_AT = {name: n for n, name in enumerate(NAMES)}


@dataclass(frozen=True)
class Caption:
    """A text and what it is about. `exact`: it describes exactly these labels; else any picture with one of them."""

    text: str
    about: Labels
    exact: bool = True


def labels_of_phantom(facts: dict[str, Any]) -> Labels:
    return frozenset(finding["kind"] for finding in facts["findings"]) or NORMAL


def labels_of_real(source: str, row: dict[str, Any], targets: NDArray[np.float32]) -> Labels:
    """What the picture shows, in words that no two kinds of picture share but chest radiographs. `targets`: as the
    picture is shown now (a half of a brain depends on how it was turned)."""
    if source == "cxr_nih":
        labels = set(row["labels"])
        return frozenset(f"real {_NIH_WORD.get(label, label)}" for label in labels) or frozenset(["real normal"])
    if source == "fundus":
        dr = (row.get("grade") or {}).get("dr")
        return frozenset(["fundus"] if dr is None else [f"retinopathy {min(dr, 2)}"])
    if source == "blood":
        return frozenset([f"platelets {min(row['grade']['platelets'], 1)}"])
    if source == "brain_mri":
        left, up = targets[HALVES]
        sides = [f"tumour {name}" for name, value in (("left", left), ("up", up)) if value == 1]
        sides += [f"tumour {name}" for name, value in (("right", left), ("down", up)) if value == 0]
        return frozenset(sides or ["tumour"])
    return frozenset(["covid"])


REAL_WORDS = {
    "real normal": "chest radiograph without finding", "covid": "chest radiograph of a patient with covid-19",
    "fundus": "photograph of the fundus of the eye", "retinopathy 0": "fundus photograph without diabetic retinopathy",
    "retinopathy 1": "fundus photograph with mild diabetic retinopathy",
    "retinopathy 2": "fundus photograph with referable diabetic retinopathy",
    "platelets 0": "blood smear without platelets",
    "platelets 1": "blood smear with platelets", "tumour": "brain MRI with a tumour in the middle",
    "tumour left": "brain MRI with a tumour in the left half of the picture",
    "tumour right": "brain MRI with a tumour in the right half of the picture",
    "tumour up": "brain MRI with a tumour in the upper half of the picture",
    "tumour down": "brain MRI with a tumour in the lower half of the picture",
}  # fmt: skip


def real_caption(labels: Labels, rng: np.random.Generator) -> Caption:
    """One label's words; of a radiograph several."""
    if any(label.startswith("real ") and label != "real normal" for label in labels):
        terms = [label.removeprefix("real ") for label in sorted(labels)]
        return Caption("chest radiograph with " + " and ".join(FINDINGS.get(term, term) for term in terms), labels)
    label = sorted(labels)[rng.integers(len(labels))]
    return Caption(REAL_WORDS[label], frozenset([label]), exact=False)


def phantom_caption(facts: dict[str, Any], library: Sequence[Card], rng: np.random.Generator) -> Caption:
    kinds = [finding["kind"] for finding in facts["findings"]]
    about, draw = frozenset(kinds) or NORMAL, rng.random()
    own = [card for card in library if card.finding in kinds]
    if not kinds:
        own = [card for card in library if card.title == "Normal chest radiograph"]
    if draw < 0.4 and own:
        card = own[rng.integers(len(own))]
        words = " ".join(f"{card.title}. {card.section}. {card.text}".split()[: rng.integers(3, 45)])
        return Caption(words, frozenset([card.finding] if card.finding else ["normal"]), exact=False)
    if draw < 0.7:
        return Caption(case_text(facts), about)
    if draw < 0.85 or not kinds:
        return Caption(facts["report"]["impression"], about)
    return Caption(" and ".join(FINDINGS[kind] for kind in kinds), about)


def belongs(pictures: list[Labels], texts: list[Caption]) -> NDArray[np.float32]:
    """P (pictures, texts): 1 where a text is true of a picture in every label it names, 0 elsewhere."""
    rows = [
        [text.about == labels if text.exact else bool(text.about & labels) for text in texts] for labels in pictures
    ]
    return np.array(rows, np.float32)


def alike(pictures: list[Labels]) -> NDArray[np.float32]:
    """P (pictures, pictures): the share of labels two pictures have in common (Jaccard), 0 for a picture and itself."""
    shared = np.array([[len(a & b) / len(a | b) for b in pictures] for a in pictures], np.float32)
    np.fill_diagonal(shared, 0)
    return shared
