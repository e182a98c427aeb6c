"""The contrastive training loop, the same for pictures with texts and for questions with passages.

All that a step does follows from the weights, the optimizer's state and the number of the step: which pairs, in which
order and how varied is drawn anew from (seed, place in the stream), dropout from (seed, step). So a run that was killed
goes on from its checkpoint to the very weights of an undisturbed one, on the same machine (some kernels of a GPU add in
an order of their own).
"""

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader, Dataset

from finetune import losses
from finetune.checkpoints import Checkpoints, kept_state, restore_state
from finetune.curves import Curves
from finetune.encoder_config import ClipUniformAlign, DhnNce, Loss, MultiPositive, SigLip, Training
from finetune.errors import Misconfigured
from finetune.grouping import first_ranks
from finetune.optimizer import parameter_groups
from retrieval.embed import Progress

MAX_SCALE = math.log(100)  # Radford et al. 2021, section 2.5
Numbers = Sequence[int]


class Examples(Protocol):
    """Pairs by their number, and what of them goes to the network. `collate`: one batch as (left inputs, right inputs)
    on the CPU. `together` (b, b): which of these pairs belong together, the diagonal too."""

    def __len__(self) -> int: ...

    def load(self, number: int, vary: bool) -> Any: ...

    def collate(self, loaded: list[Any]) -> tuple[Any, Any]: ...

    def together(self, numbers: Numbers) -> NDArray[np.bool_]: ...


class Learner(Protocol):
    """Two towers; `left` and `right` give (b, dim) unit vectors, `bias` is None but for SigLIP. `ways`: what a search
    from left to right and one from right to left are called."""

    network: torch.nn.Module
    ways: tuple[str, str]

    def left(self, inputs: Any) -> Tensor: ...

    def right(self, inputs: Any) -> Tensor: ...

    @property
    def scale(self) -> torch.nn.Parameter: ...

    @property
    def bias(self) -> torch.nn.Parameter | None: ...

    def checkpoint_gradients(self) -> None:
        """Trades time for memory."""

    def save(self, folder: Path) -> None:
        """Writes all that loading it needs; after it nothing is trained any more."""


def learning_rate(step: int, how: Training) -> float:
    """Linear from 0 over the warm-up, then half a cosine to 0 (Loshchilov and Hutter 2017), for step 0, 1, …"""
    warm = max(1, round(how.warmup * how.steps))
    if step < warm:
        return how.lr * (step + 1) / warm
    return how.lr * (1 + math.cos(math.pi * (step - warm) / max(1, how.steps - warm))) / 2


def loss_of(loss: Loss, left: Tensor, right: Tensor, scores: Tensor, together: Tensor) -> Tensor:
    """The loss a configuration names, on one batch of unit vectors (b, dim) and their scores (b, b)."""
    if isinstance(loss, SigLip):
        return losses.siglip(scores)
    if isinstance(loss, MultiPositive):
        return losses.multi_positive(scores, together)
    if isinstance(loss, DhnNce):
        return losses.dhn_nce(scores, loss.beta_image, loss.beta_text)
    if isinstance(loss, ClipUniformAlign):
        return losses.clip_uniform_align(left, right, scores, loss.within, loss.across, loss.align)
    return losses.clip(scores)


class _Stream(Dataset[tuple[int, Any]]):
    """Endless passes over the pairs, each in an order of its own; an incomplete batch at a pass's end is left out."""

    def __init__(self, examples: Examples, how: Training) -> None:
        self._examples, self._seed = examples, how.seed
        self._pass = len(examples) // how.batch * how.batch
        self._order: tuple[int, NDArray[np.intp]] | None = None

    def __getitem__(self, place: int) -> tuple[int, Any]:
        epoch, n = divmod(place, self._pass)
        if self._order is None or self._order[0] != epoch:
            rng = np.random.default_rng([self._seed, epoch])
            self._order = epoch, rng.permutation(len(self._examples))
        number = int(self._order[1][n])
        seed_all(self._seed, 0, place)
        return number, self._examples.load(number, vary=True)


