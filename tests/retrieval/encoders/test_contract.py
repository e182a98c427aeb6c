"""What every encoder promises."""

import re
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

from retrieval.encoders import ImageTextEncoder, Reranker, TextEncoder, load_image_text, load_reranker, load_text
from retrieval.errors import Misconfigured

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


def test_an_encoder_that_reads_no_text_says_so(seeing: ImageTextEncoder) -> None:
    check(seeing.encode_images(pictures()), 4, seeing.dim)
    check(seeing.encode_images([]), 0, seeing.dim)
    if not seeing.reads_text:
        with pytest.raises(Misconfigured, match="reads no texts"):
            seeing.encode_texts([])


def test_the_same_input_gives_the_same_vector(seeing: ImageTextEncoder) -> None:
    assert np.array_equal(seeing.encode_images(pictures()), seeing.encode_images(pictures()))
    if seeing.reads_text:
        assert np.array_equal(seeing.encode_texts(TEXTS), seeing.encode_texts(TEXTS))


def test_the_same_text_gives_the_same_vector(text: TextEncoder) -> None:
    assert np.array_equal(text.encode_passages(TEXTS), text.encode_passages(TEXTS))
    assert np.array_equal(text.encode_queries(TEXTS), text.encode_queries(TEXTS))


def test_rows_of_pictures_keep_their_order_over_batches(seeing: ImageTextEncoder) -> None:
    images = [np.full((16, 16), i, np.uint8) for i in range(34)] + pictures()
    alone = np.concatenate([seeing.encode_images([image]) for image in images])
    assert seeing.encode_images(images) == pytest.approx(alone, abs=1e-5)
    assert not np.allclose(alone[0], alone[33], atol=1e-4)


def in_any_batch(encode: Callable[[list[str]], np.ndarray]) -> None:
    texts = [f"finding {i} " * (1 + i % 5) for i in range(70)]
    alone = np.concatenate([encode([one]) for one in texts])
    assert encode(texts) == pytest.approx(alone, abs=1e-5)
    assert not np.allclose(alone[0], alone[1], atol=1e-4)


def test_rows_of_short_texts_keep_their_order_over_batches(image_text: ImageTextEncoder) -> None:
    in_any_batch(image_text.encode_texts)


def test_rows_of_passages_keep_their_order_over_batches(text: TextEncoder) -> None:
    in_any_batch(text.encode_passages)
    in_any_batch(text.encode_queries)


def test_grey_and_colour_of_one_picture_agree(seeing: ImageTextEncoder) -> None:
    for grey in (pictures()[0], np.tile(np.arange(256, dtype=np.uint8), (190, 1))):
        colour = np.repeat(grey[:, :, None], 3, axis=2)
        assert seeing.encode_images([grey]) == pytest.approx(seeing.encode_images([colour]), abs=1e-6)


def test_an_identity_is_a_name_with_a_hash(seeing: ImageTextEncoder) -> None:
    assert re.fullmatch(r"[^/]+-[0-9a-f]{8}", seeing.identity)


def test_an_identity_of_readers_is_a_name_with_a_hash(text: TextEncoder, reranker: Reranker) -> None:
    for part in (text, reranker):
        assert re.fullmatch(r"[^/]+-[0-9a-f]{8}", part.identity)


def test_scores_of_passages(reranker: Reranker) -> None:
    passages = [f"pleural effusion {i} " * (1 + i % 7) for i in range(40)] + TEXTS
    scores = reranker.score("Is there a pleural effusion?", passages)
    assert scores.shape == (len(passages),)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    assert reranker.score("Is there a pleural effusion?", []).shape == (0,)
    alone = [float(reranker.score("Is there a pleural effusion?", [one])[0]) for one in passages]
    assert scores == pytest.approx(alone, abs=1e-5)
    assert len({round(score, 4) for score in alone}) > 1


def test_a_question_of_any_length_is_read(reranker: Reranker) -> None:
    for question in ("", "heart " * 3000):
        assert np.isfinite(reranker.score(question, TEXTS)).all()


def test_fakes_put_like_near_like() -> None:
    texts = load_text("fake").encode_queries(["left pleural effusion", "effusions, pleural", "fundus photograph"])
    assert texts[0] @ texts[1] > 0.6 > abs(texts[0] @ texts[2])
    ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))
    assert load_reranker("fake").score("left effusion", ["effusion, left", "effusion", "heart"]).tolist() == [1, 0.5, 0]
    images = load_image_text("fake").encode_images([ramp, ramp[:, ::2], ramp[:, ::-1]])
    assert images[0] @ images[1] > 0.9 > images[0] @ images[2]


def test_the_room_loads_without_torch() -> None:
    modules = ("fake", "imagetext", "openclip", "passages", "reranker")
    code = f"import sys, {', '.join(f'retrieval.encoders.{module}' for module in modules)}; "
    code += "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'open_clip')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
