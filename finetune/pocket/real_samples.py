"""Questions about real pictures with the answers their sources know; nothing is asked that nobody marked.

Sides are those of the picture ("left half of the picture"): a slice's or an eye's own orientation isn't known.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from assistant.requests import AskRequest
from assistant.study import STANDARD_RADIOGRAPH, Picture, Study
from eval.benchmarks.cxr_nih import TERMS
from eval.benchmarks.phantom_items import with_choices
from eval.benchmarks.picture_sets import Fundus
from eval.phantoms.phrases import capital
from eval.phantoms.wordings import get_wording
from finetune.pocket.samples import BLANK, CANNOT_TELL, Sample, sample_of

Told = tuple[str, str]  # question, the sentence that answers it
_KIND = {
    "cxr_nih": "a chest radiograph", "cxr_hannover": "a chest radiograph", "brain_mri": "an MRI of the brain",
    "fundus": "a photograph of the fundus", "blood": "a blood smear",
}  # fmt: skip
_MODALITY = {"cxr_nih": "DX", "cxr_hannover": "DX", "brain_mri": "MR", "fundus": "OP", "blood": "SM"}
VIEWS = ("PA", "AP")


def _pick(things: Sequence[str], rng: np.random.Generator) -> str:
    return things[int(rng.integers(len(things)))]


def _way(what: str, rng: np.random.Generator) -> str:
    return _pick(_WAYS[what], rng)


def _yes(yes: bool, there: str, absent: str) -> str:
    return f"Yes, {there}." if yes else f"No, {absent}."


# The ways to ask, by what is asked.
_WAYS = {
    "abnormal": ("Is this radiograph abnormal?", "Is there any finding?", "Does this film show anything abnormal?"),
    "projection": ("Which projection is this radiograph?", "Is it a PA or an AP film?", "Name the projection."),
    "referable": (
        "Is there referable diabetic retinopathy?", "Is diabetic retinopathy of a referable grade present?",
        "Does this eye need a referral for retinopathy?",
    ),
    "retinopathy": ("Is there diabetic retinopathy?", "Any sign of diabetic retinopathy?", "Do you see retinopathy?"),
    "grade": (
        "Which grade of diabetic retinopathy is seen?", "Grade the retinopathy.", "How severe is the retinopathy?",
    ),
    "macula": ("Is there a risk of macular oedema?", "Do hard exudates threaten the macula?"),
    "platelets": ("Are there platelets in this picture?", "Do you see platelets?", "Is any platelet visible?"),
    "count": ("How many {t} are in this picture?", "Count the {t}.", "What is the number of {t}?"),
    "half": ("Where is the tumour?", "Which half of the picture holds the tumour?", "In which half is the tumour?"),
    "kind": ("What kind of picture is this?", "Which kind of image do you see?", "What is this a picture of?"),
}  # fmt: skip


def _nih(row: dict[str, Any], rng: np.random.Generator, _: Any) -> list[Told]:
    """Any finding or none; one label that is there and one that isn't; the view."""
    labels, words = set(row["labels"]), get_wording("train")
    if rng.random() < 0.7:
        told = [(_way("abnormal", rng), _yes(bool(labels), "it is abnormal", "no abnormality is seen"))]
    else:
        told = [(_pick(words.normal, rng), _yes(not labels, "no abnormality is seen", "it is abnormal"))]
    for pool in (sorted(labels & set(TERMS)), sorted(set(TERMS) - labels)):
        if pool:
            label = _pick(pool, rng)
            heart, article = label == "cardiomegaly", TERMS[label]
            term = article.removeprefix("a ").removeprefix("an ")
            there, absent = (
                ("the heart is enlarged", "the heart is not enlarged")
                if heart
                else (f"there is {article}", f"there is no {term}")
            )
            way = _pick(words.heart if heart else words.presence, rng).format(a=article, t=term)
            told.append((way, _yes(label in labels, there, absent)))
    return [*told, *_view(row, rng)]


