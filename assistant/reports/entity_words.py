"""The labeller's words: what names a finding, what denies or doubts it, where a clause ends, what names a side.

Everything is a pattern on lower-case text. Order matters in both tables, and only as said above each.
"""

from __future__ import annotations

import re
from typing import Literal, get_args

State = Literal["present", "absent", "uncertain"]
Finding = Literal[
    "No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Lesion", "Lung Opacity", "Edema",
    "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other", "Fracture",
    "Support Devices",
]  # fmt: skip
FINDINGS: tuple[Finding, ...] = get_args(Finding)

_HEART = r"(?:heart(?: size)?|cardiac (?:silhouette|size|shadow|contours?))"
_BROAD = r"cardio-?mediastin(?:al|um)(?: (?:silhouette|contours?|borders?))?"
_MIDDLE = r"mediastin(?:um|al)(?: (?:silhouette|contours?|borders?|width))?"
_LUNGS = r"(?:lungs?(?: fields?| bases?)?|lung zones)"
_ANGLE = r"costophrenic (?:angles?|sulc(?:i|us)|recess(?:es)?)"
_IS = r"(?::|,? which)?(?: (?:is|are|has|remains?|appears?|again|otherwise|to|be|been|not|\w+ly|may|could|stable)){0,5}"
_NORMAL = r"(?:normal|unremarkable|within normal)"
_LARGE = r"(?:enlarged|increased|too large|prominent|widened)"
_WHOLE = r"(?:acute|active|significant|focal|cardiopulmonary|cardiothoracic|(?:intra)?thoracic|radiographic)"
_LINES = r"(?:central|venous|picc|jugular|subclavian|femoral|dialysis)(?: (?:central|venous))*"


def _either_order(noun: str, adjective: str) -> str:
    return rf"{noun}{_IS} {adjective}|{adjective} {noun}"


