"""A projection of patches into the text space, learnt by `finetune`: `places.safetensors` beside a model's weights.

A tower of which only the pooled head was taught knows more of places than its head tells. This file holds a linear map
from its last feature maps to the texts: `weight` (dim, channels) and `bias` (dim,), and in its header the number of
maps ("layers") and the digits of the weights it was learnt with ("weights"). The model itself isn't touched: vectors of
whole pictures stay what they are. Without the file each patch is projected as if it were the whole picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrieval.encoders.folder import identity
from retrieval.errors import Misconfigured

FILE = "places.safetensors"


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """`layers`: of how many of the tower's last maps, from fine to coarse, the channels are taken."""

    weight: Any
    bias: Any
    layers: int

    def __call__(self, maps: Sequence[Any]) -> Any:
        """(n, rows, columns, dim) of the tower's last maps, not of unit length."""
        return stacked(maps) @ self.weight.T + self.bias


def stacked(maps: Sequence[Any]) -> Any:
    """(n, rows, columns, channels) float of maps (n, c, h, w): all on the finest grid, coarser ones interpolated."""
    import torch
    from torch.nn.functional import interpolate

    grid = maps[0].shape[2:]
    alike = [m if m.shape[2:] == grid else interpolate(m.float(), grid, mode="bilinear") for m in maps]
    return torch.cat([m.float() for m in alike], dim=1).permute(0, 2, 3, 1)


def write(folder: Path, projection: Projection, weights: Path) -> None:
    """Beside the model's `weights`, which it is bound to."""
    from safetensors.torch import save_file

    tensors = {"weight": projection.weight, "bias": projection.bias}
    header = {"layers": str(projection.layers), "weights": _digits(weights)}
    save_file({name: value.cpu().contiguous() for name, value in tensors.items()}, folder / FILE, header)


def read(folder: Path, weights: Path, dim: int, device: str) -> Projection | None:
    """The projection that lies in `folder`, if there is one. Raises `Misconfigured` when it isn't of these weights."""
    from safetensors import safe_open

    if not (folder / FILE).is_file():
        return None
    try:
        with safe_open(folder / FILE, "pt", device) as file:
            header = file.metadata() or {}
            found = Projection(file.get_tensor("weight"), file.get_tensor("bias"), int(header["layers"]))
            bound = header["weights"]
    except Exception as error:
        raise _wrong(folder, f"can't be read ({type(error).__name__})") from error
    if bound != _digits(weights):
        raise _wrong(folder, f"was learnt with other weights ({bound}) than lie there ({_digits(weights)})")
    if found.layers < 1 or found.weight.ndim != 2 or found.weight.shape[0] != dim or found.bias.shape != (dim,):
        raise _wrong(folder, f"does not lead into this model's space of {dim} numbers")
    return found


def _digits(weights: Path) -> str:
    return identity("", [weights]).removeprefix("-")


def _wrong(folder: Path, why: str) -> Misconfigured:
    called = f"{FILE} of the image encoder {folder.resolve().name}"
    return Misconfigured(f"{called} {why}; remove it, or learn it anew with `consult train pocket`")
