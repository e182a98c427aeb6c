"""Report templates: which sections a draft has, and what must be said in them. YAML files that a department edits.

Built in are the files in `templates/`; `CONSULT_HOME/templates/*.yaml` are the department's own, of which one with the
name of a built-in one replaces it.
"""

import re
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from assistant.errors import Misconfigured, UnknownTemplate
from assistant.values import Model

BUILT_IN = Path(__file__).parent / "templates"
_NAME = r"^[a-z][a-z ]{0,30}$"  # what may stand in brackets before a line of the model's
_NORMAL = re.compile(r"\b(?:normal|unremarkable|clear|intact|no abnormalit(?:y|ies))\b", re.IGNORECASE)
COMPARISON = "comparison"


class Element(Model):
    """One thing a section speaks of. It is spoken of where a word of `any_of` begins a word of the text: "effusion"
    finds "effusions".

    `required`: every report must speak of it; otherwise only where the indication names it. `unless_normal`: a sentence
    that calls the whole section normal speaks of it. `compared`: where it is found and there is a prior, its change
    must be stated.
    """

    name: str
    any_of: tuple[str, ...] = Field(min_length=1)
    required: bool = False
    unless_normal: bool = False
    compared: bool = False

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(rf"\b(?:{'|'.join(map(re.escape, self.any_of))})", re.IGNORECASE)

    def named_in(self, text: str) -> bool:
        return bool(self._pattern.search(text))


class Section(Model):
    """`name` is what the model writes in brackets, `title` what is printed; `findings` marks the organ systems."""

    name: str = Field(pattern=_NAME)
    title: str
    findings: bool = False
    required: bool = False
    elements: tuple[Element, ...] = ()


class Template(Model):
    """`domains`: kinds of picture it is meant for. `otherwise`: the section of lines that name none the template
    has; the first organ system where it is left out."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    title: str
    domains: tuple[str, ...] = ()
    sections: tuple[Section, ...] = Field(min_length=1)
    otherwise: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [section.name for section in self.sections]
        if len(set(names)) != len(names):
            raise ValueError("two sections have one name")
        if self.otherwise and self.otherwise not in names:
            raise ValueError(f"otherwise: {self.otherwise!r} is no section")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(section.name for section in self.sections)

    @property
    def elements(self) -> tuple[Element, ...]:
        return tuple(element for section in self.sections for element in section.elements)

    def parsed(self) -> tuple[str, ...]:
        """The names as `assistant.lines.parse` wants them: the one that takes lines without a section first."""
        first = self.otherwise or next((s.name for s in self.sections if s.findings), self.names[0])
        return (first, *(name for name in self.names if name != first))

    def asked(self, indication: str) -> tuple[Element, ...]:
        """What the indication names: it must be answered in so many words."""
        return tuple(element for element in self.elements if element.named_in(indication))


def says_normal(text: str) -> bool:
    """Whether a sentence calls something normal as a whole."""
    return bool(_NORMAL.search(text))


def load_template(path: Path) -> Template:
    """Raises `Misconfigured`, which names file and key."""
    import yaml

    try:
        return Template.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Misconfigured(
            f"The template {path} can't be read as YAML; compare it with those in {BUILT_IN}."
        ) from error
    except ValidationError as error:
        first: Any = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise Misconfigured(f"The template {path}: {where}: {first['msg']}. Mend it or remove the file.") from error


def template_files(home: Path) -> dict[str, Path]:
    """Name → file, a department's own before a built-in one. A file bears its template's name."""
    return {path.stem: path for folder in (BUILT_IN, home / "templates") for path in sorted(folder.glob("*.yaml"))}


def find_template(name: str, home: Path) -> Template:
    """Raises `UnknownTemplate` when there is none of this name, `Misconfigured` when its file is wrong."""
    files = template_files(home)
    if name not in files:
        raise UnknownTemplate(f"There is no report template {name!r}; there are: {', '.join(sorted(files))}.")
    template = load_template(files[name])
    if template.name != name:
        raise Misconfigured(f"The template {files[name]} calls itself {template.name!r}; file and name must agree.")
    return template


@cache
def built_in(name: str = "chest") -> Template:
    return load_template(BUILT_IN / f"{name}.yaml")