# (findings, state of the bare phrase, its wordings), tried in this order: what one row has taken no later row sees.
_ROWS: tuple[tuple[tuple[Finding, ...], State, tuple[str, ...]], ...] = (
    ((), "absent", (r"pericardial effusions?", r"(?:soft[- ]tissue|subcutaneous|ankle) (?:o?edema|swelling|mass)")),
    (("No Finding",), "present", (
        rf"no (?:{_WHOLE} ){{0,2}}abnormalit(?:y|ies)", r"no (?:active|acute) (?:\w+ )?(?:disease|process|findings?)",
        r"(?:chest|study|examination|radiograph) (?:is|appears) (?:normal|unremarkable)", r"no abnormal findings?",
        r"(?:normal|unremarkable) (?:chest|radiograph|study|examination|film)",
    )),
    (("Cardiomegaly",), "uncertain", (
        rf"borderline (?:enlarged )?{_HEART}", r"borderline cardiomegaly",
        rf"{_HEART}{_IS} (?:borderline|(?:at )?(?:the )?upper limits?|top[- ]normal)",
    )),
    (("Enlarged Cardiomediastinum",), "present", (
        _either_order(_BROAD, _LARGE), _either_order(_MIDDLE, _LARGE), r"mediastinal (?:widening|enlargement)",
        r"widening of the mediastinum",
    )),
    (("Cardiomegaly", "Enlarged Cardiomediastinum"), "absent", (
        _either_order(_BROAD, _NORMAL), _either_order(rf"(?:{_HEART}|cardiac) and {_MIDDLE}", _NORMAL),
    )),
    (("Enlarged Cardiomediastinum",), "absent", (_either_order(_MIDDLE, _NORMAL),)),
    (("Cardiomegaly",), "present", (
        r"cardiomegaly", r"cardiac enlargement", r"(?:enlargement|prominence) of the (?:heart|cardiac silhouette)",
        _either_order(_HEART, _LARGE),
    )),
    (("Cardiomegaly",), "absent", (_either_order(rf"{_HEART}(?: and lungs)?", _NORMAL),)),
    (("Lung Opacity", "Consolidation", "Lung Lesion", "Edema", "Atelectasis"), "absent", (
        rf"(?:both )?{_LUNGS}{_IS}(?:(?: [\w-]+){{1,2}} (?:and|but))? clear", rf"clear {_LUNGS}",
    )),
    (("Pleural Effusion", "Pneumothorax"), "absent", (_either_order(r"pleural spaces?", "clear"),)),
    (("Pleural Effusion",), "absent", (
        _either_order(_ANGLE, "(?:clear|sharp|preserved)"),
    )),
    (("Edema",), "absent", (_either_order(r"(?:pulmonary )?vascul(?:arity|ature)", _NORMAL),)),
    (("Fracture",), "absent", (
        _either_order(r"(?:oss\w+ structures?|bones|ribs|bony thorax|skeleton)", rf"(?:intact|{_NORMAL})"),
        r"no (?:acute )?(?:osseous|bony|skeletal) abnormalit(?:y|ies)",
    )),
    (("Support Devices",), "present", (
        rf"{_LINES} lines?", r"picc", r"lines(?: or tubes)?", r"(?:(?!no\b)\w+ )?tubes?(?: or lines?)?", r"catheters?",
        r"ett", r"pacemakers?", r"pac(?:ing|er) (?:wires?|leads?)", r"defibrillators?", r"port-?a-?caths?",
        r"support devices?", r"prosthetic valve", r"(?:chest|pleural|pigtail) drains?", r"ngt",
        r"(?:subclavian|jugular|chest) port", r"(?:sternotomy|sternal) wires",
    )),
    (("Lung Lesion",), "present", (
        r"nodul(?:es?|ar (?:opacit\w+|densit\w+|lesions?))", r"(?<!mediastinal )mass(?:es)?", r"tumou?rs?",
        r"(?:lung|pulmonary|cavit\w+) lesions?", r"neoplasms?", r"carcinoma", r"malignancy", r"metastas[ie]s",
    )),
    (("Consolidation",), "present", (r"consolidat(?:ions?|ed|ive)",)),
    (("Pneumonia",), "present", (
        r"(?:broncho)?pneumoni(?:as?|c)", r"infections?", r"infectious (?:process|infiltrate)",
    )),
    (("Atelectasis",), "present", (
        r"atelecta(?:sis|ses|tic)", r"volume loss", r"loss of volume",
        r"(?:lobe|lobar|lung)(?: (?:is|has))? collapsed?", r"(?<!vertebral )collapse",
        r"collapsed (?:\w+ ){0,2}(?:lobe|lung)",
    )),
    (("Pneumothorax",), "present", (r"(?:hydro|haemo|hemo)?pneumothora(?:x|ces)",)),
    (("Pleural Other",), "present", (
        r"pleural (?:thickening|plaques?|scar(?:ring)?|calcifications?)", r"fibrothorax", r"apical capping",
    )),
    (("Pleural Effusion",), "present", (
        r"(?:pleural )?effusions?", r"(?:pleural|trace|free|loculated) fluid", r"(?:haemo|hemo|hydro)thorax",
        rf"fluid (?:in|fills|filling) (?:\w+ ){{0,2}}(?:{_ANGLE}|pleural (?:spaces?|cavit(?:y|ies)))",
    )),
    (("Edema",), "present", (
        r"o?edema", r"(?:vascular|venous|pulmonary) congestion", r"fluid overload",
        r"(?<!respiratory )(?<!renal )failure", r"kerley[ -]?b? lines", r"cardiac decompensation",
    )),
    (("Lung Opacity",), "present", (
        r"opaci(?:ty|ties|fications?|fied)", r"infiltrat(?:es?|ions?)", r"air-?space (?:disease|shadowing)",
        r"(?:interstitial|reticular) (?:markings|shadowing)", r"shadowing", r"haziness",
    )),
    (("Fracture",), "present", (r"fractur(?:es?|ed)",)),
)  # fmt: skip
TABLE = tuple((findings, state, re.compile(rf"\b(?:{'|'.join(words)})\b")) for findings, state, words in _ROWS)

_SEEN = r"(?:seen|identified|visuali[sz]ed|demonstrated|detected|present|evident|appreciated|noted|shown|found)"
_BARELY = r"(?:entirely |completely |fully |reliably |definitely |confidently )?"
_CANNOT = r"\b(?:cannot|can't|can not|could not|unable to|difficult to|hard to|not)"
Reach = Literal["after", "before", "neighbours"]

