"""Where sentences are seen: with an encoder whose cells are known, from the sentence to the picture with its map."""

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from assistant.api.results import joined
from assistant.assistant import Assistant
from assistant.cli import app
from assistant.events import Event, Heat, Located, Region
from assistant.overlay import marks_of, overlay, warmth
from assistant.places import UNABLE, places_of, says_something_is_there
from assistant.reports.drafting import draft_of
from assistant.requests import ReportRequest
from assistant.study import STANDARD_RADIOGRAPH, Picture, Study
from eval.phantoms.organs import organs
from retrieval.encoders.base import Vectors
from retrieval.encoders.fake import FakeImageTextEncoder
from retrieval.encoders.patches import Patches
from retrieval.types import Image as Pixels
from tests.assistant.parts import ask, make_assistant, study
from tests.assistant.reports.test_report_run import told
from tests.assistant.test_assistant import run

SPOT = (slice(96, 128), slice(192, 224))  # rows, columns
EFFUSION = "There is a large left pleural effusion."


class White(FakeImageTextEncoder):
    """Sees white cells of 32 pixels: they are what every sentence is about."""

    sees_places = True

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        return np.tile(np.eye(self.dim, dtype=np.float32)[0], (len(texts), 1))

    def encode_patches(self, images: Sequence[Pixels]) -> list[Patches]:
        return [self._cells(image) for image in images]

    def _cells(self, image: Pixels) -> Patches:
        rows, columns = image.shape[0] // 32, image.shape[1] // 32
        means = image[: rows * 32, : columns * 32].reshape(rows, 32, columns, 32).mean(axis=(1, 3))
        vectors = np.zeros((rows, columns, self.dim), np.float32)
        vectors[..., 0] = (means == 255) * 0.8
        vectors[..., 1] = np.sqrt(1 - vectors[..., 0] ** 2)
        return Patches(vectors, (0, 0, columns * 32, rows * 32))


def spotted(*, spot: bool = True) -> Study:
    pixels = np.minimum(study().pictures[0].pixels, 200)
    if spot:
        pixels[SPOT] = 255
    return Study((Picture(pixels, "DX", "PA", STANDARD_RADIOGRAPH),))


def sighted(home: Path, answers: Sequence[str]) -> Assistant:
    assistant = make_assistant(home, answers)
    assistant.retriever.encoders = replace(assistant.retriever.encoders, image_text=White())
    return assistant


@pytest.mark.parametrize(
    ("text", "there"),
    [
        (EFFUSION, True), ("Small nodule in the right upper zone, and no effusion.", True), ("Hard exudates.", True),
        ("No pleural effusion.", False), ("There may be a nodule.", False), ("The lungs are clear.", False),
        ("PA view.", False), ("The endotracheal tube is well placed.", False), ("No haemorrhages are seen.", False),
    ],
)  # fmt: skip
def test_only_what_is_said_to_be_there_has_a_place(text: str, there: bool) -> None:
    assert says_something_is_there(text) is there


def test_statements_of_a_report_know_where_they_are_seen(tmp_path: Path) -> None:
    answer = told(organs(()), pleura=EFFUSION, impression="Left pleural effusion.")
    events = run(sighted(tmp_path, [answer]), ReportRequest(study=spotted(), max_tokens=512))
    draft = draft_of(events)
    assert draft is not None
    seen = {statement.text: statement.region for statement in draft.statements}
    region = Region(picture=1, box=(192, 96, 224, 128), peak=(208, 112))
    assert seen[EFFUSION] == seen["Left pleural effusion."] == region
    assert {text for text, where in seen.items() if where} == {EFFUSION, "Left pleural effusion."}
    assert [s.text for s in joined(events).sentences if s.region] == [EFFUSION, "Left pleural effusion."]
    assert not any(check.check == "no-regions" for check in draft.checks)


def test_a_side_against_its_region_is_told(tmp_path: Path) -> None:
    answer = told(organs(()), pleura="There is a large right pleural effusion.")
    events = run(sighted(tmp_path, [answer, "[pleura] Nothing else. [image]"]), ReportRequest(study=spotted()))
    draft = draft_of(events)
    assert draft is not None
    assert any("region" in check.message and "left" in check.message for check in draft.checks)


