"""Drafts written down in short."""

from collections.abc import Mapping, Sequence

from assistant.events import Identity
from assistant.reports.draft import Draft, DraftSection, Statement
from assistant.reports.template import Element, Template, TemplateSection

CHEST = Template(
    name="chest",
    title="Chest radiograph",
    sections=(
        TemplateSection(name="comparison", title="Comparison"),
        TemplateSection(name="lines", title="Tubes and lines", findings=True),
        TemplateSection(name="lungs", title="Lungs", findings=True, required=True),
        TemplateSection(
            name="pleura", title="Pleura", findings=True,
            elements=(Element(name="pneumothorax", any_of=("pneumothora",)),),
        ),
        TemplateSection(
            name="heart", title="Heart", findings=True, elements=(Element(name="heart", any_of=("heart", "cardi")),)
        ),
        TemplateSection(name="bones", title="Bones", findings=True),
        TemplateSection(name="impression", title="Impression", required=True),
        TemplateSection(name="guideline", title="Guideline"),
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
