"""`consult preferences build`, top to bottom in `build`: rows are read and checked, each source makes its share of
pairs over all findings in turn, what is there twice is dropped, judges weigh, and the file is written whole.

All that chance decides follows from the plan's seed, and every answer of an engine is written down before it is used:
killed at any moment, the same command goes on, and gives the very pairs of an undisturbed run.
"""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from assistant.errors import TooLarge
from finetune.checkpoints import changed, write_whole
from finetune.errors import BadInput, Problem, WrongData
from finetune.manifest import assign_splits
from finetune.preferences.balance import apart, in_turn, key_of, without_duplicates
from finetune.preferences.desk import Edits
from finetune.preferences.draft import Album, Draft, Maker, Speak
from finetune.preferences.hallucination import Sampled, Typed
from finetune.preferences.lesion import Lesion, Noise, region_of_phantom, regions_told
from finetune.preferences.material import Case, Material, phantom_of, refuse_corpus, refuse_exam, stated_in
from finetune.preferences.pair import Pair, write_pairs
from finetune.preferences.phantoms import write_phantoms
from finetune.preferences.plan import RAG, Plan, Recipe, source_of, told
from finetune.preferences.rag import Rag
from finetune.preferences.region import Region
from finetune.preferences.verdict import plain
from finetune.preferences.weigh import Made, weighed
from finetune.sft_config import Data, Retrieval
from finetune.sft_data import Row, read_rows, unit_of
from finetune.sft_evidence import Found, Lookup
from finetune.sft_samples import Reader, answer_lines
from retrieval.db import FILE, salt_of
from retrieval.embed import Progress, no_progress

PAIRS, RUN, SUMMARY = "pairs.jsonl", "run.json", "build.json"
Finder = Callable[[Case], Region | None]  # a region for a case that no line tells one of: heat maps plug in here


@dataclass(frozen=True, slots=True)
class Voices:
    """Who is asked. `target` is the model to be tuned, `judges` weigh in turn; the first also picks samples."""

    reader: Reader
    target: Speak | None = None
    judges: tuple[Speak, ...] = ()


@dataclass(slots=True)
class Bench:
    """What all recipes work with."""

    plan: Plan
    voices: Voices
    material: Material
    album: Album
    regions: Mapping[str, Region] = field(default_factory=dict)
    finders: Sequence[Finder] = ()
    at_once: int = 1

    def region(self, case: Case) -> Region | None:
        """As the line tells it, else of a phantom its mask, else what the first finder finds."""
        if told := self.regions.get(case.row.trace.id):
            return None if case.truth.lower().startswith("no") else told
        found = region_of_phantom(case, phantom_of(case.row, self.material.salt))
        return found or next((region for find in self.finders if (region := find(case))), None)

    def noise(self, whole: bool) -> Noise:
        find = None if whole else self.region
        return Noise(find, self.plan.damage, self.plan.step, self.voices.reader.card.picture)

    def makers(self) -> list[tuple[Maker, dict[Recipe, int]]]:
        """Each maker with how many pairs of each recipe it is to make; the three RAG sets have one."""
        quotas, target = self.plan.quotas(), self.voices.target
        makers: list[tuple[Maker, dict[Recipe, int]]] = []
        for recipe in (recipe for recipe in quotas if recipe not in (*RAG, "edits")):
            if recipe == "typed":
                maker: Maker = Typed(lambda case: phantom_of(case.row, self.material.salt))
            elif recipe == "sampled":
                assert target is not None
                judge = self.voices.judges[0] if self.voices.judges else None
                maker = Sampled(target, judge, self.plan.rounds, self.plan.temperature, self.plan.seed)
            else:
                maker = Lesion(self.noise(whole=recipe == "whole_noise"))
            makers.append((maker, {recipe: quotas[recipe]}))
        if sets := {recipe: quota for recipe, quota in quotas.items() if recipe in RAG}:
            assert target is not None
            makers.append((Rag(target, self.noise(self.plan.whole), tuple(map(source_of, sets))), sets))
        return makers


