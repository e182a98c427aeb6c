"""The guideline cards as typed facts: what speaks for and against each, by named source, and reference ranges.

A card's text is for reading and citing, as any document; its front matter is for reckoning with. Both stand in one
file, whose format `retrieval/knowledge/README.md` describes. What isn't in that format is refused, so that a slip of
the pen never becomes a criterion that silently never applies.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from retrieval.errors import BadInput

FOLDER = Path(__file__).parent / "knowledge"
Domain = Literal["chest_xray", "brain_mri", "fundus", "blood"]
Kind = Literal["imaging", "history", "laboratory", "sign"]  # imaging: fundus and blood film too; sign: on examination
Weight = Literal["required", "supports", "against"]
Sex = Literal["female", "male"]
SECTION_OF: dict[Kind, str] = {
    "imaging": "Radiological findings",
    "history": "Symptoms",
    "sign": "Symptoms",
    "laboratory": "Laboratory",
}
SECTIONS = ("Radiological findings", "Symptoms", "Laboratory", "Next step")

Text = Annotated[str, Field(min_length=1)]
_STRICT = ConfigDict(extra="forbid", str_strip_whitespace=True)


@dataclass(frozen=True, slots=True)
class Source:
    """`section`: where in it, or which part of the card it supports."""

    __pydantic_config__ = _STRICT
    organisation: Text
    title: Text
    year: int
    section: Text


@dataclass(frozen=True, slots=True)
class Lab:
    """A measurement and the values that meet a criterion: `below` and `above` are themselves left out, `low` and `high`
    included. `unit` is one that pint reads; `sex`: whom the limits hold for, None: everybody."""

    __pydantic_config__ = _STRICT
    name: Text
    unit: Text
    below: float | None = None
    above: float | None = None
    low: float | None = None
    high: float | None = None
    sex: Sex | None = None

    def meets(self, value: float) -> bool:
        """`value` in this unit."""
        return (
            (self.below is None or value < self.below)
            and (self.above is None or value > self.above)
            and (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
        )


@dataclass(frozen=True, slots=True)
class Range:
    """Reference range of healthy adults, limits included; None: open to that side."""

    __pydantic_config__ = _STRICT
    name: Text
    unit: Text
    source: int
    low: float | None = None
    high: float | None = None
    sex: Sex | None = None


@dataclass(frozen=True, slots=True)
class Criterion:
    """A line of a checklist. Without what is `required` the card's condition is not established; what is `against`
    makes it unlikely when met. `source` counts in the card's sources, from 0. `finding`: a card's term, or a word of
    reports, that says the same as an imaging criterion; `lab`: when a laboratory value or a measured sign meets it."""

    __pydantic_config__ = _STRICT
    text: Text
    kind: Kind
    weight: Weight
    source: int
    finding: Text | None = None
    lab: Lab | None = None

    @property
    def section(self) -> str:
        """Of the card, in which a reader finds it."""
        return SECTION_OF[self.kind]


@dataclass(frozen=True, slots=True)
class Disagreement:
    """`card`: the file of the other; `about`: what each of the two says."""

    __pydantic_config__ = _STRICT
    card: Text
    about: Text


@dataclass(frozen=True, slots=True)
class Card:
    """`doid`: its id in the Disease Ontology. `text`: what follows the front matter, in Markdown."""

    __pydantic_config__ = _STRICT
    file: str
    title: Text
    kind: Literal["finding", "disease"]
    domain: Domain
    aliases: tuple[Text, ...]
    terms: tuple[Text, ...]
    edition: Text
    jurisdiction: Text
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    criteria: Annotated[tuple[Criterion, ...], Field(min_length=1)]
    text: Text
    ranges: tuple[Range, ...] = ()
    disagrees: tuple[Disagreement, ...] = ()
    doid: Annotated[str, Field(pattern=r"^DOID:\d{2,7}$")] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """All it goes by, the title first, each once."""
        return tuple(dict.fromkeys((self.title, *self.aliases, *self.terms)))

    def source_of(self, fact: Criterion | Range) -> Source:
        return self.sources[fact.source]

    def section(self, name: str) -> str:
        """The text below that heading; "" for what stands above the first. Raises `BadInput`."""
        opening, *blocks = re.split(r"(?m)^## ", self.text)
        found = dict(block.split("\n", 1) for block in blocks) | {"": opening.partition("\n")[2]}
        if name not in found:
            raise BadInput(f"{self.file} has no section {name!r}; add the heading ## {name}.")
        return found[name].strip()


@cache
def bundled_cards() -> tuple[Card, ...]:
    """Those that ship with Consult, by file name."""
    return read_cards(FOLDER)


def read_cards(folder: Path) -> tuple[Card, ...]:
    """All cards of a folder, by file name. Raises `BadInput`, naming file and key, for the first that isn't in the
    format, shares a title or an alias with another, or disagrees with a card that isn't there."""
    cards = tuple(read_card(path) for path in sorted(folder.glob("*.md")) if path.name != "README.md")
    owners: dict[str, str] = {}
    for card in cards:
        for name in {name.casefold() for name in (card.title, *card.aliases)}:
            if (owner := owners.setdefault(name, card.file)) != card.file:
                raise BadInput(f"{card.file}, aliases: {name!r} already names {owner}; keep it in one of them.")
    files = {card.file for card in cards}
    for card in cards:
        for other in card.disagrees:
            if other.card not in files - {card.file}:
                raise BadInput(f"{card.file}, disagrees: there is no other card {other.card}.")
    return cards


