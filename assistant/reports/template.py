"""A report's outline, as a department edits it: sections in order, and what each must speak of."""

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Element(Model):
    """Something a section must speak of: one of `any_of`, each the beginning of a word, is in it."""

    name: str
    any_of: tuple[str, ...]


class TemplateSection(Model):
    """`name` is what the model writes in brackets; `findings` marks an organ system."""

    name: str
    title: str
    findings: bool = False
    required: bool = False
    elements: tuple[Element, ...] = ()


class Template(Model):
    name: str
    title: str
    domains: tuple[str, ...] = ()
    sections: tuple[TemplateSection, ...]
