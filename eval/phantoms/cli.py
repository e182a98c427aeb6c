"""`consult phantom`: write synthetic studies with their truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from eval.phantoms.phantom import Phantom


def phantom(
    out: Annotated[Path, typer.Argument(help="Folder for the pictures and studies.jsonl.")],
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="How many studies.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first study; the others follow.")] = 0,
    dicom: Annotated[bool, typer.Option("--dicom", help="Write DICOM instead of PNG.")] = False,
    size: Annotated[int, typer.Option(min=64, help="Pixels a side.")] = 512,
    family: Annotated[str, typer.Option(help="Family of anatomy and wording: train or exam.")] = "train",
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that is not empty.")] = False,
) -> None:
    """Write synthetic chest radiographs whose findings are known exactly."""
    import json

    from rich.console import Console
    from rich.progress import track

    from eval.phantoms.family import get_family
    from eval.phantoms.phantom import make_phantom

    try:
        get_family(family)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--family") from None
    if out.exists() and (not out.is_dir() or any(out.iterdir())) and not (force and out.is_dir()):
        raise typer.BadParameter(f"{out} is not an empty folder; --force writes into it anyway", param_hint="OUT")
    out.mkdir(parents=True, exist_ok=True)
    console = Console(stderr=True)
    console.print(f"{n} studies of family {family}, seeds {seed} to {seed + n - 1}, {size} x {size} pixels → {out}")
    with (out / "studies.jsonl").open("w", encoding="utf-8") as studies:
        for number in track(range(seed, seed + n), "Rendering", console=console):
            study = make_phantom(number, family=family, size=size)
            file = _write(study, out, dicom)
            studies.write(json.dumps(truth(study, file), ensure_ascii=False) + "\n")


def truth(study: Phantom, file: str) -> dict[str, Any]:
    """What studies.jsonl says of a study: everything but pixels and masks."""
    from dataclasses import asdict

    return {
        "id": study.id,
        "file": file,
        "patient": f"PHANTOM-{study.seed}",  # as in the DICOM file
        "domain": "chest_xray",
        "seed": study.seed,
        "family": study.family,
        "view": study.view,
        "spacing_mm": study.spacing_mm,
        "age": study.age,
        "sex": study.sex,
        "ctr": study.ctr,
        "findings": [asdict(finding) for finding in study.findings],
        "report": asdict(study.report),
        "questions": [asdict(question) for question in study.questions],
    }


def _write(study: Phantom, out: Path, dicom: bool) -> str:
    file = f"{study.id}.{'dcm' if dicom else 'png'}"
    if dicom:
        from eval.phantoms.dicom import to_dicom

        to_dicom(study).save_as(out / file, enforce_file_format=True)
    else:
        from PIL import Image

        Image.fromarray(study.pixels).save(out / file)
    return file