def read_card(path: Path) -> Card:
    """Raises `BadInput`, naming file and key."""
    import frontmatter
    import yaml

    try:
        meta, text = frontmatter.parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError) as error:
        raise BadInput(f"{path.name}: its front matter is not valid YAML; mend it between the --- lines.") from error
    if set(meta) & {"file", "text"}:
        raise BadInput(f"{path.name}, {'file' if 'file' in meta else 'text'}: unknown key; take it out.")
    return _checked({**meta, "file": path.name, "text": text})


def _checked(raw: dict[str, Any]) -> Card:
    try:
        card = TypeAdapter(Card).validate_python(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        known = "unknown key; take it out" if first["type"] == "unexpected_keyword_argument" else first["msg"]
        raise BadInput(f"{raw['file']}, {key}: {known}.") from None
    for key, why in _slips(card):
        raise BadInput(f"{card.file}, {key}: {why}.")
    return card


def _slips(card: Card) -> Iterator[tuple[str, str]]:
    """What no type can say: key and what is wrong with it."""
    for n, fact in enumerate((*card.criteria, *card.ranges)):
        in_criteria = n < len(card.criteria)
        key = f"criteria.{n}" if in_criteria else f"ranges.{n - len(card.criteria)}"
        if not 0 <= fact.source < len(card.sources):
            yield f"{key}.source", f"there is no source {fact.source}; they count from 0 to {len(card.sources) - 1}"
        limits = fact.lab if isinstance(fact, Criterion) else fact
        if limits is not None and (why := _wrong_limits(limits)):
            yield f"{key}.lab" if in_criteria else key, why
        if isinstance(fact, Criterion):
            if fact.finding and fact.kind != "imaging":
                yield f"{key}.finding", "only an imaging criterion has a finding"
            if fact.lab and fact.kind not in ("laboratory", "sign"):
                yield f"{key}.lab", "only a laboratory value or a measured sign has limits"


def _wrong_limits(limits: Lab | Range) -> str:
    lows = [limits.low] + ([limits.above] if isinstance(limits, Lab) else [])
    highs = [limits.high] + ([limits.below] if isinstance(limits, Lab) else [])
    low, high = [v for v in lows if v is not None], [v for v in highs if v is not None]
    if not low and not high:
        return "a limit is missing; name one"
    if len(low) > 1 or len(high) > 1:
        return "one limit to a side; low or above, high or below"
    return "its limits leave no value" if low and high and low[0] >= high[0] else ""
