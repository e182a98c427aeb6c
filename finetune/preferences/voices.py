"""Whom a build asks: the model to be tuned and the judges, from the settings and the names on the command line."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from assistant.engines.base import Engine
from assistant.engines.card import Card, token_bound
from assistant.engines.http import HttpEngine
from assistant.settings import Settings, with_engine
from finetune.errors import BadInput
from finetune.preferences.answers import Answers, Speaker
from finetune.preferences.build import Voices
from finetune.preferences.plan import Plan
from finetune.sft_samples import Reader


class Served(Reader):
    """A served model: its tokens are counted on the safe side, since its tokenizer is elsewhere."""

    def count(self, texts: Sequence[str]) -> list[int]:
        return [token_bound(text) for text in texts]


def judge_settings(settings: Settings, name: str) -> Settings:
    """Settings of the judge of this name: "pocket", a folder or a name on a hub for a model in this process, or
    MODEL@URL (@URL: the first it lists) for a served one."""
    if "@http" in name:
        model, url = name.split("@", 1)
        change = {"kind": "http", "model": model, "url": url}
    else:
        change = {"kind": "local", "model": name}
    return with_engine(settings, adapters={}, **change)


@asynccontextmanager
async def voices(plan: Plan, settings: Settings, out: Path) -> AsyncIterator[Voices]:
    """Open until the build is done; no weights are loaded before somebody is asked. Raises `Misconfigured`, `BadInput`
    and `EngineDown`."""
    from assistant.worker import Worker

    opened: list[Worker] = []
    engines: list[Engine] = []

    def engine_of(which: Settings) -> Engine:
        if which.engine.kind == "http":
            engines.append(HttpEngine(which.engine))
        else:
            opened.append(Worker(which))
            engines.append(opened[-1].engine)
        return engines[-1]

    answers = Answers(out / "answers.jsonl")
    try:
        if plan.adapter and plan.adapter not in settings.engine.adapters and settings.engine.kind == "local":
            raise BadInput(f"There is no adapter {plan.adapter!r}: name it under [engine] adapters.")
        needed = plan.asks_model or settings.engine.kind == "http"
        target = engine_of(settings) if needed else None
        judges = [engine_of(judge_settings(settings, name)) for name in plan.judges]
        yield Voices(
            await _reader(settings, target),
            Speaker(target, answers, plan.adapter) if target else None,
            tuple(Speaker(judge, answers) for judge in judges),
        )
    finally:
        for engine in engines:
            await engine.close()
        for worker in opened:
            worker.close()


async def _reader(settings: Settings, target: Engine | None) -> Reader:
    if settings.engine.kind == "local":
        return Reader.open(settings.engine.model)
    assert target is not None
    info = await target.info()
    return Served(info.model, info.model, None, Card(info.domains, info.demonstration), info, frozenset())
