"""An exam from its settings to its folder: libraries built, leaks looked for, benchmarks sat, figures written.

The folder: `journal/` (what was answered so far), `library/` (what was searched), `results.json`, `table.md`, `plots/`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from assistant.assistant import Assistant
from assistant.settings import Settings
from eval.exam.benchmark import Benchmark, Row
from eval.exam.candidate import Candidate
from eval.exam.guard import Guard
from eval.exam.library import BUNDLED, NONE, contents, over
from eval.exam.results import Results, measure
from eval.exam.sitting import Journal, fingerprint, sit
from eval.exam.tables import write

Knowledge = Literal["bundled", "own", "none"]
Watch = Callable[[str, int, int], Callable[[], None]]  # (benchmark, done, total) → what is called at every item
LIBRARIES = ("consult", "torch", "transformers", "scikit-learn", "sacrebleu", "nltk", "rouge-score")
SCORING = tuple(Path(__file__).parents[1] / room for room in ("benchmarks", "metrics", "phantoms"))


@dataclass(frozen=True, slots=True)
class Exam:
    """`benchmarks` by the names they were asked for. `n` None: each benchmark's own number of items."""

    benchmarks: Mapping[str, Benchmark]
    settings: Settings
    out: Path
    n: int | None = None
    quick: bool = False
    seed: int = 0
    adapter: str | None = None
    knowledge: Knowledge = "bundled"
    at_once: int = 1

    def size(self, benchmark: Benchmark) -> int:
        return self.n or (benchmark.quick if self.quick else benchmark.full)


async def hold(exam: Exam, watch: Watch) -> Results:
    """Sits every benchmark and writes the folder; after each, so that a broken-off exam has its finished part.
    Raises `LeakFound`, `BadInput` when the folder holds another exam, and what an engine that is down raises."""
    assistant = Assistant.open(exam.settings)
    try:
        await assistant.warm()
        who = await _who(assistant, exam)
        results = Results(candidate=who, seed=exam.seed, versions={name: version(name) for name in LIBRARIES})
        guards: dict[str, Guard] = {}  # by what the library holds: many benchmarks share one
        for name, benchmark in exam.benchmarks.items():
            with _library(exam, assistant, benchmark) as sitting:
                held = contents(sitting.library)
                guard = guards.setdefault(held, guards.get(held) or Guard.over(sitting, exam.settings, exam.adapter))
                rows = await _rows(exam, name, benchmark, sitting, guard, {**who, "library": held}, watch)
            results.notes += [note for note in guard.notes if note not in results.notes]
            results.benchmarks[name] = measure(benchmark, rows, exam.seed)
            write(results, exam.out)
            benchmark.draw(rows, exam.out / "plots")
    finally:
        await assistant.close()
    return results


async def _rows(
    exam: Exam, name: str, benchmark: Benchmark, assistant: Assistant, guard: Guard, who: Mapping[str, Any],
    watch: Watch,
) -> list[Row]:  # fmt: skip
    items = guard.admit(list(benchmark.items(exam.size(benchmark), exam.seed)))
    header = {"benchmark": name, "n": exam.size(benchmark), "seed": exam.seed, "code": fingerprint(*SCORING), **who}
    journal = Journal(exam.out / "journal" / f"{Path(name).name.replace(':', '-')}.jsonl", header)
    done = sum(item.id in journal.rows for item in items)
    candidate = Candidate(assistant, adapter=exam.adapter, references=exam.knowledge != "none")
    return await sit(benchmark, candidate, items, journal, at_once=exam.at_once, step=watch(name, done, len(items)))


@contextmanager
def _library(exam: Exam, assistant: Assistant, benchmark: Benchmark) -> Iterator[Assistant]:
    """The assistant over what this benchmark needs, else over what the exam was told to use."""
    corpus = benchmark.corpus() or {"bundled": BUNDLED, "none": NONE, "own": None}[exam.knowledge]
    opened = over(assistant, exam.settings, corpus, exam.out / "library") if corpus else nullcontext(assistant)
    with opened as sitting:
        yield sitting


async def _who(assistant: Assistant, exam: Exam) -> dict[str, Any]:
    """What makes two exams comparable or not; the generation of an index isn't part of it, its content is."""
    info = await assistant.info()
    named = {key: info[key] for key in ("model", "model_hash", "engine", "encoders", "demonstration")}
    how = exam.settings.retrieval.model_dump(mode="json", exclude={"url", "api_key"})
    return {**named, "adapter": exam.adapter, "knowledge": exam.knowledge, "retrieval": how}
