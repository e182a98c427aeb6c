"""What masks teach: a projection of an untrained tower's patches that points where the finding is."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from finetune.pocket import image_text, places
from finetune.pocket.phantoms import GRID
from finetune.pocket.stage import Stage
from finetune.pocket.vision import Batch, Pictures
from retrieval.encoders.openclip import OpenClipEncoder
from retrieval.encoders.projection import FILE
from retrieval.places import heat_of, place_of
from tests.finetune.pocket.parts import phantoms

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image–text encoder that was never trained."""
    out = tmp_path_factory.mktemp("school") / "encoder"
    torch.manual_seed(0)
    model, tokenizer = image_text.build(["There is a lung nodule in the left or right upper zone."] * 20, out)
    image_text.save(image_text.Matcher(model, tokenizer, pictures(), []), out)
    return out


def pictures() -> Pictures:
    return Pictures(phantoms(), None, image_text.SIDE, np.random.default_rng(0))


def batches(drawn: Pictures) -> list[Batch]:
    return [drawn.batch([drawn.phantom(n, strong=False) for n in range(len(drawn.phantoms.facts))])]


def test_each_finding_in_sight_has_a_true_sentence() -> None:
    drawn = pictures()
    for n, facts in enumerate(drawn.phantoms.facts):
        for finding in facts["findings"]:
            text = places.text_of(finding["kind"], n, drawn)
            assert (text is None) == (facts["view"] == "LATERAL")
            for side in ("left", "right"):
                assert text is None or side not in text or finding["side"] == side
        for tube in facts["devices"]:
            assert places.text_of(tube["kind"], n, drawn) is None
    assert {places.text_of("brain tumor", -1, drawn) for _ in range(20)} == {
        "There is a brain tumour.",
        "A brain tumour.",
    }


def test_what_was_learnt_points_into_the_mask_and_the_encoder_takes_it(folder: Path, tmp_path: Path) -> None:
    own = shutil.copytree(folder, tmp_path / "encoder")
    before = OpenClipEncoder(str(own)).encode_images(list(phantoms().pixels[:2]))
    learner = places.Learner(own, pictures(), seed=0)
    held = learner.marked(batches(pictures()), pictures())
    first = learner.judged(held)["hottest cell"]
    stage = Stage(tmp_path / "stage", {"projection": learner.module}, learner.rng, 60, 1e-2)
    learner.learn(stage, 32, held)
    assert learner.judged(held)["hottest cell"] > first + 0.15
    after = OpenClipEncoder(str(own))
    assert np.array_equal(after.encode_images(list(phantoms().pixels[:2])), before)
    hearts = [n for n, facts in enumerate(phantoms().facts) if large_heart(facts)]
    chance = np.mean([heart(n).mean() for n in hearts])
    assert np.mean([hit(after, n) for n in hearts]) > chance + 0.2


def large_heart(facts: dict[str, Any]) -> bool:
    return facts["view"] != "LATERAL" and any(finding["kind"] == "cardiomegaly" for finding in facts["findings"])


def hit(encoder: OpenClipEncoder, index: int) -> bool:
    """Whether the map of an enlarged heart peaks in the heart."""
    pixels, mask = phantoms().pixels[index], heart(index)
    (patches,) = encoder.encode_patches([pixels])
    assert patches.vectors.shape[:2] == (10, 10)
    size = (pixels.shape[1], pixels.shape[0])
    text = encoder.encode_texts(["There is enlarged heart."])[0]
    x, y = place_of(heat_of(patches, text, size), patches.extent, size).peak
    return bool(mask[y * GRID // size[1], x * GRID // size[0]])


def heart(index: int) -> np.ndarray:
    return phantoms().places[index, places.FINDINGS.index("cardiomegaly")] > 0


def test_an_old_projection_does_not_stand_in_the_way(folder: Path, tmp_path: Path) -> None:
    own = shutil.copytree(folder, tmp_path / "encoder")
    (own / FILE).write_bytes(b"of other weights")
    places.Learner(own, pictures(), seed=0)
    assert not (own / FILE).exists()
