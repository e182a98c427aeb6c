"""A report's outline, as a department edits it: sections in order, and what each must speak of."""

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TemplateSection(Model):
    """`name` is what the model writes in brackets; `findings` marks an organ system."""

    name: str
    title: str
    findings: bool = False
    required: bool = False


class Template(Model):
    name: str
    title: str
    domains: tuple[str, ...] = ()
    sections: tuple[TemplateSection, ...]


CHEST = Template(
    name="chest",
    title="Chest radiograph",
    domains=("chest_xray",),
    sections=(
        TemplateSection(name="technique", title="Technique"),
        TemplateSection(name="comparison", title="Comparison"),
        TemplateSection(name="lines", title="Tubes and lines", findings=True),
        TemplateSection(name="lungs", title="Lungs", findings=True, required=True),
        TemplateSection(name="pleura", title="Pleura", findings=True, required=True),
        TemplateSection(name="heart", title="Heart and mediastinum", findings=True, required=True),
        TemplateSection(name="bones", title="Bones", findings=True),
        TemplateSection(name="impression", title="Impression", required=True),
    ),
)
