"""Tuned adapters of this installation: `adapters/NAME` in CONSULT_HOME, a peft adapter each, and which is promoted.

A request that names one is answered by it, one that names `BASE` by the model as it is, and one that names none by the
promoted adapter, if there is one. What may be promoted is decided by who promotes (`consult adapters promote`).
"""

import json
import re
from pathlib import Path
from typing import Any

from assistant.errors import BadInput, Misconfigured

BASE = "base"
WEIGHTS = ("adapter_config.json", "adapter_model.safetensors")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def shelf(home: Path) -> Path:
    return home / "adapters"


def kept(home: Path) -> dict[str, Path]:
    """Name → folder of every adapter that lies there whole."""
    folders = sorted(shelf(home).iterdir()) if shelf(home).is_dir() else []
    return {path.name: path for path in folders if _NAME.fullmatch(path.name) and is_adapter(path)}


def is_adapter(folder: Path) -> bool:
    return all((folder / name).is_file() for name in WEIGHTS)


def checked_name(name: str) -> str:
    """Raises `BadInput` for one that can't be an adapter's."""
    if name == BASE or not _NAME.fullmatch(name):
        raise BadInput(
            f"An adapter's name is of small letters, digits, dots, dashes and underscores, and not {BASE!r}: give "
            "another with --name."
        )
    return name


def promotion(home: Path) -> dict[str, Any] | None:
    """`adapter`, the `model` it was promoted for, its `weights`, `when` and `by`; None: nothing is promoted."""
    path = shelf(home) / "promoted.json"
    if not path.is_file():
        return None
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return {**told, "adapter": str(told["adapter"]), "model": str(told["model"])}
    except (OSError, ValueError, KeyError, TypeError):
        raise Misconfigured(
            f"{path} can't be read; `consult adapters promote` writes it, deleting it demotes."
        ) from None


def promoted(home: Path, model: str) -> str | None:
    """The adapter that answers for this model, while it lies there."""
    told = promotion(home)
    return told["adapter"] if told and told["model"] == model and told["adapter"] in kept(home) else None