# (state, which mentions it reaches, its wordings); None cancels the words. Where two begin at the same character
# the earlier row is taken, so longer readings stand above the shorter ones that they contain.
CUE_ROWS: tuple[tuple[State | None, Reach, tuple[str, ...]], ...] = (
    ("uncertain", "before", (
        rf"(?:\b(?:is|are) )?{_CANNOT} be {_BARELY}(?:excluded|ruled out)",
        rf"(?:\b(?:is|are) )?\bnot {_BARELY}excluded",
        r"\b(?:is|are|remains?) (?:also )?(?:likely|possible|probable|suspected|questioned|uncertain|favou?red)"
        r"(?=\W*(?:$|,|and|on|in|at|but|given)\b|\W*$)",
        r"\b(?:may|might|could) be present", r"\bis (?:difficult|hard) to (?:exclude|rule out)",
        r"\bless likely", r"\?",
    )),
    ("uncertain", "after", (rf"{_CANNOT} {_BARELY}(?:exclude|rule out)",)),
    (None, "after", (
        r"\b(?:no|without)(?: \w+){0,3} (?:change|increase|decrease|progression|worsening|improvement|doubt)\b",
        r"\bnot(?: yet| \w+ly)? (?:changed|increased|decreased|resolved|cleared|improved|worsened|only|fully)\b",
        r"\b(?:partial|incomplete|not|almost|nearly)(?:ly)? (?:resolved|resolution|cleared|clearing)",
        r"\b(?:has|have) (?:partially|incompletely|almost|nearly|largely|mostly) (?:\w+ly )?(?:resolved|cleared)",
    )),
    ("absent", "before", (
        rf"(?:\b(?:is|are|was|were|has|have) )?\b(?:not|no longer) (?:\w+ly )?(?:been )?{_SEEN}",
        r"\b(?:is|are) (?:absent|lacking|unlikely)", r": (?:none|nil|absent|no$)",
        r"\b(?:resolved|removed|ruled out|excluded)$",
        r"\b(?:has|have|is|are) (?:now |since )?(?:\w+ly )?(?:been )?(?:resolved|cleared|disappeared|removed"
        r"|ruled out)",
    )),
    ("absent", "after", (
        r"\b(?:no|not|without|nor|neither|never|free (?:of|from)|clear of|negative for|absence of|lack of|lacks?"
        r"|rather than|instead of|resolution of|clearance of|removal of|fails? to|resolved)\b",
    )),
    ("uncertain", "neighbours", (r"\b(?:versus|vs)\b",)),
    ("uncertain", "after", (
        r"\b(?:may|might|could|possibl[ey]|possibility of|probabl[ey]|likely|suspicio(?:us|n) (?:for|of)|suspect(?:ed)?"
        r"|concern(?:ing)? for|worrisome for|suggest(?:s|ing|ive of)|question(?:able| of)|query|equivocal|perhaps"
        r"|either(?! side| lung)|potential(?:ly)?|presumed|presumably|rule out|to exclude|differential)\b",
    )),
)  # fmt: skip
CUES = re.compile("|".join(f"(?P<c{n}>{'|'.join(words)})" for n, (_, _, words) in enumerate(CUE_ROWS)))

# A list ("no effusion, new nodule or mass") goes on over a comma; a new statement doesn't.
_START = r"(?:the|an?|there|it|tiny|trace|minimal|small|mild|moderate|large|severe|stable|persistent|unchanged|new)\b"
# A sentence of which a source is the subject: what it says is of no patient, or of another.
OF_A_SOURCE = re.compile(
    r"(?i)(?:^|(?<=[.!?;\n]))[^\S\n]*(?:\[[\w ]*\] *)?(?:(?:the|this|an?|another) "
    r"(?:(?!(?:for|which|that|and|with|in|on|by|as|per|to|when|where|of|is|are|has) )\w+(?:'s)? ){0,4})?"
    r"(?:passages?|guidelines?|guidance|similar cases?) (?:\[\d+\] )?"
    r"(?:covers?|says?|states?|recommends?|advises?|describes?|mentions?|shows?|defines?|lists?|asks?|warns?|calls? for"
    r"|(?:is|are) (?:about|on))\b[^.!?;\n]*"
)
BREAK = re.compile(
    r"^\s*(?:yes|no)\s*[,.]\s|[;!\n]|:(?! (?:clear|normal|none|nil|absent|intact|unremarkable|enlarged|no[.\n]))"
    r"|\.(?=\s|$)|(?<=\?)\s|\s(?=without\b)|\b(?:but(?! (?:otherwise )?(?:clear|normal))"
    r"|however|although|though|yet|whereas|while|except)\b"
    rf"|(?:,|\b(?:and|with)\b)\s+(?=no\b)|,\s+(?={_START})(?![^.;]{0, 150}\bor\b)|\b(?:and|with)\s+(?={_START})"
)

LEFT = re.compile(r"\b(?:left|lt|lul|lll|lingula\w*)\b")
RIGHT = re.compile(r"\b(?:right|rt|rul|rml|rll|middle lobe)\b")
BOTH = re.compile(r"\b(?:bilat\w*|both|bi-?bas\w+|bi-?apical|(?:either|each) (?:side|lung))\b")
LINK = re.compile(r"\b(?:and|or|nor|with|versus|vs|after|following|due to|because of|secondary to|overlying)\b|[,/]")
# "left" and "right" that don't say where the finding is.
ELSEWHERE = re.compile(
    r"to the (?:left|right)\b(?! of)|\b(?:left|right) (?:greater|more|larger) than (?:left|right)"
    r"|\b(?:left|right) (?:atri\w+|ventric\w+|heart border|clinical|main\w*|brachioceph\w+)|\b(?:tip|terminat\w+)\b.*"
)
SIDELESS = {"Cardiomegaly", "Enlarged Cardiomediastinum", "No Finding"}
_FOR_ALL = re.compile(r"\b(?:unchanged|stable|no (?:\w+ ){0,2}change|as (?:above|described))\b", re.IGNORECASE)


def words_for_all(text: str) -> bool:
    """Whether the text sums up by pointing back: "as above", "no interval change"."""
    return _FOR_ALL.search(text) is not None
