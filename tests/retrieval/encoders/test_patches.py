"""Cells: in the space of the whole picture's vector, and where they lie in the picture, whatever resizes it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.encoders import load_image_text
from retrieval.encoders.patches import FINE, Resizing, extent_of, finer, sees_places

SEEN = 64
sizes = st.integers(70, 400)


def seen_by(resizing: Resizing, pixels: np.ndarray) -> np.ndarray:
    """(3, SEEN, SEEN) in 0..1, by open_clip's own preprocessing."""
    from open_clip.transform import image_transform
    from PIL import Image

    made = image_transform(SEEN, False, (0.0,) * 3, (1.0,) * 3, resize_mode=resizing, interpolation="bilinear")
    return np.asarray(made(Image.fromarray(pixels)))


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(["squash", "shortest", "longest"]), sizes, sizes)
def test_a_place_that_is_seen_leads_back_to_the_pixel_it_came_from(resizing: Resizing, width: int, height: int) -> None:
    """Red rises with x and green with y; blue is 255, so that what was padded is told apart."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    ramp = np.stack([x * 255 / width, y * 255 / height, np.full_like(x, 255)], axis=2).round().astype(np.uint8)
    red, green, blue = seen_by(resizing, ramp)
    x0, y0, x1, y1 = extent_of(resizing, (width, height), (SEEN, SEEN))
    rows, columns = np.nonzero(blue > 0.999)
    inside = (rows % (SEEN - 1) > 0) & (columns % (SEEN - 1) > 0)
    rows, columns = rows[inside], columns[inside]
    across = x0 + (columns + 0.5) * (x1 - x0) / SEEN
    down = y0 + (rows + 0.5) * (y1 - y0) / SEEN
    off = 1.5 * max(x1 - x0, y1 - y0) / SEEN + 2  # a pixel and a half that is seen, and the ramp's rounding
    assert np.abs(across - red[rows, columns] * width).max() < off + width / 255
    assert np.abs(down - green[rows, columns] * height).max() < off + height / 255


def test_finer_cells_lie_between_the_coarse_ones() -> None:
    """The mean of each cell: over a ramp, finer cells go on rising evenly."""
    import torch

    ramp = torch.linspace(1, 2, 48).expand(1, 3, 48, 48)

    def means(batch: "torch.Tensor") -> "torch.Tensor":
        cell = batch[:, 0].unfold(1, 12, 12).unfold(2, 12, 12).mean((3, 4))
        return torch.stack([cell, torch.ones_like(cell)], dim=-1)

    cells = finer(ramp, means)
    assert cells.shape == (1, 12, 12, 2)  # three times four, the first multiple that is enough
    level = cells[0, 5, :, 0] / cells[0, 5, :, 1]
    steps = np.diff(level[2:-2])  # at the rim the edge is repeated
    assert steps == pytest.approx(np.full_like(steps, 4 / 47), abs=1e-5)


@pytest.mark.parametrize("name", ["clip", "siglip", "open_clip", "pocket"])
def test_cells_meet_texts_in_one_space(name: str, made: Callable[[str], Path], open_clip_folder: Path) -> None:
    folder = {"pocket": "pocket", "open_clip": str(open_clip_folder)}.get(name) or str(made(name))
    encoder = load_image_text(folder)
    assert sees_places(encoder)
    pictures = [np.random.default_rng(n).integers(0, 256, (48, 40 + n), dtype=np.uint8) for n in range(2)]
    seen = encoder.encode_patches(pictures)
    for patches in seen:
        rows, columns, dim = patches.vectors.shape
        assert min(rows, columns) >= FINE
        assert dim == encoder.encode_texts(["effusion"]).shape[1]
        assert np.linalg.norm(patches.vectors, axis=2) == pytest.approx(np.ones((rows, columns)), abs=1e-5)
    assert not np.allclose(seen[0].vectors, seen[1].vectors)
    assert np.allclose(encoder.encode_patches(pictures[:1])[0].vectors, seen[0].vectors, atol=1e-5)
    assert encoder.encode_patches([]) == []


def test_a_network_whose_cells_are_averaged_has_the_picture_as_their_mean(tmp_path: Path) -> None:
    """The pocket encoder's kind: what a cell is worth is its share of the whole."""
    import torch

    encoder = timm_encoder(tmp_path, "resnet10t", "avg")
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    with torch.inference_mode():
        mean = encoder._cells(encoder.prepared([pixels])).mean((1, 2))
    assert torch.nn.functional.normalize(mean).numpy() == pytest.approx(encoder.encode_images([pixels]), abs=1e-4)


def test_a_transformer_of_timm_is_pooled_over_the_one_token(tmp_path: Path) -> None:
    encoder = timm_encoder(tmp_path, "test_vit", "")
    assert sees_places(encoder)
    (patches,) = encoder.encode_patches([np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)])
    assert patches.vectors.shape[2] == encoder.dim


def timm_encoder(folder: Path, trunk: str, pool: str) -> "object":
    import json

    import open_clip
    import torch
    from safetensors.torch import save_file

    from retrieval.encoders.openclip import OpenClipEncoder
    from tests.retrieval.encoders.conftest import make_open_clip

    make_open_clip(folder)
    config = json.loads((folder / "open_clip_config.json").read_text())
    side = 160 if trunk == "test_vit" else 64
    vision = {"image_size": side, "timm_model_name": trunk, "timm_model_pretrained": False, "timm_pool": pool,
              "timm_proj": "linear"}  # fmt: skip
    config["model_cfg"]["vision_cfg"] = vision
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    model = open_clip.CLIP(**config["model_cfg"]).eval()
    save_file(
        {name: value.contiguous() for name, value in model.state_dict().items()},
        folder / "open_clip_model.safetensors",
    )
    return OpenClipEncoder(str(folder))


@pytest.mark.parametrize("name", ["siglip2", "dual", "dinov2"])
def test_what_cannot_be_followed_tells_no_place(name: str, made: Callable[[str], Path]) -> None:
    assert not sees_places(load_image_text(str(made(name))))
    assert not sees_places(load_image_text("fake"))
    assert not sees_places(None)
