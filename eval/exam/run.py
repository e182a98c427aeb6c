"""An exam from its settings to its folder: items listed, libraries built, leaks looked for, benchmarks sat and scored.

The folder: `journal/` (what was answered so far), `library/` (what was searched), `results.json`, `table.md`, `plots/`.
What needs no model is checked before one is loaded.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import assistant
from assistant.assistant import Assistant
from assistant.engines.card import weights_hash
from assistant.errors import BadInput
from assistant.settings import Settings
from eval.exam.benchmark import Benchmark, Item, Row
from eval.exam.candidate import Candidate
from eval.exam.guard import Guard
from eval.exam.library import BUNDLED, NONE, contents, over
from eval.exam.results import Results, measure
from eval.exam.sitting import Journal, alone, fingerprint, items_digest, sit
from eval.exam.tables import write
from retrieval.embed import Progress

Knowledge = Literal["bundled", "own", "none"]
Watch = Callable[[str, int, int], Callable[[], None]]  # (benchmark, done, total) → what is called at every item
LIBRARIES = ("consult", "torch", "transformers", "scikit-learn", "sacrebleu", "nltk", "rouge-score")
SCORING = (Path(__file__).parents[1], Path(assistant.__path__[0]))  # prompts and parsers are the assistant's


@dataclass(frozen=True, slots=True)
class Exam:
    """`benchmarks` by the names they were asked for. `n` None: each benchmark's own number of items. `fresh`: what was
    answered before is asked again."""

    benchmarks: Mapping[str, Benchmark]
    settings: Settings
    out: Path
    n: int | None = None
    quick: bool = False
    seed: int = 0
    adapter: str | None = None
    knowledge: Knowledge = "bundled"
    at_once: int = 1
    fresh: bool = False

    def size(self, benchmark: Benchmark) -> int:
        return self.n or (benchmark.quick if self.quick else benchmark.full)


async def hold(exam: Exam, watch: Watch, filling: Progress) -> Results:
    """Sits every benchmark and writes the folder; after each, so that a broken-off exam has its finished part.
    Raises `LeakFound`, `BadInput` when the folder holds another exam, and what an engine that is down raises."""
    items = {name: listed(name, benchmark, exam) for name, benchmark in exam.benchmarks.items()}
    with alone(exam.out):
        opened = Assistant.open(exam.settings)
        opened.adapter = None  # of an exam that names none the model as it is, whatever is promoted
        try:
            await opened.warm()
            results = await _started(opened, exam)
            guards: dict[str, Guard] = {}  # by what the library holds: many benchmarks share one
            for name, benchmark in exam.benchmarks.items():
                with _library(exam, opened, benchmark, filling) as sitting:
                    held = contents(sitting.library)
                    if held not in guards:
                        guards[held] = Guard.over(sitting, exam.settings, exam.adapter)
                    header = {**_header(exam, name, benchmark, items[name]), **results.candidate, "library": held}
                    rows = await _rows(exam, benchmark, sitting, guards[held].admit(items[name]), header, watch)
                results.notes += [note for note in guards[held].notes if note not in results.notes]
                results.benchmarks[name] = measure(benchmark, rows, exam.seed)
                write(results, exam.out)
                benchmark.draw(rows, exam.out / "plots")
        finally:
            await opened.close()
    return results


def listed(name: str, benchmark: Benchmark, exam: Exam) -> list[Item]:
    """The items of this exam. Raises `BadInput` when there are none."""
    if not exam.size(benchmark):
        raise BadInput(f"{name} is not part of --quick: say how many items with --n.")
    items = list(benchmark.items(exam.size(benchmark), exam.seed))
    if not items:
        raise BadInput(f"{name} finds no item: --data should name {benchmark.needs_data or 'a folder with items'}.")
    return items


async def _started(opened: Assistant, exam: Exam) -> Results:
    """The results that the folder holds already, of the same candidate and seed, or new ones."""
    who = await _who(opened, exam)
    made = Results(candidate=who, seed=exam.seed, versions=_versions())
    if exam.fresh or not (exam.out / "results.json").is_file():
        return made
    before = Results.load(exam.out)
    if (before.candidate, before.seed) != (who, exam.seed):
        differing = sorted(key for key in who if before.candidate.get(key) != who[key]) or ["seed"]
        raise BadInput(
            f"{exam.out} holds the results of another exam: name another --out, or --fresh to start over. It differs "
            f"in: {', '.join(differing)}."
        )
    return before


def _header(exam: Exam, name: str, benchmark: Benchmark, items: Sequence[Item]) -> dict[str, Any]:
    """What a row depends on, beside who is examined."""
    code = fingerprint(*SCORING, benchmark.source)
    return {"benchmark": name, "n": exam.size(benchmark), "seed": exam.seed, "code": code, "data": items_digest(items)}


async def _rows(
    exam: Exam, benchmark: Benchmark, sitting: Assistant, items: Sequence[Item], header: Mapping[str, Any], watch: Watch
) -> list[Row]:
    name = str(header["benchmark"])
    journal = Journal(exam.out / "journal" / f"{file_name(name)}.jsonl", header, fresh=exam.fresh)
    done = sum(item.id in journal.rows for item in items)
    candidate = Candidate(sitting, adapter=exam.adapter, references=exam.knowledge != "none")
    return await sit(benchmark, candidate, items, journal, at_once=exam.at_once, step=watch(name, done, len(items)))


def file_name(benchmark: str) -> str:
    """What a benchmark is called in file names: `robustness:…` and paths hold what they must not."""
    return Path(benchmark).name.replace(":", "-")


@contextmanager
def _library(exam: Exam, opened: Assistant, benchmark: Benchmark, filling: Progress) -> Iterator[Assistant]:
    """The assistant over what this benchmark needs, else over what the exam was told to use."""
    corpus = benchmark.corpus() or {"bundled": BUNDLED, "none": NONE, "own": None}[exam.knowledge]
    sitting = over(opened, exam.settings, corpus, exam.out / "library", filling) if corpus else nullcontext(opened)
    with sitting as ready:
        yield ready


async def _who(opened: Assistant, exam: Exam) -> dict[str, Any]:
    """What makes two exams comparable or not; the generation of an index isn't part of it, its content is."""
    info = await opened.info()
    named = {key: info[key] for key in ("model", "model_hash", "engine", "encoders", "demonstration")}
    how = exam.settings.retrieval.model_dump(mode="json", exclude={"url", "api_key"})
    folder = exam.settings.engine.adapters.get(exam.adapter) if exam.adapter else None
    adapter = {"adapter": exam.adapter, "adapter_hash": weights_hash(folder) if folder else None}
    return {**named, **adapter, "knowledge": exam.knowledge, "retrieval": how}


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # torch isn't needed to examine a served model
            continue
    return found
