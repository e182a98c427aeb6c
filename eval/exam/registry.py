"""Benchmarks by name: entry points of the group `consult.benchmarks` (ours come through it, too), or a file of one's
own, `consult eval my_set.py`. `robustness:NAME` is any of them on corrupted pictures."""

import importlib.util
import inspect
import sys
from importlib.metadata import entry_points
from pathlib import Path

from eval.exam.benchmark import Benchmark
from retrieval.errors import BadInput

GROUP = "consult.benchmarks"
ROBUSTNESS = "robustness:"


def installed() -> dict[str, type[Benchmark]]:
    """By name."""
    return {point.name: point.load() for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)}


def find(name: str, data: Path | None = None, *, to_sit: bool = True) -> Benchmark:
    """The benchmark of this name, or the one defined in the Python file of this name; `to_sit` False: for its figures
    alone, without its data. Raises `BadInput`."""
    if name.startswith(ROBUSTNESS):
        from eval.benchmarks.robustness import Robustness

        return Robustness(find(name.removeprefix(ROBUSTNESS), data, to_sit=to_sit))
    made = _from_file(Path(name)) if name.endswith(".py") else _installed(name)
    if to_sit and made.needs_data and data is None:
        raise BadInput(f"{name} reads {made.needs_data}: add --data {name}=FOLDER.")
    return made(data)


def _installed(name: str) -> type[Benchmark]:
    for point in entry_points(group=GROUP, name=name):
        made: type[Benchmark] = point.load()
        return made
    raise BadInput(f"There is no benchmark {name!r}. `consult eval list` names them; a .py file works as well.")


def _from_file(path: Path) -> type[Benchmark]:
    spec = importlib.util.spec_from_file_location(f"consult_benchmark_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise BadInput(f"{path} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for the names of their annotations
    try:
        spec.loader.exec_module(module)
    except (SyntaxError, ImportError, NameError) as error:
        raise BadInput(f"{path} can't be loaded: {error}.") from error
    own = [
        thing
        for thing in vars(module).values()
        if inspect.isclass(thing) and issubclass(thing, Benchmark) and thing.__module__ == module.__name__
        and not inspect.isabstract(thing)
    ]  # fmt: skip
    if len(own) != 1:
        raise BadInput(f"{path} defines {len(own)} benchmarks; one is expected.")
    return own[0]
