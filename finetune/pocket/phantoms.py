"""Phantoms as training material: rendered once over all cores, kept as one array and one line of truth each."""

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track

from eval import phantoms

RENDERED = 256  # pixels; larger than a model reads, so that training pictures are scaled down as users' are


@dataclass(frozen=True)
class PhantomSet:
    """`pixels` (n, size, size) uint8; `facts` per picture: findings, questions, report, age, sex."""

    pixels: NDArray[np.uint8]
    facts: list[dict[str, Any]]


def phantom_set(folder: Path, n: int, *, seed: int, size: int, family: str = "train") -> PhantomSet:
    """`n` phantoms of seeds `seed`…`seed+n-1`, read from `folder` when rendered before with the same arguments."""
    base = folder / f"phantoms-{family}-{seed}-{n}-{size}-{fingerprint(Path(phantoms.__file__).parent)}"
    pixels_file, facts_file = base.with_suffix(".npy"), base.with_suffix(".jsonl")
    if not (pixels_file.exists() and facts_file.exists()):
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.empty((n, size, size), np.uint8)
        with facts_file.open("w") as out, ProcessPoolExecutor() as pool:
            jobs = pool.map(_render, ((s, size, family) for s in range(seed, seed + n)), chunksize=32)
            for index, (picture, truth) in enumerate(track(jobs, total=n, description="Rendering phantoms")):
                pixels[index] = picture
                out.write(json.dumps(truth) + "\n")
        draft = base.with_suffix(".draft.npy")
        np.save(draft, pixels)
        draft.replace(pixels_file)
    facts = [json.loads(line) for line in facts_file.read_text().splitlines()]
    return PhantomSet(np.load(pixels_file), facts)


def fingerprint(*folders: Path) -> str:
    """Eight hex digits of all that lies in these folders: what was made from them is kept under this name."""
    digest = hashlib.sha256()
    for path in sorted(path for folder in folders for path in folder.glob("*.[pm][yd]")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:8]


def _render(job: tuple[int, int, str]) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    from dataclasses import asdict

    from eval.phantoms import make_phantom

    seed, size, family = job
    phantom = make_phantom(seed, size=RENDERED, family=family)
    picture = Image.fromarray(phantom.pixels).resize((size, size), Image.Resampling.BICUBIC)
    facts = {
        "findings": [asdict(finding) for finding in phantom.findings],
        "questions": [asdict(question) for question in phantom.questions],
        "report": asdict(phantom.report),
    }
    return np.asarray(picture), facts


def augmented(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Another exposure and position of the same picture: gamma, gain, offset, shift up to 4 %, noise."""
    size = pixels.shape[0]
    values = pixels.astype(np.float32) / 255
    values = np.clip(values, 0, 1) ** np.float32(np.exp(rng.normal(0, 0.18)))
    values = values * rng.uniform(0.8, 1.15) + rng.uniform(-0.08, 0.08)
    dy, dx = rng.integers(-size // 25, size // 25 + 1, 2)
    values = np.roll(values, (int(dy), int(dx)), (0, 1))
    values += rng.normal(0, rng.uniform(0, 0.02), values.shape).astype(np.float32)
    return (np.clip(values, 0, 1) * 255).astype(np.uint8)


def batches(n: int, size: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Endless batches of indices, every one seen once before any is seen again."""
    order = np.empty(0, np.int64)
    while True:
        if len(order) < size:
            order = np.concatenate([order, rng.permutation(n)])
        yield order[:size]
        order = order[size:]
