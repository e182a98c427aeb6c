"""What a statement rests on: a citation that is there, the side on which its region lies, words of the request."""

import re

from assistant.checks import GUIDELINE, states_side
from assistant.reports.checks.base import Situation, about_patient, result
from assistant.reports.claims import ends
from assistant.reports.draft import CheckResult, Draft, Region
from assistant.reports.entities import label, side_of

_MIDDLE = 0.08  # of the width, either way from the middle: a region there is on neither side
# What no picture shows: it is known from the request, or not at all.
_TOLD = re.compile(
    r"\b(?:history of|known(?: case of)?|status post|s/p|post[- ]?operative|previous(?:ly)? (?:diagnosed|treated)"
    r"|prior (?:surgery|operation)|biopsy|histolog\w+|smok(?:er|ing)|fever|febrile|cough|pain|dyspnoea|dyspnea"
    r"|(?:patient|she|he) (?:has|had|reports?|complains?|denies|was|takes|underwent)|laborator\w+|leu[ck]ocyt\w+"
    r"|crp|troponin|(?:on|in|by|from|as) (?:the |an? |recent |outside |seen on |separate )*"
    r"(?:ct|mri|mr|pet|ultrasound|echocardio\w+|bronchoscopy|tomograph\w+))\b",
    re.I,
)
_OPEN = re.compile(r"history|known|status|s/p|prior|previous|patient|s?he\b", re.I)  # the claim is what follows
_ADVICE = re.compile(
    r"\b(?:recommend\w*|advis\w+|suggest(?:ed)? (?:ct|mri)|consider|should|could|if|correlat\w+)\b", re.I
)
_WORD = re.compile(r"[a-z]{4,}", re.I)
_EMPTY = frozenset(
    {"with", "from", "that", "this", "which", "were", "been", "have", "there", "known", "history", "patient", "status"}
    | {"post", "seen", "shown", "recent", "prior", "previous", "previously", "reports", "complains", "denies", "takes"}
    | {"underwent", "outside", "separate", "diagnosed", "treated", "chest", "lung", "side", "left", "right"}
)  # says nothing of what is claimed


def unsupported(draft: Draft, situation: Situation) -> list[CheckResult]:
    """Called cited without a citation, a guideline's word without one, or told by nobody."""
    found = []
    for section in draft.sections:
        for said in section.statements:
            if said.support == "person":
                continue
            if not said.citations and (said.support == "cited" or section.name == GUIDELINE):
                found.append(result("support", "critical", "It is said to be cited, and cites nothing.", said.id))
            elif not said.citations and (word := _untold(said.text, f"{situation.template.title}\n{situation.told}")):
                message = f"“{word}”: no picture shows this, and the request does not say it."
                found.append(result("support", "warning", message, said.id))
    return found


def _untold(text: str, told: str) -> str | None:
    """The words that claim something beyond the pictures, where the request has none of what they claim."""
    match = _TOLD.search(text)
    if match is None or _ADVICE.search(text):
        return None
    if not _OPEN.match(match[0]) and re.search(rf"\b{re.escape(match[0].split()[-1])}\b", told, re.I):
        return None
    rest = {word.lower() for word in _WORD.findall(text[match.start() :])} - _EMPTY
    given = {word.lower()[:5] for word in _WORD.findall(told)}
    return None if any(word[:5] in given for word in rest) else match[0]


def side_unknown(draft: Draft, situation: Situation) -> list[CheckResult]:
    if situation.sides:
        return []
    message = "A side is stated, and the orientation of the pictures is not known."
    return [result("side", "critical", message, said.id) for _, said in about_patient(draft) if states_side(said.text)]


def side_of_region(draft: Draft, situation: Situation) -> list[CheckResult]:
    """The statement's one side is not the half of the picture on which its region lies."""
    found = []
    for _, said in about_patient(draft):
        shown = _shown_side(said.region, situation) if said.region else None
        mentions = [m.side for m in label(said.text) if m.state != "absent" and m.side]
        sides = ends(mentions or [side for side in (side_of(said.text.lower()),) if side])
        if shown and len(sides) == 1 and shown not in sides:
            message = f"It says {''.join(sides)}, and the region it points at lies on the {shown}."
            found.append(result("side", "critical", message, said.id))
    return found


def _shown_side(region: Region, situation: Situation) -> str | None:
    """The patient's side on which all of the region lies; None where that can't be told."""
    if not 1 <= region.picture <= len(situation.shown):
        return None
    picture = situation.shown[region.picture - 1]
    middle = (region.box[0] + region.box[2]) / 2 / picture.width
    if picture.right_on_left is None or abs(middle - 0.5) < _MIDDLE:
        return None
    return "right" if (middle < 0.5) == picture.right_on_left else "left"
