"""The cross-encoder: transformers' own scores, a question that stays whole, and what is refused."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from retrieval.encoders import load_reranker
from retrieval.errors import Misconfigured
from tests.retrieval.encoders.conftest import make_bert


def test_the_scores_are_the_models_logits(reranker_folder: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    inputs = AutoTokenizer.from_pretrained(reranker_folder)("effusion?", "no effusion", return_tensors="pt")
    with torch.no_grad():
        logit = AutoModelForSequenceClassification.from_pretrained(reranker_folder)(**inputs).logits.item()
    assert load_reranker(str(reranker_folder)).score("effusion?", ["no effusion"]) == pytest.approx([logit], abs=1e-6)


def test_the_passage_is_cut_and_the_question_is_not(reranker_folder: Path) -> None:
    reranker, long = load_reranker(str(reranker_folder)), "the heart is enlarged " * 50
    assert reranker.score("no pneumothorax", [long, long + "Erguß"]).tolist() == pytest.approx(
        reranker.score("no pneumothorax", [long]).repeat(2).tolist(), abs=1e-6
    )
    a, b = (reranker.score(question, [long])[0] for question in ("no pneumothorax", "no pneumothorax left"))
    assert abs(a - b) > 1e-4


def test_a_question_beyond_half_of_the_length_is_cut(reranker_folder: Path) -> None:
    reranker = load_reranker(str(reranker_folder))
    a, b = (reranker.score("effusion " * times, ["no pneumothorax", "left"]) for times in (300, 400))
    assert np.array_equal(a, b)
    assert abs(a[0] - a[1]) > 1e-4  # the passage is still read


def test_other_weights_are_another_identity(reranker_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(reranker_folder, tmp_path / "copy"))
    before = load_reranker(str(folder)).identity
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    os.utime(folder / "model.safetensors", ns=(1, 1))
    assert before.startswith("copy-")
    assert load_reranker(str(folder)).identity != before


def test_what_is_no_reranker_is_refused(bert_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "three").mkdir()
    with pytest.raises(Misconfigured, match="3 labels"):
        load_reranker(str(make_bert(tmp_path / "three", labels=3)))
    with pytest.raises(Misconfigured, match="labels"):
        load_reranker(str(bert_folder))  # transformers would add a head of two labels, drawn at random
    headless = Path(shutil.copytree(bert_folder, tmp_path / "headless"))
    config = (headless / "config.json").read_text()
    (headless / "config.json").write_text(config.replace("{", '{"id2label": {"0": "score"},', 1))
    with pytest.raises(Misconfigured, match="lacks 2 of its weights"):
        load_reranker(str(headless))
    with pytest.raises(Misconfigured, match="no reranker"):
        load_reranker(str(tmp_path / "missing"))
