"""What every encoder promises."""

import re
import subprocess
import sys

import numpy as np
import pytest

from retrieval.encoders import ImageTextEncoder, TextEncoder, load_image_text, load_text

TEXTS = ["pleural effusion", "no pneumothorax", "", "右侧气胸", "x" * 5000, "heart " * 3000]


def pictures() -> list:
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (40, 50), dtype=np.uint8)
    colour = rng.integers(0, 256, (64, 32, 3), dtype=np.uint8)
    return [grey, colour, np.zeros((5, 7), np.uint8), np.full((300, 200, 3), 255, np.uint8)]


def check(vectors: np.ndarray, n: int, dim: int) -> None:
    assert vectors.shape == (n, dim)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)


def test_unit_vectors_of_text(text: TextEncoder) -> None:
    check(text.encode_queries(TEXTS), len(TEXTS), text.dim)
    check(text.encode_passages(TEXTS), len(TEXTS), text.dim)
    check(text.encode_passages([]), 0, text.dim)


def test_unit_vectors_of_both_in_one_space(image_text: ImageTextEncoder) -> None:
    check(image_text.encode_images(pictures()), 4, image_text.dim)
    check(image_text.encode_texts(TEXTS), len(TEXTS), image_text.dim)
    check(image_text.encode_images([]), 0, image_text.dim)
    check(image_text.encode_texts([]), 0, image_text.dim)


def test_the_same_input_gives_the_same_vector(image_text: ImageTextEncoder, text: TextEncoder) -> None:
    assert np.array_equal(image_text.encode_images(pictures()), image_text.encode_images(pictures()))
    assert np.array_equal(image_text.encode_texts(TEXTS), image_text.encode_texts(TEXTS))
    assert np.array_equal(text.encode_passages(TEXTS), text.encode_passages(TEXTS))


def test_rows_keep_their_order_over_batches(image_text: ImageTextEncoder, text: TextEncoder) -> None:
    texts = [f"finding {i} " * (1 + i % 5) for i in range(70)]
    for encode in (image_text.encode_texts, text.encode_passages):
        alone = np.concatenate([encode([one]) for one in texts])
        assert encode(texts) == pytest.approx(alone, abs=1e-5)
    images = [np.full((16, 16), i, np.uint8) for i in range(40)]
    alone = np.concatenate([image_text.encode_images([image]) for image in images])
    assert image_text.encode_images(images) == pytest.approx(alone, abs=1e-5)


def test_grey_and_colour_of_one_picture_agree(image_text: ImageTextEncoder) -> None:
    grey = pictures()[0]
    colour = np.repeat(grey[:, :, None], 3, axis=2)
    assert image_text.encode_images([grey]) == pytest.approx(image_text.encode_images([colour]), abs=1e-5)


def test_identities_are_names_with_a_hash(image_text: ImageTextEncoder, text: TextEncoder) -> None:
    for encoder in (image_text, text):
        assert re.fullmatch(r"[^/]+-[0-9a-f]{8}", encoder.identity)


def test_fakes_put_like_near_like() -> None:
    texts = load_text("fake").encode_queries(["left pleural effusion", "effusions, pleural", "fundus photograph"])
    assert texts[0] @ texts[1] > 0.6 > abs(texts[0] @ texts[2])
    ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))
    images = load_image_text("fake").encode_images([ramp, ramp[:, ::2], ramp[:, ::-1]])
    assert images[0] @ images[1] > 0.9 > images[0] @ images[2]


def test_the_room_loads_without_torch() -> None:
    code = "import retrieval.encoders.fake, retrieval.encoders.openclip, retrieval.encoders.passages, sys; "
    code += "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'open_clip')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
