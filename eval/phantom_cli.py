"""`consult phantom`: write synthetic studies with their truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from eval.phantoms.phantom import Phantom


def phantom(
    out: Annotated[Path, typer.Argument(help="Folder for the pictures and studies.jsonl.")],
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="How many studies.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first study; the others follow.")] = 0,
    dicom: Annotated[bool, typer.Option("--dicom", help="Write DICOM instead of PNG.")] = False,
    size: Annotated[int, typer.Option(min=64, help="Pixels a side.")] = 512,
    family: Annotated[
        str, typer.Option(help="Family of anatomy, film and wording: train, exam, exam-barrel or exam-portable.")
    ] = "train",
    view: Annotated[
        Literal["PA", "LATERAL", "BOTH"], typer.Option(help="Frontal, lateral, or both of everyone.")
    ] = "PA",
    devices: Annotated[
        bool | None,
        typer.Option("--devices/--no-devices", help="A line or tube in every study, or in none; else in a quarter."),
    ] = None,
    faults: Annotated[bool, typer.Option("--faults", help="Spoil every study: kinds and grades in turn.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that is not empty.")] = False,
) -> None:
    """Write synthetic chest radiographs whose findings are known exactly."""
    import json

    from rich.console import Console
    from rich.progress import track

    from eval.phantoms.family import FAMILIES

    if family not in FAMILIES:
        raise typer.BadParameter(f"{family!r} is none of {', '.join(FAMILIES)}", param_hint="--family")
    if out.exists() and (not out.is_dir() or any(out.iterdir())) and not (force and out.is_dir()):
        raise typer.BadParameter(f"{out} is not an empty folder; --force writes into it anyway", param_hint="OUT")
    out.mkdir(parents=True, exist_ok=True)
    console = Console(stderr=True)
    console.print(f"{n} studies of family {family}, seeds {seed} to {seed + n - 1}, {size} x {size} pixels → {out}")
    with (out / "studies.jsonl").open("w", encoding="utf-8") as studies:
        for number in track(range(seed, seed + n), "Rendering", console=console):
            for shown in ("PA", "LATERAL") if view == "BOTH" else (view,):
                study = _study(number, family, size, shown, devices, faults)
                file = _write(study, out, dicom)
                studies.write(json.dumps(truth(study, file), ensure_ascii=False) + "\n")


def _study(seed: int, family: str, size: int, view: str, devices: bool | None, faults: bool) -> Phantom:
    from eval.phantoms.devices import DEVICES, DeviceSpec
    from eval.phantoms.faults import FAULTS, GRADES, Fault
    from eval.phantoms.phantom import make_phantom

    one = [DeviceSpec(DEVICES[seed % len(DEVICES)])] if devices else []
    fault = Fault(FAULTS[seed % len(FAULTS)], GRADES[seed // len(FAULTS) % len(GRADES)]) if faults else None
    return make_phantom(
        seed, family=family, size=size, view=view, devices=None if devices is None else one, fault=fault
    )


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
        "source": f"Synthetic study, family {study.family}, seed {study.seed}",
        "view": study.view,
        "visit": study.visit,
        "spacing_mm": study.spacing_mm,
        "age": study.age,
        "sex": study.sex,
        "ctr": study.ctr,
        "findings": [asdict(finding) for finding in study.findings],
        "devices": [asdict(device) for device in study.devices],
        "fault": asdict(study.fault) if study.fault else None,
        "distractors": list(study.distractors),
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
