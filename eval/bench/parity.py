"""Does the served model say what the in-process one says? Greedy answers of transformers and of the real vLLM, both in
float32, to the same prompts: of every task, with references and without, from phantoms that no training sees.

Where answers differ, the two tokens at the first difference are shown with their log-probabilities in transformers: a
gap near 0 is a tie that rounding decides; anything else is an error. Run, with a server that is up or one that is
started for it (`make vllm-cpu` makes its environment):

    python -m eval.bench.parity --n 200 [--model FOLDER] [--url http://127.0.0.1:8000/v1]
"""

import asyncio
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from assistant.engines.base import Prompt, Sampling
from assistant.engines.card import pocket_folder
from assistant.evidence import shown
from assistant.settings import EngineSettings
from assistant.tasks import task_of
from eval.bench.vllm_server import vllm_server
from retrieval.types import Evidence

if TYPE_CHECKING:
    from assistant.engines.local import LocalEngine
    from eval.exam.benchmark import Benchmark

TOKENS = 96  # of an answer: longer ones differ no earlier
START_S = 600  # a loaded machine takes minutes
NEAR = 0.01  # natural log-probability between two tokens that rounding may swap


@dataclass(frozen=True, slots=True)
class Difference:
    """`tokens`: what transformers says at the first difference and what the server says; `gap`: how much likelier the
    first is than the second after the same text, in natural logarithms, by transformers."""

    task: str
    before: str
    tokens: tuple[str, str]
    gap: float


def benchmarks() -> "list[Benchmark]":
    from eval.benchmarks.comparison import Comparison
    from eval.benchmarks.criteria import Criteria
    from eval.benchmarks.diagnosis import Diagnosis
    from eval.benchmarks.hard import Hard
    from eval.benchmarks.reading import Reading
    from eval.benchmarks.report import ReportDraft
    from eval.benchmarks.vqa_closed import ClosedVqa
    from eval.benchmarks.vqa_open import OpenVqa
    from eval.benchmarks.vqa_places import Places

    return [ClosedVqa(), Reading(), OpenVqa(), Hard(), ReportDraft(), Places(), Diagnosis(), Comparison(), Criteria()]


def prompts(n: int, seed: int = 0) -> Iterator[tuple[str, Prompt]]:
    """(benchmark, prompt) of `n` items, the benchmarks in turn, as the assistant would put them."""
    items = {benchmark.name: benchmark.items(n, seed) for benchmark in benchmarks()}
    drawn = ((name, next(items[name], None)) for name in cycle(items))
    for name, item in islice(((name, item) for name, item in drawn if item), n):
        request = item.request()
        draft = task_of(request).draft(request, [shown(one) for one in (item.references or Evidence()).items])
        kept = frozenset(part for part, _, _ in draft.parts())
        yield name, draft.prompt(kept, Sampling(max_tokens=TOKENS))


def difference(
    task: str, prompt: Prompt, answers: tuple[str, str], engine: "LocalEngine", tokenizer: Any
) -> Difference:
    """Where two unlike answers part. The end of an answer is a token, too."""
    end = tokenizer.eos_token_id
    own, other = ([*tokenizer(text, add_special_tokens=False)["input_ids"], end] for text in answers)
    at = next(place for place, (a, b) in enumerate(zip(own, other, strict=False)) if a != b)
    first, second = engine.score(prompt, [tokenizer.decode(ids[: at + 1]) for ids in (own, other)])
    tokens = (tokenizer.decode(own[at]), tokenizer.decode(other[at]))
    return Difference(task, tokenizer.decode(own[:at]), tokens, first - second)


async def served(url: str, asked: Sequence[Prompt], at_once: int) -> list[str]:
    from assistant.engines.http import HttpEngine

    engine, slots = HttpEngine(EngineSettings(kind="http", url=url)), asyncio.Semaphore(at_once)

    async def one(prompt: Prompt) -> str:
        async with slots:
            return "".join([delta.text async for delta in engine.stream(prompt)])

    try:
        return await asyncio.gather(*map(one, asked))
    finally:
        await engine.close()


def main(
    n: Annotated[int, typer.Option("--n", min=1, help="Prompts.")] = 200,
    model: Annotated[Path | None, typer.Option(help="Folder of the model; the one that ships when not given.")] = None,
    url: Annotated[str | None, typer.Option(help="Of a vLLM that serves it in float32; else one is started.")] = None,
    at_once: Annotated[int, typer.Option(min=1, help="Prompts the server is given at a time.")] = 4,
) -> None:
    """Print the share of equal answers, and every difference with its gap."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # on a GPU the in-process engine computes in half precision
    from transformers import AutoTokenizer

    from assistant.engines.local import LocalEngine

    console, folder = Console(), model or pocket_folder()
    named = list(prompts(n))
    with vllm_server(folder, wait_s=START_S) if url is None else nullcontext(url) as address:
        said = asyncio.run(served(address, [prompt for _, prompt in named], at_once))
    engine, tokenizer = LocalEngine(str(folder)), AutoTokenizer.from_pretrained(folder)
    found = []
    for (task, prompt), other in zip(track(named, "In process"), said, strict=True):
        own = "".join(delta.text for delta in engine.generate(prompt, threading.Event()))
        if own != other:
            found.append(difference(task, prompt, (own, other), engine, tokenizer))
    table = Table("task", "after", "transformers", "vLLM", "gap")
    for one in found:
        table.add_row(one.task, f"…{one.before[-40:]!r}", *map(repr, one.tokens), f"{one.gap:.5f}")
    console.print(f"{n - len(found)} of {n} answers alike ({1 - len(found) / n:.1%})")
    if found:
        console.print(table)
        console.print(
            f"{sum(abs(one.gap) <= NEAR for one in found)} of {len(found)} differences within {NEAR}: near-ties"
        )


if __name__ == "__main__":
    typer.run(main)
