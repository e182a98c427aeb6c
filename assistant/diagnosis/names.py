"""One name for a disease, whatever it is called: the terminology of the guideline cards."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from assistant.events import Origin
from retrieval.cards import Card

_DENIED_BEFORE = re.compile(r"\b(?:no|not|without|unlikely|excludes?|against|rather than)\b[^.,;]*$", re.I)
_DENIED_AFTER = re.compile(r"^[^.,;]*\b(?:unlikely|less likely|excluded|ruled out|not (?:likely|seen))\b", re.I)
_NAMED = re.compile(
    r"^(?!(?:met|contradicted|unknown|unclear|yes|no|none|not|normal|it|this|there|i)\b)"
    r"(?:the )?(?:most )?(?:likely|possible|probable|suspected)?:?\s*(?P<name>[\w' -]{3,60}?)"
    r"(?:\s+(?:is|are|seems|remains)\s+(?:the\s+)?(?:most\s+)?(?:likely|possible|probable|suspected|seen)\b.*)?[.]?$",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Named:
    """A candidate: its name, the cards that speak of it (several editions or jurisdictions), who brought it."""

    key: str
    name: str
    cards: tuple[Card, ...] = ()
    origins: tuple[Origin, ...] = ()

    @property
    def doid(self) -> str | None:
        return next((card.doid for card in self.cards if card.doid), None)


class Terminology:
    """Names → diseases. Two cards are about one disease when they share a Disease Ontology id or their first term (a
    card without terms: its title); it goes by the shortest of their titles. A term that several diseases claim names
    none of them; a title or alias goes before it."""

    def __init__(self, cards: Sequence[Card]) -> None:
        grouped: dict[str, list[Card]] = {}
        ids = {_main(card): card.doid for card in cards if card.doid}
        for card in cards:
            grouped.setdefault(card.doid or ids.get(_main(card)) or _main(card), []).append(card)
        self._named = {
            key: Named(key, min((card.title for card in some), key=len), tuple(some)) for key, some in grouped.items()
        }
        own = [(plain(n), key) for key, some in grouped.items() for c in some for n in (c.title, *c.aliases)]
        terms = [(plain(n), key) for key, some in grouped.items() for c in some for n in c.terms]
        claimed: dict[str, set[str]] = {}
        for name, key in terms:
            claimed.setdefault(name, set()).add(key)
        self._keys = {name: next(iter(keys)) for name, keys in claimed.items() if len(keys) == 1} | dict(own)

    def known(self, name: str) -> Named | None:
        """The disease of a title, alias or term; None for a name no card has."""
        key = self._keys.get(plain(name))
        return self._named[key] if key else None

    def named(self, name: str) -> Named:
        """The disease, or the name by itself: a candidate without a guideline."""
        return self.known(name) or Named(plain(name), " ".join(name.split()))

    def said(self, sentences: Iterable[str], more: Sequence[str] = ()) -> Iterator[Named]:
        """What sentences name and don't deny, in their order: names of cards and `more`, else a sentence that is a bare
        "X is likely." is taken at its word."""
        names = sorted({*self._keys, *map(plain, more)} - {""}, key=len, reverse=True)
        known = re.compile("|".join(rf"\b{re.escape(name)}\b" for name in names) or r"(?!)")
        for sentence in sentences:
            text, found = plain(sentence), False
            for match in known.finditer(text):
                found = True
                before, after = text[: match.start()], text[match.end() :]
                if not _DENIED_BEFORE.search(before) and not _DENIED_AFTER.search(after):
                    yield self.named(match[0])
            if not found and (free := _NAMED.match(sentence.strip())) and not _DENIED_BEFORE.search(sentence):
                yield Named(plain(free["name"]), free["name"].strip().capitalize())


def merged(found: Iterable[tuple[Named, Origin]]) -> list[Named]:
    """Each disease once, in the order of its first naming, with all who named it."""
    by_key: dict[str, Named] = {}
    for named, origin in found:
        known = by_key.setdefault(named.key, named)
        by_key[named.key] = replace(known, origins=tuple(dict.fromkeys((*known.origins, origin))))
    return list(by_key.values())


def _main(card: Card) -> str:
    return plain(card.terms[0] if card.terms else card.title)


def plain(name: str) -> str:
    """Without case, hyphens and double spaces."""
    return " ".join(name.casefold().replace("-", " ").split())
