"""What training makes: the fast path of the pictures is the processor's, and a few steps teach something."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from finetune.pocket.image_text import Caption, belongs
from finetune.pocket.language import IMAGE_SCALE, PICTURE, Recipe, Trainer
from finetune.pocket.phantoms import phantom_set

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers' and torch's own deprecations


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    folder = tmp_path_factory.mktemp("training")
    data = phantom_set(folder, 48, seed=0, size=PICTURE)
    return Trainer(Recipe(batch=4, vision_batch=8, quiz_batch=4, quiz_turns=2), data, folder / "model")


def test_patches_are_the_processors(trainer: Trainer) -> None:
    pictures = list(trainer.data.pixels[:3])
    fast, grid = trainer.patches(pictures)
    images = [Image.fromarray(picture).convert("RGB") for picture in pictures]
    slow = trainer.processor.image_processor(images=images, return_tensors="pt")
    assert np.abs(fast.numpy() - slow["pixel_values"].numpy()).max() < 1e-5
    assert grid.tolist() == slow["image_grid_thw"].tolist()


def test_a_batch_is_what_the_processor_makes_and_only_answers_are_learnt(trainer: Trainer) -> None:
    from assistant.engines.chat import chat
    from finetune.pocket.language import CARD_FOLDER
    from finetune.pocket.samples import SampleMaker, cards

    maker, rng = SampleMaker(trainer.data.facts, cards(CARD_FOLDER), 1.0), np.random.default_rng(1)
    samples = [replace(maker.make(n, trainer.data.pixels[n], rng), more=()) for n in range(4)]
    batch = trainer.collate(samples)
    for row, sample in enumerate(samples):
        messages, images = chat(sample.prompt, PICTURE)
        text = trainer.processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        whole = trainer.processor(text=[text + sample.answer + "<|im_end|>"], images=images, return_tensors="pt")
        size = whole["input_ids"].shape[1]
        assert batch["input_ids"][row, :size].tolist() == whole["input_ids"][0].tolist()
        learnt = batch["labels"][row][batch["labels"][row] != -100]
        assert trainer.processor.tokenizer.decode(learnt) == sample.answer + "<|im_end|>"


def test_a_few_steps_lower_the_loss_and_the_model_loads(trainer: Trainer, capsys: pytest.CaptureFixture[str]) -> None:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    trainer.vision(2)
    trainer.quiz(6, 2e-3)
    trainer.knowledge(1, 1e-3)
    said = re.findall(r"quiz .* loss ([0-9.]+)", capsys.readouterr().out)
    first, last = map(float, said)  # the first step's, and a mean that still remembers it
    assert last < first
    trainer.save()
    assert json.loads((trainer.out / "consult.json").read_text())["demonstration"]
    assert AutoModelForImageTextToText.from_pretrained(trainer.out)
    assert AutoProcessor.from_pretrained(trainer.out)


def test_image_tokens_are_centred(trainer: Trainer) -> None:
    import torch

    trainer.centre()
    pixels, grid = trainer.patches(list(trainer.data.pixels))
    with torch.no_grad():
        tokens = trainer._tokens(trainer.model.model.visual(pixels, grid_thw=grid))
    assert tokens.mean(0).abs().max() < 1e-3
    assert tokens.std(0).mean() == pytest.approx(IMAGE_SCALE, rel=0.01)


def test_a_later_question_is_learnt_as_a_turn_of_its_own(trainer: Trainer) -> None:
    from finetune.pocket.language import CARD_FOLDER
    from finetune.pocket.samples import SampleMaker, cards

    maker = SampleMaker(trainer.data.facts, cards(CARD_FOLDER), 0.0)
    sample = maker.quiz(0, trainer.data.pixels[0], np.random.default_rng(0), 3)
    batch = trainer.collate([sample])
    labels = batch["labels"][0]
    learnt = trainer.processor.tokenizer.decode(labels[labels != -100])
    assert learnt == "".join(answer + "<|im_end|>" for answer in (sample.answer, *(said for _, said in sample.more)))
    assert sample.more


def test_which_texts_belong_to_which_pictures() -> None:
    effusion, both, normal = frozenset({"effusion"}), frozenset({"effusion", "nodule"}), frozenset({"normal"})
    texts = [Caption("a report", both, True), Caption("a card", effusion, False), Caption("normal", normal, True)]
    assert belongs([effusion, both, normal], texts).tolist() == [[0, 1, 0], [1, 1, 0], [0, 0, 1]]
