"""Pictures a second: what decoding, preprocessing and the forward pass cost, and what all else adds to them.

The three are timed apart, over the same pictures; their sum is the least an ingestion can take. Beside it stand the
encoder's own `encode_images` and the whole `add_cases` into an empty library, each with the share of it that is those
three. Run: `python -m eval.bench.encode`.
"""

import json
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Annotated, Any

import typer
from PIL import Image as PillowImage
from rich.console import Console
from rich.table import Table

from assistant.settings import load_settings
from eval.phantoms import make_phantom
from retrieval.cases import find_manifest, picture_reader
from retrieval.embed import IMAGE_BATCH
from retrieval.encoders import load_image_text, load_text
from retrieval.encoders.batch import batches
from retrieval.encoders.bundle import Encoders
from retrieval.encoders.imagetext import TransformersImageTextEncoder
from retrieval.encoders.openclip import OpenClipEncoder
from retrieval.ingest import add_cases
from retrieval.library import Library
from retrieval.store.edge import EdgeStore

Model = OpenClipEncoder | TransformersImageTextEncoder


def main(
    pictures: Annotated[int, typer.Option(min=8, help="how many")] = 96,
    size: Annotated[int, typer.Option(min=64, help="pixels of a side")] = 512,
    rounds: Annotated[int, typer.Option(min=1, help="of which the best is told")] = 5,
) -> None:
    """Print milliseconds a picture by step, pictures a second, and the two ratios."""
    encoder = load_image_text(load_settings().encoders.image_text)
    if not isinstance(encoder, Model):
        raise typer.BadParameter("the image encoder of the settings is no model")
    with tempfile.TemporaryDirectory() as folder:
        seconds = measured(encoder, draw(Path(folder), pictures, size), rounds)
    show(seconds, pictures)


def draw(folder: Path, pictures: int, size: int) -> list[Path]:
    """PNGs of phantoms beside a manifest."""
    files, lines = [], []
    for n in range(pictures):
        phantom = make_phantom(9000 + n, size=size)
        files.append(folder / f"{n}.png")
        PillowImage.fromarray(phantom.pixels).save(files[-1])
        lines.append(json.dumps({"image": files[-1].name, "report": f"{phantom.id}: {phantom.report.text}"}))
    (folder / "cases.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return files


def measured(encoder: Model, files: Sequence[Path], rounds: int) -> dict[str, float]:
    """Seconds of each step over all files, in the batches of an ingestion; the best round's."""
    read, homes = picture_reader(), (files[0].parent / f"home{n}" for n in count())
    images = [read(file, b"")[0] for file in files]
    parts = list(batches(images, IMAGE_BATCH))
    ready = [encoder.prepared(part) for part in parts]
    steps: dict[str, Callable[[], Any]] = {
        "decode": lambda: [read(file, b"") for file in files],
        "preprocess": lambda: [encoder.prepared(part) for part in parts],
        "forward": lambda: [encoder.forward(batch) for batch in ready],
        "encode_images": lambda: [encoder.encode_images(part) for part in parts],
        "add_cases": lambda: ingest(encoder, files[0].parent, next(homes)),
    }
    best = dict.fromkeys(steps, math.inf)
    for _ in range(rounds):  # in turn; what else the machine does can only add to a step
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def ingest(encoder: Model, folder: Path, home: Path) -> None:
    """The manifest into an empty library."""
    encoders = Encoders(encoder, load_text("fake"))
    with Library(home) as library, closing(EdgeStore(home)) as store:
        report = add_cases(library, store, encoders, find_manifest(folder), picture_reader())
    assert not report.skipped


def show(seconds: dict[str, float], pictures: int) -> None:
    table = Table("step", "ms a picture", "pictures a second")
    for name, taken in seconds.items():
        table.add_row(name, f"{1000 * taken / pictures:.2f}", f"{pictures / taken:.0f}")
    encoding = seconds["preprocess"] + seconds["forward"]
    console = Console()
    console.print(table)
    console.print(f"(preprocess + forward) / encode_images: {encoding / seconds['encode_images']:.3f}")
    console.print(
        f"(decode + preprocess + forward) / add_cases: {(seconds['decode'] + encoding) / seconds['add_cases']:.3f}"
    )


if __name__ == "__main__":
    typer.run(main)