class _Unvaried(Dataset[tuple[int, Any]]):
    """Every pair once, as it is."""

    def __init__(self, examples: Examples) -> None:
        self._examples = examples

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, number: int) -> tuple[int, Any]:
        return number, self._examples.load(number, vary=False)


def seed_all(*parts: int) -> None:
    """Seeds every generator that transforms and dropout may draw from."""
    seed = int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0]) % 2**63
    random.seed(seed)
    torch.manual_seed(seed)


def _batches(examples: Examples, how: Training, first: int, workers: int) -> Iterator[tuple[list[int], Any]]:
    places = [[*range(step * how.batch, (step + 1) * how.batch)] for step in range(first, how.steps)]
    collate = partial(_collated, examples)
    yield from DataLoader(
        _Stream(examples, how), batch_sampler=places, collate_fn=collate, num_workers=workers,
        pin_memory=torch.cuda.is_available(),
    )  # fmt: skip


def _in_order(examples: Examples, batch: int, workers: int) -> Iterator[tuple[list[int], Any]]:
    collate = partial(_collated, examples)
    yield from DataLoader(_Unvaried(examples), batch, collate_fn=collate, num_workers=workers)


def _collated(examples: Examples, items: list[tuple[int, Any]]) -> tuple[list[int], Any]:
    return [number for number, _ in items], examples.collate([loaded for _, loaded in items])


