"""A projection of patches: the encoder uses the one beside its weights, refuses one that isn't of them, and gives the
same vectors of whole pictures with and without."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from retrieval.encoders import projection
from retrieval.encoders.openclip import OpenClipEncoder
from retrieval.encoders.projection import FILE, Projection, stacked, write
from retrieval.errors import Misconfigured

WEIGHTS = "open_clip_model.safetensors"
PICTURES = [np.random.default_rng(n).integers(0, 256, (48, 40), dtype=np.uint8) for n in range(2)]


@pytest.fixture
def folder(open_clip_folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(open_clip_folder, tmp_path / "encoder")


def random(channels: int, dim: int = 24, layers: int = 1) -> Projection:
    made = torch.Generator().manual_seed(1)
    return Projection(torch.randn(dim, channels, generator=made), torch.randn(dim, generator=made), layers)


def test_cells_are_projected_by_it_and_whole_pictures_are_not(folder: Path) -> None:
    own = OpenClipEncoder(str(folder))
    made = random(32)
    write(folder, made, folder / WEIGHTS)
    learnt = OpenClipEncoder(str(folder))
    assert np.array_equal(own.encode_images(PICTURES), learnt.encode_images(PICTURES))
    assert np.array_equal(own.encode_texts(["nodule"]), learnt.encode_texts(["nodule"]))
    assert own.identity == learnt.identity
    with torch.inference_mode():
        batch = own.prepared(PICTURES)
        (last,) = own.maps(batch, 1)
        cells = last.permute(0, 2, 3, 1) @ made.weight.T + made.bias
        assert torch.allclose(learnt._cells(batch), cells, atol=1e-4)
        assert not torch.allclose(own._cells(batch), cells, atol=1e-2)


def test_coarser_maps_are_laid_over_the_finest() -> None:
    fine, coarse = torch.rand(1, 2, 4, 6), torch.full((1, 3, 2, 3), 0.5)
    cells = stacked([fine, coarse])
    assert cells.shape == (1, 4, 6, 5)
    assert torch.equal(cells[..., :2], fine.permute(0, 2, 3, 1))
    assert torch.allclose(cells[..., 2:], torch.tensor(0.5))


def test_one_that_was_learnt_with_other_weights_is_refused(folder: Path) -> None:
    write(folder, random(32), folder / "open_clip_config.json")
    with pytest.raises(Misconfigured, match=r"places\.safetensors of the image encoder encoder was learnt with other"):
        OpenClipEncoder(str(folder))


def test_one_of_another_space_or_no_projection_at_all_is_refused(folder: Path) -> None:
    write(folder, random(32, dim=7), folder / WEIGHTS)
    with pytest.raises(Misconfigured, match="this model's space of 24 numbers"):
        OpenClipEncoder(str(folder))
    shutil.copy(folder / WEIGHTS, folder / FILE)
    with pytest.raises(Misconfigured, match="can't be read"):
        OpenClipEncoder(str(folder))
    (folder / FILE).write_bytes(b"none")
    with pytest.raises(Misconfigured, match="remove it, or learn it anew"):
        projection.read(folder, folder / WEIGHTS, 24, "cpu")