def test_the_picture_that_shows_it_best_is_chosen(tmp_path: Path) -> None:
    both = Study((*spotted(spot=False).pictures, *spotted().pictures))
    events = run(sighted(tmp_path, [told(organs(()), pleura=EFFUSION)]), ReportRequest(study=both))
    (located,) = (event for event in events if isinstance(event, Located))
    assert {place.region.picture for place in located.places} == {2}


def test_an_answer_knows_where_it_is_seen_and_a_map_without_a_peak_is_none(tmp_path: Path) -> None:
    said = "[answer] Yes, there is a left pleural effusion. [image]\n[guideline] It blunts the costophrenic angle. [1]"
    for name, spot, regions in (("spot", True, [True, False]), ("flat", False, [False, False])):
        (tmp_path / name).mkdir()
        events = run(sighted(tmp_path / name, [said]), ask(study=spotted(spot=spot)))
        assert [s.region is not None for s in joined(events).sentences] == regions


def test_an_encoder_that_cannot_tell_is_said_in_the_draft(tmp_path: Path) -> None:
    events = run(make_assistant(tmp_path, [told(organs(()), pleura=EFFUSION)]), ReportRequest(study=spotted()))
    draft = draft_of(events)
    assert draft is not None
    assert [(c.severity, c.message) for c in draft.checks if c.check == "no-regions"] == [("note", UNABLE)]
    assert not any(statement.region for statement in draft.statements)


def marked(tmp_path: Path) -> tuple[Study, list[Event]]:
    shown = spotted()
    return shown, run(sighted(tmp_path, [told(organs(()), pleura=EFFUSION)]), ReportRequest(study=shown))


def test_an_overlay_is_warm_where_the_map_is_and_nowhere_else(tmp_path: Path) -> None:
    shown, events = marked(tmp_path)
    (mark,) = (m for m in marks_of(events).values() if m.sentence.text == EFFUSION)
    drawn = np.asarray(Image.open(io.BytesIO(overlay(shown.pictures[0].pixels, mark))))
    assert drawn.shape[0] > 256
    assert drawn.shape[1] >= 256
    changed = np.abs(drawn[:256, :256].astype(int) - shown.pictures[0].pixels[..., None]).sum(axis=2) > 12
    assert changed[100:124, 196:220].mean() > 0.8
    assert changed[160:, :150].mean() < 0.01
    level = warmth(mark.place.heat, (256, 256), (128, 128))
    assert np.unravel_index(int(np.argmax(level)), level.shape) == pytest.approx((55, 103), abs=2)


def test_a_map_that_ends_inside_the_picture_covers_no_more(tmp_path: Path) -> None:
    level = warmth(Heat(extent=(50, 0, 150, 100), cells=((0.1, 0.2), (None, 0.4))), (200, 100), (200, 100))
    assert np.isnan(level[:, :50]).all()
    assert np.isnan(level[:, 150:]).all()
    assert level[10, 60] == 0
    assert level[90, 140] == 1
    assert not np.isnan(level[:, 50:150]).any()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.fromarray(spotted().pictures[0].pixels).save(tmp_path / "film.png")
    return tmp_path / "film.png"


def test_the_command_writes_pictures_and_coordinates(
    own_home: Path, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assistant = sighted(own_home, [told(organs(()), pleura=EFFUSION)])
    monkeypatch.setattr(Assistant, "open", classmethod(lambda cls, settings: assistant))
    result = CliRunner().invoke(
        app, ["report", str(picture), "--standard-display", "--overlays", str(tmp_path / "seen")]
    )
    assert result.exit_code == 0, result.output
    places = json.loads((tmp_path / "seen" / "places.json").read_text())
    own = next(place for place in places if place["text"] == EFFUSION)
    assert (own["box"], own["peak"], own["picture"]) == ([192, 96, 224, 128], [208, 112], 1)
    assert (tmp_path / "seen" / f"{own['statement']}.png").read_bytes().startswith(b"\x89PNG")
    refused = CliRunner().invoke(app, ["report", "--batch", "w.csv", "--out", "o", "--overlays", "x"])
    assert refused.exit_code != 0


def test_places_are_of_the_encoder_that_is_named() -> None:
    assert places_of(White(), spotted().pictures, []).encoder == White().identity
