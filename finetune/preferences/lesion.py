"""Lesion neglect (MMedPO): one text, told of the picture (chosen) and of the picture whose lesion is noised away
(rejected). Noise over the whole picture is for the ablation."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from assistant.imaging import read_study
from assistant.study import Picture
from eval.benchmarks.phantom_items import LABEL_OF
from eval.phantoms import Phantom
from finetune.errors import BadInput, Problem
from finetune.preferences.draft import Draft
from finetune.preferences.material import Case, first_of_study, pictures_in
from finetune.preferences.noise import STEP, Damage, damaged
from finetune.preferences.pair import Source
from finetune.preferences.region import Region, mask_as_read, mask_of
from finetune.sft_data import Row, listed

MARGIN = 0.03  # of the picture's side
Find = Callable[[Case], Region | None]  # the region, in the file's own pixels, that the true answer rests on


@dataclass(frozen=True, slots=True)
class Noise:
    """What is done to a picture. `find` None: all of it is damaged. `side`: of the square a model is shown."""

    find: Find | None
    how: Damage = "diffusion"
    step: int = STEP
    side: int | None = None

    def __str__(self) -> str:
        return f"{self.how}, step {self.step}" if self.how == "diffusion" else self.how

    def pictures(self, case: Case, rng: np.random.Generator) -> tuple[tuple[Picture, ...], float | None] | None:
        """The prompt's pictures with the study's first one damaged (all of the study's where the whole is), and how
        sure the finder is; None where there is no region, or where nothing can be seen of it."""
        shown, first = pictures_in(case.prompt), first_of_study(case.prompt)
        if self.find is None:
            everywhere = [np.ones(picture.pixels.shape[:2], np.bool_) for picture in shown]
            changed = [self._changed(p, m, rng) for p, m in zip(shown[first:], everywhere[first:], strict=True)]
            return (*shown[:first], *changed), None
        region = self.find(case)
        if region is None:
            return None
        mask = mask_as_read(mask_of(region, _shape(case.row)), self.side)
        if not mask.any():
            return None
        return (*shown[:first], self._changed(shown[first], mask, rng), *shown[first + 1 :]), region.confidence

    def _changed(self, picture: Picture, mask: np.ndarray, rng: np.random.Generator) -> Picture:
        return replace(picture, pixels=damaged(picture.pixels, mask, self.how, rng, self.step), sha256="")


@dataclass(frozen=True, slots=True)
class Lesion:
    """Pairs of the source "lesion", or "whole_noise" where the noise finds no region."""

    noise: Noise

    @property
    def sources(self) -> tuple[Source, ...]:
        return ("lesion",) if self.noise.find else ("whole_noise",)

    async def drafts(self, case: Case, rng: np.random.Generator) -> list[Draft]:
        """Nothing of an answer that states no finding: there is no lesion to neglect."""
        found = self.noise.pictures(case, rng) if case.stated else None
        if found is None:
            return []
        pictures, confidence = found
        where = f"the region of {', '.join(sorted(case.stated)).lower()}" if self.noise.find else "all of it"
        why = f"The same is said of the picture after {where} was damaged ({self.noise})."
        (source,) = self.sources
        return [
            Draft(source, self.noise.how, case.prompt, case.answer, case.answer, why, pictures, confidence)
        ]  # fmt: skip


def region_of_phantom(case: Case, phantom: Phantom | None) -> Region | None:
    """Where the findings lie that the answer states, devices among them; grown, so that no border is left to tell the
    lesion's shape by."""
    if phantom is None:
        return None
    masks = [phantom.masks[f.kind] for f in phantom.shown if LABEL_OF[f.kind] in case.stated]
    if "Support Devices" in case.stated:
        masks += phantom.strands
    if not masks:
        return None
    from scipy.ndimage import binary_dilation

    margin = max(1, round(MARGIN * phantom.pixels.shape[0]))
    return Region(mask=binary_dilation(np.logical_or.reduce(masks), iterations=margin))


def regions_told(rows: Sequence[Row], report: Callable[[Problem], None]) -> dict[str, Region]:
    """By the id of a row's trace, the region that its line tells: `box` ([x0, y0, x1, y1] in pixels of the first
    picture, half open) or `mask` (a picture of its size, bright where the lesion is)."""
    regions = {}
    for file in dict.fromkeys(row.file for row in rows):
        lines = file.read_text(encoding="utf-8-sig").split("\n")
        for row in (row for row in rows if row.file == file):
            told = json.loads(lines[row.line - 1])
            if "box" not in told and "mask" not in told:
                continue
            try:
                regions[row.trace.id] = _region(told, row)
            except BadInput as error:
                report(Problem(file, row.line, str(error)))
    return regions


def _region(told: dict[str, Any], row: Row) -> Region:
    box, mask = told.get("box"), told.get("mask")
    if box is not None:
        if not (isinstance(box, list) and len(box) == 4 and all(type(value) is int for value in box)):
            raise BadInput("its box is not four whole numbers")
        return Region(box=(box[0], box[1], box[2], box[3]))
    try:
        pixels = np.asarray(Image.open(row.file.parent / str(mask)).convert("L"))
    except OSError:
        raise BadInput("its mask is not there, or is no picture") from None
    if pixels.shape != _shape(row):
        raise BadInput("its mask has another size than its picture")
    return Region(mask=pixels > 127)


def _shape(row: Row) -> tuple[int, ...]:
    """(H, W) of the row's first picture, before it is made ready for a model."""
    paths = [Path(row.file.parent / name) for name in listed(row.told.image)]
    study, _ = read_study(paths, standard_display=row.told.standard_display, salt=b"")
    return study.pictures[0].pixels.shape[:2]
