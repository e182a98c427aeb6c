"""The checklists of the phantoms as guideline cards, so that the differential can be fitted and measured on them."""

import re

from eval.phantoms import Phantom
from eval.phantoms.criteria import DISEASES, criteria
from retrieval.cards import Card, Criterion, Lab, Source

_VALUE = re.compile(
    r"^(?:The )?(?P<name>[\w-]+(?: \w+)*) is (?P<how>above |below )?(?P<n>\d+) (?P<unit>\S+?)(?: or (?:more|less))?\.$"
)
_AGE = re.compile(r"^The patient is (\d+) years old or older\.$")
_TOLD = re.compile(r"^The patient (?:smokes|coughs|has lost|becomes)|^The pain")
_BEYOND = (
    "Fluid drawn",
    "Blood pressure",
    "A pathogen",
    "Something is seen",
    "The fluid is rich",
    "The nodule is solid",
)
# A disease with several possible signs requires none of them.
_ANY_SIGN = ("tube malposition", "heart failure")


def phantom_cards(phantom: Phantom) -> tuple[Card, ...]:
    """One card a disease; any phantom has the same."""
    return tuple(_card(disease, [line.text for line in criteria(phantom)[disease]]) for disease in DISEASES)


def _card(disease: str, texts: list[str]) -> Card:
    source = Source("Consult", "Checklists of the phantoms", 2026, disease.capitalize())
    lines = tuple(_criterion(text, n == 0 and disease not in _ANY_SIGN) for n, text in enumerate(texts))
    return Card(
        file=f"{disease}.md", title=disease.capitalize(), kind="disease", domain="chest_xray", aliases=(), terms=(),
        edition="1", jurisdiction="none", sources=(source,), criteria=lines, text="",
    )  # fmt: skip


def _criterion(text: str, required: bool) -> Criterion:
    if age := _AGE.match(text):
        return Criterion(text, "sign", "supports", 0, lab=Lab("age", "year", low=float(age[1])))
    if value := _VALUE.match(text):
        limit = float(value["n"])
        above, below = (limit if value["how"] == how else None for how in ("above ", "below "))
        lab = Lab(value["name"], value["unit"], below, above, low=None if value["how"] else limit)
        return Criterion(text, "laboratory", "supports", 0, lab=lab)
    if _TOLD.match(text):
        return Criterion(text, "history", "supports", 0)
    if text.startswith(_BEYOND):
        return Criterion(text, "sign", "supports", 0)
    return Criterion(text, "imaging", "required" if required else "supports", 0)
