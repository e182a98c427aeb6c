"""Configuration files of the school: YAML, validated once into frozen objects; an unknown key is an error."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from finetune.errors import Misconfigured


class Frozen(BaseModel):
    """A part of a configuration. Paths in it are relative to where the command runs."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


F = TypeVar("F", bound=Frozen)


def load_config(path: Path, model: type[F]) -> F:
    """The file as an object of this model. Raises `Misconfigured` with every key that is wrong."""
    import yaml

    try:
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Misconfigured(f"{path} can't be read as YAML: {' '.join(str(error).split())}") from None
    try:
        return model.model_validate(told)
    except ValidationError as error:
        raise Misconfigured(f"{path}: " + "; ".join(_told(one) for one in error.errors())) from None


def _told(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"]) or "the file"
    what = "unknown key" if error["type"] == "extra_forbidden" else error["msg"]
    return f"{where}: {what[:1].lower()}{what[1:]}"
