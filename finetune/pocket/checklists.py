"""What a phantom says to the imaging criteria of the guideline cards, about which the differential asks in the cards'
own words. A sign that phantoms don't show is unknown, however likely: the model is to say so.
"""

from functools import cache

from eval.phantoms.criteria import Case, State
from eval.phantoms.phrases import kinds_told
from finetune.pocket.material import FINDINGS
from retrieval.cards import bundled_cards

KIND_OF = {term: kind for kind, term in FINDINGS.items()}
CLEAR = "clear lungs"
_OF_LUNGS = {"consolidation", "nodule", "oedema", "atelectasis"}
_TUBES = ("endotracheal tube", "central venous catheter", "nasogastric tube")
_ASTRAY = {  # → the device, and what its note says
    "endobronchial intubation": ("endotracheal tube", "bronchus"),
    "misplaced catheter": ("central venous catheter", ""),
    "misplaced nasogastric tube": ("nasogastric tube", ""),
}


def card_criteria(case: Case, view: str) -> list[tuple[str, State]]:
    """Every imaging criterion of the chest cards, and whether this view of the phantom meets it."""
    return [(text, _state(finding, case, view)) for text, finding in _imaging()]


@cache
def _imaging() -> tuple[tuple[str, str | None], ...]:
    cards = [card for card in bundled_cards() if card.domain == "chest_xray"]
    return tuple((one.text, one.finding) for card in cards for one in card.criteria if one.kind == "imaging")


def _state(finding: str | None, case: Case, view: str) -> State:
    found = {one.kind for one in case.findings}
    if finding in KIND_OF:
        kind = KIND_OF[finding]
        if kind not in kinds_told(view):
            return "unknown"
        return "met" if kind in found else "contradicted"
    if finding == CLEAR:
        return "contradicted" if found & _OF_LUNGS else "met"
    if finding in _TUBES:
        return "met" if any(d.kind == finding and d.placed for d in case.devices) else "contradicted"
    if finding in _ASTRAY:
        kind, note = _ASTRAY[finding]
        astray = any(d.kind == kind and not d.placed and note in d.note for d in case.devices)
        return "met" if astray else "contradicted"
    return "unknown"
