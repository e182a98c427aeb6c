"""What may not be swapped in a statement: numbers with bound and unit, and the words whose change changes the meaning.

Closed lists, in words as BM25 counts them (`retrieval.store.words`). They are short of many organs and examinations;
what they lack is held to the share of a statement's words alone (`retrieval.faithful`).
"""

import re

from retrieval.store.words import words

_MORE = ("more than", "greater than", "higher than", "larger than", "bigger than", "longer than")
_LESS = ("less than", "fewer than", "lower than", "smaller than", "shorter than")
_BOUNDS = {
    "<=": ("<=", "≤", "at most", "up to", *(f"no{t} {than}" for t in ("", "t") for than in _MORE)),
    ">=": (">=", "≥", "at least", *(f"no{t} {than}" for t in ("", "t") for than in _LESS)),
    "<": ("<", "below", "under", *_LESS),
    ">": (">", "above", "over", "exceeding", "exceeds", *_MORE),
}
_BOUND_OF = {said: bound for bound, ways in _BOUNDS.items() for said in ways}
_NUMBER = re.compile(
    rf"(?:(?P<bound>{'|'.join(map(re.escape, _BOUND_OF))})\s*)?(?<![a-z\d.])(?P<n>\d+(?:[.,]\d+)*)"
    r"[\s-]*(?P<unit>%|°|[a-zµμ]+(?:/[a-zµμ\d]+)?)?"
)
_TWO_TO_TWELVE = "two three four five six seven eight nine ten eleven twelve"
_DIGITS = {name: str(n) for n, name in enumerate(_TWO_TO_TWELVE.split(), 2)}
_UNITS = frozenset(
    re.findall(
        r"\S+",
        """
        % ° c f percent nm µm um mm cm m km µl ul ml dl l fl ng µg ug mg g kg mmol µmol umol nmol mol meq iu u mmhg kpa
        s sec second min minute h hr hour day week month year decade bpm hz kv mv gy hu time fold
        """,
    )
)
# The words between two strokes mean the same here.
_CLASSES = """
    left | right | bilateral both | unilateral | upper superior | inferior | anterior | posterior | medial | lateral |
    proximal | distal | increase increased increasing high higher raise raised elevate elevated elevation rise rising
    | decrease decreased decreasing low lower reduce reduced reduction fall falling diminish diminished | acute |
    chronic | early | late | mild slight | moderate | severe | large larger big | small smaller | wide widen widened |
    narrow narrowed narrowing | thick thickened thickening | thin thinned | normal | abnormal | benign | malignant |
    positive | negative | before | after | always every | rare rarely uncommon uncommonly seldom | often frequent
    frequently usual usually common commonly typical typically most mostly | solid | cystic | bright hyperintense |
    dark hypointense | male man men boy | female woman women girl | child children | adult | newborn neonate neonatal
    infant | ct | mr mri | radiograph radiographic xray | pet | ecg ekg electrocardiogram | ultrasound ultrasonography
    sonography | biopsy | endoscopy | culture | spirometry | echocardiography echocardiogram | lung pulmonary | heart
    cardiac | liver hepatic | kidney renal | brain cerebral | spleen splenic | rib | skin cutaneous | pancreas
    pancreatic | stomach gastric | bowel intestine intestinal | colon colonic | rectum rectal | bladder | nerve |
    pleura pleural | bone bony | eye ocular | retina retinal | macula macular | cornea corneal | vein venous | joint |
    artery arterial | aorta aortic | muscle muscular | spine spinal | diaphragm | trachea tracheal | thyroid | breast
    | bronchus bronchi bronchial | ovary ovarian | uterus uterine | cervix cervical | prostate prostatic | throat |
    ear | testis testicular testicle | nose nasal | mouth oral | tongue | head | neck | chest thoracic thorax | arm |
    leg | abdomen abdominal | pelvis pelvic | hand | foot feet | knee | hip | shoulder | urine urinary | sputum |
    stool faecal | lymph lymphatic | marrow | mediastinum mediastinal | hilum hilar | apex apical apices | base basal
    | adrenal | dyspnoea breathlessness breathless | pituitary | oesophagus oesophageal
"""
_CLASS = {word: words(row)[0] for row in _CLASSES.split("|") for word in words(row)}
_NAME = re.compile(  # of a disease, by its ending; a last s is gone
    r"\w{2,}(?:iti|osi|emia|oma|pathy|ectasi|thorax|uria|algia|megaly|penia|cardia|tension|plasia|trophy|rrhage|pnea"
    r"|thyroidism)$"
)
_NO_NAMES = frozenset(words("diagnosis prognosis extension"))


def meaning(word: str) -> str:
    """The same for words that mean the same, as far as they are guarded."""
    return _CLASS.get(word, word)


def guarded(text: str) -> frozenset[str]:
    """What may not be swapped: the class of each guarded word, and what reads as the name of a disease."""
    said = words(re.sub(r"\b[Xx][- ]?ray", "xray", text))
    names = {word for word in said if word not in _CLASS and word not in _NO_NAMES and _NAME.match(word)}
    return frozenset(names | {_CLASS[word] for word in said if word in _CLASS})


def numbers(text: str) -> list[tuple[str, str, str]]:
    """(bound, number, unit) of every number: ("<", "0.7", ""), ("", "14", "day"). Numbers in words up to twelve too."""
    text = re.sub(r"\b[a-z]+\b", lambda match: _DIGITS.get(match[0], match[0]), text.lower())
    found = []
    for match in _NUMBER.finditer(text):
        unit = (match["unit"] or "").removesuffix("s") if match["unit"] != "s" else "s"
        found.append((_BOUND_OF.get(match["bound"] or "", ""), _plain(match["n"]), unit if unit in _UNITS else ""))
    return found


def _plain(number: str) -> str:
    """ "1,000" → "1000", "0,70" → "0.7"."""
    number = number.replace(",", "") if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", number) else number.replace(",", ".")
    return f"{float(number):g}" if number.count(".") < 2 and len(number) < 12 else number