@dataclass
class Run:
    """One training run: who learns, from what, how, and where it is kept."""

    learner: Learner
    train: Examples
    validation: Examples
    loss: Loss
    how: Training
    device: str
    workers: int
    checkpoints: Checkpoints
    curves: Curves

    def fit(self, watch: Progress, say: Callable[[str], None]) -> dict[str, float]:
        """Trains to the end from where it stands; the network then has its best weights, whose figures come back.
        Raises `BadInput` when the folder holds another run, `Misconfigured` when the loss is no number."""
        network = self.learner.network.to(self.device)
        learning = (parameter for parameter in network.parameters() if parameter.requires_grad)
        groups = parameter_groups(learning, self.how.weight_decay)
        optimizer = torch.optim.AdamW(groups, self.how.lr, (0.9, 0.98), 1e-6)
        step, best = self._resumed(optimizer, say)
        self.curves.rewind(step)
        if step < self.how.steps:
            say(self._estimate(step))
        for numbers, inputs in _batches(self.train, self.how, step, self.workers):
            loss, rate = self._step(step, numbers, inputs, optimizer), optimizer.param_groups[0]["lr"]
            step += 1
            self.curves.append(step, loss=loss, lr=rate, scale=self.learner.scale.exp().item())
            if step % self.how.evaluate_every == 0 or step == self.how.steps:
                best = self._evaluated(step, best)
            if step % self.how.checkpoint_every == 0 or step == self.how.steps:
                state = {"network": kept_state(network), "optimizer": optimizer.state_dict()}
                self.checkpoints.save({"step": step, "best": best, **state})
            watch("training", step, self.how.steps)
        restore_state(network, self.checkpoints.load(self.checkpoints.best) or {})
        network.eval()
        return best

    def _resumed(self, optimizer: Any, say: Callable[[str], None]) -> tuple[int, dict[str, float]]:
        state = self.checkpoints.resume()
        if state is None:
            return 0, {}
        restore_state(self.learner.network, state["network"])
        optimizer.load_state_dict(state["optimizer"])
        done = state["step"] == self.how.steps
        say("This run is finished." if done else f"Going on after step {state['step']} of {self.how.steps}.")
        return state["step"], state["best"]

    def _step(self, step: int, numbers: Numbers, inputs: Any, optimizer: Any) -> float:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, self.how)
        self.learner.network.train()
        seed_all(self.how.seed, 1, step)
        loss = self._loss(numbers, inputs)
        if not loss.isfinite():
            raise Misconfigured(f"The loss is no number at step {step + 1}; lower training.lr or take precision fp32.")
        loss.backward()
        clip_grad_norm_(self.learner.network.parameters(), self.how.clip_gradient)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            self.learner.scale.clamp_(0, MAX_SCALE)
        return loss.item()

    def _loss(self, numbers: Numbers, inputs: Any) -> Tensor:
        with self._precision():
            left = self.learner.left(_to(inputs[0], self.device)).float()
            right = self.learner.right(_to(inputs[1], self.device)).float()
        scores = self.learner.scale.exp() * left @ right.T
        if self.learner.bias is not None:
            scores = scores + self.learner.bias
        together = torch.from_numpy(self.train.together(numbers)).to(self.device)
        return loss_of(self.loss, left, right, scores, together)

    def _precision(self) -> Any:
        device = self.device.split(":")[0]
        return torch.autocast(device, dtype=torch.bfloat16, enabled=self.how.precision == "bf16")

    def _evaluated(self, step: int, best: dict[str, float]) -> dict[str, float]:
        """The figures of the best weights so far, after those of this step are in the curves. Best: the mean of all
        recalls; of equals the earlier."""
        figures = self.evaluate()
        self.curves.append(step, **figures)
        score = float(np.mean(list(figures.values())))
        if best and score <= best["score"]:
            return best
        self.checkpoints.save_best(kept_state(self.learner.network))
        return {"step": step, "score": score, **figures}

    def evaluate(self) -> dict[str, float]:
        """Recall@1 and @5 of both ways over the validation pairs."""
        left, right = self._embedded()
        scores = left @ right.T
        figures: dict[str, float] = {}
        together = self.validation.together(range(len(self.validation)))
        for way, given, wanted in zip(self.learner.ways, (scores, scores.T), (together, together.T), strict=True):
            ranks = first_ranks(given, wanted)
            figures |= {f"{way} recall@{k}": float((ranks <= k).mean()) for k in (1, 5)}
        return figures

    def _embedded(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(n, dim) of the validation pairs' left sides and of their right sides."""
        self.learner.network.eval()
        left, right = [], []
        with torch.no_grad(), self._precision():
            for _, inputs in _in_order(self.validation, self.how.batch, self.workers):
                left.append(self.learner.left(_to(inputs[0], self.device)).float().cpu())
                right.append(self.learner.right(_to(inputs[1], self.device)).float().cpu())
        return torch.cat(left).numpy(), torch.cat(right).numpy()

    def _estimate(self, step: int) -> str:
        """From one batch, without a change to the weights: evaluation mode leaves running means alone."""
        self.learner.network.eval()
        started = time.perf_counter()
        numbers, inputs = next(_batches(self.train, self.how, step, 0))
        reading = time.perf_counter() - started
        for _ in range(2):  # the first also warms up
            started = time.perf_counter()
            self._loss(numbers, inputs).backward()
            if self.device.startswith("cuda"):
                torch.cuda.synchronize()
        learning = time.perf_counter() - started
        self.learner.network.zero_grad(set_to_none=True)
        each = max(learning, reading / self.workers) if self.workers else learning + reading
        left = self.how.steps - step
        return (
            f"{left} steps of {self.how.batch} pairs on {self.device}: {_lasting(each * left)} and the evaluations "
            f"(a step {learning:.2f} s, reading its pairs {reading:.2f} s of one process)."
        )


def _to(inputs: Any, device: str) -> Any:
    if isinstance(inputs, dict):
        return {name: value.to(device, non_blocking=True) for name, value in inputs.items()}
    return inputs.to(device, non_blocking=True)


def _lasting(seconds: float) -> str:
    for unit, name in ((3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"about {seconds / unit:.1f} {name}"
    return f"about {math.ceil(seconds)} s"