async def build(
    plan: Plan, voices: Voices, home: Path, out: Path, progress: Progress = no_progress,
    finders: Sequence[Finder] = (), at_once: int = 1,
) -> dict[str, Any]:  # fmt: skip
    """Writes OUT/pairs.jsonl, OUT/images and OUT/build.json, which it returns: what was asked for and what there is.
    `at_once`: cases asked about together; the pairs are the same. Raises `WrongData` with all that is wrong,
    `LeakFound`, `BadInput` for a run begun otherwise, and what engines raise."""
    out.mkdir(parents=True, exist_ok=True)
    salt = salt_of(plan.knowledge if isinstance(plan.knowledge, Path) else home)  # the searched home's, see `sft`
    rows, regions = _rows(plan, home, salt, out, progress)
    _same_run(plan, rows, voices, out)
    bench = Bench(
        plan, voices, Material(voices.reader, _evidence(plan, rows, salt, out, progress), salt, plan.max_answer),
        Album(out), regions, finders, at_once,
    )  # fmt: skip
    made = [one for maker, quota in bench.makers() for one in await _gathered(bench, maker, quota, rows, progress)]
    desk = Edits(home, voices.reader)
    if "edits" in plan.recipes:
        made += _from_desk(bench, desk)
    kept = {pair.id for pair in apart(without_duplicates(one.pair for one in made))}
    made = [one for one in {one.pair.id: one for one in made}.values() if one.pair.id in kept]
    pairs = await weighed(made, voices.judges, plan.judges, progress, at_once)
    write_pairs(out / PAIRS, pairs)
    summary = _summary(plan, made, pairs, desk, rows)
    _write_json(out / SUMMARY, summary)
    return summary


def _rows(plan: Plan, home: Path, salt: bytes, out: Path, progress: Progress) -> tuple[list[Row], dict[str, Region]]:
    """All that pairs may be made from, checked, and the regions that lines tell."""
    files = list(plan.data)
    if plan.phantoms:
        seeds = range(plan.first_seed, plan.first_seed + plan.phantoms)
        files.append(write_phantoms(out / "phantoms", seeds, plan.size, progress))
    if not files:
        return [], {}
    problems: list[Problem] = []
    data = Data(manifests=tuple(files), validation=plan.validation, ignore=("box", "mask"))
    rows = read_rows(data, salt, plan.seed, problems.append, progress)
    regions = regions_told(rows, problems.append)
    if problems:
        raise WrongData(problems)
    refuse_exam(rows)
    for place in {home, *([plan.knowledge] if isinstance(plan.knowledge, Path) else [])}:
        if (place / FILE).is_file():
            refuse_corpus(rows, place)
    return rows, regions


def _evidence(plan: Plan, rows: Sequence[Row], salt: bytes, out: Path, progress: Progress) -> Found:
    """What is retrieved for a row: for all where RAG is asked for, for a share of the rows elsewhere."""
    if plan.knowledge == "none" or not rows:
        return {}
    share = 1.0 if set(RAG) & set(plan.recipes) else plan.shown
    how = Retrieval(home=plan.knowledge, share=share)
    return Lookup(how, out / "evidence", salt, plan.seed, plan.max_answer).find(rows, progress)


def finding_of(row: Row) -> str:
    """What pairs are balanced by: the finding that is stated or, where none is, asked about."""
    truth = plain("\n".join(answer_lines(row)[0]), row.told.task)
    stated = stated_in(truth, row.told.question)
    return min(stated or stated_in("", row.told.question), default="none")