def _view(row: dict[str, Any], rng: np.random.Generator) -> list[Told]:
    view = row.get("view")
    return [(with_choices(_way("projection", rng), VIEWS), f"{view}.")] if view in VIEWS else []


def _fundus(row: dict[str, Any], rng: np.random.Generator, _: Any) -> list[Told]:
    grade, told = row.get("grade") or {}, list[Told]()
    if (dr := grade.get("dr")) is not None:
        name, none = Fundus.grades[dr], "there is no diabetic retinopathy"
        referable = "referable diabetic retinopathy"
        told += [
            (_way("referable", rng), _yes(dr >= 2, f"there is {referable}", f"there is no {referable}")),
            (_way("retinopathy", rng), _yes(dr >= 1, f"there is {name} retinopathy", none)),
            (with_choices(_way("grade", rng), Fundus.grades), f"{capital(name)}."),
        ]
    if (dme := grade.get("dme")) is not None:
        risk = "risk of macular oedema"
        told.append((_way("macula", rng), _yes(dme >= 1, f"there is a {risk}", f"there is no {risk}")))
    return told


def _blood(row: dict[str, Any], rng: np.random.Generator, _: Any) -> list[Told]:
    platelets = row["grade"]["platelets"] > 0
    told = [(_way("platelets", rng), _yes(platelets, "there are platelets", "there are no platelets"))]
    for one in ("white blood cell", "red blood cell", "platelet"):
        number = row["grade"][f"{one.replace(' ', '_')}s"]
        several = f"There is 1 {one}." if number == 1 else f"There are {number} {one}s."
        told.append((_way("count", rng).format(t=f"{one}s"), several))
    return told


def _brain(_: dict[str, Any], rng: np.random.Generator, halves: Any) -> list[Told]:
    """`halves`: whether the tumour is on the left and above, as the picture is shown now; NaN near the middle."""
    told = list[Told]()
    for first, names in zip(halves, (("left", "right"), ("upper", "lower")), strict=True):
        if not np.isnan(first):
            choices = [f"{name} half of the picture" for name in names]
            told.append((with_choices(_way("half", rng), choices), f"{capital(choices[first == 0])}."))
    return told


_ASKED: dict[str, Callable[[dict[str, Any], np.random.Generator, Any], list[Told]]] = {
    "cxr_nih": _nih, "cxr_hannover": lambda row, rng, _: _view(row, rng), "fundus": _fundus, "blood": _blood,
    "brain_mri": _brain,
}  # fmt: skip
_ELSEWHERE = {  # asked of another kind of picture: it can't be told
    "a chest radiograph": ("Is there a pleural effusion?", "Is the heart enlarged?", "Is there a pneumothorax?"),
    "a photograph of the fundus": (_WAYS["referable"][0], _WAYS["grade"][1]),
    "a blood smear": (_WAYS["platelets"][0], "Count the white blood cells."),
    "an MRI of the brain": (_WAYS["half"][0],),
}


def quiz(source: str, row: dict[str, Any], halves: Any, turns: int, rng: np.random.Generator) -> Sample:
    """Up to `turns` questions about one picture. `halves` as `_brain` takes them."""
    kind = _KIND[source]
    told = [*_ASKED[source](row, rng, halves), (_way("kind", rng), f"This is {kind}.")]
    chosen = [told[i] for i in rng.permutation(len(told))[:turns]]
    lines = [(question, f"[answer] {sentence} [image]") for question, sentence in chosen]
    if rng.random() < 0.15:
        strange = [question for other, asked in _ELSEWHERE.items() if other != kind for question in asked]
        lines.append((_pick(strange, rng), f"[answer] {CANNOT_TELL}"))
    chest = kind == "a chest radiograph"
    # Half the radiographs say their view, unless it is asked.
    tells = chest and rng.random() < 0.5 and not any("PA or AP" in question for question, _ in lines)
    modality = _MODALITY[source] if chest or rng.random() < 0.6 else None
    picture = Picture(BLANK, modality, row.get("view") if tells else None, STANDARD_RADIOGRAPH if chest else None)
    return sample_of(AskRequest(study=Study((picture,)), question=lines[0][0]), [], lines)
