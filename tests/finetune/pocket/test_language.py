"""What training computes is what transformers computes, and a few steps teach something."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from assistant.engines.chat import chat
from finetune.pocket.language import END, IMAGE_SCALE, SIDE, TOKENS, VOCABULARY, WIDTH, Reader, build, texts_of
from finetune.pocket.lessons import KINDS, Lessons
from finetune.pocket.material import CARD_FOLDER, cards
from finetune.pocket.pictures import real_set
from finetune.pocket.tokenizer import chat_tokenizer
from finetune.pocket.tower import patches
from finetune.pocket.vision import Pictures
from tests.finetune.pocket.parts import phantoms, write_sources

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers' and torch's own deprecations


@pytest.fixture(scope="module")
def lessons(tmp_path_factory: pytest.TempPathFactory) -> Lessons:
    real = real_set(write_sources(tmp_path_factory.mktemp("sources")), SIDE)
    return Lessons(Pictures(phantoms(), real, SIDE, np.random.default_rng(0)), cards(CARD_FOLDER))


@pytest.fixture(scope="module")
def reader(lessons: Lessons) -> Reader:
    torch.manual_seed(0)
    return Reader(*build(chat_tokenizer(texts_of(phantoms(), lessons.maker.cards), VOCABULARY)))


def test_patches_are_the_processors(reader: Reader) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3), dtype=np.uint8)
    slow = reader.processor.image_processor(images=list(pictures), return_tensors="pt")["pixel_values"]
    values = (torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255 - reader.mean) / reader.std
    assert torch.allclose(patches(values, 16, 2).flatten(0, 1), slow, atol=1e-5)


def test_the_tower_sees_what_its_own_forward_sees(reader: Reader) -> None:
    pixels = torch.rand(2, 3, SIDE, SIDE)
    cut = patches((pixels - reader.mean) / reader.std, 16, 2).flatten(0, 1)
    grid = torch.tensor([[1, 14, 14]] * 2)
    with torch.no_grad():
        slow = reader.tower(cut, grid_thw=grid).pooler_output.view(2, TOKENS, WIDTH)
        assert torch.allclose(reader.tokens(pixels), slow, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_lesson_is_read_as_transformers_reads_its_prompt(reader: Reader, lessons: Lessons, kind: str) -> None:
    """Ids are the processor's, only answers are learnt, and logits are the model's own, padding or not."""
    lesson = lessons.of(kind, 3)
    ids, answers = reader.collate(lesson)
    with torch.no_grad():
        _, last = reader.states(ids, lesson.pictures.pixels)
    first = 0
    for row, sample in enumerate(lesson.samples):
        learnt = reader.processor.tokenizer.decode(answers[row][answers[row] != -100])
        assert learnt == "".join(said + END for said in (sample.answer, *(a for _, a in sample.more)))
        messages, _ = chat(sample.prompt)
        text = reader.processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        opening = reader.processor.tokenizer(text.replace("<|image_pad|>", "<|image_pad|>" * TOKENS))["input_ids"]
        assert ids[row, : len(opening)].tolist() == opening
        own = lesson.pictures.pixels[first : first + sample.pictures]
        first += sample.pictures
        row_ids = ids[row : row + 1, : len(opening)]
        inputs = {
            "input_ids": row_ids,
            "pixel_values": patches((own - reader.mean) / reader.std, 16, 2).flatten(0, 1),
            "image_grid_thw": torch.tensor([[1, 14, 14]] * sample.pictures),
            "mm_token_type_ids": (row_ids == reader.image).int(),
        }
        with torch.no_grad():
            whole = reader.model(**inputs).logits[0, -1]
            assert torch.allclose(reader.model.lm_head(last[row, len(opening) - 1]), whole, atol=1e-3)
    assert first == len(lesson.pictures.pixels)


def test_every_kind_of_lesson_fits_the_context(reader: Reader, lessons: Lessons) -> None:
    most = reader.model.config.text_config.max_position_embeddings
    assert max(reader.collate(lessons.of(kind, 8))[0].shape[1] for kind in KINDS) <= most


def test_a_few_steps_lower_the_loss_and_the_model_loads(reader: Reader, lessons: Lessons, tmp_path: Path) -> None:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    optimizer = torch.optim.AdamW(reader.model.parameters(), lr=2e-3)
    lesson, losses = lessons.of("quiz", 2), []
    for _ in range(4):
        losses.append(reader.answering_loss(lesson))
        losses[-1].backward()
        optimizer.step()
        optimizer.zero_grad()
    assert losses[-1].item() < 0.9 * losses[0].item()
    reader.save(tmp_path, ["chest_xray"])
    assert json.loads((tmp_path / "consult.json").read_text())["demonstration"]
    assert AutoModelForImageTextToText.from_pretrained(tmp_path)
    assert AutoProcessor.from_pretrained(tmp_path)


def test_image_tokens_are_centred_and_the_tower_rests(reader: Reader, lessons: Lessons) -> None:
    pictures = Pictures(phantoms(), None, SIDE, np.random.default_rng(3))
    reader.centre(pictures, 32)
    with torch.no_grad():
        seen = reader.tokens(Pictures(phantoms(), None, SIDE, np.random.default_rng(3)).draw(32).pixels).flatten(0, 1)
    assert seen.mean(0).abs().max() < 1e-3
    assert seen.std(0).mean() == pytest.approx(IMAGE_SCALE, rel=0.01)
    assert not any(parameter.requires_grad for parameter in reader.tower.parameters())
