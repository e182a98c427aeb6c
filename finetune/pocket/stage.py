"""One stage of training: steps, learning rate, progress, and a record on disk from which a killed run goes on."""

import json
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


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
    """`modules` are trained (what of them requires a gradient), and kept in `folder/name.pt` with the optimiser's and
    the random generator's state; `name.jsonl` beside it holds the curve."""

    name: str
    folder: Path
    modules: dict[str, Any]
    rng: np.random.Generator
    steps: int
    lr: float
    weight_decay: float = 0.03
    save_every: float = 120.0  # seconds

    def run(self, loss_of: Callable[[], Any], judge: Callable[[], dict[str, float]] | None = None) -> None:
        """Trains from where an earlier run stopped. `judge` is asked ten times on the way, and at the end."""
        import torch

        self.folder.mkdir(parents=True, exist_ok=True)
        parameters = [p for module in self.modules.values() for p in module.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(_groups(parameters, self.weight_decay), lr=self.lr, betas=(0.9, 0.98))
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
            last, asked = step == self.steps - 1, (step + 1) % max(1, self.steps // 10) == 0
            if step % 50 == 0 or last or asked:
                left = (time.time() - began) / (step + 1 - start) * (self.steps - step - 1) / 60
                spent, told = (time.time() - told) / 60, time.time()
                self._tell(
                    {
                        "step": step + 1,
                        "loss": round(mean, 4),
                        "minutes": round(spent, 2),
                        "minutes left": round(left, 1),
                    },
                    asked or last,
                    judge,
                )
            if last or time.time() - saved > self.save_every:
                self._save(optimizer, step + 1, mean)
                saved = time.time()

    @property
    def file(self) -> Path:
        return self.folder / f"{self.name}.pt"

    def _tell(self, line: dict[str, float], asked: bool, judge: Callable[[], dict[str, float]] | None) -> None:
        if asked and judge:
            line |= judge()
        print(self.name, f"of {self.steps}:", json.dumps(line), flush=True)
        with (self.folder / f"{self.name}.jsonl").open("a") as out:
            out.write(json.dumps(line) + "\n")

    def _resumed(self, optimizer: Any) -> tuple[int, float]:
        import torch

        if not self.file.exists():
            return 0, 0.0
        kept = torch.load(self.file, map_location=device(), weights_only=False)
        for name, module in self.modules.items():
            module.load_state_dict(kept["modules"][name])
        optimizer.load_state_dict(kept["optimizer"])
        self.rng.bit_generator.state = kept["rng"]
        torch.set_rng_state(kept["torch"].cpu())
        print(f"{self.name}: goes on at step {kept['step']} of {self.steps}", flush=True)
        return int(kept["step"]), float(kept["mean"])

    def _save(self, optimizer: Any, step: int, mean: float) -> None:
        import torch

        kept = {
            "modules": {name: module.state_dict() for name, module in self.modules.items()},
            "optimizer": optimizer.state_dict(), "rng": self.rng.bit_generator.state, "torch": torch.get_rng_state(),
            "step": step, "mean": mean,
        }  # fmt: skip
        draft = self.file.with_suffix(".draft")
        torch.save(kept, draft)
        draft.replace(self.file)


def _groups(parameters: Iterable[Any], decay: float) -> list[dict[str, Any]]:
    """Matrices decay; scales, shifts and biases don't."""
    every = list(parameters)
    return [
        {"params": [p for p in every if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in every if p.ndim <= 1], "weight_decay": 0.0},
    ]
