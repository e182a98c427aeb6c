"""Encoders of pictures through transformers: they give what transformers gives, and refuse what isn't one."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from retrieval.encoders import load_image_text
from retrieval.encoders.imagetext import TransformersImageTextEncoder
from retrieval.encoders.openclip import OpenClipEncoder
from retrieval.errors import Misconfigured

Make = Callable[[str], Path]
TEXT = "Pleural effusion, on the LEFT"
PIXELS = np.random.default_rng(0).integers(0, 256, (48, 40, 3), dtype=np.uint8)


def by_transformers(folder: Path, **padding: object) -> tuple[np.ndarray, np.ndarray]:
    """A picture's and a text's vector by the model's whole forward pass."""
    import torch
    from PIL import Image
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    inputs = AutoTokenizer.from_pretrained(folder)([TEXT], return_tensors="pt", **padding)
    inputs.update(AutoImageProcessor.from_pretrained(folder)(images=Image.fromarray(PIXELS), return_tensors="pt"))
    with torch.no_grad():
        output = AutoModel.from_pretrained(folder).eval()(**inputs)
    unit = torch.nn.functional.normalize
    return unit(output.image_embeds).numpy(), unit(output.text_embeds).numpy()


@pytest.mark.parametrize(
    ("name", "padding"),
    [("clip", {}), ("dual", {}), ("siglip", {"padding": "max_length"}),
     ("siglip2", {"padding": "max_length", "max_length": 40})],
)  # fmt: skip
def test_the_vectors_are_those_of_the_whole_model(name: str, padding: dict, made: Make) -> None:
    encoder = load_image_text(str(made(name)))
    image, text = by_transformers(made(name), **padding)
    assert encoder.encode_images([PIXELS]) == pytest.approx(image, abs=1e-5)
    assert encoder.encode_texts([TEXT]) == pytest.approx(text, abs=1e-5)
    assert encoder.identity.startswith(f"{made(name).name}-")


def test_siglip_reads_lower_case_without_punctuation(made: Make) -> None:
    same, other = load_image_text(str(made("siglip"))).encode_texts([TEXT, "no pneumothorax"])
    assert load_image_text(str(made("siglip"))).encode_texts(["pleural effusion on the left"])[0] == pytest.approx(
        same, abs=1e-6
    )
    assert same @ other < 0.999


def test_what_a_folder_holds_decides_who_reads_it(made: Make, open_clip_folder: Path) -> None:
    assert isinstance(load_image_text(str(open_clip_folder)), OpenClipEncoder)
    assert isinstance(load_image_text(str(made("clip"))), TransformersImageTextEncoder)


def test_a_vision_model_gives_its_pooled_output_or_first_token(made: Make, tmp_path: Path) -> None:
    import torch
    from PIL import Image
    from transformers import AutoImageProcessor, AutoModel, ViTConfig, ViTImageProcessor, ViTModel

    from tests.retrieval.encoders.towers import SIZE, VISION, save

    config = ViTConfig(**VISION)
    headless = save(ViTModel(config, add_pooling_layer=False), ViTImageProcessor(size=SIZE), tmp_path)
    for folder in (made("dinov2"), headless):
        inputs = AutoImageProcessor.from_pretrained(folder)(images=Image.fromarray(PIXELS), return_tensors="pt")
        with torch.no_grad():
            first = AutoModel.from_pretrained(folder)(**inputs).last_hidden_state[:, 0]
        for _ in range(2):  # a pooling layer drawn at random would differ
            vectors = load_image_text(str(folder)).encode_images([PIXELS])
            assert vectors == pytest.approx(torch.nn.functional.normalize(first).numpy(), abs=1e-5)


def without(folder: Path, ending: str, copy: Path) -> Path:
    """A copy whose weights lack what ends so."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(folder, copy)
    weights = load_file(copy / "model.safetensors")
    kept = {key: value for key, value in weights.items() if not key.endswith(ending)}
    assert len(kept) < len(weights)
    save_file(kept, copy / "model.safetensors", {"format": "pt"})
    return copy


@pytest.mark.parametrize(("name", "ending"), [("clip", "visual_projection.weight"), ("dual", "pooler.dense.weight")])
def test_weights_that_would_be_drawn_at_random_are_refused(name: str, ending: str, made: Make, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"lacks .* of its weights"):
        load_image_text(str(without(made(name), ending, tmp_path / "copy")))


def test_what_reads_no_pictures_is_refused(bert_folder: Path) -> None:
    with pytest.raises(Misconfigured, match="a bert: not an image encoder"):
        load_image_text(str(bert_folder))


def test_a_missing_processor_is_told(made: Make, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made("clip"), tmp_path / "copy"))
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(Misconfigured, match="can't be loaded"):
        load_image_text(str(folder))
