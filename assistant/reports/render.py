"""A draft as plain text and as Markdown. Pure; `standing` are lines about the whole, put above everything."""

from collections.abc import Iterable, Sequence

from assistant.events import Citation
from assistant.reports.draft import Draft, DraftSection, Statement


def as_text(draft: Draft, standing: Sequence[str] = ()) -> str:
    sections = [f"{s.title.upper()}\n" + "\n".join(_said(s)) for s in draft.sections if s.statements]
    return "\n\n".join([*_head(draft.title.upper(), standing), *sections, *_sources(draft)]) + "\n"


def as_markdown(draft: Draft, standing: Sequence[str] = ()) -> str:
    head = _head(f"# {_plain(draft.title)}", [f"**{_plain(line)}**" for line in standing])
    sections = [
        f"## {_plain(s.title)}\n\n" + "\n".join(f"- {_plain(line)}" for line in _said(s))
        for s in draft.sections if s.statements
    ]  # fmt: skip
    return "\n\n".join([*head, *sections, *(_plain(line) for line in _sources(draft))]) + "\n"


def cited(draft: Draft) -> Iterable[Citation]:
    """Each citation once, by its number."""
    found = {c.number: c for statement in draft.statements.values() for c in statement.citations}
    return (found[number] for number in sorted(found))


def source(citation: Citation) -> str:
    heading = ", ".join(filter(None, (citation.title, citation.section)))
    return f"{heading}: {citation.quote}"


def _head(title: str, standing: Sequence[str]) -> list[str]:
    return [title, "\n".join(standing)] if standing else [title]


def _said(section: DraftSection) -> list[str]:
    return [_marked(statement) for statement in section.statements]


def _marked(statement: Statement) -> str:
    return statement.text + "".join(f" [{citation.number}]" for citation in statement.citations)


def _sources(draft: Draft) -> list[str]:
    return [f"[{citation.number}] {source(citation)}" for citation in cited(draft)]


def _plain(text: str) -> str:
    """Words that Markdown would read as its own signs, made words again."""
    return "".join(f"\\{sign}" if sign in "\\`*_<>|" else sign for sign in text)
