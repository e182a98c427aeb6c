"""Checkpoints and curves: whole or not at all, and only for the run that wrote them."""

from pathlib import Path

import pytest
import torch

from finetune.checkpoints import Checkpoints, changed, kept_state, restore_state, write_whole
from finetune.curves import Curves
from retrieval.errors import BadInput

RUN = {"configuration": {"training": {"lr": 0.1, "steps": 3}}, "data": {"digest": "a"}}


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "state"
    write_whole(path, lambda draft: draft.write_text("old"))

    def broken(draft: Path) -> None:
        draft.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_whole(path, broken)
    assert path.read_text() == "old"


def test_a_run_finds_its_own_state_again(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, RUN)
    assert checkpoints.resume() is None
    checkpoints.save({"step": 2, "network": {"w": torch.arange(3)}})
    state = checkpoints.resume()
    assert state is not None
    assert state["step"] == 2
    assert state["network"]["w"].tolist() == [0, 1, 2]


def test_another_run_is_told_what_differs(tmp_path: Path) -> None:
    Checkpoints(tmp_path, RUN).save({"step": 2})
    other = {"configuration": {"training": {"lr": 0.2, "steps": 3}}, "data": {"digest": "a"}}
    with pytest.raises(BadInput, match=r"configuration\.training\.lr was 0\.1, is 0\.2"):
        Checkpoints(tmp_path, other).resume()


def test_a_damaged_checkpoint_says_so(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, RUN)
    checkpoints.last.write_bytes(b"PK half")
    with pytest.raises(BadInput, match="can't be read"):
        checkpoints.resume()


def test_what_differs_is_named_with_its_place() -> None:
    assert changed({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}, "d": None}) == ["a.c was 2, is None"]


def test_only_what_learns_is_kept_and_only_its_own_model_takes_it() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    network[0].weight.requires_grad_(False)
    state = kept_state(network)
    assert set(state) == {"0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked"}
    with torch.no_grad():
        network[0].bias.add_(1)
    restore_state(network, state)
    assert network[0].bias.equal(state["0.bias"])
    with pytest.raises(BadInput, match="another model"):
        restore_state(torch.nn.Linear(2, 2), state)


def test_curves_forget_what_came_after_the_checkpoint_and_a_half_line(tmp_path: Path) -> None:
    curves = Curves(tmp_path)
    for step in (1, 2, 3):
        curves.append(step, loss=1.0 / step)
    with curves.path.open("a") as file:
        file.write('{"step": 4, "lo')
    curves.rewind(2)
    curves.append(3, loss=0.5)
    assert curves.rows() == [{"step": 1, "loss": 1.0}, {"step": 2, "loss": 0.5}, {"step": 3, "loss": 0.5}]


def test_curves_are_drawn_short_long_and_empty(tmp_path: Path) -> None:
    curves = Curves(tmp_path)
    for step in range(200):
        curves.append(step, loss=1.0)
    curves.append(200, recall=0.5)
    assert curves.draw({"loss": ["loss"], "recall": ["recall", "missing"]}, "a run").read_bytes()[:4] == b"\x89PNG"
