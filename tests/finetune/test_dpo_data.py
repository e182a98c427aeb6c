"""All that is wrong with pairs is told by file and line before any weights are loaded."""

from pathlib import Path

import pytest

from finetune.dpo import run
from finetune.dpo_data import read_samples
from finetune.errors import BadInput, WrongData
from finetune.sft_samples import Reader
from tests.finetune.dpo_parts import changed_line, config_of, write_pairs
from tests.finetune.sft_parts import FIRST_SEED, write_model

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize(
    ("line", "values", "told"),
    [
        (2, {"rejected_images": ["gone.png"]}, r"pairs\.jsonl:2: its image is not there"),
        (1, {"chosen": "  "}, r"pairs\.jsonl:1: its chosen answer is empty"),
        (1, {"rejected": "[answer] Yes, there is an effusion. [image]"}, r"pairs\.jsonl:1: .* the same"),
        (3, {"weight": float("nan")}, r"pairs\.jsonl:3: weight"),
        (6, {"patient": f"family train, seed {FIRST_SEED}"}, r"pairs\.jsonl:6: its patient is in val here and in"),
        (4, {"chosen": "word " * 3000}, r"pairs\.jsonl:4: prompt and answer need \d+ tokens; the model reads \d+"),
    ],
)  # fmt: skip
def test_a_wrong_pair_is_told_by_its_line(
    tmp_path: Path, model: Path, line: int, values: dict[str, object], told: str
) -> None:
    pairs = write_pairs(tmp_path)
    changed_line(pairs, line, **values)
    with pytest.raises(WrongData, match=told):
        run(config_of(tmp_path / "out", model, pairs))
    assert not (tmp_path / "out" / "run.json").exists()


def test_a_patient_on_both_sides_of_two_files_is_told(tmp_path: Path, model: Path) -> None:
    first, second = write_pairs(tmp_path / "a"), write_pairs(tmp_path / "b")
    changed_line(second, 1, split="val")
    config = config_of(tmp_path / "out", model, first).model_copy(update={"pairs": (first, second)})
    with pytest.raises(WrongData, match=r"its patient is in val here and in train at .*jsonl:1"):
        read_samples(config, Reader.open(str(model)))


def test_only_pairs_of_the_wanted_sources_are_read(tmp_path: Path, model: Path) -> None:
    pairs, reader = write_pairs(tmp_path), Reader.open(str(model))
    some = read_samples(config_of(tmp_path / "out", model, pairs, sources=["hallucination"]), reader)
    assert [sample.pair.id for sample in some] == ["pair-0", "pair-2", "pair-4"]
    assert some[0].phantoms[0].name == f"family train, seed {FIRST_SEED}"
    with pytest.raises(BadInput, match="no pair to learn from"):
        read_samples(config_of(tmp_path / "out", model, pairs, sources=["edits"]), reader)
    for line in (5, 6):
        changed_line(pairs, line, split="train")
    with pytest.raises(BadInput, match="patience needs pairs in split val"):
        read_samples(config_of(tmp_path / "out", model, pairs, training={"patience": 2}), reader)


def test_a_dry_run_shows_both_answers(tmp_path: Path, model: Path) -> None:
    said: list[str] = []
    assert run(config_of(tmp_path / "out", model, write_pairs(tmp_path)), say=said.append, dry_run=True) is None
    text = "\n".join(said)
    assert text.count("<|image_pad|>") == 2  # a pair of each source
    assert "⟦+[answer] Yes, there is an effusion. [image]" in text
    assert "⟦−[answer] No, there is no effusion. [image]" in text
    assert "6 pairs: train hallucination 2, train whole_noise 2, val hallucination 1, val whole_noise 1" in text
    assert "mean 1.000, weighed by fake" in text
