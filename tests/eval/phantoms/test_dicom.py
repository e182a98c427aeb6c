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


def test_uids_follow_from_the_seed() -> None:
    one, two, other = (to_dicom(make_phantom(seed, size=64)) for seed in (1, 1, 2))
    assert one.SOPInstanceUID == two.SOPInstanceUID != other.SOPInstanceUID
    assert one.StudyInstanceUID == two.StudyInstanceUID != other.StudyInstanceUID
    assert len({one.StudyInstanceUID, one.SeriesInstanceUID, one.SOPInstanceUID}) == 3
