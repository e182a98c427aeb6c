"""What a vision tower learns before any word is said: batches of pictures with all that is known of them, and the loss.

About a hundred yes/no targets (`targets`), each read from the tower's tokens by an attention of its own, and a coarse
map of where things are, read from each token alone. The map is what makes a small transformer learn fast from few
pictures: it says where the reason lies. The readers are thrown away.
"""

from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eval.phantoms.findings import GRADES, ZONES
from finetune.pocket.augment import Change, changed
from finetune.pocket.outliers import outlier
from finetune.pocket.phantoms import GRID, PhantomSet
from finetune.pocket.pictures import RealSet
from finetune.pocket.stage import device
from finetune.pocket.targets import FAULT_TARGETS, HALVES, NAMES, PLACES, of_kind, of_phantom, vector

FREE = ("brain_mri", "blood")  # sources that have no right way up
SEEN = {"cxr_nih": 1.0, "cxr_hannover": 0.3, "brain_mri": 1.1, "fundus": 1.4, "blood": 1.1}  # shares of the real draws
_GROUP_OF = {
    name: group
    for group, start in (("kind", "is "), ("side", "left "), ("side", "right "), ("real", "real "), ("red", "red "))
    for name in NAMES
    if name.startswith(start)
} | {name: name.split()[0] + "…" for name in NAMES if name.split()[0] in (*ZONES, *GRADES)}
MAP_WEIGHT = 4.0  # of the map's loss beside that of the targets


@dataclass(frozen=True)
class Batch:
    """`pixels` (n, 3, size, size) in 0..1, `targets` (n, NAMES) NaN where unknown, `places` (n, PLACES, GRID, GRID)
    0..1, `marked` (n, PLACES) 1 where that map is to be believed. `index` says which phantom each is and `real` which
    real picture, -1 where it is none."""

    pixels: Any
    targets: Any
    places: Any
    marked: Any
    index: NDArray[np.int64]
    real: NDArray[np.int64]


@dataclass(frozen=True)
class Row:
    pixels: NDArray[np.uint8]
    targets: NDArray[np.float32]
    places: NDArray[np.uint8]
    marked: NDArray[np.bool_]
    change: Change
    index: int = -1
    real: int = -1


class Pictures:
    """Draws batches of phantoms, real pictures and pictures of no known kind, changed anew each time."""

    def __init__(self, phantoms: PhantomSet, real: RealSet | None, size: int, rng: np.random.Generator) -> None:
        self.phantoms, self.real, self.size, self.rng, self.device = phantoms, real, size, rng, device()
        self.truth = np.stack([of_phantom(facts) for facts in phantoms.facts])
        self.drawn = phantoms.places.shape[1]  # findings: the first of PLACES
        if real is not None:
            weight = np.array([SEEN[source] / real.sources.count(source) for source in real.sources])
            self.chance = weight / weight.sum()

    def draw(self, n: int, real: float = 0.4, other: float = 0.05) -> Batch:
        """`n` pictures; `real` and `other` are the expected shares of real ones and of outliers."""
        kinds = self.rng.random(n)
        some = real if self.real is not None else 0.0
        return self.batch(
            [self._other() if k < other else self._real() if k < other + some else self._phantom() for k in kinds]
        )

    def batch(self, rows: list[Row]) -> Batch:
        """The rows as tensors, changed; what the change has hidden or decided is put right in the targets."""
        import torch

        stacked = torch.from_numpy(np.stack([_coloured(row.pixels, self.size) for row in rows])).to(self.device)
        pictures = stacked.permute(0, 3, 1, 2).float() / 255
        places = torch.from_numpy(np.stack([row.places for row in rows])).to(self.device).float() / 255
        pixels, places = changed(pictures, places, [row.change for row in rows], self.size, self.rng)
        targets = np.stack([row.targets for row in rows])
        for row, goal, where in zip(rows, targets, places.cpu().numpy(), strict=True):
            if row.change.strong:
                goal[FAULT_TARGETS] = np.nan
            tumour = where[PLACES.index("brain tumor")]
            if row.marked[PLACES.index("brain tumor")] and tumour.sum() > 0.05:
                goal[HALVES] = _halves(tumour)
        marked = torch.from_numpy(np.stack([row.marked for row in rows])).to(self.device).float()
        index, real = (np.array([which(row) for row in rows]) for which in (attrgetter("index"), attrgetter("real")))
        return Batch(pixels, torch.from_numpy(targets).to(self.device), places, marked, index, real)

    def batches(self, rows: list[Row]) -> list[Batch]:
        """The rows in order, 32 a batch."""
        return [self.batch(rows[n : n + 32]) for n in range(0, len(rows), 32)]

    def phantom(self, index: int, strong: bool) -> Row:
        """A spoilt film is never changed strongly: its fault would be lost among others."""
        strong = strong and not self.phantoms.facts[index]["fault"]
        places, marked = np.zeros((len(PLACES), GRID, GRID), np.uint8), np.zeros(len(PLACES), bool)
        places[: self.drawn], marked[: self.drawn] = self.phantoms.places[index], True
        return Row(self.phantoms.pixels[index], self.truth[index].copy(), places, marked, Change(strong), index)

    def real_one(self, index: int, gentle: bool = False) -> Row:
        assert self.real is not None
        r = self.real
        change = Change(False) if gentle else Change(strong=True, free=r.sources[index] in FREE)
        return Row(r.pixels[index], r.targets[index].copy(), r.places[index], r.marked[index], change, real=index)

    def _phantom(self) -> Row:
        return self.phantom(int(self.rng.integers(len(self.truth))), self.rng.random() < 0.6)

    def _real(self) -> Row:
        return self.real_one(int(self.rng.choice(len(self.chance), p=self.chance)))

    def _other(self) -> Row:
        nothing, unknown = np.zeros((len(PLACES), GRID, GRID), np.uint8), np.zeros(len(PLACES), bool)
        return Row(outlier(128, self.rng), vector(of_kind(None)), nothing, unknown, Change(True, True))


