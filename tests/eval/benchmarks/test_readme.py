"""The example of the README is a benchmark that runs."""

import re
from pathlib import Path

import pytest

from eval.exam.registry import find
from retrieval.errors import BadInput
from tests.eval.benchmarks.asking import figures_of, perfect, rows_of
from tests.eval.benchmarks.folders import write_picture

README = Path(__file__).parents[3] / "eval" / "README.md"
ROWS = """id,film,patient,question,answer,age
1,films/1.png,p1,Is there a pleural effusion?,no,40
2,films/1.png,p1,What is seen at the apex?,a small pneumothorax,40
3,films/2.png,p2,Is the heart enlarged?,Yes,71
"""
SAID = {"1": "No.", "2": "A small pneumothorax.", "3": "Yes, mildly."}


@pytest.fixture
def example(tmp_path: Path) -> Path:
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(code.splitlines()) <= 40
    path = tmp_path / "my_set.py"
    path.write_text(code)
    return path


@pytest.mark.anyio
async def test_the_example_runs(example: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    for n in (1, 2):
        write_picture(folder / "films" / f"{n}.png", n)
    (folder / "questions.csv").write_text(ROWS)
    benchmark = find(str(example), folder)
    items = list(benchmark.items(100, 0))
    assert {item.id: (item.cluster, item.groups["age"]) for item in items} == {
        "1": ("p1", "under 50"), "2": ("p1", "under 50"), "3": ("p2", "50 and over"),
    }  # fmt: skip
    says = perfect([(item.request(), f"[answer] {SAID[item.id]} [image]") for item in items])
    figures = figures_of(benchmark, await rows_of(benchmark, items, says, tmp_path))
    assert set(figures.values()) == {1.0}


def test_the_example_says_what_it_needs(example: Path) -> None:
    with pytest.raises(BadInput, match=r"reads a folder with questions.csv and the films: add --data"):
        find(str(example))
