"""The report: lengths, weights, and a page on which nothing from data is markup."""

from pathlib import Path

import pytest
from PIL import Image

from finetune.errors import BadInput, WrongData
from finetune.preferences.cli import told_of
from finetune.preferences.pair import Pair, write_pairs
from finetune.preferences.report import lengths, some, write_report
from tests.finetune.preferences.test_pair import line, written


def pairs_of(n: int) -> list[Pair]:
    return [Pair.model_validate(line(id=str(k), patient=f"p{k}", weight=0.75 + 0.1 * (k % 5))) for k in range(n)]


def words(texts: list[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def test_lengths_are_compared_pair_by_pair() -> None:
    longer = [pair.model_copy(update={"rejected": "one two three four five"}) for pair in pairs_of(20)]
    same = longer[0].model_copy(update={"id": "x", "rejected": longer[0].chosen, "source": "lesion"})
    every, source = lengths([*longer, same], words)  # type: ignore[arg-type]
    assert (every.name, every.pairs, source.name) == ("all", 20, "hallucination")
    assert (every.chosen, every.rejected) == (3, 5)
    assert (every.difference.value, every.difference.low, every.difference.high) == (2, 2, 2)
    assert every.shorter_right == 1


def test_a_page_is_written_beside_its_pictures_and_escapes_what_it_shows(tmp_path: Path) -> None:
    path = written(tmp_path)
    pairs = pairs_of(3)
    evil = pairs[0].model_copy(update={"id": "e", "chosen": "<script>alert(1)</script>", "why": "<b>why</b>"})
    write_pairs(path, [*pairs, evil])
    page = write_report(tmp_path, 10).read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "&lt;b&gt;why" in page
    assert page.count("<div class=pair>") == 4
    assert page.count("src='images/one.png'") == 8
    assert "mean words" in page.lower()
    with Image.open(tmp_path / "weights.png") as drawn:
        assert drawn.size[0] > 500


def test_so_many_of_each_source_are_shown() -> None:
    pairs = pairs_of(8)
    pairs += [pair.model_copy(update={"id": f"l{pair.id}", "source": "lesion"}) for pair in pairs[:2]]
    shown = some(pairs, 3, seed=0)
    assert [pair.source for pair in shown] == ["hallucination"] * 3 + ["lesion"] * 2
    assert some(pairs, 3, seed=0) == shown


def test_wrong_lines_and_an_empty_file_are_told(tmp_path: Path) -> None:
    path = written(tmp_path, line(chosen=""))
    with pytest.raises(WrongData, match=r"pairs\.jsonl:1: its chosen answer is empty"):
        write_report(tmp_path, 3)
    path.write_text("")
    with pytest.raises(BadInput, match="holds no pair"):
        write_report(tmp_path, 3)


def test_what_could_not_be_made_is_said() -> None:
    summary = {
        "pairs": 3, "wanted": {"typed": 2, "edits": 2}, "made": {"typed": 2, "edits": 1}, "weighed by": {"none": 3},
        "reports left out": {"signed as drafted": 4},
    }  # fmt: skip
    said = "\n".join(told_of(summary, Path("x")))
    assert "edits: 1 of 2: no more could be made" in said
    assert "weighed by none are 1" in said
    assert "Reports left out: 4, signed as drafted." in said
