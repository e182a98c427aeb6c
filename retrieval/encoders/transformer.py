"""Loading through transformers: no code but the library's own, every weight there, 32 bits.

A weight that the files lack would be drawn at random, and the same input would give other vectors at the next start.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from retrieval.errors import Misconfigured

OURS: dict[str, bool] = {"trust_remote_code": False}  # unasked, transformers would ask at the terminal


@contextmanager
def loading(what: str, setting: str) -> Iterator[None]:
    """Any failure to load as `Misconfigured`; `what` as in "the text encoder bge-small"."""
    try:
        yield
    except Misconfigured:
        raise
    except ImportError as error:  # says itself which package a model's tokenizer needs
        raise Misconfigured(f"{what} can't be loaded: a package is missing ({error})") from error
    except Exception as error:
        raise Misconfigured(f"{what} can't be loaded ({type(error).__name__}); check {setting}") from error


def model_of(auto: Any, folder: Path, device: str) -> tuple[Any, list[str]]:
    """The model, and the names of the weights that its files lack."""
    import torch

    model, found = auto.from_pretrained(folder, dtype=torch.float32, output_loading_info=True, **OURS)
    missing = {*found["missing_keys"], *(key for key, *_ in found["mismatched_keys"])}
    return model.to(device).eval(), sorted(missing)


def refuse_missing(what: str, missing: list[str]) -> None:
    if missing:
        raise Misconfigured(f"{what} lacks {len(missing)} of its weights ({missing[0]} …): damaged, or a model of "
                            "another kind")  # fmt: skip


def longest(tokenizer: Any, model: Any, config: Any) -> int:
    """How many tokens a text may have: what tokenizer and position table allow, 512 where neither says."""
    places = getattr(config, "max_position_embeddings", None) or 512
    offsets = [
        table.padding_idx + 1  # RoBERTa and its kin number positions from after the padding's
        for name, table in model.named_modules()
        if name.endswith("position_embeddings") and getattr(table, "padding_idx", None) is not None
    ]
    return min(int(tokenizer.model_max_length), places - max(offsets, default=0))