async def _gathered(
    bench: Bench, maker: Maker, quotas: Mapping[Recipe, int], rows: Sequence[Row], progress: Progress
) -> list[Made]:
    """One pair a case and recipe, the findings in turn, until there are as many as wanted or no case is left; of what a
    case offers, the kind of change there is least of."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(finding_of(row), []).append(row)
    left, seen, kinds = Counter(quotas), set[tuple[object, ...]](), Counter[str]()
    wanted, made = sum(quotas.values()), list[Made]()
    phase = f"making {', '.join(quotas)}"
    turns = in_turn(groups, _rng(bench.plan.seed, phase))
    while left.total() and (some := list(islice(turns, bench.at_once))):
        offered = await asyncio.gather(*(_drafts(bench, maker, row, phase) for row in some))
        for row, drafts in zip(some, offered, strict=True):
            for recipe, draft in _rarest(drafts, quotas, kinds):
                one = _made(bench, recipe, draft, row) if left[recipe] else None
                if one and (key := key_of(one.pair)) not in seen:
                    seen.add(key)
                    left[recipe] -= 1
                    kinds[draft.kind] += 1
                    made.append(one)
        progress(phase, len(made), wanted)
    return made


async def _drafts(bench: Bench, maker: Maker, row: Row, phase: str) -> list[Draft]:
    """What the row gives; nothing where serving would withhold all of its answer (a side where none is known)."""
    try:
        case = bench.material.case(row)
    except TooLarge:  # with its pictures alone it has no room in this model's context
        return []
    if not case.answer:
        return []
    if not set(RAG) & {*maker.sources} and not _shows(bench.plan, row):
        case = replace(case, prompt=case.bare, retrieved=False)
    return await maker.drafts(case, _rng(bench.plan.seed, phase, row.digest))


def _shows(plan: Plan, row: Row) -> bool:
    return int(row.digest[-8:], 16) / 2**32 < plan.shown


def _rarest(drafts: Sequence[Draft], quotas: Mapping[Recipe, int], kinds: Counter[str]) -> list[tuple[Recipe, Draft]]:
    chosen = []
    for recipe in quotas:
        own = [draft for draft in drafts if draft.source == source_of(recipe)]
        if own:
            chosen.append((recipe, min(own, key=lambda draft: kinds[draft.kind])))
    return chosen


def _made(bench: Bench, recipe: Recipe, draft: Draft, row: Row) -> Made:
    task, unit = row.told.task, unit_of(row)
    pair = bench.album.pair(
        draft, patient=unit, split=row.split, finding=finding_of(row), seed=bench.plan.seed
    )  # fmt: skip
    truth, wrong = (plain(text, task) for text in (draft.chosen, draft.rejected))
    return Made(pair, recipe, row.told.question or "Draft the report.", truth, wrong, draft.confidence)


def _from_desk(bench: Bench, desk: Edits) -> list[Made]:
    """All that there is, up to the quota."""
    made = list[Made]()
    for draft, patient in desk.pairs():
        if len(made) == bench.plan.quotas()["edits"]:
            break
        (drawn,) = assign_splits([patient], [None], bench.plan.validation, bench.plan.seed)
        split = "val" if drawn == "val" else "train"
        truth, wrong = (plain(text, "report") for text in (draft.chosen, draft.rejected))
        finding = min(stated_in(truth, ""), default="none")
        pair = bench.album.pair(draft, patient=patient, split=split, finding=finding, seed=bench.plan.seed)
        made.append(Made(pair, "edits", "Draft the report.", truth, wrong, None))
    return made


def _summary(
    plan: Plan, made: Sequence[Made], pairs: Sequence[Pair], desk: Edits, rows: Sequence[Row]
) -> dict[str, Any]:
    gained = Counter(one.recipe for one in made)
    return {
        "model": plan.model,
        "rows": len(rows),
        "pairs": len(pairs),
        "wanted": plan.quotas(),
        "made": {recipe: gained[recipe] for recipe in plan.recipes},
        "splits": Counter(pair.split for pair in pairs),
        "weighed by": Counter(pair.weighed_by for pair in pairs),
        "reports left out": desk.left_out,
    }


def _same_run(plan: Plan, rows: Sequence[Row], voices: Voices, out: Path) -> None:
    """Raises `BadInput` when the folder holds a run of another plan, data or model."""
    digest = hashlib.sha256("\n".join(f"{row.digest} {row.split}" for row in rows).encode()).hexdigest()
    now, path = told(plan, digest, voices.reader.info.model_hash), out / RUN
    if path.is_file() and (differences := changed(json.loads(path.read_text(encoding="utf-8")), now)):
        raise BadInput(
            f"{out} holds pairs begun otherwise ({'; '.join(differences[:5])}). Undo the change to go on with it, or "
            "name another --out."
        )
    _write_json(path, now)


def _write_json(path: Path, what: Any) -> None:
    text = json.dumps(what, indent=2, ensure_ascii=False) + "\n"
    write_whole(path, lambda draft: draft.write_text(text, encoding="utf-8"))


def _rng(seed: int, *what: str) -> np.random.Generator:
    return np.random.default_rng([seed, *hashlib.sha256(" ".join(what).encode()).digest()])
