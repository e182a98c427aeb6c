"""Where two guidelines disagree about one candidate: in what they ask, or in what follows for this patient. Pure."""

from collections.abc import Iterator, Sequence

from assistant.diagnosis.checklist import printed
from assistant.diagnosis.names import Named, plain
from assistant.diagnosis.values import same, same_limits
from assistant.events import CheckedCriterion, Conflict
from retrieval.cards import Card, Criterion

Line = tuple[Card, Criterion, CheckedCriterion]


def conflicts(named: Named, lines: Sequence[Line]) -> list[Conflict]:
    """What a card itself says of another, then pairs of criteria from two sources that can't both be right, then
    guidelines that decide otherwise about this patient."""
    found = [*_in_criteria(lines), *_in_outcome(named, lines)]
    return [
        *_declared(named),
        *(
            Conflict(
                candidate=named.name, about=about, statements=(one[1].text, other[1].text),
                sources=(printed(one[0].source_of(one[1])), printed(other[0].source_of(other[1]))),
            )
            for about, one, other in found
        ),
    ]  # fmt: skip


def _declared(named: Named) -> Iterator[Conflict]:
    """`about` then holds what each says; the sources are the first of either card."""
    cards = {card.file: card for card in named.cards}
    for card in named.cards:
        for said in card.disagrees:
            if other := cards.get(said.card):
                sources = printed(card.sources[0]), printed(other.sources[0])
                yield Conflict(candidate=named.name, about=said.about, statements=(), sources=sources)


def _in_criteria(lines: Sequence[Line]) -> Iterator[tuple[str, Line, Line]]:
    for n, one in enumerate(lines):
        for other in lines[n + 1 :]:
            if _guideline(one) != _guideline(other) and (about := _disputed(one[1], other[1])):
                yield about, one, other


def _disputed(one: Criterion, other: Criterion) -> str:
    """Other limits for one value, or one thing that speaks for the disease here and against it there; "": neither."""
    opposed = (one.weight == "against") != (other.weight == "against")
    if one.lab and other.lab:
        if not same(one.lab.name, other.lab.name) or one.lab.sex != other.lab.sex:
            return ""
        return one.lab.name if opposed == same_limits(one.lab, other.lab) else ""
    if opposed and plain(one.finding or one.text) == plain(other.finding or other.text):
        return one.finding or one.text
    return ""


def _in_outcome(named: Named, lines: Sequence[Line]) -> Iterator[tuple[str, Line, Line]]:
    """By one card it is established (all it requires is met, nothing opposes), by another it is not."""
    established, refused = list[Line](), list[Line]()
    for card in named.cards:
        own = [line for line in lines if line[0] is card]
        required = [line for line in own if line[1].weight == "required"]
        against = [line for line in required if line[2].state == "contradicted"]
        against += [line for line in own if line[1].weight == "against" and line[2].state == "met"]
        if against:
            refused.append(against[0])
        elif required and all(line[2].state == "met" for line in required):
            established.append(required[0])
    for one in established:
        for other in refused:
            if _guideline(one) != _guideline(other):
                yield "whether it is established", one, other


def _guideline(line: Line) -> tuple[str, str, int]:
    source = line[0].source_of(line[1])
    return source.organisation, source.title, source.year
