"""A phantom as a valid DICOM object: Digital X-Ray Image Storage - For Presentation."""

from __future__ import annotations

from hashlib import sha256
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from eval.phantoms.phantom import Phantom

Photometric = Literal["MONOCHROME1", "MONOCHROME2"]
BITS = 12
_TOP = 2**BITS - 1


class _View(NamedTuple):
    """How DICOM names a view: ViewPosition, the directions of rows and columns, view and posture as codes."""

    position: str
    orientation: tuple[str, str]
    code: tuple[str, str]
    posture: tuple[str, str]


_ERECT = ("10904000", "erect")
_VIEWS = {
    "PA": _View("PA", ("L", "F"), ("272479007", "postero-anterior"), _ERECT),
    "AP": _View("AP", ("L", "F"), ("399348003", "antero-posterior"), ("102538003", "recumbent")),
    "LATERAL": _View("LL", ("P", "F"), ("399173006", "left lateral"), _ERECT),
}


def to_dicom(phantom: Phantom, *, photometric: Photometric = "MONOCHROME2") -> Dataset:
    """The study as a dataset ready for `save_as(path, enforce_file_format=True)`; UIDs follow from the seed alone.

    The 256 grey levels are spread over the 12 stored bits without loss; MONOCHROME1 stores them inverted.
    """
    if photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise ValueError(f"photometric interpretation {photometric!r}; expected MONOCHROME1 or MONOCHROME2")
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    ds.file_meta.MediaStorageSOPInstanceUID = _instance(phantom, photometric)
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    _identify(ds, phantom, photometric)
    _acquisition(ds, phantom)
    _picture(ds, phantom, photometric)
    return ds


def stored_values(pixels: npt.NDArray[np.uint8], photometric: Photometric) -> npt.NDArray[np.uint16]:
    """Grey levels 0..255 as the 12 bit values that `to_dicom` stores."""
    values: npt.NDArray[np.uint16] = np.round(pixels.astype(np.float64) * (_TOP / 255.0)).astype(np.uint16)
    return np.uint16(_TOP) - values if photometric == "MONOCHROME1" else values


def _uid(phantom: Phantom, *level: str) -> UID:
    return generate_uid(entropy_srcs=["phantom", phantom.family, str(phantom.seed), str(phantom.visit), *level])


def _instance(phantom: Phantom, photometric: Photometric) -> UID:
    """Other pixels, other instance."""
    return _uid(phantom, "instance", photometric, sha256(phantom.pixels.tobytes()).hexdigest())


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _identify(ds: Dataset, phantom: Phantom, photometric: Photometric) -> None:
    ds.SOPClassUID = DigitalXRayImageStorageForPresentation
    ds.SOPInstanceUID = _instance(phantom, photometric)
    ds.StudyInstanceUID, ds.SeriesInstanceUID = _uid(phantom, "study"), _uid(phantom, "series", phantom.view)
    ds.PatientName, ds.PatientID = "PHANTOM^SEED", f"PHANTOM-{phantom.seed}"
    ds.PatientBirthDate, ds.PatientSex, ds.PatientAge = "", phantom.sex, f"{phantom.age:03d}Y"
    ds.StudyDate = ds.StudyTime = ds.ContentDate = ds.ContentTime = ""
    ds.AccessionNumber = ds.ReferringPhysicianName = ""
    ds.StudyID, ds.SeriesNumber, ds.InstanceNumber = "1", 1, 1
    ds.StudyDescription = "Synthetic chest radiograph"
    ds.Modality, ds.PresentationIntentType = "DX", "FOR PRESENTATION"
    ds.Manufacturer, ds.ManufacturerModelName = "Consult", f"phantom {phantom.family}"


def _acquisition(ds: Dataset, phantom: Phantom) -> None:
    view = _VIEWS[phantom.view]
    ds.BodyPartExamined, ds.ViewPosition = "CHEST", view.position
    ds.ImageLaterality = "U"  # the chest is unpaired
    ds.PatientOrientation = list(view.orientation)
    ds.AnatomicRegionSequence = Sequence([_code("51185008", "SCT", "Chest")])
    ds.ViewCodeSequence = Sequence([_code(view.code[0], "SCT", view.code[1])])
    ds.ViewCodeSequence[0].ViewModifierCodeSequence = Sequence([])
    ds.PatientOrientationCodeSequence = Sequence([_code(view.posture[0], "SCT", view.posture[1])])
    ds.AcquisitionContextSequence = Sequence([])
    ds.DetectorType, ds.PositionerType = "DIRECT", "NONE"
    ds.KVP = "120"
    ds.PixelSpacing = ds.ImagerPixelSpacing = [f"{phantom.spacing_mm:.6f}"] * 2


def _picture(ds: Dataset, phantom: Phantom, photometric: Photometric) -> None:
    ds.ImageType = ["ORIGINAL", "PRIMARY", ""]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, photometric
    ds.Rows, ds.Columns = phantom.pixels.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, BITS, BITS - 1, 0
    ds.PixelIntensityRelationship = "LOG"
    ds.PixelIntensityRelationshipSign = 1 if photometric == "MONOCHROME1" else -1  # more dose, darker on the screen
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "0", "1", "US"
    ds.PresentationLUTShape = "INVERSE" if photometric == "MONOCHROME1" else "IDENTITY"
    ds.WindowCenter, ds.WindowWidth = str(2 ** (BITS - 1)), str(2**BITS)
    ds.LossyImageCompression, ds.BurnedInAnnotation = "00", "NO"
    ds.PixelData = stored_values(phantom.pixels, photometric).astype("<u2").tobytes()
    ds["PixelData"].VR = "OW"
