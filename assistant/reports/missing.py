"""What a draft should say and doesn't. Pure.

It is found by the template's words, not by understanding: an element counts as spoken of where one of its words stands,
whatever is said of it. So a list of what is missing may be too short, and is never a judgement.
"""

import re
from collections.abc import Iterator

from assistant.checks import states_change
from assistant.reports.draft import Draft
from assistant.reports.entities import of_the_patient
from assistant.reports.template import COMPARISON, Element, Section, Template, says_normal

_NEGATED = re.compile(r"\b(?:no|not|without|absent|clear of|free of|resolved)\b", re.IGNORECASE)
Told = dict[str, list[str]]  # section → its sentences


def missing(draft: Draft, template: Template, *, prior: bool) -> tuple[str, ...]:
    """What the template requires, the indication asks and, with a `prior` study, the comparison calls for."""
    told = {name: list[str]() for name in template.names}
    for section in draft.sections:
        told.setdefault(section.name, []).extend(of_the_patient(one.text) for one in section.statements)
    return tuple(dict.fromkeys(_missing(template, told, draft.indication, prior)))


def _missing(template: Template, told: Told, indication: str, prior: bool) -> Iterator[str]:
    for section in template.sections:
        if section.required and not told[section.name]:
            yield f"the section {section.title}"
        for element in section.elements:
            if element.required and told[section.name] and not _spoken_of(element, section, template, told):
                yield f"{element.name} ({section.title})"
    said = [text for section in _read(template) for text in told[section.name]]
    for element in template.asked(indication):
        if not any(map(element.named_in, said)):
            yield f"{element.name}, which the indication asks about"
    if prior:
        yield from _changes(template, told)


def _read(template: Template) -> list[Section]:
    """The sections that speak of the patient: organ systems and impression."""
    return [section for section in template.sections if section.findings or section.name == "impression"]


def _spoken_of(element: Element, section: Section, template: Template, told: Told) -> bool:
    """In its own section or, of an organ, in that of another: a sentence in the wrong place has been said."""
    places = [section] + ([other for other in template.sections if other.findings] if section.findings else [])
    if any(element.named_in(text) for place in places for text in told[place.name]):
        return True
    return element.unless_normal and any(map(says_normal, told[section.name]))


def _changes(template: Template, told: Told) -> Iterator[str]:
    """With a prior the comparison is there, and the change of every finding."""
    if COMPARISON in template.names and not told[COMPARISON]:
        yield "the comparison with the prior study"
    compared = [text for texts in told.values() for text in texts if states_change(text)]
    found = [
        text
        for section in template.sections
        if section.findings
        for text in told[section.name]
        if not (_NEGATED.search(text) or says_normal(text))
    ]
    for element in template.elements:
        if element.compared and any(map(element.named_in, found)) and not any(map(element.named_in, compared)):
            yield f"the change of {element.name} since the prior study"
