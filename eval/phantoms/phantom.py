"""One study: the picture with everything that is true of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from eval.phantoms import text
from eval.phantoms.anatomy import sample_anatomy
from eval.phantoms.canvas import Mask
from eval.phantoms.family import get_family
from eval.phantoms.findings import Finding, FindingSpec, adjust, apply, collapses, draw_specs, plan_findings
from eval.phantoms.render import build_layers, expose, film


@dataclass(frozen=True, eq=False)
class Phantom:
    """A synthetic frontal chest radiograph. Equal arguments to `make_phantom` give equal bytes."""

    seed: int
    family: str
    view: str  # "PA": the patient's right is on the picture's left
    spacing_mm: float  # mm per pixel, both ways
    pixels: npt.NDArray[np.uint8]  # (H, W), bright is dense
    findings: tuple[Finding, ...]
    masks: Mapping[str, Mask]  # kind → (H, W)
    age: int  # years
    sex: str  # "F" or "M"
    ctr: float  # true cardiothoracic ratio

    @property
    def id(self) -> str:
        """A name for files and records."""
        return f"phantom-{self.seed:06d}"

    @cached_property
    def report(self) -> text.Report:
        """The report a careful reader would write."""
        return text.report(self.findings)

    @cached_property
    def questions(self) -> tuple[text.Question, ...]:
        """Questions with their answers; wording depends on the seed and the family."""
        return text.questions(self.findings, self.family, _stream(self.seed, self.family, 4))


def _stream(seed: int, family: str, purpose: int) -> np.random.Generator:
    """One random stream per purpose: asking for other findings must not change the person or the noise."""
    return np.random.default_rng([seed, get_family(family).salt, purpose])


def make_phantom(
    seed: int, *, family: str = "train", size: int = 512, findings: Sequence[FindingSpec] | None = None
) -> Phantom:
    """Render the study of this seed, `size` x `size` pixels (at least 64).

    `findings` None draws 0 to 2 of them; an empty sequence gives the same person without any.
    """
    if seed < 0 or size < 64:
        raise ValueError(f"seed {seed} must be >= 0 and size {size} >= 64")
    healthy = sample_anatomy(_stream(seed, family, 0), get_family(family))
    chance = _stream(seed, family, 1)
    drawn = draw_specs(chance)
    plans = plan_findings(chance, drawn if findings is None else findings)
    kinds = [plan.spec.kind for plan in plans]
    if len(set(kinds)) != len(kinds):
        raise ValueError(f"one finding of a kind per study, not {kinds}")
    anatomy = adjust(healthy, plans)
    canvas = anatomy.canvas(size)
    layers = build_layers(anatomy, canvas, _stream(seed, family, 2), collapses(plans))
    exposure = expose(layers, canvas)  # before the findings, which must not betray themselves by the film's density
    placed = [apply(plan, layers, anatomy, canvas) for plan in plans]
    pixels = film(layers, anatomy, canvas, exposure, _stream(seed, family, 3))
    truth = tuple(finding for finding, _ in placed)
    masks: dict[str, Mask] = {finding.kind: mask for finding, mask in placed}
    return Phantom(
        seed, family, "PA", canvas.spacing, pixels, truth, masks, anatomy.age, anatomy.sex, round(anatomy.ctr, 4)
    )
