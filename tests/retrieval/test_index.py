import json
from pathlib import Path

import pytest

from retrieval.errors import Misconfigured
from retrieval.index import encoder_folder, load_encoders


def test_where_an_encoders_files_lie(tmp_path: Path) -> None:
    assert encoder_folder(str(tmp_path), "text") == tmp_path
    assert encoder_folder(f"local-dir:{tmp_path}", "image_text") == tmp_path
    assert encoder_folder("hf-hub:somebody/some-model", "image_text") is None


def test_encoders_come_with_their_calibration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrieval.encoders.load_image_text", lambda name: name)
    monkeypatch.setattr("retrieval.encoders.load_text", lambda name: name)
    legs = {"seeing": {"image→case": [8, -4]}, "reading": {"bm25": [0.5, -3], "ks": [1, 2]}}
    for name, calibration in legs.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "calibration.json").write_text(json.dumps(calibration))
    encoders = load_encoders(str(tmp_path / "seeing"), str(tmp_path / "reading"))
    assert encoders.calibration == {"image→case": [8, -4], "bm25": [0.5, -3], "ks": [1, 2]}
    assert load_encoders("fake", "fake").calibration == {}
    for damaged in ("{", "[]", '{"bm25": 3}', '{"bm25": ["x", 1]}'):
        (tmp_path / "reading" / "calibration.json").write_text(damaged)
        with pytest.raises(Misconfigured, match="calibration"):
            load_encoders("fake", str(tmp_path / "reading"))
