"""Adding cases against what can't be avoided: decode, preprocess and run the encoder on the same pictures.

Both arms run in turn in one process on the same files; the figure is bare time / whole time. The whole path also hashes
and stores each picture, commits it, and builds the index. Each part grows with the number of pictures and their pixels;
building the index starts a process, which costs a second whatever the number. Run: `python -m eval.bench.ingest`.
"""

import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from assistant.settings import load_settings
from eval.exam.library import phantom_cases
from retrieval.cases import picture_reader, pixels_of, read_manifest
from retrieval.embed import IMAGE_BATCH
from retrieval.encoders.bundle import Encoders, load
from retrieval.errors import BadInput
from retrieval.ingest import add_cases
from retrieval.library import Library
from retrieval.store.edge import EdgeStore


def whole(manifest: Path, home: Path, encoders: Encoders, phases: dict[str, float]) -> float:
    """Seconds to add the cases to a new library; `phases` gets the seconds since the phase before."""
    last = start = time.perf_counter()

    def progress(phase: str, done: int, total: int) -> None:
        nonlocal last
        now = time.perf_counter()
        phases[phase] = phases.get(phase, 0.0) + now - last
        last = now

    with Library(home) as library:
        store = EdgeStore(home)
        report = add_cases(library, store, encoders, manifest, picture_reader(), progress=progress)
        assert not report.skipped
        store.close()
    return time.perf_counter() - start


def bare(files: Sequence[Path], encoders: Encoders) -> float:
    """Seconds to decode, preprocess and run the image encoder, a batch at a time."""
    assert encoders.image_text is not None
    start = time.perf_counter()
    for at in range(0, len(files), IMAGE_BATCH):
        encoders.image_text.encode_images([pixels_of(file) for file in files[at : at + IMAGE_BATCH]])
    return time.perf_counter() - start


def main(
    n: Annotated[int, typer.Option(min=16, help="pictures, 512 x 512")] = 320,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
) -> None:
    """Print bare / whole, and where the whole path spends its time."""
    encoders = load(load_settings().encoders.names)
    ratios, phases = [], dict[str, float]()
    with tempfile.TemporaryDirectory() as folder:
        manifest = phantom_cases(Path(folder) / "cases", n)
        files = [line.picture for _, line in read_manifest(manifest) if not isinstance(line, BadInput)]
        bare(files[:IMAGE_BATCH], encoders)  # to warm up
        for number in range(rounds):
            low = bare(files, encoders)
            ratios.append(low / whole(manifest, Path(folder) / f"home-{number}", encoders, phases))
    console = Console()
    for phase, seconds in phases.items():
        console.print(f"{phase}: {1000 * seconds / rounds / n:.2f} ms a picture")
    console.print(f"bare {1000 * low / n:.2f} ms a picture")
    console.print(f"bare / whole: {statistics.median(ratios):.2f} over {rounds} rounds of {n} pictures")


if __name__ == "__main__":
    typer.run(main)
