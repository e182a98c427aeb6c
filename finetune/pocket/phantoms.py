"""Phantoms as training material: rendered once over all cores, kept as arrays and one line of truth a picture.

A share are pairs (a prior study stands just before its current one), lateral views and spoilt films; the rest are good
frontal films with what their seeds draw. Beside the pixels lies where things are: the share of each cell of a coarse
grid that a finding or a device covers.
"""

import hashlib
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track

from eval import phantoms
from eval.phantoms import DEVICES, FINDINGS, TRAINING_FAMILIES
from eval.phantoms.faults import FAULTS, GRADES, Fault

RENDERED = 256  # pixels; larger than a model reads, so that training pictures are scaled down as users' are
GRID = 14  # cells a side of the coarse grid
DRAWN = (*FINDINGS, *DEVICES)  # what a phantom's places are of
_NO_PICTURES = (  # change what is said of a phantom, nothing of what is kept of it
    "__init__", "criteria", "dicom", "organs", "protocols", "questions", "sheet", "wordings",
)  # fmt: skip
_PAIR, _LATERAL, _SPOILT = 0.2, 0.07, 0.15  # shares of the seeds; the rest are good frontal films


@dataclass(frozen=True)
class PhantomSet:
    """`pixels` (n, size, size) uint8; `places` (n, DRAWN, GRID, GRID) uint8, 255 where all of a cell is covered;
    `facts` per picture: kind ("single", "prior" or "current"), view, age, sex, findings, devices, fault, report, and of
    a current study the changes."""

    pixels: NDArray[np.uint8]
    places: NDArray[np.uint8]
    facts: list[dict[str, Any]]


def phantom_set(folder: Path, seeds: range, *, size: int, families: tuple[str, ...] = TRAINING_FAMILIES) -> PhantomSet:
    """One phantom or pair a seed, the families in turn, read from `folder` when rendered before with the same
    arguments by the same code."""
    drawing = [path for path in Path(phantoms.__file__).parent.glob("*.py") if path.stem not in _NO_PICTURES]
    code = _fingerprint(*drawing, Path(__file__))
    base = folder / f"phantoms-{'-'.join(families)}-{seeds.start}-{len(seeds)}-{size}-{code}"
    files = [Path(f"{base}.{name}") for name in ("npy", "places.npy", "jsonl")]
    if not all(file.exists() for file in files):
        folder.mkdir(parents=True, exist_ok=True)
        jobs = [(seed, size, families[seed % len(families)]) for seed in seeds]
        with ProcessPoolExecutor() as pool:
            rendered = pool.map(_render, jobs, chunksize=16)
            shown = track(rendered, total=len(jobs), description="Rendering phantoms")
            films = [film for some in shown for film in some]
        drafts = [file.with_name(f"draft-{file.name}") for file in files]
        np.save(drafts[0], np.stack([pixels for pixels, _, _ in films]))
        np.save(drafts[1], np.stack([places for _, places, _ in films]))
        drafts[2].write_text("".join(json.dumps(facts) + "\n" for _, _, facts in films))
        for draft, file in zip(drafts, files, strict=True):
            draft.replace(file)
    facts = [json.loads(line) for line in files[2].read_text().splitlines()]
    return PhantomSet(np.load(files[0]), np.load(files[1]), facts)


def _fingerprint(*files: Path) -> str:
    """Eight hex digits of these files."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:8]


Film = tuple[NDArray[np.uint8], NDArray[np.uint8], dict[str, Any]]


def _render(job: tuple[int, int, str]) -> list[Film]:
    from eval.phantoms import make_phantom
    from eval.phantoms.pairs import make_pair

    seed, size, family = job
    rng = np.random.default_rng([seed, 77])
    kind = rng.random()
    if kind < _PAIR:
        pair = make_pair(seed, family=family, size=RENDERED)
        prior, current = _film(pair.prior, size, "prior"), _film(pair.current, size, "current")
        current[2]["changes"] = [asdict(change) for change in pair.changes]
        current[2]["report"] = asdict(pair.report)
        return [prior, current]
    view = "LATERAL" if kind < _PAIR + _LATERAL else "PA"
    spoilt = _PAIR + _LATERAL <= kind < _PAIR + _LATERAL + _SPOILT
    fault = Fault(FAULTS[rng.integers(len(FAULTS))], GRADES[rng.integers(len(GRADES))]) if spoilt else None
    return [_film(make_phantom(seed, size=RENDERED, family=family, view=view, fault=fault), size, "single")]


def _film(phantom: phantoms.Phantom, size: int, kind: str) -> Film:
    picture = Image.fromarray(phantom.pixels).resize((size, size), Image.Resampling.BICUBIC)
    shown = {finding.kind for finding in phantom.shown}
    masks: dict[str, NDArray[np.bool_]] = {name: mask for name, mask in phantom.masks.items() if name in shown}
    masks |= {device.kind: strand for device, strand in zip(phantom.devices, phantom.strands, strict=True)}
    places = [_coarse(masks[name]) if name in masks else np.zeros((GRID, GRID), np.uint8) for name in DRAWN]
    facts = {
        "kind": kind, "family": phantom.family, "seed": phantom.seed, "view": phantom.view,
        "age": phantom.age, "sex": phantom.sex,
        "findings": [asdict(finding) for finding in phantom.shown],
        "devices": [asdict(device) for device in phantom.devices],
        "fault": asdict(phantom.fault) if phantom.fault else None,
        "report": asdict(phantom.report),
    }  # fmt: skip
    return np.asarray(picture), np.stack(places), facts


def _coarse(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    grey = Image.fromarray(mask.astype(np.uint8) * 255).resize((GRID, GRID), Image.Resampling.BOX)
    return np.asarray(grey)
