import gzip
import io
import re
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.errors import BadInput, PatientMismatch, TooLarge, UnreadablePicture
from assistant.identity import patient_key
from assistant.imaging import read_study
from tests.assistant.imaging.make import complaint, dicom, gradient, raster

PNG = raster(gradient(64, 64, np.uint8, 255))


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.dcm", b"x")
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "is empty"),
        (b"This is a letter about a patient.\n" * 20, "a text file"),
        ("Grüße aus der Radiologie\n".encode(), "a text file"),
        (b"%PDF-1.7\n%\xe2\xe3", "a PDF document"),
        (zipped(), "a ZIP archive"),
        (gzip.compress(b"hello", mtime=0), "a gzip archive"),
        (b"<!doctype html><html>", "a web page"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "save it as JPEG"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "a film"),
        (bytes(range(128, 256)) * 4, "unknown format"),
        (b"\0" * 1000, "unknown format"),
    ],
)
def test_what_is_no_picture_is_said_to_be_what_it_is(data: bytes, what: str) -> None:
    with pytest.raises(UnreadablePicture, match=what) as caught:
        read_study([("chest.dcm", data)], salt=b"")
    assert "Accepted are DICOM" in str(caught.value)


def test_the_name_neither_decides_nor_shows() -> None:
    study, _ = read_study([("Doe^Jane.dcm", PNG)], salt=b"")
    assert len(study.pictures) == 1
    with pytest.raises(UnreadablePicture) as caught:
        read_study([("a.png", PNG), ("Doe^Jane.png", b"%PDF-1.4"), ("b.png", PNG)], salt=b"")
    assert str(caught.value).startswith("File 2 of 3 is a PDF")
    assert "Doe" not in str(caught.value)


def test_paths_are_read_like_uploads(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(PNG)
    study, _ = read_study([tmp_path / "a"], salt=b"")
    assert study.pictures[0].sha256 == read_study([("a", PNG)], salt=b"")[0].pictures[0].sha256
    for path, what in ((tmp_path, "a folder"), (tmp_path / "Doe", "no such file")):
        with pytest.raises(UnreadablePicture, match=what) as caught:
            read_study([path], salt=b"")
        assert "Doe" not in str(caught.value)


def test_nothing_at_all() -> None:
    with pytest.raises(BadInput, match="No picture"):
        read_study([], salt=b"")


def test_patients_are_linked_by_a_salted_key_and_identity_stays_outside() -> None:
    study, identity = read_study([("a", dicom()), ("b", PNG)], salt=b"salt")
    assert study.patient == patient_key(identity, b"salt")
    assert study.patient != read_study([("a", dicom())], salt=b"other")[0].patient
    assert read_study([("b", PNG)], salt=b"salt")[0].patient is None
    assert identity.patient_id == "P1"
    assert identity.name == "Doe^Jane"
    assert len(identity.instances) == 1
    assert not re.search("P1|Doe", repr(study))


def test_two_patients_are_refused() -> None:
    with pytest.raises(PatientMismatch):
        read_study([("a", dicom()), ("b", PNG), ("c", dicom(PatientID="P2"))], salt=b"")


def test_the_budget_holds_for_all_files_together() -> None:
    large = raster(np.zeros((5000, 5000), np.uint8))
    assert len(read_study([("a", large)] * 2, salt=b"")[0].pictures) == 2
    with pytest.raises(TooLarge, match=r"File 3 of 3"):
        read_study([("a", large)] * 3, salt=b"")


def test_reading_in_several_threads_gives_the_same_and_keeps_warnings_as_they_were() -> None:
    import warnings

    before = list(warnings.filters)
    found: list[str] = []
    files = [("a", dicom()), ("b", PNG)]

    def work() -> None:
        found.extend(p.sha256 for p in read_study(files, salt=b"")[0].pictures)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 12
    assert len(set(found)) == 2
    assert list(warnings.filters) == before


MAGIC = [
    b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"\0" * 128 + b"DICM", b"\x1f\x8b\x08",
    b"BM", b"GIF89a",
]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(MAGIC), st.binary(max_size=600))
def test_random_bytes_raise_nothing_outside_the_tree(magic: bytes, rest: bytes) -> None:
    said = complaint(magic + rest)
    assert not said or said.startswith("The file ")
