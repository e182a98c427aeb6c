"""Where a model's files are, and the hash of its weights. Nothing heavy is imported here."""

import hashlib
import os
from functools import lru_cache
from pathlib import Path

from retrieval.errors import Misconfigured

POCKET = Path(__file__).parents[1] / "pocket"
WEIGHTS = ("*.safetensors", "pytorch_model*.bin", "open_clip_pytorch_model.bin", "*.pth")


def pocket(part: str) -> Path:
    """The folder of a small encoder that ships. Raises `Misconfigured` when this installation lacks it."""
    folder = POCKET / part
    if not weights_in(folder):
        raise Misconfigured(
            f"the pocket encoder ({part}) is not part of this installation; install the whole package, or name another "
            f"encoder in CONSULT_ENCODERS__{part.upper()}"
        )
    return folder


def weights_in(folder: Path) -> list[Path]:
    """The weight files of one format, the best there is; [] when there are none."""
    return next((found for pattern in WEIGHTS if (found := sorted(folder.glob(pattern)))), [])


def identity(name: str, weights: list[Path]) -> str:
    """`name` with 8 hex digits of the weights' SHA-256: another name when the weights are other weights."""
    digest = hashlib.sha256()
    for path in weights:
        stat = os.stat(path)
        digest.update(_hash(path.resolve(), stat.st_mtime_ns, stat.st_size))
    return f"{name}-{digest.hexdigest()[:8]}"


@lru_cache(64)
def _hash(path: Path, mtime_ns: int, size: int) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
