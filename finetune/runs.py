"""A tuning run's folder belongs to one configuration and one set of data: `run.json` says which."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from finetune.checkpoints import changed, write_whole
from finetune.errors import BadInput
from finetune.sft_config import Tuning

RUN = "run.json"


def described(config: Tuning, samples: Iterable[str]) -> dict[str, Any]:
    """What makes a run another one: its configuration but for the folder's name, and its samples' digests in order."""
    data = hashlib.sha256("\n".join(samples).encode()).hexdigest()
    return {"config": json.loads(config.model_dump_json(exclude={"out"})), "data": data}


def check_same(out: Path, run: dict[str, Any]) -> None:
    """Raises `BadInput` when `out` holds a run begun otherwise."""
    path = out / RUN
    if not path.is_file():
        return
    if differences := changed(json.loads(path.read_text(encoding="utf-8")), run):
        told = "; ".join(differences[:5]) + ("; …" if len(differences) > 5 else "")
        raise BadInput(
            f"{out} holds a run begun otherwise ({told}). Undo the change to go on with it, or name another folder as "
            "`out`."
        )


def keep(out: Path, run: dict[str, Any]) -> None:
    text = json.dumps(run, indent=2, ensure_ascii=False) + "\n"
    write_whole(out / RUN, lambda draft: draft.write_text(text, encoding="utf-8"))
