"""Lessons in reading: what does the passage say? The passages are made up, so that nothing but the passage can be the
answer, and hold another fact beside the one asked about. Numbers, words and names are drawn anew each time: what is
learnt is to find and copy, not the values. The exam asks about protocols of its own (`eval.benchmarks.reading`).
"""

from collections.abc import Sequence

import numpy as np

_SYLLABLES = (
    "ba", "ce", "di", "fo", "gu", "la", "me", "ni", "po", "ru", "sa", "te", "vi", "xo", "zu", "bran", "cor", "del",
    "fen", "gal", "hol", "kar", "lin", "mor", "nor", "pel", "quin", "ros", "stal", "tor", "ver", "wen", "yar", "zol",
)  # fmt: skip
_ENDINGS = ("mab", "ol", "in", "ide", "ate", "one", "ax", "ine", "um", "ex", "pril", "stat", "cillin", "am")
_WORDS = (
    "CT", "MRI", "a lateral film", "spirometry", "sonography", "the night nurse", "the surgeon", "the physicist",
    "Monday", "Tuesday", "Friday", "Sunday", "green", "yellow", "violet", "grey", "left", "right", "standing",
    "sitting", "supine", "the lung clinic", "the eye clinic", "the archive", "the consultant", "the secretary",
    "an echocardiogram", "a blood count", "a biopsy", "a bronchoscope", "the day ward", "the porter", "the pharmacist",
    "a second reader", "a phone call", "a letter", "a telex", "the morning meeting", "an angiogram", "a needle",
)  # fmt: skip
_NAMES = ("Alder", "Birch", "Cedar", "Dale", "Elm", "Ferry", "Grove", "Heath", "Ivy", "Juniper", "Keld", "Larch")
# What is asked about: title, section, passages and questions with {v} the value and {p} a place; and what {v} may be.
_FACTS: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...], str], ...] = (
    ("Follow-up", "Interval", ("{p} repeats the film after {v} weeks.", "The next film is due {v} weeks later.",
     "Control takes place in {v} weeks."), ("After how many weeks is the film repeated?",
     "When does the passage ask for the next film?", "How many weeks until the control?"), "number"),
    ("Drug chart", "Dose", ("The dose is {v} mg twice a day.", "{p} gives {v} mg to adults.", "Start with {v} mg."),
     ("What dose does the passage give?", "How many mg are given?", "Which dose is named in the text?"), "number"),
    ("Treatment", "Medicine",
     ("Treatment starts with {v}.", "At {p} the first choice is {v}.", "The patient gets {v}."),
     ("Which medicine does the passage name?", "What does treatment start with?", "What drug is the first choice?"),
     "drug"),
    ("Contrast", "Agent", ("The contrast agent is {v}.", "{p} keeps {v} as its contrast agent."),
     ("Which contrast agent does the passage name?", "What is the contrast agent?"), "drug"),
    ("Sedation", "Medicine", ("{v} is given the evening before.", "For sedation {p} uses {v}."),
     ("What is given the evening before, as the passage says?", "Which medicine is used for sedation?"), "drug"),
    ("Work-up", "Next step", ("The next step is {v}.", "If in doubt, {p} orders {v}.", "Doubtful films lead to {v}."),
     ("What is the next step according to the passage?", "What does the passage order if in doubt?",
      "What follows a doubtful film?"), "word"),
    ("Positioning", "Film", ("For this film the patient is placed {v}.", "The film is taken {v}."),
     ("How is the patient placed according to the passage?", "In which position is the film taken?"), "word"),
    ("Reporting", "Contact", ("The result goes to {v}.", "{p} tells {v} at once.", "Call {v} with the result."),
     ("Who gets the result according to the passage?", "Whom does the text have told?", "Who is called?"), "word"),
    ("Opening hours", "Day", ("The list is run on {v}.", "{p} holds its clinic on {v}."),
     ("On which day is the list run?", "According to the text, when is the clinic held?"), "word"),
    ("Forms", "Colour", ("The request form is {v}.", "Use the {v} form."),
     ("What colour is the form in the passage?", "Which form does the passage name?"), "word"),
    ("Threshold", "Size",
     ("{p} acts on findings above {v} mm.", "The limit is {v} mm.", "Less than {v} mm is left alone."),
     ("Which size does the passage set as a limit?", "From how many mm does the passage act?",
      "What is the limit in mm?"), "number"),
    ("Rooms", "Place", ("The film is taken in room {v}.", "Patients wait in room {v}.", "Room {v} is used."),
     ("Which room does the passage name?", "In which room is it?", "What is the number of the room?"), "number"),
    ("Observation", "Time", ("The patient stays for {v} hours.", "{p} watches the patient for {v} hours."),
     ("How many hours does the patient stay?", "For how long does the passage have the patient watched?"), "number"),
    ("Laboratory", "Limit", ("The upper limit at {p} is {v}.", "Values above {v} are phoned."),
     ("Which limit does the passage give?", "Above which value does the text ask for a call?"), "number"),
    ("Age", "Limit", ("Below {v} years another plan is used.", "The plan holds from {v} years of age."),
     ("Which age does the passage name?", "From how many years of age does the plan hold?"), "number"),
    ("Ward", "Name", ("The patient is moved to {v}.", "{v} takes these patients.", "A bed is kept in {v}."),
     ("Where is the patient moved?", "Which place does the passage name?", "Who takes these patients?"), "name"),
    ("Author", "Contact", ("The plan was written by {v}.", "Ask {v} when in doubt.", "{v} checks the plan."),
     ("Who wrote the plan?", "Which person does the passage name?", "Whom should one ask when in doubt?"), "name"),
)  # fmt: skip
_OPENINGS = (
    "",
    "",
    "According to the passage: ",
    "What does the text say? ",
    "Please read the passage. ",
    "As [1] has it: ",
)


def _value(kind: str, rng: np.random.Generator) -> str:
    if kind == "number":
        return str(int(rng.integers(2, 100)) if rng.random() < 0.8 else int(rng.integers(100, 1000)))
    if kind == "word" and rng.random() < 0.6:
        return _pick(_WORDS, rng)
    stem = "".join(_pick(_SYLLABLES, rng) for _ in range(rng.integers(1, 4)))
    made = stem + _pick(_ENDINGS, rng) * (kind == "drug")
    return made.capitalize() if kind == "name" else made


def _pick(things: Sequence[str], rng: np.random.Generator) -> str:
    return things[int(rng.integers(len(things)))]


def lesson(rng: np.random.Generator) -> tuple[str, str, str, list[tuple[str, str]]]:
    """Title, section and text of a passage of two to five facts, and its questions with their values."""
    chosen = [_FACTS[n] for n in rng.permutation(len(_FACTS))[: rng.integers(2, 6)]]
    place = f"{_pick(_NAMES, rng)} {_pick(('Hospital', 'House', 'Lodge', 'Park'), rng)}"
    told, asked = [], []
    for _, _, passages, questions, kind in chosen:
        value = _value(kind, rng)
        sentence = _pick(passages, rng).format(p=place, v=value)
        told.append(sentence[0].upper() + sentence[1:])
        asked.append((_pick(_OPENINGS, rng) + _pick(questions, rng), value))
    order = rng.permutation(len(chosen))
    text = " ".join(told[n] for n in order)
    return chosen[0][0], chosen[0][1], text, asked


def said(value: str) -> str:
    """The answer to a question about the only passage: hardly more than the value, or what is to be learnt would drown
    among words that are always the same."""
    return f"[answer] {value[0].upper()}{value[1:]}. [1]"
