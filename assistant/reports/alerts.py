"""Findings that somebody must hear of at once, whatever else the report says: raised on top of a draft.

A finding is raised when it is stated or suspected, never when it is denied or of an earlier study. The list follows
what is taught as an emergency; `why` says so in words and claims no category of any standard.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from assistant.reports.claims import of_earlier
from assistant.reports.draft import Alert, Draft
from assistant.reports.entities import named, sentences

_ASTRAY = (
    r"mal-?positioned|misplaced|mis-?positioned|mal-?position|too (?:high|low|deep)|coiled|kinked|looped"
    r"|(?:main(?:-?stem)?|lobe|lobar|intermedius) bronchus"
    r"|in(?:to)? the (?:o?esophagus|bronch\w+|neck|pleura\w*)"
    r"|(?:should|needs? to|must) be (?:re-?positioned|withdrawn|retracted|advanced|pulled|removed)"
    r"|endobronchial|across the midline|turned up"
)


@dataclass(frozen=True, slots=True)
class Critical:
    """`phrase` names it, and `also`, if any, stands in the same sentence; both are neither denied nor of the past."""

    kind: str
    title: str
    phrase: re.Pattern[str]
    why: str
    also: re.Pattern[str] | None = None


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{pattern})\b")


_PNEUMOTHORAX = r"(?:hydro|haemo|hemo)?pneumothora(?:x|ces)"
CRITICAL: tuple[Critical, ...] = (
    Critical(
        "tension-pneumothorax", "Tension pneumothorax", _words(_PNEUMOTHORAX),
        "Air under pressure hinders the heart's filling: to be relieved at once, on clinical grounds.",
        _words(r"tension|(?:mediastin\w+|tracheal?|heart) (?:\w+ ){0,3}(?:shift\w*|displace\w+|deviat\w+|pushed)"
               r"|shift of the mediastinum|contralateral shift"),
    ),
    Critical(
        "pneumothorax", "Pneumothorax", _words(_PNEUMOTHORAX),
        "It may grow, under ventilation above all: whoever treats the patient must know of it now.",
    ),
    Critical(
        "endotracheal-tube", "Misplaced endotracheal tube", _words(_ASTRAY),
        "A lung may not be ventilated, or the tube may slip out: to be corrected at once.",
        _words(r"endotracheal tubes?|tracheal tubes?|ett|et tubes?|breathing tubes?"),
    ),
    Critical(
        "nasogastric-tube", "Misplaced feeding tube", _words(_ASTRAY + r"|in(?:to)? the trachea"),
        "Fed through a tube in the airway, a lung is flooded: not to be used before it is corrected.",
        _words(r"(?:naso|oro)-?(?:gastric|enteric) tubes?|ngt|ng tubes?|og tubes?|feeding tubes?|dobhoff(?: tubes?)?"),
    ),
    Critical(
        "central-line", "Misplaced central line", _words(_ASTRAY + r"|deep in the right atrium|right ventricle"),
        "What runs in may do harm where the tip lies: to be checked before it is used.",
        _words(r"central (?:venous )?(?:catheters?|lines?)|cvc|picc(?: lines?)?|venous catheters?|jugular lines?"),
    ),
    Critical(
        "free-air", "Free air in the abdomen",
        _words(r"pneumoperitoneum|free (?:intra-?peritoneal |intra-?abdominal |sub-?diaphragmatic )?(?:air|gas)"
               r"|(?:air|gas) (?:under|below|beneath) (?:the |either |the right |the left )*(?:hemi)?diaphragms?"),
        "A hollow organ may be perforated: for a surgeon at once.",
    ),
    Critical(
        "haemorrhage", "Bleeding",
        _words(r"(?:intra-?(?:cranial|cerebral|parenchymal|ventricular|axial)|cerebral|sub-?dural|epi-?dural|extra-?dural"
               r"|sub-?arachnoid|brain(?:stem)?|cerebellar|thalamic|acute) "
               r"(?:\w+ )?(?:ha?emorrhages?|ha?ematomas?|bleed(?:ing)?s?)"
               r"|(?:large|massive|extensive) (?:\w+ ){0,2}(?:ha?emorrhages?|ha?ematomas?|bleed(?:ing)?)"
               r"|active (?:bleeding|extravasation)"),
        "Inside the skull it raises the pressure within minutes to hours; elsewhere the loss may be fatal.",
    ),
    Critical(
        "mass-effect", "Midline shift or herniation",
        _words(r"mid-?line shift|shift of the mid-?line|(?:uncal|tonsillar|subfalcine|transtentorial|brain) herniation"
               r"|herniation of the (?:uncus|tonsils|brain)"),
        "The brain is displaced by pressure.",
    ),
    Critical(
        "aorta", "Aortic dissection or rupture",
        _words(r"aortic (?:dissection|rupture|transection)|dissection of the (?:\w+ )?aorta"
               r"|ruptured (?:\w+ )*aneurysm"),
        "Untreated it is often fatal within hours.",
    ),
    Critical(
        "embolism", "Pulmonary embolism", _words(r"pulmonary embol(?:ism|us|i)|saddle embol(?:us|ism)"),
        "The right heart may fail: treatment isn't to wait for the report.",
    ),
    Critical(
        "pneumomediastinum", "Air in the mediastinum", _words(r"pneumo-?mediastinum|mediastinal (?:air|emphysema)"),
        "The oesophagus or an airway may be torn.",
    ),
    Critical(
        "cord", "Compression of the spinal cord",
        _words(r"(?:spinal )?cord compression|compression of the (?:spinal )?cord"),
        "Paralysis may become lasting within hours.",
    ),
    Critical(
        "retina", "Detached retina", _words(r"retinal detachment|detached retina|detachment of the retina"),
        "Sight may be lost for good while the macula is still attached.",
    ),
    Critical(
        "papilloedema", "Swelling of the optic disc", _words(r"papillo?edema|(?:optic )?disc (?:swelling|o?edema)"),
        "The pressure in the skull may be raised.",
    ),
)  # fmt: skip
_PARTED = {"pneumothorax": "tension-pneumothorax"}  # not raised beside the graver one


def alerts(draft: Draft) -> tuple[Alert, ...]:
    """One alert a kind, with every statement it rests on, in the order of the list."""
    said: dict[str, list[str]] = {}
    doubted: dict[str, bool] = {}
    for section in draft.sections:
        if section.name in ("indication", "history", "guideline"):
            continue
        for statement in section.statements:
            for critical in CRITICAL:
                if sure := _raised(statement.text, critical):
                    said.setdefault(critical.kind, []).append(statement.id)
                    doubted[critical.kind] = doubted.get(critical.kind, True) and sure == "uncertain"
    return tuple(
        Alert(
            kind=critical.kind, statements=tuple(said[critical.kind]),
            message=f"{critical.title}{' suspected' if doubted[critical.kind] else ''}. {critical.why}",
        )
        for critical in CRITICAL
        if critical.kind in said and _PARTED.get(critical.kind) not in said
    )  # fmt: skip


def _raised(text: str, critical: Critical) -> str | None:
    """The state in which a sentence of the text raises it; None when none does."""
    states: set[str] = set()
    for sentence in sentences(text):
        if of_earlier(sentence):
            continue
        stated = {state for state, _ in named(sentence, critical.phrase)} - {"absent"}
        also = critical.also is None or {s for s, _ in named(sentence, critical.also)} - {"absent"}
        if stated and also:
            states |= stated
    return "present" if "present" in states else "uncertain" if states else None
