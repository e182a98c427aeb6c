"""One stage of training: steps, learning rate, progress, and a record on disk from which a killed run goes on."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from finetune.checkpoints import Checkpoints
from finetune.curves import Curves
from finetune.optimizer import parameter_groups

Judge = Callable[[], dict[str, float]]


def device() -> str:
    """Where training runs: the accelerator, if there is one."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def schedule(step: int, steps: int) -> float:
    """Share of the peak learning rate: linear warm-up over 5 %, then a cosine down to a twentieth."""
    warm = max(1, steps // 20)
    if step < warm:
        return (step + 1) / warm
    return 0.05 + 0.475 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


@dataclass
class Stage:
    """`modules` are trained (what of them requires a gradient). `folder` keeps checkpoint and curves; a run of other
    steps or rate than those kept there is refused."""

    folder: Path
    modules: dict[str, Any]
    rng: np.random.Generator
    steps: int
    lr: float
    weight_decay: float = 0.03
    save_every: float = 120.0  # seconds
    _curves: Curves = field(init=False)
    _checkpoints: Checkpoints = field(init=False)

    def __post_init__(self) -> None:
        self._curves = Curves(self.folder)
        self._checkpoints = Checkpoints(self.folder, {"steps": self.steps, "lr": self.lr})

    def run(self, loss_of: Callable[[], Any], judge: Judge | None = None) -> None:
        """Trains from where an earlier run stopped. `judge` is asked ten times on the way, and at the end."""
        import torch

        parameters = [p for module in self.modules.values() for p in module.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(parameter_groups(parameters, self.weight_decay), lr=self.lr, betas=(0.9, 0.98))
        start, mean = self._resumed(optimizer)
        began = saved = told = time.time()
        for step in range(start, self.steps):
            for group in optimizer.param_groups:
                group["lr"] = self.lr * schedule(step, self.steps)
            with torch.autocast(device(), dtype=torch.bfloat16):
                loss = loss_of()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            mean = loss.item() if step == 0 else 0.98 * mean + 0.02 * loss.item()
            done, last = step + 1, step == self.steps - 1
            judging = last or done % max(1, self.steps // 10) == 0
            if judging or step % 50 == 0:
                spent, told = (time.time() - told) / 60, time.time()
                left = (told - began) / (done - start) * (self.steps - done) / 60
                self._tell(done, mean, spent, left, judge() if judge and judging else {})
            if last or time.time() - saved > self.save_every:
                self._save(optimizer, done, mean)
                saved = time.time()
        self._curves.draw({"loss": ["loss"]}, self.folder.name)

    def _tell(self, step: int, loss: float, minutes: float, left: float, judged: dict[str, float]) -> None:
        self._curves.append(step, loss=round(loss, 4), minutes=round(minutes, 3), **judged)
        said = f"loss {loss:.4f}, {left:.0f} min left {json.dumps(judged) if judged else ''}"
        print(f"{self.folder.name} {step}/{self.steps}: {said}", flush=True)

    def _resumed(self, optimizer: Any) -> tuple[int, float]:
        import torch

        kept = self._checkpoints.resume()
        if kept is None:
            return 0, 0.0
        for name, module in self.modules.items():
            module.load_state_dict(kept["modules"][name])
        optimizer.load_state_dict(kept["optimizer"])
        self.rng.bit_generator.state = kept["rng"]
        torch.set_rng_state(kept["torch"])
        self._curves.rewind(kept["step"])
        print(f"{self.folder.name}: goes on at step {kept['step']} of {self.steps}", flush=True)
        return int(kept["step"]), float(kept["mean"])

    def _save(self, optimizer: Any, step: int, mean: float) -> None:
        import torch

        self._checkpoints.save(
            {
                "modules": {name: module.state_dict() for name, module in self.modules.items()},
                "optimizer": optimizer.state_dict(), "rng": self.rng.bit_generator.state,
                "torch": torch.get_rng_state(), "step": step, "mean": mean,
            }
        )  # fmt: skip
