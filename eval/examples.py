"""Three worked examples, from picture to exported FHIR, by the bundled model: `make examples` writes docs/examples.

A chest phantom with its prior, a fundus photograph and a brain MR; the library holds the bundled cards. Of the latter
two, drawings stand in unless real pictures are named; what is shown of those goes into a folder of its own, since they
may not be ours to publish. The clock of the exports stands still: a second run differs only in what the model says.
"""

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from PIL import Image

from assistant.errors import BadInput
from eval.bench.ask import apart
from eval.phantoms.dicom import to_dicom
from eval.phantoms.pairs import Change, make_pair
from eval.phantoms.phantom import Phantom
from eval.standins import brain, fundus

if TYPE_CHECKING:
    from assistant.api.shapes import Result
    from assistant.assistant import Assistant
    from assistant.events import EvidenceItem
    from assistant.settings import Settings

DOCS = Path("docs/examples")
CLOCK = "2026-01-01T00:00:00+00:00"
SHOWN = 384  # pixels of the longest side of a picture in the docs
FILES = ("README.md", "picture.png", "prior.png", "fhir.json")


@dataclass(frozen=True)
class Example:
    """`origin`: what the picture is, and what is known to be true of it."""

    name: str
    title: str
    origin: str
    study: Path
    template: str
    indication: str
    prior: Path | None = None


def main(
    out: Annotated[Path, typer.Option(help="Folder for the examples.")] = DOCS,
    fundus_file: Annotated[Path | None, typer.Option("--fundus", help="A fundus photograph; else a drawing.")] = None,
    brain_file: Annotated[Path | None, typer.Option("--brain", help="A slice of a brain MR; else a drawing.")] = None,
) -> None:
    """Write three worked examples: picture, draft, evidence and FHIR."""
    from assistant.settings import load_settings

    if out.resolve() == DOCS.resolve() and (fundus_file or brain_file):
        raise BadInput("The pictures of files may not be ours to publish: name another folder by --out.")
    with tempfile.TemporaryDirectory() as folder:
        settings = apart(load_settings(), Path(folder) / "home")
        asyncio.run(_write_all(settings, examples(Path(folder), fundus_file, brain_file), out))


def examples(folder: Path, fundus_file: Path | None, brain_file: Path | None) -> tuple[Example, ...]:
    """Renders or draws what isn't given."""
    pair = make_pair(7, family="exam", changes=[Change("effusion", "left", "larger")])
    return (
        Example(
            "chest", "A chest radiograph with its prior",
            f"A phantom, of a family that training never sees. Truth: {pair.report.findings} {pair.report.comparison}",
            _dicom(pair.current, folder / "current.dcm"), "chest", "Follow-up of a pleural effusion.",
            _dicom(pair.prior, folder / "prior.dcm"),
        ),
        Example(
            "fundus", "A fundus photograph", _origin(fundus_file, "dark dots for bleeding, yellow spots for exudates"),
            fundus_file or _png(Image.fromarray(fundus()), folder / "fundus.png"), "fundus", "Diabetes. Retinopathy?",
        ),
        Example(
            "brain", "A slice of a brain MR", _origin(brain_file, "a round mass in the left half of the picture"),
            brain_file or _png(Image.fromarray(brain()), folder / "brain.png"), "brain_mr", "Headache. Mass?",
        ),
    )  # fmt: skip


def _origin(file: Path | None, drawn: str) -> str:
    return "A real picture." if file else f"A drawing that stands in for a real picture, of nobody: {drawn}."


def _dicom(phantom: Phantom, path: Path) -> Path:
    to_dicom(phantom).save_as(path, enforce_file_format=True)
    return path


def _png(picture: Image.Image, path: Path) -> Path:
    picture.save(path)
    return path


async def _write_all(settings: "Settings", wanted: Sequence[Example], out: Path) -> None:
    from assistant.assistant import Assistant
    from retrieval.encoders.bundle import load
    from retrieval.ingest import add_documents, bundled_sources

    assistant = Assistant.open(settings)
    try:
        add_documents(assistant.library, assistant.retriever.store, load(settings.encoders.names), bundled_sources())
        for example in wanted:
            folder = out / example.name
            folder.mkdir(parents=True, exist_ok=True)
            for name in FILES:  # of an earlier run
                (folder / name).unlink(missing_ok=True)
            await _write(settings, assistant, example, folder)
            typer.echo(f"{example.title}: {folder / FILES[0]}")
    finally:
        await assistant.close()


async def _write(settings: "Settings", assistant: "Assistant", example: Example, folder: Path) -> None:
    from assistant.api.results import joined
    from assistant.reports.worklist import Wanted, events_of

    prior = (example.prior,) if example.prior else ()
    wanted = Wanted(study=(example.study,), prior=prior, indication=example.indication, template=example.template)
    result = joined(await events_of(assistant, wanted.request(settings, max_tokens=512)))
    for file, name in ((example.study, "picture.png"), (example.prior, "prior.png")):
        if file:
            _shrunk(file, folder / name)
    if result.draft:
        (folder / "fhir.json").write_bytes(_fhir(example, result) + b"\n")
    (folder / "README.md").write_text(page(example, result), encoding="utf-8")


def _shrunk(file: Path, out: Path) -> None:
    from assistant.imaging import read_study

    study, _ = read_study([file], salt=b"")
    picture = Image.fromarray(study.pictures[0].pixels)
    picture.thumbnail((SHOWN, SHOWN))
    picture.save(out, optimize=True)


def _fhir(example: Example, result: "Result") -> bytes:
    """Preliminary: nobody has signed it."""
    from assistant.exchange.document import Document, export
    from assistant.imaging import read_study

    study, identity = read_study([example.study], salt=b"")
    modalities = frozenset(picture.modality for picture in study.pictures if picture.modality)
    report = sha256(example.name.encode()).hexdigest()[:32]
    assert result.draft is not None
    document = Document(
        report=report, version=1, status="draft", at=CLOCK, name="", draft=result.draft, modalities=modalities,
        identity=identity,
    )  # fmt: skip
    return export(document, "fhir")


def page(example: Example, result: "Result") -> str:
    """The example as Markdown."""
    from assistant.reports.render import markdown

    pictures = ["![The picture](picture.png)", *(["![The prior](prior.png)"] if example.prior else [])]
    asked = f"`consult report FILE{' --prior FILE' if example.prior else ''} --template {example.template} "
    parts = [f"# {example.title}", " ".join(pictures), example.origin, asked + f'-i "{example.indication}"`']
    if result.draft:
        parts += ["## Draft", f"\n{markdown(result.draft)}".replace("\n#", "\n###").strip()]
    else:
        parts += ["## No draft", result.reason]
    parts += ["## Evidence", *(map(_evidence, result.evidence) if result.evidence else [result.note or "None."])]
    parts += ["\n".join(f"- {warning}" for warning in result.warnings)] if result.warnings else []
    parts += ["The same as FHIR: [fhir.json](fhir.json)."] if result.draft else []
    return "\n\n".join(parts) + "\n"


def _evidence(item: "EvidenceItem") -> str:
    where = ", ".join(filter(None, (item.title, item.section, item.source)))
    text = " ".join(item.text.split())
    return f"{item.number}. {where}; relevance {item.relevance:.2f}\n\n   > {text}"


if __name__ == "__main__":
    typer.run(main)
