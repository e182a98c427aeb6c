"""Does a statement say what the passages it cites say? Pure; errs on the side of leaving out.

A statement is held against its support: of each cited passage the one or two sentences that share most of its words.
What changes the meaning most when it is wrong (numbers with unit and bound, denials, sides, directions, organs,
examinations, names of diseases) must stand there; of the other words, a part. This compares words, not meaning: who did
what to whom, or "may" made "does", can still slip through, which is why a person reviews what was condensed.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from retrieval.guarded import guarded, meaning, numbers
from retrieval.question import STOP, subject_words
from retrieval.store.words import words
from retrieval.types import Passage

COVERAGE = 0.6  # of a statement's words; `python -m eval.bench.refine` measures what it lets through and leaves out
CLAUSE_COVERAGE = 0.5  # of the words of each clause: a statement may be right but for what was hung on it
MAX_CHARS = 400
SENTENCES = 2  # of one passage
REACH = 4  # words that a denial speaks of

_SENTENCE = re.compile(r"[^.!?\n]+(?:[.!?](?!\s|$)[^.!?\n]*)*[.!?]?")
_CLAUSE = re.compile(r"[,;:()]|\b(?:but|which|while|whereas|although|though|because|unless)\b", re.IGNORECASE)
_DENIAL = re.compile(
    r"\b(?:not?(?! \w+ than\b)|cannot|never|none|neither|without|absen(?:t|ce)|lacks?|lacking|free of)\b|n['’]t\b",
    re.IGNORECASE,
)
_TREATMENT = re.compile(
    r"\b(?:treat(?:s|ed|ing|ments?)?|therap(?:y|ies|eutic)|administ\w+|prescri\w+|dos(?:e|es|age)|surg(?:ery|ical))\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Support:
    """A stretch of a passage that a statement rests on: `passage.text[start:end]`."""

    passage: Passage
    start: int
    end: int

    @property
    def quote(self) -> str:
        return self.passage.text[self.start : self.end]


def support(text: str, passages: Iterable[Passage]) -> list[Support]:
    """Of each passage the sentence with the largest part of the statement's words, and the one that adds most to it;
    of a passage that shares none, nothing."""
    return [Support(passage, *span) for passage in passages for span in _spans(text, passage.text)]


def _spans(text: str, passage: str) -> list[tuple[int, int]]:
    missing, chosen = _meanings(text), list[tuple[int, int]]()
    enough = (1 - COVERAGE) * len(missing)
    sentences = [(_trimmed(match), _meanings(match[0])) for match in _SENTENCE.finditer(passage)]
    while len(missing) > (enough if chosen else 0) and sentences and len(chosen) < SENTENCES:
        span, own = max(sentences, key=lambda row: (len(_shared(missing, row[1])), -len(row[1])))
        if not (shared := _shared(missing, own)):
            break
        missing = missing - shared
        chosen.append(span)
        sentences = [row for row in sentences if row[0] != span]
    return sorted(chosen)


def _trimmed(match: re.Match[str]) -> tuple[int, int]:
    """Without the bullet before it and the blanks around it."""
    lead = len(match[0]) - len(match[0].lstrip(" \t-*#•"))
    return match.start() + lead, match.start() + len(match[0].rstrip())


def why_not(text: str, found: Sequence[Support]) -> str | None:
    """Why a statement must not be kept, in words to be read after it; None when it may. `found` is its support."""
    quotes = [part.quote for part in found]
    headings = " ".join(f"{part.passage.document} {part.passage.section}" for part in found)
    if len(text) > MAX_CHARS or not text.isprintable():
        return f"is longer than {MAX_CHARS} characters or not plain text"
    if match := _TREATMENT.search(text):
        return f'speaks of treatment ("{match[0]}")'
    if not quotes:
        return "shares no word with the passages it cites"
    said = {number for quote in quotes for number in numbers(quote)}
    if missing := [number for number in numbers(text) if number not in said]:
        return f'has a number that no cited sentence has ("{" ".join(filter(None, missing[0]))}")'
    allowed = guarded(headings).union(*(guarded(quote) for quote in quotes if _bears_on(quote, text)))
    if strange := guarded(text) - allowed:
        word = next((word for word in re.findall(r"[\w-]+", text) if guarded(word) & strange), min(strange))
        return f'says "{word}", and no cited sentence does'
    if denies := _denial(text, quotes):
        return denies
    known = content(" ".join([*quotes, headings]))
    for part, share in [(text, COVERAGE), *((clause, CLAUSE_COVERAGE) for clause in _CLAUSE.split(text))]:
        own = content(part)
        if len(_shared(own, known)) < share * len(own):
            return "says more than the sentences it cites"
    return None


def _bears_on(quote: str, text: str) -> bool:
    """Whether a sentence may vouch for a guarded word: it shares other words with the statement too."""
    own = frozenset(word for word in content(text) if not guarded(word))
    return len(_shared(own, content(quote))) >= min(2, len(own))


def content(text: str) -> frozenset[str]:
    """The words that carry the meaning, normalised, one for those that mean the same."""
    return frozenset(map(meaning, subject_words(text)))


def _denial(text: str, quotes: Sequence[str]) -> str | None:
    """What a statement denies its support must deny, and the other way round, as far as both speak of the same."""
    own, theirs = _denied(text), [scope for quote in quotes for scope in _denied(quote)]
    if len(own) > len(theirs) or any(not any(_shared(scope, other) for other in theirs) for scope in own):
        return "denies what no cited sentence denies"
    said = _meanings(text)
    for scope in theirs:
        if 2 * len(_shared(scope, said)) > len(scope) and not any(_shared(scope, other) for other in own):
            return "states what a cited sentence denies"
    return None


def _denied(text: str) -> list[frozenset[str]]:
    """What each denial reaches: `REACH` words after it inside its clause and before the next one, where there is none
    those before it, all of the clause after "neither"."""
    scopes: list[frozenset[str]] = []
    for clause in _CLAUSE.split(text):
        cues = list(_DENIAL.finditer(clause))
        ends = [cue.start() for cue in cues[1:]] + [len(clause)] * bool(cues)
        for cue, end in zip(cues, ends, strict=True):
            after, before = _told(clause[cue.end() : end]), _told(clause[: cue.start()])
            near = after[:REACH] or before[-REACH:]
            scopes.append(frozenset(_told(clause) if cue[0].lower() == "neither" else near))
    return [scope for scope in scopes if scope]


def _meanings(text: str) -> frozenset[str]:
    return frozenset(_told(text))


def _told(text: str) -> list[str]:
    return [meaning(word) for word in words(text) if word not in STOP]


def _shared(some: frozenset[str], others: Iterable[str]) -> frozenset[str]:
    """Those of `some` that `others` has, or has in another form ("diagnosed", "diagnosis")."""
    others = frozenset(others)
    return frozenset(word for word in some if word in others or any(_alike(word, other) for other in others))


def _alike(one: str, other: str) -> bool:
    """Three quarters of the longer word, and at least five letters, are the same from the start."""
    longer = max(len(one), len(other))
    same = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return same >= max(5, 0.75 * longer)
