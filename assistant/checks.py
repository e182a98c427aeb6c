"""What a sentence must satisfy before it is released, and a document once it is whole. Pure; each rule one function.

A rule looks at one `Line` and says why it must not be released, or None. Rules err on the side of withholding: a
sentence that was withheld is named in the result, one that was released can't be taken back.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from assistant.events import Finding, Sentence
from assistant.lines import Line

_CHANGE = re.compile(
    r"\b(unchanged|stable|interval|previous(?:ly)?|prior|compar(?:ed|ison)|since the last|new(?:ly)?|"
    r"increas(?:ed|es|ing|e in)|decreas(?:ed|es|ing|e in)|improv(?:ed|es|ing|ement)|worsen(?:ed|s|ing)?|"
    r"progress(?:ed|es|ing|ion|ive)|regress(?:ed|es|ing|ion)|resol(?:ved|ves|ving|ution)|clear(?:ed|ing)|"
    r"enlarging|grow(?:n|s|ing|th)|shrunk|shrinking|develop(?:ed|ing)|becom(?:e|es|ing)|became|"
    r"(?:now|again|still|no longer) (?:seen|visible|present|larger|smaller|resolved)|"
    r"(?:larger|smaller|worse|better) than (?:before|previously)|"
    r"(?:is|are|looks?|appears?) (?:\w+ )?(?:larger|smaller|bigger)(?! than \d))\b|"
    r"^\W*(?:larger|smaller|bigger)\b(?! than \d)",
    re.IGNORECASE,
)
_SIDE = re.compile(r"\b(left|right)(?:-sided|wards?)?\b|\b([RL])(?:[UML]L|HD)\b", re.IGNORECASE)
_NO_PRIOR = re.compile(
    r"\b(?:no|without(?: an?y?)?)(?: \w+){0,2} (?:prior|previous|earlier|comparison)(?: \w+)?"
    r"(?: (?:for|to|with|is|are|was|were) (?:\w+ )?(?:compar\w+|available|given|provided|supplied|submitted))*",
    re.IGNORECASE,
)
GUIDELINE = "guideline"  # the section of every task that says what passages say
_HALF = re.compile(r"\b(left|right) (?:half|side|part|edge) of the (?:picture|image)\b", re.IGNORECASE)
_NEGATED = re.compile(r"\b(no|not|without|absent|clear of|free of)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Situation:
    """What the checks must know of the request. `sides`: left and right can be told; `prior`: there is one."""

    sides: bool
    prior: bool


def states_change(text: str) -> bool:
    """Whether the text compares with an earlier study; that there is none to compare with is no comparison."""
    return _CHANGE.search(_NO_PRIOR.sub("", text)) is not None


def states_side(text: str) -> bool:
    """Whether the text names a side of the patient; a half of the picture is none."""
    return _SIDE.search(_HALF.sub("", text)) is not None


def about_patient(line: Line) -> bool:
    """Whether the sentence speaks of this patient: all do but those of the guideline section that rest on passages.
    `line.sources` are those that resolved, so that an invented number exempts from nothing."""
    return line.image or not line.sources or line.section != GUIDELINE


def cut_off(line: Line, _: Situation) -> str | None:
    return None if line.complete else "the answer broke off inside this sentence"


def change_without_prior(line: Line, situation: Situation) -> str | None:
    """A statement of change needs a prior study in the request."""
    if situation.prior or not about_patient(line) or not states_change(line.text):
        return None
    return "it states a change, and the request has no prior study"


def compares_nothing(line: Line, situation: Situation) -> str | None:
    """The section that compares with a prior is ours to write when there is none."""
    return (
        None if situation.prior or line.section != "comparison" else "it compares, and the request has no prior study"
    )


def side_unknown(line: Line, situation: Situation) -> str | None:
    """No side of the patient is stated when the orientation of the pictures isn't known."""
    if situation.sides or not about_patient(line) or not states_side(line.text):
        return None
    return "it states a side, and the orientation of the picture is not known"


def unfounded(line: Line, _: Situation) -> str | None:
    """What a guideline says must be cited: the model's own word for it is none."""
    if line.section != GUIDELINE or line.sources:
        return None
    return "it speaks for a guideline, and cites none"


Rule = Callable[[Line, Situation], str | None]
SENTENCE_RULES: tuple[Rule, ...] = (cut_off, unfounded, change_without_prior, compares_nothing, side_unknown)


def withhold(line: Line, situation: Situation, rules: Sequence[Rule] = SENTENCE_RULES) -> str | None:
    """Why this sentence must not be released, or None."""
    return next((why for rule in rules if (why := rule(line, situation))), None)


def sides_agree(sentences: Sequence[Sentence], terms: Sequence[str]) -> list[Finding]:
    """One finding stated on two sides in two sentences about the patient: shown, since either may be the wrong one."""
    found = []
    for term in terms:
        sides: dict[str, list[int]] = {}
        for sentence in sentences:
            text = sentence.text.lower()
            if sentence.section != GUIDELINE and term in text and "bilateral" not in text and not _NEGATED.search(text):
                for match in _SIDE.finditer(_HALF.sub("", text)):
                    side = match[1] or {"l": "left", "r": "right"}[match[2]]
                    sides.setdefault(side, []).append(sentence.index)
        if len(sides) == 2 and not set(sides["left"]) & set(sides["right"]):
            message = f"The sentences disagree about the side of the {term}."
            about = tuple(sorted(sides["left"] + sides["right"]))
            found.append(Finding(check="sides-agree", message=message, sentences=about))
    return found
