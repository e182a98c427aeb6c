"""Pictures whose kind is known, from manifests: what domains are fitted on and drawn on."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrieval.cases import find_manifest, picture_reader
from retrieval.encoders.base import ImageTextEncoder, Vectors
from retrieval.errors import BadInput, ConsultError

BATCH = 32
HELD_OUT = ("val", "validation", "test")


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture, its domain, and the patient it belongs to (else itself)."""

    path: Path
    domain: str
    group: str


def find(specs: Sequence[str], held_out: bool, n: int) -> list[Shown]:
    """The pictures of manifests, "MANIFEST" where each line says its `domain`, or "DOMAIN=MANIFEST"; of those with a
    `split` the training part, or what was held out of it; at most `n` a domain, spread over its manifest. Raises
    `BadInput`."""
    found: dict[str, list[Shown]] = {}
    for spec in specs:
        domain, _, path = spec.rpartition("=")
        for shown in _lines(find_manifest(Path(path)), domain, held_out):
            found.setdefault(shown.domain, []).append(shown)
    if not found:
        raise BadInput(f"No {'held-out ' if held_out else ''}picture in what was named.")
    return [shown for rows in found.values() for shown in rows[:: -(-len(rows) // n)]]


def _lines(manifest: Path, domain: str, held_out: bool) -> Iterator[Shown]:
    for number, line in enumerate(manifest.read_text(encoding="utf-8-sig").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row: Any = json.loads(line)
            name, image, split = domain or row["domain"], row.get("image") or row["file"], row.get("split")
            path = manifest.parent / image
        except (ValueError, KeyError, TypeError, AttributeError):
            name = ""
        if not isinstance(name, str) or not name:
            raise BadInput(
                f"{manifest.name}, line {number}: wanted a JSON object with image and domain. Say "
                "DOMAIN=MANIFEST where all pictures of a manifest are of one."
            )
        if split is None or (split in HELD_OUT) == held_out:
            yield Shown(path, name, str(row.get("patient") or path))


def embed(
    shown: Sequence[Shown], encoder: ImageTextEncoder, salt: bytes, watch: Callable[[str, int, int], None]
) -> tuple[Vectors, list[Shown]]:
    """(m, dim) and the m pictures that could be read. Raises `BadInput` when none could."""
    import numpy as np

    read, vectors, kept = picture_reader(), list[Vectors](), list[Shown]()
    for at in range(0, len(shown), BATCH):
        pixels = []
        for one in shown[at : at + BATCH]:
            try:
                pixels.append(read(one.path, salt)[0])
                kept.append(one)
            except (ConsultError, OSError):
                continue
        if pixels:
            vectors.append(encoder.encode_images(pixels))
        watch("looking at pictures", min(at + BATCH, len(shown)), len(shown))
    if not vectors:
        raise BadInput("None of the pictures can be read.")
    return np.concatenate(vectors), kept
