"""Drafts written down in short."""

from collections.abc import Mapping, Sequence

from assistant.events import Identity
from assistant.reports.draft import Draft, DraftSection, Statement
from assistant.reports.template import Element, Section, Template

CHEST = Template(
    name="chest",
    title="Chest radiograph",
    sections=(
        Section(name="comparison", title="Comparison"),
        Section(name="lines", title="Tubes and lines", findings=True),
        Section(name="lungs", title="Lungs", findings=True, required=True),
        Section(
            name="pleura", title="Pleura", findings=True,
            elements=(Element(name="pneumothorax", any_of=("pneumothora",), required=True),),
        ),
        Section(
            name="heart", title="Heart", findings=True, required=True,
            elements=(Element(name="heart", any_of=("heart", "cardi"), required=True),),
        ),
        Section(name="bones", title="Bones", findings=True),
        Section(name="impression", title="Impression", required=True),
        Section(name="guideline", title="Guideline"),
    ),
)  # fmt: skip


def draft(said: Mapping[str, Sequence[str | Statement]]) -> Draft:
    """A draft of these sections; ids are "lungs 1", …"""
    sections = tuple(
        DraftSection(
            name=s.name, title=s.title, findings=s.findings,
            statements=tuple(
                Statement(id=f"{s.name} {n}", text=text, support="image") if isinstance(text, str) else text
                for n, text in enumerate(said.get(s.name, ()), 1)
            ),
        )
        for s in CHEST.sections
    )  # fmt: skip
    return Draft(
        template="chest", title="Chest radiograph", sections=sections,
        identity=Identity(model="fake", model_hash="", engine="fake"),
    )  # fmt: skip
