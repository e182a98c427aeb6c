"""From released sentences to the typed draft. Pure."""

from collections.abc import Iterable, Sequence

from assistant.events import Drafted, Event, Sentence
from assistant.reports.draft import Draft, DraftSection, Statement, Superseded, statement_id
from assistant.reports.missing import missing
from assistant.reports.template import Template


def draft_of(events: Iterable[Event]) -> Draft | None:
    """The draft of a run; None when it has none, or not yet."""
    return next((event.draft for event in events if isinstance(event, Drafted)), None)


def make_draft(
    template: Template,
    sentences: Sequence[Sentence],
    superseded: Sequence[Sentence] = (),
    *,
    indication: str = "",
    prior: bool = False,
) -> Draft:
    """`sentences` stand, `superseded` were replaced; `prior`: there are pictures to compare with."""
    by_section: dict[str, list[Sentence]] = {name: [] for name in template.names}
    for sentence in sentences:
        by_section[sentence.section].append(sentence)
    draft = Draft(
        template=template.name,
        title=template.title,
        indication=indication,
        sections=tuple(
            DraftSection(
                name=section.name, title=section.title, findings=section.findings,
                statements=tuple(map(_statement, by_section[section.name])),
            )
            for section in template.sections
        ),
        superseded=tuple(Superseded(section=s.section, statement=_statement(s)) for s in superseded),
    )  # fmt: skip
    return draft.model_copy(update={"missing": missing(draft, template, prior=prior)})


def _statement(sentence: Sentence) -> Statement:
    return Statement(
        id=statement_id(sentence.index), text=sentence.text, support=sentence.support, citations=sentence.citations,
        confidence=sentence.confidence, region=sentence.region, repair=sentence.repair,
    )  # fmt: skip
