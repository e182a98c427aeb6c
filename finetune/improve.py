"""`consult improve`: from what clinicians changed to an adapter that may be promoted, the way from top to bottom in
`run`. Nobody is served by it: what is left at the end is a page, and a command for the person who has read it.

Every step writes into a folder of its own and is passed over, or gone on with, when it is there already.
"""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from assistant.settings import Settings, load_settings
from finetune.adapters import take_in
from finetune.checkpoints import changed, write_whole
from finetune.configs import Frozen, load_config
from finetune.dpo import run as tune
from finetune.dpo_config import DpoConfig, DpoTraining, Objective
from finetune.errors import BadInput, Problem
from finetune.gate import GATE, Gate, page, weigh
from finetune.preferences.build import PAIRS, build
from finetune.preferences.pair import Pair, read_pairs
from finetune.preferences.plan import Plan, Recipe
from finetune.preferences.voices import voices
from finetune.sft_config import Lora
from retrieval.embed import Progress, no_progress

Say = Callable[[str], None]
SHOWN = 5  # pairs a person reads on the page
RUN = "improve.json"


class Sources(Frozen):
    """What `consult preferences build` is told; see its --help."""

    recipes: Annotated[tuple[Recipe, ...], Field(min_length=1)] = ("edits",)
    n: PositiveInt = 1000
    phantoms: Annotated[int, Field(ge=0)] = 0
    first_seed: int = 1_950_000
    size: Annotated[int, Field(ge=64)] = 256
    data: tuple[Path, ...] = ()
    knowledge: str = "none"
    judges: tuple[str, ...] = ()
    validation: Annotated[float, Field(ge=0, lt=1)] = 0.15


class ExamOf(Frozen):
    """What both are asked: `benchmarks` of `consult eval list`, `n` items of each (None: all)."""

    benchmarks: Annotated[tuple[str, ...], Field(min_length=1)] = ("report", "hard", "vqa-closed")
    n: Annotated[int, Field(ge=2)] | None = None
    seed: Annotated[int, Field(ge=0, le=400)] = 0


class ImproveConfig(Frozen):
    """`name`: of the adapter. `least`: fewer pairs teach nothing, and end the way. `seed`: of pairs and training."""

    out: Path
    name: str
    least: PositiveInt = 20
    pairs: Sources = Sources()
    objective: Objective = Objective(sft=0.2)
    lora: Lora = Lora(dropout=0.0)
    training: DpoTraining
    exam: ExamOf = ExamOf()
    seed: int = 0

    @model_validator(mode="after")
    def _an_adapter(self) -> Self:
        if self.lora.merge:
            raise ValueError("what is proposed is an adapter, which can be taken back: lora.merge must be false")
        return self


def run(config: ImproveConfig, settings: Settings, progress: Progress = no_progress, say: Say = print) -> Path:
    """Returns the page. Raises `BadInput` when there are too few pairs or the folder is another run's, and what the
    steps raise."""
    if settings.engine.kind != "local":
        raise BadInput("consult improve tunes the model of this process; name it as [engine] model, kind = local.")
    _same_run(config, settings)
    pairs = asyncio.run(_pairs(config, settings, progress))
    told = read_pairs(pairs, _raised)
    say(f"{len(told)} pairs in {pairs}.")
    if len(told) < config.least:
        raise BadInput(
            f"{len(told)} pairs are fewer than `least` {config.least}: nothing was trained. Sign more reports."
        )
    folder = tune(_training(config, settings, pairs, told), progress, say)
    place = take_in(settings, Path(str(folder)), config.name)
    base, candidate = (_exam(config, adapter, progress, say) for adapter in (None, config.name))
    gate = weigh(config.name, place, base, candidate, config.seed)
    gate.save(place / GATE)
    path = config.out / "page.md"
    write_whole(path, lambda draft: draft.write_text(_page(config, told, gate), encoding="utf-8"))
    return path


