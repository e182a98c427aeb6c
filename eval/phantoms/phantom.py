"""One study: the picture with everything that is true of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from eval.phantoms import text
from eval.phantoms.anatomy import Anatomy, reacquired, sample_anatomy
from eval.phantoms.canvas import Mask
from eval.phantoms.devices import Device, DeviceSpec, add_devices, draw_devices
from eval.phantoms.distractors import Distractor, add_distractors, draw_distractors
from eval.phantoms.effects import FRONTAL, apply_all, finding_of
from eval.phantoms.family import get_family
from eval.phantoms.faults import Fault, apply_fault, shown_mask
from eval.phantoms.findings import Finding, FindingSpec, adjust, box_of, collapses, draw_specs, plan_findings
from eval.phantoms.lateral import LATERAL, lateral_anatomy, lateral_layers
from eval.phantoms.render import build_layers, expose, film

_EFFECTS = {"PA": FRONTAL, "LATERAL": LATERAL}
_DARKEST = {"PA": 35.0, "LATERAL": 12.0}  # percent of the lungs' rays that are no denser than the film's lung grey
VIEWS = tuple(_EFFECTS)


@dataclass(frozen=True, eq=False)
class Phantom:
    """A synthetic chest radiograph. Equal arguments to `make_phantom` give equal bytes."""

    seed: int
    family: str
    view: str  # "PA" or "AP": the patient's right is on the picture's left; "LATERAL": the front is
    spacing_mm: float  # mm per pixel, both ways
    pixels: npt.NDArray[np.uint8]  # (H, W), bright is dense
    findings: tuple[Finding, ...]
    masks: Mapping[str, Mask]  # kind → (H, W); empty where the view does not show the finding
    age: int  # years
    sex: str  # "F" or "M"
    ctr: float  # true cardiothoracic ratio, whatever the film magnifies
    devices: tuple[Device, ...] = ()
    strands: tuple[Mask, ...] = ()  # where each device lies, in the order of `devices`; (H, W)
    fault: Fault | None = None
    distractors: tuple[Distractor, ...] = ()
    visit: int = 0

    @property
    def id(self) -> str:
        """A name for files and records; the first frontal study of a person bears the seed alone."""
        view = "-lateral" if self.view == "LATERAL" else ""
        return f"phantom-{self.seed:06d}{view}" + (f"-visit-{self.visit}" if self.visit else "")

    @property
    def shown(self) -> tuple[Finding, ...]:
        """The findings that this film shows: the report and the answers know no others."""
        return tuple(finding for finding in self.findings if finding.box != (0, 0, 0, 0))

    @cached_property
    def report(self) -> text.Report:
        """The report a careful reader would write."""
        return text.report(self.shown, self.devices, self.view, self.fault)

    @cached_property
    def questions(self) -> tuple[text.Question, ...]:
        """Questions with their answers; wording depends on the seed and the family."""
        wording, rng = get_family(self.family).wording, _stream(self.seed, self.family, 4)
        return text.questions(self.shown, wording, rng, self.devices, self.view, self.fault)


def _stream(seed: int, family: str, purpose: int, *more: int) -> np.random.Generator:
    """One random stream per purpose: asking for other findings must not change the person or the noise."""
    return np.random.default_rng([seed, get_family(family).salt, purpose, *more])


def _person(seed: int, family: str, visit: int) -> Anatomy:
    """Someone healthy, as they stood at this visit."""
    person = sample_anatomy(_stream(seed, family, 0), get_family(family))
    return reacquired(person, get_family(family), _stream(seed, family, 0, visit)) if visit else person


def make_phantom(
    seed: int,
    *,
    family: str = "train",
    size: int = 512,
    findings: Sequence[FindingSpec] | None = None,
    devices: Sequence[DeviceSpec] | None = None,
    view: str = "PA",
    fault: Fault | None = None,
    visit: int = 0,
    distractors: Sequence[Distractor] | None = None,
) -> Phantom:
    """Render the study of this seed, `size` x `size` pixels (at least 64).

    `findings` None draws 0 to 2 of them; an empty sequence gives the same person without any. `devices` and
    `distractors` None are drawn where the findings are, and are none where the findings are given. Another `visit`
    shows the same person with the findings in the same places on another film. `view` is "PA", which families that lie
    in bed show as AP, or "LATERAL", which shows no distractors. Masks, boxes and tips lie where `fault` moved them.
    ValueError on what cannot be rendered.
    """
    if seed < 0 or size < 64 or visit < 0 or view not in VIEWS:
        raise ValueError(f"seed {seed} and visit {visit} must be >= 0, size {size} >= 64, view {view!r} of {VIEWS}")
    again, lateral = ((visit,) if visit else ()), view == "LATERAL"
    if findings is None:
        findings = draw_specs(_stream(seed, family, 1))
        devices = draw_devices(_stream(seed, family, 5, *again)) if devices is None else devices
        distractors = draw_distractors(_stream(seed, family, 6, *again)) if distractors is None else distractors
    plans = plan_findings(lambda kind: _stream(seed, family, 7, kind), findings)
    anatomy = adjust(_person(seed, family, visit), plans)
    if lateral:
        anatomy, distractors = lateral_anatomy(anatomy), ()
    canvas = anatomy.canvas(size)
    tissue = _stream(seed, family, 2)
    layers = (
        lateral_layers(anatomy, canvas, tissue) if lateral else build_layers(anatomy, canvas, tissue, collapses(plans))
    )
    exposure = expose(layers, canvas, _DARKEST[view])  # before the findings: the film must not betray them
    masks = apply_all(plans, _EFFECTS[view], layers, anatomy, canvas)
    add_distractors(distractors or (), layers, anatomy, canvas, lambda kind: _stream(seed, family, 8, kind, *again))
    placed = add_devices(
        devices or (), layers, anatomy, canvas, lambda kind: _stream(seed, family, 9, kind, *again), view
    )
    phantom = Phantom(
        seed=seed,
        family=family,
        view=view if lateral else get_family(family).projection,
        spacing_mm=canvas.spacing,
        pixels=film(layers, anatomy, canvas, exposure, _stream(seed, family, 3, *again)),
        findings=tuple(finding_of(plan, masks[plan.spec.kind]) for plan in plans),
        masks=masks,
        age=anatomy.age,
        sex=anatomy.sex,
        ctr=round(anatomy.ctr, 4),
        devices=tuple(device for device, _ in placed),
        strands=tuple(strand for _, strand in placed),
        distractors=tuple(distractors or ()),
        visit=visit,
    )
    return phantom if fault is None else _spoilt(phantom, fault, lambda: _stream(seed, family, 10, *again))


def _spoilt(phantom: Phantom, fault: Fault, stream: Callable[[], np.random.Generator]) -> Phantom:
    """The phantom with this fault; all that was said of places follows the picture. `stream` starts anew each time."""

    def shown(mask: Mask) -> Mask:
        return shown_mask(mask, fault, stream())

    masks = {kind: shown(mask) for kind, mask in phantom.masks.items()}
    strands = tuple(map(shown, phantom.strands))
    return replace(
        phantom,
        fault=fault,
        pixels=apply_fault(phantom.pixels, fault, stream()),
        masks=masks,
        findings=tuple(replace(f, box=box_of(masks[f.kind])) for f in phantom.findings),
        strands=strands,
        devices=tuple(
            replace(device, tip=_shown_tip(device.tip, phantom.pixels.shape, shown), box=box_of(strand))
            for device, strand in zip(phantom.devices, strands, strict=True)
        ),
    )


def _shown_tip(tip: tuple[int, int], shape: tuple[int, ...], shown: Callable[[Mask], Mask]) -> tuple[int, int]:
    """Where the tip lies now: the middle of a small square round it; as it was where the film has lost it."""
    column, row = tip
    square = np.zeros(shape, np.bool_)
    square[max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3] = True
    rows, columns = np.nonzero(shown(square))
    return (round(float(columns.mean())), round(float(rows.mean()))) if len(rows) else tip
