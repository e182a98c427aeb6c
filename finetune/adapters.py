"""What becomes of an adapter: taken into the house, examined, promoted, or taken back."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

from assistant.adapters import WEIGHTS, checked_name, is_adapter, kept, promotion, shelf
from assistant.settings import Settings
from finetune.checkpoints import write_whole
from finetune.errors import BadInput
from finetune.gate import GATE, Gate, checked
from finetune.tuned import write_folder
from retrieval.errors import NotFound


def take_in(settings: Settings, folder: Path, name: str) -> Path:
    """Copies an adapter's folder into CONSULT_HOME. Raises `BadInput` for what is no adapter of the model, or when
    other weights have the name."""
    if not is_adapter(folder):
        raise BadInput(f"{folder} is no adapter: adapter_config.json and adapter_model.safetensors make one.")
    model = _told(folder).get("adapter_of")
    if settings.engine.kind == "local" and model and not _one_model(str(model), settings.engine.model):
        raise BadInput(f"{folder} is an adapter of {model}, and [engine] model is {settings.engine.model}.")
    place = shelf(settings.home) / checked_name(name)
    if place.exists() and not _same(place, folder):
        raise BadInput(f"Another adapter is called {name}; choose another --name, or delete {place}.")
    if not place.exists():
        write_folder(place, lambda draft: _copy(folder, draft))
    return place


def _told(folder: Path) -> dict[str, object]:
    path = folder / "consult.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _one_model(one: str, other: str) -> bool:
    """A folder may be told in two ways."""
    return one == other or (Path(one).is_dir() and Path(one).resolve() == Path(other).expanduser().resolve())


def _same(one: Path, other: Path) -> bool:
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in WEIGHTS)


def _copy(folder: Path, draft: Path) -> None:
    shutil.copytree(folder, draft, dirs_exist_ok=True)


def folder_of(settings: Settings, name: str) -> Path:
    """Raises `NotFound`."""
    found = kept(settings.home).get(name)
    if found is None:
        there = ", ".join(kept(settings.home)) or "none"
        raise NotFound(f"No adapter is called {name!r} here ({there}); `consult adapters load FOLDER` takes one in.")
    return found


def promote(settings: Settings, name: str, gate_file: Path | None = None) -> Gate:
    """From now on requests that name no adapter are answered by this one. Raises `BadInput` with the reason why not."""
    folder = folder_of(settings, name)
    path = gate_file or folder / GATE
    if not path.is_file():
        raise BadInput(f"{name} is not promoted: it has no gate file. `consult adapters gate {name}` makes one.")
    gate = Gate.load(path)
    checked(name, folder, gate, settings.engine.model)
    told = {
        "adapter": name, "model": settings.engine.model, "weights": gate.adapter_hash,
        "when": datetime.now(UTC).isoformat(timespec="seconds"), "gate": json.loads(gate.model_dump_json()),
    }  # fmt: skip
    text = json.dumps(told, indent=1, ensure_ascii=False) + "\n"
    write_whole(shelf(settings.home) / "promoted.json", lambda draft: draft.write_text(text, encoding="utf-8"))
    return gate


def demote(settings: Settings) -> str | None:
    """Requests that name no adapter are answered by the model as it is; the name of what was promoted."""
    told = promotion(settings.home)
    (shelf(settings.home) / "promoted.json").unlink(missing_ok=True)
    return told["adapter"] if told else None
