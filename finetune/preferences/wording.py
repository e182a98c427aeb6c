"""Plausible hallucinations where only the words of a true answer are known: one typed change, made everywhere it stands
so that the answer agrees with itself. What a change leaves as it was, or makes no sense of, is dropped by whoever asked
(`verdict.meaning`)."""

import re
from collections.abc import Callable, Sequence

import numpy as np

from assistant.lines import Line, parse
from finetune.preferences.typed import COURSES
from finetune.preferences.verdict import present

Lines = list[tuple[str, str]]  # (section, sentence)
Made = tuple[str, str, str]  # kind, why, the answer with the change
_GRADES = (("small", "moderate", "large"), ("mild", "moderate", "severe"), ("mildly", "moderately", "severely"))
_ZONES = ("upper", "middle", "lower")
_TERMS = {  # what a reader takes a finding for; each way
    "consolidation": "atelectasis", "atelectasis": "consolidation", "pleural effusion": "pleural thickening",
    "pulmonary edema": "pneumonia", "pulmonary oedema": "pneumonia", "pneumonia": "atelectasis",
    "nodule": "calcification", "cardiomegaly": "pericardial effusion",
}  # fmt: skip
_DEVICES = ("An endotracheal tube is in place.", "A central venous catheter is in place.",
            "A nasogastric tube is in place.", "A pacemaker is in place.")  # fmt: skip
_SIDES = re.compile(r"\b(left|right)\b(?! (?:atri|ventric))", re.IGNORECASE)
_SIZE = re.compile(r"\b(\d+(?:\.\d+)?)( ?[mc]m)\b")
_NONE_SEEN = re.compile(r"^No tubes? or lines?\b.*", re.IGNORECASE)


def edits(answer: str, sections: Sequence[str], rng: np.random.Generator) -> list[Made]:
    """One change of each type that these words have room for, in random order."""
    lines = [_pair(line) for raw in answer.splitlines() for line in parse(raw, sections) if line.section != "guideline"]
    makers: dict[str, Callable[[Lines, np.random.Generator], tuple[str, Lines] | None]] = {
        "side": _side, "zone": _zone, "severity": _severity, "size": _size, "negation": _negation,
        "finding": _finding, "device": _device, "comparison": _comparison,
    }  # fmt: skip
    made = []
    for kind, maker in makers.items():
        if lines and (found := maker(lines, rng)):
            why, changed = found
            made.append((kind, why, "\n".join(f"[{section}] {text}" for section, text in changed)))
    return [made[n] for n in rng.permutation(len(made))]


def _pair(line: Line) -> tuple[str, str]:
    return line.section, line.text


def _everywhere(lines: Lines, pattern: str, other: str) -> Lines:
    """Each place of the word, with its own capital or small letter."""

    def put(match: re.Match[str]) -> str:
        return other[:1].upper() + other[1:] if match[0][:1].isupper() else other

    return [(section, re.sub(rf"\b{pattern}\b", put, text, flags=re.IGNORECASE)) for section, text in lines]


def _has(lines: Lines, word: str) -> bool:
    return any(re.search(rf"\b{word}\b", text, re.IGNORECASE) for _, text in lines)


def _side(lines: Lines, rng: np.random.Generator) -> tuple[str, Lines] | None:
    sides = {match.lower() for _, text in lines for match in _SIDES.findall(text)}
    if len(sides) != 1:  # two sides swapped would be another picture, not an error a reader makes
        return None
    (old,) = sides
    new = "right" if old == "left" else "left"
    return f"{old} becomes {new}.", _everywhere(lines, rf"{old}\b(?! (?:atri|ventric))", new)


def _zone(lines: Lines, rng: np.random.Generator) -> tuple[str, Lines] | None:
    """Of lungs alone: the words stand before zone, lobe or lung."""
    found = [zone for zone in _ZONES if _has(lines, rf"{zone} (?:zone|lobe|lung)")]
    if len(found) != 1:
        return None
    new = [zone for zone in _ZONES if zone != found[0]][int(rng.integers(2))]
    return f"{found[0]} becomes {new}.", _everywhere(lines, rf"{found[0]}(?= (?:zone|lobe|lung))", new)


def _severity(lines: Lines, rng: np.random.Generator) -> tuple[str, Lines] | None:
    pairs = [(words, word) for words in _GRADES for word in words if _has(lines, word)]
    if not pairs:
        return None
    words, old = pairs[int(rng.integers(len(pairs)))]
    new = [word for word in words if word != old][int(rng.integers(2))]
    return f"{old} becomes {new}.", _everywhere(lines, old, new)


def _size(lines: Lines, rng: np.random.Generator) -> tuple[str, Lines] | None:
    sizes = sorted({match for _, text in lines for match in _SIZE.findall(text)})
    if not sizes:
        return None
    number, unit = sizes[int(rng.integers(len(sizes)))]
    new = f"{float(number) * (2, 0.5, 3)[int(rng.integers(3))]:g}"
    old = re.escape(number + unit)
    return f"{number}{unit} becomes {new}{unit}.", _everywhere(lines, old, new + unit)


def _negation(lines: Lines, rng: np.random.Generator) -> tuple[str, Lines] | None:
    """Of answers of one sentence: in a report a denial would stand against the rest."""
    if len(lines) != 1:
        return None
    section, text = lines[0]
    for pattern, other in (
        (r"^Yes\W*$", "No."), (r"^No\W*$", "Yes."), (r"^There is no ", "There is "), (r"^There are no ", "There are "),
        (r"^There is (?:an? )?", "There is no "), (r"^There are ", "There are no "), (r"\bis not\b", "is"),
    ):  # fmt: skip
        if re.search(pattern, text):
            return "The answer is turned round.", [(section, re.sub(pattern, other, text, count=1))]
    return None


def _finding(lines: Lines, rng: np.random.Generator) -> tuple[str, Lines] | None:
    stated = [(s, text) for s, text in lines if present(text)]  # one denial for another may well be true
    terms = [old for old, new in _TERMS.items() if _has(stated, old) and not _has(lines, new)]
    if not terms:
        return None
    old = terms[int(rng.integers(len(terms)))]
    return f"{old} becomes {_TERMS[old]}.", _everywhere(lines, old, _TERMS[old])


def _device(lines: Lines, rng: np.random.Generator) -> tuple[str, Lines] | None:
    """Only in answers of several sentences: one that says yes or no to something else is not about devices."""
    absent = [said for said in _DEVICES if not _has(lines, said.split()[1])]
    if len(lines) < 2 or not absent:
        return None
    said = absent[int(rng.integers(len(absent)))]
    places = [n for n, (_, text) in enumerate(lines) if _NONE_SEEN.match(text)]
    at = places[0] if places else len(lines) - 1
    new = (lines[at][0], said)
    changed = [*lines[:at], new, *lines[at + 1 :]] if places else [*lines[:at], new, lines[at]]
    return f"Invented: {said}", changed


def _comparison(lines: Lines, rng: np.random.Generator) -> tuple[str, Lines] | None:
    if re.search(r"\b(?:prior|previous|unchanged|compar)", " ".join(text for _, text in lines), re.IGNORECASE):
        return None
    if not any(present(text) for _, text in lines):
        return None
    course = COURSES[int(rng.integers(len(COURSES)))]
    return f"Invented: {course}", [*lines, (lines[-1][0], course)]
