"""The command writes pictures with their truth and does not overwrite in silence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pydicom
import typer
from PIL import Image
from typer.testing import CliRunner

from eval.phantom_cli import phantom
from eval.phantoms import make_phantom

app = typer.Typer()
app.command()(phantom)
run = CliRunner().invoke


def test_writes_pictures_and_truth(tmp_path: Path) -> None:
    out = tmp_path / "set"
    result = run(app, [str(out), "--n", "3", "--seed", "4", "--size", "64"])
    assert result.exit_code == 0, result.output
    studies = [json.loads(line) for line in (out / "studies.jsonl").read_text().splitlines()]
    assert [s["file"] for s in studies] == [f"phantom-00000{i}.png" for i in (4, 5, 6)]
    assert [(s["patient"], s["domain"]) for s in studies] == [(f"PHANTOM-{i}", "chest_xray") for i in (4, 5, 6)]
    assert {"id", "view", "age", "sex", "findings", "report", "questions"} <= studies[0].keys()
    with Image.open(out / "phantom-000004.png") as picture:
        assert np.array_equal(np.asarray(picture), make_phantom(4, size=64).pixels)


def test_writes_dicom(tmp_path: Path) -> None:
    assert run(app, [str(tmp_path), "--n", "1", "--size", "64", "--dicom"]).exit_code == 0
    ds = pydicom.dcmread(tmp_path / "phantom-000000.dcm")
    study = json.loads((tmp_path / "studies.jsonl").read_text())
    assert (ds.Rows, ds.PatientID) == (64, study["patient"])
    assert "IssuerOfPatientID" not in ds  # or a manifest's patient would have to name it


def test_refuses_a_folder_with_something_in_it(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("x")
    assert run(app, [str(tmp_path), "--n", "1", "--size", "64"]).exit_code == 2
    assert not (tmp_path / "studies.jsonl").exists()
    assert run(app, [str(tmp_path), "--n", "1", "--size", "64", "--force"]).exit_code == 0


def test_refuses_an_unknown_family(tmp_path: Path) -> None:
    assert run(app, [str(tmp_path), "--family", "nobody"]).exit_code == 2


def test_views_devices_and_faults_are_written_with_their_truth(tmp_path: Path) -> None:
    options = ["--n", "2", "--size", "64", "--family", "exam-portable", "--view", "BOTH", "--devices", "--faults"]
    assert run(app, [str(tmp_path), *options]).exit_code == 0
    studies = [json.loads(line) for line in (tmp_path / "studies.jsonl").read_text().splitlines()]
    assert [s["view"] for s in studies] == ["AP", "LATERAL"] * 2
    assert len({s["file"] for s in studies}) == 4
    assert all((tmp_path / s["file"]).exists() for s in studies)
    assert [s["devices"][0]["kind"] for s in studies[::2]] == ["endotracheal tube", "central venous catheter"]
    assert [s["fault"]["kind"] for s in studies[::2]] == ["noise", "blur"]
    assert {"distractors", "visit"} <= studies[0].keys()


def test_no_devices_means_none(tmp_path: Path) -> None:
    assert run(app, [str(tmp_path), "--n", "20", "--size", "64", "--no-devices"]).exit_code == 0
    assert not any(json.loads(line)["devices"] for line in (tmp_path / "studies.jsonl").read_text().splitlines())
