"""Whether a history says that a criterion holds: by rule, with the words that say so.

A rule decides only what stands in one clause, close together, and about the patient. Negation reaches forward to the
end of its clause, over a comma only in a list with "or". Everything else is left open.
"""

import re
from collections.abc import Iterator
from typing import Literal

Said = tuple[Literal["met", "contradicted"], int, int]  # and the characters of the history that say so

_CLAUSE = re.compile(r"[^.;!?\n]+(?:\.(?=\d)[^.;!?\n]*)*")
_TURN = re.compile(r",?\s+\b(?:but|however|although|though|except)\b", re.I)
_WORD = re.compile(r"[a-zà-ÿ]+(?:-[a-z]+)*", re.I)
# "No improvement of the cough" denies the improvement.
_NEGATION = re.compile(
    r"\b(?:no(?! (?:\w+ )?(?:change|improvement|relief|increase|decrease|response)\b)|not|never|without|denies|denied"
    r"|negative for|free of|absence of)\b",
    re.I,
)
_LIST = re.compile(r"\b(?:or|nor)\b", re.I)
_NEGATED_AFTER = re.compile(r"^[\s:]*(?:is |was |are |were )?(?:absent|denied|negative|excluded)\b", re.I)
# Another person, another time, or only perhaps: no rule decides.
_ELSEWHERE = re.compile(
    r"\b(?:father|mother|brother|sister|sibling|parent|uncle|aunt|family|wife|husband|partner|child(?:hood)?|possible|"
    r"possibly|suspected|if|may|might|years ago|as a child|used to|former(?:ly)?|stopped|quit|previous(?:ly)?)\b",
    re.I,
)
_EMPTY = frozenset(
    "a an the patient he she it is are was were be been has have had of in on at to with and or when while there "  # noqa: SIM905
    "becomes became began begins suffers complains reports shows from by his her their its that this".split()
)
_SAME = {"lost": "loss", "losing": "loss", "lose": "loss", "dyspnoea": "breathless", "dyspnea": "breathless"}
_ENDINGS = ("ness", "ing", "ily", "ly", "es", "ed", "s", "y", "e")
_QUALIFIER = re.compile(
    r"^(?:sudden|severe|recent|lasting|known|acute|new|raised|high|low|repeated|forceful|reduced|another)\b", re.I
)
_BEYOND_A_LIST = re.compile(r"\b(?:and|with|after|before|at|in|on|over|such|which|that|who|until|when)\b", re.I)
_LOOSE = 3  # words that may stand between those of a criterion


def by_rule(text: str, history: str) -> Said | None:
    """What the history says of the criterion `text`, and the characters that say it; None: the rules leave it open,
    also when one place affirms what another denies. Any of several alternatives is enough, all must be denied."""
    found = [_one(alternative, history) for alternative in alternatives(text)]
    if met := next((said for said in found if said and said[0] == "met"), None):
        return met
    return found[0] if found and all(found) else None


def alternatives(text: str) -> list[str]:
    """ "Cough, fever or weight loss" → three; () for a text that is more than a list of short things: with a number, a
    negation, an example, a condition. A first word that qualifies goes for all: sudden pain or breathlessness."""
    plain = text.strip().rstrip(".")
    if re.search(r"\d|:", plain) or _NEGATION.search(plain):
        return []
    parts = [part.strip() for part in re.split(r",|\bor\b", plain) if part.strip()]
    if len(parts) <= 1:
        return [] if "," in plain else parts
    if any(len(part.split()) > 3 or _BEYOND_A_LIST.search(part) for part in parts):
        return []
    qualifier = _QUALIFIER.match(parts[0])
    return [parts[0], *(f"{qualifier[0]} {part}" for part in parts[1:])] if qualifier else parts


def _one(text: str, history: str) -> Said | None:
    wanted = {_stem(word) for word in _WORD.findall(text)} - _STEMMED_EMPTY
    found = [hit for clause in _clauses(history) for hit in _said(wanted, *clause)] if wanted else []
    return found[0] if len({state for state, _, _ in found}) == 1 else None


def _said(wanted: set[str], clause: str, offset: int) -> Iterator[Said]:
    words = [(match, stem) for match in _WORD.finditer(clause) if (stem := _stem(match[0])) not in _STEMMED_EMPTY]
    room = len(wanted) + _LOOSE
    for at, (first, stem) in enumerate(words):
        if stem not in wanted:
            continue
        near = words[at : at + room]
        places = {stem: match.end() for match, stem in reversed(near) if stem in wanted}
        if set(places) != wanted:
            continue
        start, end = first.start(), max(places.values())
        if _ELSEWHERE.search(clause):
            return
        denial = list(_NEGATION.finditer(clause[:end]))
        if denial and "," in clause[denial[-1].end() : start] and not _LIST.search(clause, denial[-1].end()):
            return  # "no fever, productive cough": whether it is denied too can't be told
        denied = bool(denial) or _NEGATED_AFTER.match(clause[end:]) is not None
        yield ("contradicted" if denied else "met", offset + (denial[-1].start() if denial else start), offset + end)
        return


def _clauses(history: str) -> Iterator[tuple[str, int]]:
    for sentence in _CLAUSE.finditer(history):
        start = 0
        for turn in [*_TURN.finditer(sentence[0]), None]:
            end = turn.start() if turn else len(sentence[0])
            yield sentence[0][start:end], sentence.start() + start
            start = turn.end() if turn else end


def _stem(word: str) -> str:
    """Light: "smokes", "smoking" → "smok"; "heavily", "heavy" → "heav"."""
    plain = word.casefold()
    plain = _SAME.get(plain, plain)
    while ending := next((e for e in _ENDINGS if plain.endswith(e) and len(plain) - len(e) >= 3), None):
        plain = plain[: -len(ending)]
    return plain


_STEMMED_EMPTY = frozenset(_stem(word) for word in _EMPTY)
