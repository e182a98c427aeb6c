"""Grounding: is the finding where the assistant says, and where the models look?

Three answers to "where", each scored against the phantom's own mask:
- *named*: side and zone in the words of the answer, as a box of the standard lung fields; it should hold the centre of
  the true box;
- *model*: occlusion (Zeiler & Fergus 2014): a grey square covers each cell of a 6 × 6 grid in turn, and the map is how
  much the log-odds of yes over no to "is it there?" fall after the very same prompt;
- *encoder*: the same with the similarity of picture and true sentence under the image-text encoder.
A map's hit (pointing game, Zhang et al. 2016) is a hottest cell that touches the mask; its region is all cells at least
half as hot. A flat map points nowhere. Chance: the share of the lung fields' cells that touch the mask, and for IoU the
lung fields as a whole (area of the mask / area of the lungs, for a mask within them).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from anyio import to_thread
from numpy.typing import NDArray

from assistant.assistant import Assistant
from assistant.engines.base import Engine, Message, Prompt
from assistant.requests import AskRequest
from assistant.study import Picture, Pixels
from eval.benchmarks.common import NO, SIZE, YES, first_sentence, study_of
from eval.benchmarks.phantom_items import drawn, whose
from eval.exam.benchmark import Answer, Benchmark, Figure, Item, Row, Scores, mean_of
from eval.exam.candidate import Candidate, Listening
from eval.metrics.grounding import Box, box_iou, boxes_mask, mask_iou, points_at_box
from eval.phantoms import Phantom, make_phantom
from eval.phantoms.family import get_family
from eval.phantoms.findings import SIDED, SIDES, ZONES, Finding, box_of
from eval.phantoms.text import TERMS, sentence
from eval.phantoms.wordings import get_wording
from retrieval.encoders.base import ImageTextEncoder

PLACE = 9
GRID = 6  # cells a side
MASK_SIZE = 192  # pixels; a multiple of GRID at which the smallest nodule is still seen
HOT = 0.5  # of the hottest cell: what belongs to the region
WHERE, WHETHER, MODEL, ENCODER = "where", "whether", "model", "encoder"
WHOLE = "whole"  # the value of the picture with nothing covered
# The standard lung fields, in parts of the picture. Zones are thirds of the height above the diaphragm; the lower one
# holds the recess behind it, too.
LUNGS = {"right": (0.15, 0.445), "left": (0.565, 0.85)}  # from, to: across
LEVELS = (0.18, 0.365, 0.53, 0.81)  # downwards, between the zones
Mask = NDArray[np.bool_]
Heat = NDArray[np.float64]  # (GRID, GRID)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class GroundingItem(Item):
    mask: Callable[[], Mask]  # (MASK_SIZE, MASK_SIZE)


class Grounding(Benchmark):
    name = "grounding"
    title = "Grounding: side and zone named, and where the models look (phantoms, held-out families)"
    full, quick = 120, 6
    headline = "named region: hit"

    def items(self, n: int, seed: int) -> Iterator[GroundingItem]:
        sided = ((phantom, [f for f in phantom.findings if f.kind in SIDED]) for phantom in drawn(PLACE, seed))
        usable = ((phantom, found) for phantom, found in sided if found)
        for at, (phantom, found) in enumerate(islice(usable, n)):
            yield item_of(phantom, found[at % len(found)])

    async def sit(self, candidate: Candidate, item: Item) -> dict[str, Answer]:
        request = item.request()
        assert isinstance(request, AskRequest)
        answers = {WHERE: await candidate.ask(request, item.references)}
        whether = replace(request, question=item.truth["whether"])
        heard, prompt = await asked(candidate, whether, item)
        answers[WHETHER] = heard
        picture, text = request.study.pictures[0], item.truth["sentence"]
        engine, encoder = candidate.assistant.engine, candidate.assistant.retriever.encoders.image_text
        if prompt and "score" in (await engine.info()).capabilities:
            answers[MODEL] = _map(await odds(engine, prompt, picture))
        if encoder:
            answers[ENCODER] = _map(await to_thread.run_sync(similarities, encoder, picture.pixels, text))
        return answers

    def score(self, item: Item, answers: Mapping[str, Answer]) -> Scores:
        assert isinstance(item, GroundingItem)
        mask = item.mask()
        side, zone = named(first_sentence(answers[WHERE]))
        wanted = item.truth["zone"] is not None
        region = region_of(side, zone if wanted else None) if side and (zone or not wanted) else None
        x0, y0, x1, y1 = box_of(mask)
        scores: Scores = {
            "named": region is not None,
            "named_hit": region is not None and points_at_box(((x0 + x1) / 2, (y0 + y1) / 2), [region]),
            "named_iou": box_iou(region, (x0, y0, x1, y1)) if region else 0.0,
            "named_chance": 1 / 6 if wanted else 1 / 2,
            **chance(mask),
        }
        for who in (MODEL, ENCODER):
            if who in answers:
                heat = heat_of(answers[who])
                hit, iou = judged(heat, mask)
                scores |= {f"{who}_hit": hit, f"{who}_iou": iou, f"{who}_map": heat.round(4).tolist()}
        return scores

    @property
    def figures(self) -> Mapping[str, Figure]:
        return {
            self.headline: mean_of("named_hit"),
            "named region: chance": mean_of("named_chance"),
            "named region: IoU": mean_of("named_iou"),
            "named a region": mean_of("named"),
            "model's map: pointing game": mean_of("model_hit"),
            "encoder's map: pointing game": mean_of("encoder_hit"),
            "maps: pointing game by chance": mean_of("chance_hit"),
            "model's map: IoU": mean_of("model_iou"),
            "encoder's map: IoU": mean_of("encoder_iou"),
            "maps: IoU of the whole lung fields": mean_of("chance_iou"),
        }

    def draw(self, rows: Sequence[Row], folder: Path) -> list[Path]:
        from eval.exam import plots

        shown = [row for row in rows if row.error is None and f"{MODEL}_map" in row.scores][:4]
        tiles = [
            plots.Tile(*_tile(row, who)) for who in (MODEL, ENCODER) for row in shown if f"{who}_map" in row.scores
        ]
        title = f"Where model and encoder look ({len(shown)} of {len(rows)} items)"
        note = "Box: true place. Orange to yellow: how much covering it lowers yes (model) or similarity (encoder)."
        return [plots.panel(tiles, folder / f"{self.name}-maps.png", title, note)] if tiles else []


def item_of(phantom: Phantom, finding: Finding) -> GroundingItem:
    words = get_wording(get_family(phantom.family).wording)
    ways = words.zone if finding.zone else words.side
    whether = next(q for q in phantom.questions if q.kind == "presence" and q.finding == finding.kind)
    question = ways[phantom.seed % len(ways)].format(t=TERMS[finding.kind])
    return GroundingItem(
        id=f"{phantom.family}-{phantom.seed}-{finding.kind}",
        truth={
            "finding": finding.kind, "side": finding.side, "zone": finding.zone, "sentence": sentence(finding),
            "question": question, "whether": whether.text, "seed": phantom.seed, "family": phantom.family,
        },
        request=partial(_request, phantom.seed, phantom.family, question),
        mask=partial(_mask, phantom.seed, phantom.family, finding.kind),
        **whose(phantom, finding=finding.kind, size=finding.grade),
    )  # fmt: skip


def _request(seed: int, family: str, question: str) -> AskRequest:
    return AskRequest(study=study_of(make_phantom(seed, size=SIZE, family=family)), question=question)


def _mask(seed: int, family: str, kind: str) -> Mask:
    return make_phantom(seed, size=MASK_SIZE, family=family).masks[kind]


async def asked(candidate: Candidate, request: AskRequest, item: Item) -> tuple[Answer, Prompt | None]:
    """The answer and the prompt behind it: None when the gate refused."""
    whole = candidate.assistant
    listening = Listening(whole.engine)
    heard = Candidate(
        Assistant(listening, whole.retriever, whole.domains),
        adapter=candidate.adapter,
        references=candidate.references,
    )
    return await heard.ask(request, item.references, options=(YES, NO)), listening.prompt


def named(text: str) -> tuple[str | None, str | None]:
    """The side and the zone of which an answer names exactly one."""
    words = set(re.findall(r"[a-z]+", text.lower()))
    side, zone = ([one for one in names if one in words] for names in (SIDES, ZONES))
    return side[0] if len(side) == 1 else None, zone[0] if len(zone) == 1 else None


def region_of(side: str, zone: str | None) -> Box:
    """The box of a lung, or of one of its zones, in pixels of the mask."""
    top, bottom = (ZONES.index(zone), ZONES.index(zone) + 1) if zone else (0, 3)
    left, right = LUNGS[side]
    return left * MASK_SIZE, LEVELS[top] * MASK_SIZE, right * MASK_SIZE, LEVELS[bottom] * MASK_SIZE


def covered(pixels: Pixels) -> Iterator[tuple[str, Pixels]]:
    """The picture whole, then with each cell in its own mean grey: `"row,column"` and pixels."""
    yield WHOLE, pixels
    rows, columns = (np.linspace(0, size, GRID + 1).astype(int) for size in pixels.shape[:2])
    grey = round(float(pixels.mean()))
    for row, column in np.ndindex(GRID, GRID):
        hidden = pixels.copy()
        hidden[rows[row] : rows[row + 1], columns[column] : columns[column + 1]] = grey
        yield f"{row},{column}", hidden


def showing(prompt: Prompt, picture: Picture) -> Prompt:
    """The same prompt with this picture in place of the only one that it has."""

    def parts(message: Message) -> tuple[str | Picture, ...]:
        return tuple(picture if isinstance(part, Picture) else part for part in message.parts)

    return replace(prompt, messages=tuple(replace(message, parts=parts(message)) for message in prompt.messages))


async def odds(engine: Engine, prompt: Prompt, picture: Picture) -> dict[str, float]:
    """Log-odds of yes over no after the prompt, with the picture whole and with each cell covered."""
    values = {}
    for cell, pixels in covered(picture.pixels):
        yes, no = await engine.score(showing(prompt, replace(picture, pixels=pixels, sha256="")), (YES, NO))
        values[cell] = yes - no
    return values


def similarities(encoder: ImageTextEncoder, pixels: Pixels, text: str) -> dict[str, float]:
    """Of the sentence to the picture, whole and with each cell covered."""
    cells, pictures = zip(*covered(pixels), strict=True)
    cosines = encoder.encode_images(pictures) @ encoder.encode_texts([text])[0]
    return dict(zip(cells, map(float, cosines), strict=True))


def _map(values: Mapping[str, float]) -> Answer:
    """Values by cell as an answer of their own. What they are (log-odds, cosines), the condition says."""
    return Answer(status="answered", text="", likelihoods=dict(values))


def heat_of(answer: Answer) -> Heat:
    """How much each cell lowers the value when it is covered."""
    values = answer.likelihoods
    cells = [values[WHOLE] - values[f"{row},{column}"] for row, column in np.ndindex(GRID, GRID)]
    return np.array(cells).reshape(GRID, GRID)


def judged(heat: Heat, mask: Mask) -> tuple[bool, float]:
    """Pointing game and IoU of a map; a flat one, or one without a cell that matters, points nowhere."""
    if heat.max() <= 0 or np.ptp(heat) < 1e-9:
        return False, 0.0
    region = np.kron(heat >= HOT * heat.max(), np.ones((MASK_SIZE // GRID,) * 2, dtype=bool))
    return bool(cells_of(mask).flat[int(heat.argmax())]), mask_iou(region, mask)


def chance(mask: Mask) -> dict[str, float]:
    """What pointing at random into the lung fields hits, and their own IoU with the mask."""
    lungs = boxes_mask([region_of(side, None) for side in LUNGS], MASK_SIZE, MASK_SIZE)
    inside = cells_of(lungs)
    return {"chance_hit": float(cells_of(mask)[inside].mean()), "chance_iou": mask_iou(lungs, mask)}


def cells_of(mask: Mask) -> Mask:
    """The cells (GRID, GRID) that a mask touches."""
    side = MASK_SIZE // GRID
    return np.asarray(mask.reshape(GRID, side, GRID, side).any(axis=(1, 3)))


def _tile(row: Row, who: str) -> tuple[Any, ...]:
    """Of `plots.Tile`: pixels, caption, true box, heat."""
    truth = row.truth
    phantom = make_phantom(truth["seed"], size=SIZE, family=truth["family"])
    box = next(f.box for f in phantom.findings if f.kind == truth["finding"])
    verdict = f"{'hit' if row.scores[f'{who}_hit'] else 'miss'}, IoU {row.scores[f'{who}_iou']:.2f}"
    where = f"{truth['side']} {truth['zone'] or ''} {truth['finding']}".replace("  ", " ")
    return phantom.pixels, f"{who}: {where}\n{verdict}", [box], row.scores[f"{who}_map"]
