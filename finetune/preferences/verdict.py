"""Is an answer right, by what is known to be true? Read with the exam's own rules: yes or no, the choices put, side,
zone, grade and tip, and the labeller's findings. Where the rules can't tell, they say so (None) and nobody guesses.
"""

import re

from assistant.checks import states_change
from assistant.lines import parse
from assistant.reports.entities import label, sentences
from assistant.reports.entity_words import Finding
from eval.benchmarks.common import chosen, yes_or_no
from eval.benchmarks.phantom_items import declines
from eval.benchmarks.vqa_open import SLOTS, slot
from finetune.sft_data import TaskName, sections_of

_CHOICES = re.compile(r" Answer with one of: (.+) or ([^.]+)\.$")
_DEVICE = re.compile(r"\b(endotracheal|central venous|nasogastric|chest drain|pacemaker)\b", re.IGNORECASE)
_MM = re.compile(r"\b(?:over |under |[\d.]+ to )?\d+(?:\.\d+)? ?[mc]m\b")
Place = tuple[Finding, str | None]


def plain(answer: str, task: TaskName) -> str:
    """An answer's sentences as text, without sections and sources; what passages say is left out."""
    known = sections_of(task)
    said = [line for raw in answer.splitlines() for line in parse(raw, known) if line.section != "guideline"]
    return " ".join(line.text for line in said)


def uncited(answer: str) -> str:
    """Without the lines on what passages say: only one side of a pair may have them, and to cite is neither what is
    preferred nor what is turned away from."""
    kept = (line for line in answer.strip().splitlines() if not line.lstrip().lower().startswith("[guideline]"))
    return "\n".join(kept)


def choices_in(question: str) -> tuple[str, ...]:
    """The choices that a question puts (`with_choices`)."""
    found = _CHOICES.search(question)
    return (*found[1].split(", "), found[2]) if found else ()


def present(text: str) -> frozenset[Place]:
    """Findings that a text states or suspects, each with its side."""
    told = label(text)
    return frozenset((m.finding, m.side) for m in told if m.state != "absent" and m.finding != "No Finding")


def right(truth: str, said: str, task: TaskName, question: str = "") -> bool | None:
    """Whether `said` says what `truth` says; both plain. None: these rules can't tell."""
    if declines(said):
        return False
    if task == "report":
        return present(said) == present(truth)
    if choices := choices_in(question):
        wanted = chosen(truth, choices)
        return None if wanted is None else chosen(said, choices) == wanted
    if (yes := yes_or_no(truth)) is not None:
        return yes_or_no(said) == yes
    filled = {name: value for name in SLOTS if (value := slot(name, truth)) is not None}
    if filled:
        return all(slot(name, said) == value for name, value in filled.items())
    return present(said) == present(truth) if label(truth) else None


def what_is_wrong(truth: str, said: str) -> str:
    """What sets a wrong answer apart, in a few words for a person."""
    there, claimed = present(truth), present(said)
    parts = [f"states {_told(one)}" for one in sorted(claimed - there, key=str)]
    parts += [f"leaves out {_told(one)}" for one in sorted(there - claimed, key=str)]
    if not parts and (yes := yes_or_no(truth)) is not None and yes_or_no(said) != yes:
        parts = [f"says {'no' if yes else 'yes'}"]
    if not parts:
        pairs = [(name, slot(name, truth), slot(name, said)) for name in SLOTS]
        parts = [f"{name} {was or 'not said'} becomes {now}" for name, was, now in pairs if now and was != now]
    return ", ".join(parts[:4]) or "says something else"


def _told(place: Place) -> str:
    finding, side = place
    return f"{side} {finding.lower()}" if side else finding.lower()


def meaning(text: str) -> frozenset[object]:
    """What a plain answer means, sentence by sentence: two texts that mean the same are no preference."""
    read = {_sentence(sentence) for sentence in sentences(text)}
    return frozenset(read) if any(any(one) for one in read) else frozenset({" ".join(text.casefold().split())})


def _sentence(text: str) -> tuple[object, ...]:
    mentions = frozenset((m.finding, m.state, m.side) for m in label(text))
    slots = tuple((name, value) for name in SLOTS if (value := slot(name, text)) is not None)
    devices = frozenset(word.lower() for word in _DEVICE.findall(text))
    yes = yes_or_no(text)
    return (mentions, slots, devices, frozenset(_MM.findall(text)), () if yes is None else (yes,), states_change(text))