def _coloured(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """(size, size, 3), whatever the size and whether grey or not."""
    if len(pixels) != size:
        pixels = np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR))
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, 2)


def _halves(mass: NDArray[np.float32]) -> tuple[float, float]:
    """Whether the middle of the mass is on the left, and whether it is above; NaN within 3 % of the middle."""
    across, down = ((mass.sum(axis) * (np.arange(GRID) + 0.5)).sum() / mass.sum() / GRID for axis in (0, 1))
    return tuple(float("nan") if abs(c - 0.5) < 0.03 else float(c < 0.5) for c in (across, down))  # type: ignore[return-value]


def readers(width: int, tokens: int, fine: int = 2) -> Any:
    """A module from (n, tokens, width) to target logits (n, NAMES) and map logits (n, PLACES, side, side), `fine` cells
    each way for every token."""
    import torch
    from torch import nn

    side = round(tokens**0.5)

    class Readers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.look, self.say = nn.Linear(width, len(NAMES)), nn.Linear(width, len(NAMES))
            self.where = nn.Parameter(torch.zeros(tokens, len(NAMES)))
            self.map = nn.Linear(width, len(PLACES) * fine * fine)

        def forward(self, seen: Any) -> tuple[Any, Any]:
            weight = (self.look(seen) + self.where).softmax(1)
            cells = self.map(seen).view(-1, side, side, len(PLACES), fine, fine).permute(0, 3, 1, 4, 2, 5)
            return (weight * self.say(seen)).sum(1), cells.reshape(-1, len(PLACES), side * fine, side * fine)

    return Readers()


def seeing_loss(seen: tuple[Any, Any], batch: Batch) -> Any:
    """Mean binary cross-entropy over what is known of the targets, and `MAP_WEIGHT` times that of the marked maps."""
    from torch.nn.functional import adaptive_avg_pool2d
    from torch.nn.functional import binary_cross_entropy_with_logits as bce

    told, mapped = seen
    known = ~batch.targets.isnan()
    targets = bce(told[known], batch.targets[known])
    each = bce(mapped, adaptive_avg_pool2d(batch.places, mapped.shape[2:]), reduction="none").mean((2, 3))
    return targets + MAP_WEIGHT * (each * batch.marked).sum() / batch.marked.sum().clamp(min=1)


def judged(model: Any, batches: list[Batch]) -> dict[str, float]:
    """Mean AUROC over groups of targets, where both classes occur: what the tower can tell on held-back pictures."""
    import torch
    from sklearn.metrics import roc_auc_score

    with torch.no_grad():
        told = torch.cat([model(batch.pixels)[0] for batch in batches]).cpu().numpy()
    truth = torch.cat([batch.targets for batch in batches]).cpu().numpy()
    areas: dict[str, list[float]] = {}
    for n, name in enumerate(NAMES):
        known = ~np.isnan(truth[:, n])
        if 0 < truth[known, n].sum() < known.sum():
            areas.setdefault(_GROUP_OF.get(name, name), []).append(roc_auc_score(truth[known, n], told[known, n]))
    return {name: round(float(np.mean(values)), 3) for name, values in areas.items()}