def _same_run(config: ImproveConfig, settings: Settings) -> None:
    """Whatever is changed makes it another run: its steps rest on one another."""
    path = config.out / RUN
    now = {"model": settings.engine.model, **json.loads(config.model_dump_json(exclude={"out"}))}
    if not path.is_file():
        write_whole(path, lambda draft: draft.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8"))
    elif differences := changed(json.loads(path.read_text(encoding="utf-8")), now):
        raise BadInput(f"{config.out} holds a run begun otherwise ({'; '.join(differences[:3])}); name another `out`.")


def _raised(problem: Problem) -> None:
    raise BadInput(str(problem))


async def _pairs(config: ImproveConfig, settings: Settings, progress: Progress) -> Path:
    """Collected once: what is signed while the run goes on belongs to the next one."""
    out = config.out / "pairs"
    if not (out / PAIRS).is_file():
        sources = config.pairs
        told = sources.model_dump() | {"knowledge": settings.home if sources.knowledge == "own" else sources.knowledge}
        plan = Plan(model=settings.engine.model, seed=config.seed, **told)
        async with voices(plan, settings, out) as speakers:
            await build(plan, speakers, settings.home, out, progress)
    return out / PAIRS


def _training(config: ImproveConfig, settings: Settings, pairs: Path, told: list[Pair]) -> DpoConfig:
    """Without held-out pairs nothing can stop it early."""
    held_out = any(pair.split == "val" for pair in told)
    training = config.training.model_copy(update={} if held_out else {"patience": None})
    method: Literal["lora", "qlora"] = "qlora" if settings.engine.quantize == "nf4" else "lora"
    return DpoConfig(
        out=config.out / config.name, model=settings.engine.model, method=method, pairs=(pairs,), lora=config.lora,
        objective=config.objective, training=training,
    )  # fmt: skip


def _exam(config: ImproveConfig, adapter: str | None, progress: Progress, say: Say) -> Path:
    from eval.exam.registry import find
    from eval.exam.run import Exam, hold

    def watch(name: str, done: int, total: int) -> Callable[[], None]:
        say(f"{adapter or 'the model as it is'}, {name}: {total - done} of {total} items to go.")
        return lambda: None

    out = config.out / f"exam-{adapter or 'base'}"
    benchmarks = {name: find(name) for name in config.exam.benchmarks}
    exam = Exam(benchmarks, load_settings(), out, n=config.exam.n, seed=config.exam.seed, adapter=adapter)
    asyncio.run(hold(exam, watch, progress))
    return out


def _page(config: ImproveConfig, pairs: list[Pair], gate: Gate) -> str:
    """What it learnt from, what the exams say, and what to type in order to agree."""
    sources: dict[str, int] = {}
    for pair in pairs:
        sources[pair.source] = sources.get(pair.source, 0) + 1
    lines = [
        page(gate), "## What it learnt from", "",
        f"{len(pairs)} pairs ({', '.join(f'{name} {count}' for name, count in sorted(sources.items()))}) of "
        f"{len({pair.patient for pair in pairs})} patients; all of them by `consult preferences report "
        f"{config.out / 'pairs'}`. How the training went: `{config.out / config.name / 'curves.png'}`.", "",
    ]  # fmt: skip
    for pair in pairs[:SHOWN]:
        lines += [f"- {pair.why}", *_quoted("preferred", pair.chosen), *_quoted("instead of", pair.rejected), ""]
    lines += ["## If you agree", ""]
    if (why := gate.refusal()) is None:
        lines += [f"    consult adapters promote {config.name}", "", "and `consult adapters demote` takes it back.", ""]
    else:
        lines += [f"There is nothing to agree to: {why}", ""]
    return "\n".join(lines)


def _quoted(label: str, text: str) -> list[str]:
    return [f"  {label}:", *(f"  > {line}" for line in text.splitlines())]


def run_file(path: Path, progress: Progress, say: Say) -> Path:
    """As the YAML file says, with this installation's settings."""
    return run(load_config(path, ImproveConfig), load_settings(), progress, say)
