"""A phantom survives DICOM: the same pixels come back, and the object says how to look at them."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pydicom
import pytest

from eval.phantoms import make_phantom
from eval.phantoms.dicom import Photometric, stored_values, to_dicom


@pytest.mark.parametrize("photometric", get_args(Photometric))
def test_round_trip(tmp_path: Path, photometric: Photometric) -> None:
    phantom = make_phantom(7, size=128)
    file = tmp_path / "phantom.dcm"
    to_dicom(phantom, photometric=photometric).save_as(file, enforce_file_format=True)
    ds = pydicom.dcmread(file)
    assert np.array_equal(ds.pixel_array, stored_values(phantom.pixels, photometric))
    grey = 4095 - ds.pixel_array.astype(int) if photometric == "MONOCHROME1" else ds.pixel_array.astype(int)
    assert np.array_equal(np.round(grey * (255 / 4095)), phantom.pixels)
    assert (ds.PhotometricInterpretation, ds.BitsStored, ds.ViewPosition) == (photometric, 12, "PA")
    assert list(ds.PatientOrientation) == ["L", "F"]
    assert (str(ds.PatientName), ds.PatientID, ds.PatientSex) == ("PHANTOM^SEED", "PHANTOM-7", phantom.sex)
    assert float(ds.PixelSpacing[0]) == pytest.approx(phantom.spacing_mm, abs=1e-5)


def test_views_say_how_they_hang_and_share_their_study() -> None:
    frontal, lateral = (make_phantom(7, size=128, view=view) for view in ("PA", "LATERAL"))
    portable = make_phantom(7, size=128, family="exam-portable")
    one, two, bed = map(to_dicom, (frontal, lateral, portable))
    assert (two.ViewPosition, list(two.PatientOrientation)) == ("LL", ["P", "F"])
    assert (bed.ViewPosition, bed.ViewCodeSequence[0].CodeMeaning) == ("AP", "antero-posterior")
    assert one.StudyInstanceUID == two.StudyInstanceUID
    assert one.SeriesInstanceUID != two.SeriesInstanceUID
    assert one.SOPInstanceUID != two.SOPInstanceUID


def test_another_visit_is_another_study() -> None:
    first, second = (to_dicom(make_phantom(7, size=64, visit=visit)) for visit in (0, 1))
    assert first.StudyInstanceUID != second.StudyInstanceUID
    assert first.PatientID == second.PatientID


def test_uids_follow_from_the_seed() -> None:
    one, two, other = (to_dicom(make_phantom(seed, size=64)) for seed in (1, 1, 2))
    assert one.SOPInstanceUID == two.SOPInstanceUID != other.SOPInstanceUID
    assert one.StudyInstanceUID == two.StudyInstanceUID != other.StudyInstanceUID
    assert len({one.StudyInstanceUID, one.SeriesInstanceUID, one.SOPInstanceUID}) == 3
