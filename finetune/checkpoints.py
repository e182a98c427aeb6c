"""Checkpoints: written whole or not at all, and taken up again only by the run that wrote them.

A run that was killed goes on by the same command; to give the weights of an undisturbed run, everything a step depends
on must follow from the checkpoint and the number of the step (see `finetune.contrastive`).
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from finetune.errors import BadInput


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """`write` makes a draft beside `path`, which then takes its place: a kill leaves the old file or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    write(draft)
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(draft, path)


def changed(before: Mapping[str, Any], now: Mapping[str, Any], within: str = "") -> list[str]:
    """What differs between two configurations, as "training.lr was 0.001, is 0.01"."""
    found = []
    for key in sorted(before.keys() | now.keys()):
        was, is_, name = before.get(key), now.get(key), f"{within}{key}"
        if isinstance(was, Mapping) and isinstance(is_, Mapping):
            found += changed(was, is_, f"{name}.")
        elif was != is_:
            found.append(f"{name} was {was}, is {is_}")
    return found


class Checkpoints:
    """Checkpoints of one run in `folder`: `checkpoint.pt`, from which it goes on, and `best.pt`, the best so far.
    `run` says what the run is: nested mappings of plain values (configuration, digest of the data)."""

    def __init__(self, folder: Path, run: Mapping[str, Any]) -> None:
        self.last, self.best, self._run = folder / "checkpoint.pt", folder / "best.pt", run

    def resume(self) -> dict[str, Any] | None:
        """The state saved last, None for a run that starts. Raises `BadInput` when another run saved it."""
        state = self.load(self.last)
        if state is None:
            return None
        if differences := changed(state["run"], self._run):
            told = "; ".join(differences[:5]) + ("; …" if len(differences) > 5 else "")
            raise BadInput(
                f"{self.last.parent} holds a run begun otherwise ({told}). Undo the change to go on with it, or name "
                "another folder as `out`."
            )
        return state

    def save(self, state: Mapping[str, Any]) -> None:
        self._write(self.last, {**state, "run": self._run})

    def save_best(self, state: Mapping[str, Any]) -> None:
        self._write(self.best, state)

    def load(self, path: Path) -> dict[str, Any] | None:
        """On the CPU. Raises `BadInput` for a file that is damaged."""
        import torch

        if not path.is_file():
            return None
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise BadInput(f"{path} can't be read ({type(error).__name__}); delete it to start over.") from error
        return state

    def _write(self, path: Path, state: Mapping[str, Any]) -> None:
        import torch

        write_whole(path, lambda draft: torch.save(dict(state), draft))


def kept_state(network: Any) -> dict[str, Any]:
    """What training changes of a torch module: parameters that learn, and buffers. Copies on the CPU."""
    frozen = {name for name, parameter in network.named_parameters() if not parameter.requires_grad}
    return {name: value.detach().cpu().clone() for name, value in network.state_dict().items() if name not in frozen}


def restore_state(network: Any, state: Mapping[str, Any]) -> None:
    """Raises `BadInput` when the module has other parameters than were saved."""
    expected = set(kept_state(network))
    if expected != set(state):
        raise BadInput("the checkpoint belongs to another model; name another folder as `out`.")
    network.load_state_dict(state, strict=False)
