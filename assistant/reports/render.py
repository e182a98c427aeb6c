"""A draft as text, Markdown and PDF. What stands is printed by section, what the checks found above it, sources below.

Every rendering says that it is preliminary unless it is told by whom it was signed.
"""

from collections.abc import Iterator
from typing import Literal

from assistant.reports.draft import Draft, Statement
from assistant.values import Citation

PRELIMINARY = "PRELIMINARY: not signed by a person."
DEMONSTRATION = "Drafted by a demonstration model: not for clinical use."
EMPTY = "Nothing was said."
_UNSHOWN = "Characters that the font of this document lacks are printed as a question mark."
_PLAIN = str.maketrans({
    "–": "-", "—": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "…": "...", "≥": ">=", "≤": "<=", "−": "-",
})  # fmt: skip

Kind = Literal["title", "notice", "heading", "text", "small"]


def paragraphs(draft: Draft, standing: str = PRELIMINARY) -> Iterator[tuple[Kind, str]]:
    """What is printed, in order: the one source of all three renderings. `standing`: whether a person has signed it."""
    yield "title", draft.title
    for line in notices(draft, standing):
        yield "notice", line
    for alert in draft.alerts:
        yield "notice", f"ALERT: {alert.message}"
    for check in draft.checks:
        if check.check != "missing":  # told from `missing`, which is there without the checks
            yield "notice", f"Check: {check.message}"
    for what in draft.missing:
        yield "notice", f"Missing: {what}."
    if draft.study_date:
        yield "text", f"Study of {draft.study_date}"
    if draft.indication:
        yield "heading", "Indication"
        yield "text", draft.indication
    for section in draft.sections:
        if section.statements or not section.findings:
            yield "heading", section.title
            yield "text", " ".join(map(_marked, section.statements)) or EMPTY
    yield from _sources(draft)


def notices(draft: Draft, standing: str = PRELIMINARY) -> list[str]:
    """What every rendering and export says above everything."""
    return [standing, *([DEMONSTRATION] if draft.identity.demonstration else [])]


def source(citation: Citation) -> str:
    """The passage or case that a statement rests on, in one line."""
    return f"{', '.join(filter(None, (citation.title, citation.section)))}: {citation.quote}"


def _marked(statement: Statement) -> str:
    marks = "".join(f" [{citation.number}]" for citation in statement.citations)
    return statement.text + (marks or (" [image]" if statement.support == "image" else ""))


def _sources(draft: Draft) -> Iterator[tuple[Kind, str]]:
    """What the marks stand for, what a repair replaced, and who wrote it."""
    cited: dict[int, Citation] = {c.number: c for s in draft.statements for c in s.citations}
    if cited:
        yield "heading", "Sources"
    for number, citation in sorted(cited.items()):
        where = ", ".join(filter(None, (citation.title, citation.section)))
        yield "small", f'[{number}] {where}, characters {citation.start}-{citation.end}: "{citation.quote}"'
    if draft.superseded:
        yield "heading", "Replaced after a check"
    for gone in draft.superseded:
        yield "small", gone.statement.text
    if draft.identity.model:
        yield "small", f"Drafted by {draft.identity.model} ({draft.identity.engine}); [image]: the model's own reading."


def text(draft: Draft, standing: str = PRELIMINARY) -> str:
    """Plain text, headings on lines of their own."""
    lines = []
    for kind, words in paragraphs(draft, standing):
        lines += ["", words.upper()] if kind == "heading" else [words]
    return "\n".join(lines) + "\n"


def markdown(draft: Draft, standing: str = PRELIMINARY) -> str:
    """CommonMark. What stands in the draft is shown as it is, and marks up nothing."""
    shape = {"title": "# {}", "notice": "> {}", "heading": "## {}", "text": "{}", "small": "{}"}
    return "\n\n".join(shape[kind].format(_escaped(words)) for kind, words in paragraphs(draft, standing)) + "\n"


def _escaped(words: str) -> str:
    out = "".join(f"\\{letter}" if letter in "\\`*_[]<>#|&~" else letter for letter in " ".join(words.split()))
    head, dot, rest = out.partition(". ")
    if dot and head.isdigit():  # "1. " would begin a list
        out = f"{head}\\. {rest}"
    return "\\" + out if out[:1] in "-+>=" else out


def pdf(draft: Draft, standing: str = PRELIMINARY) -> bytes:
    """A4, in a font every reader has. It lacks letters beyond Latin-1, and says where it had to leave one out."""
    from fpdf import FPDF

    document = FPDF(format="A4")
    document.set_title(_latin(draft.title))
    document.set_auto_page_break(True, margin=18)
    document.add_page()
    size = {"title": 16, "notice": 10, "heading": 12, "text": 11, "small": 8}
    told = list(paragraphs(draft, standing))
    if any(_latin(words).count("?") > words.count("?") for _, words in told):
        told.append(("small", _UNSHOWN))
    for kind, words in told:
        document.set_font("Helvetica", style="B" if kind in ("title", "notice", "heading") else "", size=size[kind])
        document.set_text_color(160, 0, 0) if kind == "notice" else document.set_text_color(0, 0, 0)
        if kind == "heading":
            document.ln(2)
        document.multi_cell(0, size[kind] * 0.5, _latin(words), new_x="LMARGIN", new_y="NEXT")
    return bytes(document.output())


def _latin(words: str) -> str:
    return words.translate(_PLAIN).encode("latin-1", "replace").decode("latin-1")
