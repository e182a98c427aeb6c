import json
from pathlib import Path

import pytest

from retrieval.encoders import bundle
from retrieval.encoders.bundle import Encoders, Lane, Names, encoder_folder
from retrieval.encoders.fake import FakeImageTextEncoder, FakeTextEncoder
from retrieval.errors import Misconfigured
from retrieval.types import Fitted, VectorSpec


def test_where_an_encoders_files_lie(tmp_path: Path) -> None:
    assert encoder_folder(str(tmp_path), "text") == tmp_path
    assert encoder_folder(f"local-dir:{tmp_path}", "image_text") == tmp_path
    assert encoder_folder("hf-hub:somebody/some-model", "image_text") is None


def test_encoders_come_with_their_calibration(tmp_path: Path) -> None:
    legs = {"seeing": {"image→case": [8, -4]}, "reading": {"bm25": [0.5, -3]}}
    for name, calibration in legs.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "calibration.json").write_text(json.dumps(calibration))
    seeing, reading = (str(tmp_path / name) for name in legs)
    names = Names(seeing, reading, {"fundus": seeing})
    assert names.fitted() == Fitted({"image→case": (8.0, -4.0), "bm25": (0.5, -3.0), "image→case@fundus": (8.0, -4.0)})
    assert Names("fake", "fake").fitted() == Fitted()
    for damaged in ("{", "[]", '{"bm25": 3}', '{"bm25": ["x", 1]}'):
        (tmp_path / "reading" / "calibration.json").write_text(damaged)
        with pytest.raises(Misconfigured, match="calibration"):
            Names("fake", reading).fitted()


def test_the_pair_that_ships_comes_with_all_that_is_fitted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Fails when one of them was trained anew and not calibrated."""
    fitted = Names().fitted()
    assert fitted.told["identities"].keys() == {"image_text", "text"}
    assert fitted.legs.keys() >= {"image→case", "image→passage", "text→passage"}
    assert None not in (fitted.gamma, fitted.gamma_to_top, fitted.floor, fitted.ks)
    assert Names(reading={"fundus": "pocket"}).fitted().told == {}  # with a third beside them it isn't theirs
    (tmp_path / "fitted.json").write_text("[]")
    monkeypatch.setattr(bundle, "POCKET", tmp_path)
    with pytest.raises(Misconfigured, match="not a calibration"):
        Names().fitted()


def test_who_reads_what() -> None:
    main, own = (
        Lane("text", FakeTextEncoder(), except_for=frozenset({"fundus"})),
        Lane("text", FakeTextEncoder(), "fundus"),
    )
    assert [main.reads(domain) for domain in (None, "chest_xray", "fundus")] == [True, True, False]
    assert [own.reads(domain) for domain in (None, "chest_xray", "fundus")] == [True, False, True]


def test_who_is_asked() -> None:
    eye = FakeImageTextEncoder(8)
    encoders = Encoders(FakeImageTextEncoder(), FakeTextEncoder(), seeing={"fundus": eye})
    assert list(encoders.looks(())) == [None, "fundus"]
    assert list(encoders.looks(("fundus",))) == ["fundus"]
    assert list(encoders.looks(("chest_xray",))) == [None]
    assert list(encoders.looks(("chest_xray", "fundus"))) == [None, "fundus"]
    assert list(encoders.reads(("fundus",))) == [None]
    assert encoders.specs()["image_text@fundus"] == VectorSpec(eye.identity, 8, ("fundus",))
    assert set(encoders.identities) == {"image_text", "image_text@fundus", "text"}
    assert set(Encoders(None, FakeTextEncoder()).identities) == {"text"}
