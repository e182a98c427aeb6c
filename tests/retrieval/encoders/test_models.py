"""What the encoders of real architectures promise beyond the contract: identity, files, pooling, prompts, errors."""

import json
import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from retrieval.encoders import folder as files
from retrieval.encoders import load_image_text, load_text
from retrieval.encoders.openclip import OpenClipEncoder
from retrieval.encoders.passages import TransformersTextEncoder
from retrieval.errors import Misconfigured


@pytest.fixture
def bert(bert_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bert_folder, tmp_path / "copy"))


def test_open_clip_gives_what_open_clip_gives(open_clip_folder: Path) -> None:
    import open_clip
    import torch
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (48, 40, 3), dtype=np.uint8)
    model, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{open_clip_folder}")
    tokens = open_clip.get_tokenizer(f"local-dir:{open_clip_folder}")(["pleural effusion"])
    with torch.no_grad():
        image = model.encode_image(preprocess(Image.fromarray(pixels))[None], normalize=True)
        text = model.encode_text(tokens, normalize=True)
    encoder = OpenClipEncoder(f"local-dir:{open_clip_folder}")
    assert encoder.encode_images([pixels]) == pytest.approx(image.numpy(), abs=1e-6)
    assert encoder.encode_texts(["pleural effusion"]) == pytest.approx(text.numpy(), abs=1e-6)
    assert encoder.dim == 24


def test_texts_that_differ_get_different_vectors(open_clip_folder: Path) -> None:
    a, b = OpenClipEncoder(str(open_clip_folder)).encode_texts(["pleural effusion", "no pneumothorax"])
    assert a @ b < 0.999


def test_pictures_that_are_not_8_bit_are_refused(open_clip_folder: Path) -> None:
    with pytest.raises(TypeError, match="8 bits"):
        OpenClipEncoder(str(open_clip_folder)).encode_images([np.zeros((4, 4), np.float32)])


def test_other_weights_are_another_identity(bert: Path) -> None:
    before = TransformersTextEncoder(str(bert)).identity
    assert before.startswith("copy-")
    weights = bert / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    os.utime(weights, ns=(1, 1))
    assert TransformersTextEncoder(str(bert)).identity != before


def test_pooling_is_the_mean_unless_the_folder_says_first_token(bert: Path) -> None:
    mean = TransformersTextEncoder(str(bert))
    (bert / "1_Pooling").mkdir()
    pooling = bert / "1_Pooling" / "config.json"
    pooling.write_text(json.dumps({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}))
    first = TransformersTextEncoder(str(bert))
    inputs = mean._tokenizer(["heart"], return_tensors="pt")
    with mean._torch.no_grad():
        states = mean._model(**inputs).last_hidden_state[0].numpy()
    for encoder, expected in ((mean, states.mean(0)), (first, states[0])):
        vector = encoder.encode_queries(["heart", "a much longer text that pads the other"])[0]
        assert vector == pytest.approx(expected / np.linalg.norm(expected), abs=1e-5)
    pooling.write_text(json.dumps({"pooling_mode_max_tokens": True}))
    with pytest.raises(Misconfigured, match="mean or first token"):
        TransformersTextEncoder(str(bert))


def test_a_module_that_would_be_skipped_is_refused(bert: Path) -> None:
    modules = [{"type": "sentence_transformers.models.Transformer"}, {"type": "sentence_transformers.models.Dense"}]
    (bert / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(Misconfigured, match="not supported"):
        TransformersTextEncoder(str(bert))


def test_prompts_are_put_before_the_text(bert: Path) -> None:
    plain = TransformersTextEncoder(str(bert))
    prompts = {"prompts": {"query": "query: ", "passage": "passage: "}}
    (bert / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    prompted = TransformersTextEncoder(str(bert))
    assert np.array_equal(prompted.encode_queries(["heart"]), plain.encode_queries(["query: heart"]))
    assert np.array_equal(prompted.encode_passages(["heart"]), plain.encode_passages(["passage: heart"]))


def test_a_long_text_is_cut_and_logged_without_the_text(bert: Path, caplog: pytest.LogCaptureFixture) -> None:
    encoder = TransformersTextEncoder(str(bert))
    with caplog.at_level(logging.DEBUG, logger="retrieval.encoders.passages"):
        encoder.encode_passages(["short"])
        assert not caplog.records
        encoder.encode_passages(["secret " * 500])
    (record,) = caplog.records
    assert record.levelno == logging.DEBUG
    assert "32 tokens" in record.getMessage()
    assert "secret" not in record.getMessage()


@pytest.mark.parametrize("load", [load_image_text, load_text])
def test_a_model_folder_that_is_not_there(load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(files, "POCKET", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    for name in (str(tmp_path / "missing"), str(tmp_path / "empty")):
        with pytest.raises(Misconfigured, match=r"no (image encoder|text encoder|weights)"):
            load(name)
    with pytest.raises(Misconfigured, match=r"pocket encoder.*CONSULT_ENCODERS__"):
        load("pocket")


def test_damaged_weights_are_told(bert: Path, open_clip_folder: Path, tmp_path: Path) -> None:
    (bert / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(Misconfigured, match="can't be loaded"):
        load_text(str(bert))
    clip = Path(shutil.copytree(open_clip_folder, tmp_path / "clip"))
    (clip / "open_clip_model.safetensors").write_bytes(b"not weights")
    with pytest.raises(Misconfigured, match="can't be loaded"):
        load_image_text(str(clip))
