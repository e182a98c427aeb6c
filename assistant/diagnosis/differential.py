"""From candidates to the differential: who they are, what their guidelines ask, who comes first, what is missing."""

from collections.abc import AsyncGenerator, Iterator, Sequence

from assistant.bench import Bench
from assistant.diagnosis.checklist import Checker, sex_of
from assistant.diagnosis.conflicts import Line, conflicts
from assistant.diagnosis.names import Named, Terminology, merged, plain
from assistant.diagnosis.ranking import Weights, bundled_weights, missing_fact, ranked, verdict
from assistant.diagnosis.values import read_values
from assistant.events import Candidate, CheckedCriterion, Conflict, Differential, Dropped, Event, Origin
from assistant.requests import DiagnoseRequest
from retrieval.cards import Card, Criterion, Sex
from retrieval.types import Case

MOST = 8  # candidates that weren't asked for: each costs the engine a question a criterion


async def differential(bench: Bench) -> AsyncGenerator[Event, None]:
    """The readings of the picture as they are released, then the `Differential`. Raises `BadInput` for a value that
    can't be compared."""
    request = bench.course.request
    assert isinstance(request, DiagnoseRequest)
    with bench.course.stage("checklist"):
        terminology = Terminology(bench.assistant.cards())
        said = list(_named_by_model(bench, request, terminology))
        candidates = _within(bench, merged(_candidates(bench, request, terminology, said)))
        standings = await _standings(bench, candidates, said)
        checker = Checker(bench, request, read_values(request.laboratory))
        checklists: list[tuple[CheckedCriterion, ...]] = []
        disputes: list[Conflict] = []
        for named in candidates:
            lines: list[Line] = []
            for card, criterion in _asked(named, sex_of(request.history)):
                lines.append((card, criterion, await checker.checked(card, criterion)))
                while checker.released:
                    yield checker.released.pop(0)
            checklists.append(tuple(checked for _, _, checked in lines))
            disputes += conflicts(named, lines)
    yield concluded(candidates, checklists, standings, disputes, bundled_weights())


def concluded(
    candidates: Sequence[Named],
    checklists: Sequence[tuple[CheckedCriterion, ...]],
    standings: dict[str, float],
    disputes: Sequence[Conflict],
    weights: Weights,
) -> Differential:
    """Pure: the same checklists give the same ranking."""
    found = ranked(
        [
            Candidate(
                name=named.name, doid=named.doid, origins=named.origins, guideline=bool(named.cards), score=0,
                standing=round(standings.get(named.key, 0.0), 6), criteria=criteria,
            )
            for named, criteria in zip(candidates, checklists, strict=True)
        ],
        weights,
    )  # fmt: skip
    judged, message = verdict(found, weights)
    return Differential(
        verdict=judged, message=message, candidates=tuple(found), missing=missing_fact(found, weights),
        conflicts=tuple(disputes),
    )  # fmt: skip


def _named_by_model(bench: Bench, request: DiagnoseRequest, terms: Terminology) -> Iterator[Named]:
    """In the order in which it names them; one may come again."""
    said = [sentence.text for sentence in bench.course.sentences if sentence.section == "diagnosis"]
    return terms.said(said, request.candidates)


def _candidates(
    bench: Bench, request: DiagnoseRequest, terms: Terminology, said: Sequence[Named]
) -> Iterator[tuple[Named, Origin]]:
    """Those asked for, those the model names, those of the passages shown, those of similar cases."""
    for name in request.candidates:
        if plain(name):
            yield terms.named(name), "request"
    for named in said:
        yield named, "model"
    for item in bench.evidence:
        if item.kind == "passage" and (known := terms.known(item.title)):
            yield known, "guideline"
    cases = [item.id for item in bench.evidence if item.kind == "case"]
    for case in bench.assistant.library.contents(cases).values():
        for label in case.labels if isinstance(case, Case) else ():
            if known := terms.known(label):  # a label that is no disease of the terminology says nothing here
                yield known, "case"


def _asked(named: Named, sex: Sex | None) -> list[tuple[Card, Criterion]]:
    """Without what holds for the other sex: it is no gap in what is known of this patient."""
    return [
        (card, criterion)
        for card in named.cards
        for criterion in card.criteria
        if not (sex and criterion.lab and criterion.lab.sex not in (None, sex))
    ]


def _within(bench: Bench, found: Sequence[Named]) -> list[Named]:
    """All that were asked for, and others up to `MOST`; who is left out is told."""
    asked = [named for named in found if "request" in named.origins]
    others = [named for named in found if "request" not in named.origins]
    for named in others[MOST:]:
        bench.course.dropped.append(
            Dropped(what=named.name, why=f"at most {MOST} candidates are added to those asked for")
        )
    return asked + others[:MOST]


async def _standings(bench: Bench, candidates: Sequence[Named], said: Sequence[Named]) -> dict[str, float]:
    """1 / the candidate's place in the model's own order: by score where the engine can, else as it named them. Equals
    share a place."""
    if not bench.scores:
        return {key: 1 / place for place, key in enumerate(dict.fromkeys(named.key for named in said), 1)}
    lines = {one.key: f"[diagnosis] {one.name.capitalize()} is likely. [image]" for one in candidates}
    found = await bench.likelihoods(lines) if lines else {}
    return {key: 1 / (1 + sum(other > mine for other in found.values())) for key, mine in found.items()}
