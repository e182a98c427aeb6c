"""The pocket vision-language model, from scratch: a small Qwen2-VL that loads unchanged in transformers and vLLM.

Two stages. (1) The vision tower learns to see (`vision`), and its output is centred and scaled, since the language
model otherwise sees the same token everywhere. (2) The language model learns to answer, several questions a sample, in
the prompts that serving will send (`lessons`), while the tower rests. Words that carry a finding weigh more than those
that every answer shares.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from finetune.pocket.lessons import Lesson, Lessons
from finetune.pocket.material import Card, case_text
from finetune.pocket.phantoms import PhantomSet
from finetune.pocket.stage import device
from finetune.pocket.targets import NAMES
from finetune.pocket.tokenizer import CHAT_TEMPLATE
from finetune.pocket.tower import see
from finetune.pocket.vision import Batch, Pictures, readers, seeing_loss

SIDE, PATCH, MERGE = 224, 16, 2  # pixels; a token is 32 x 32
TOKENS = (SIDE // PATCH // MERGE) ** 2
WIDTH = 256
IMAGE_SCALE = 0.2  # deviation of the numbers of an image token, near that of a word's
TELLING_WEIGHT = 6.0
READ_AFTER = 2  # layers of the language model
READ_WEIGHT = 0.5
END = "<|im_end|>"
VOCABULARY, ROUNDS = 4096, 300
TELLING = (
    "Yes", "No", "left", "right", "Left", "Right", "upper", "middle", "lower", "Upper", "Middle", "Lower", "small",
    "moderate", "large", "Small", "Moderate", "Large", "mild", "severe", "Mild", "Severe", "mildly", "moderately",
    "severely", "not", "Not", "no", "new", "larger", "smaller", "resolved", "unchanged", "New", "Larger", "Smaller",
    "Resolved", "Unchanged", "PA", "AP", "Under", "Over", "Frontal", "Lateral", "None", "Proliferative", "one", "two",
    "Met", "Contradicted", "Unknown",
    *map(str, range(31)),
)  # fmt: skip


def corpus(lessons: Lessons, texts: list[str]) -> Iterator[str]:
    """What the tokenizer is learnt from: prompts and answers of training, the cards, case reports."""
    for _ in range(ROUNDS):
        for sample in lessons.draw(8).samples:
            for message in sample.prompt.messages:
                yield from (part for part in message.parts if isinstance(part, str))
            yield sample.answer
            yield from (text for turn in sample.more for text in turn)
    yield from texts


def build(tokenizer: Any) -> tuple[Any, Any]:
    """An untrained model and its processor."""
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration, Qwen2VLProcessor, Qwen2VLVideoProcessor
    from transformers.models.qwen2_vl import Qwen2VLImageProcessor

    side = {"min_pixels": SIDE**2, "max_pixels": SIDE**2}
    pictures = Qwen2VLImageProcessor(patch_size=PATCH, merge_size=MERGE, temporal_patch_size=2, **side)
    video = Qwen2VLVideoProcessor(patch_size=PATCH, merge_size=MERGE, temporal_patch_size=2, **side)
    processor = Qwen2VLProcessor(pictures, tokenizer, video, chat_template=CHAT_TEMPLATE)
    token = tokenizer.convert_tokens_to_ids
    special = {"bos_token_id": token("<|endoftext|>"), "eos_token_id": token(END)}
    config = Qwen2VLConfig(
        text_config={
            "vocab_size": len(tokenizer), "hidden_size": WIDTH, "intermediate_size": 768, "num_hidden_layers": 5,
            "num_attention_heads": 4, "num_key_value_heads": 4, "max_position_embeddings": 1024,
            "tie_word_embeddings": True, "pad_token_id": token("<|endoftext|>"), **special,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [8, 12, 12]},
        },
        vision_config={
            "embed_dim": 192, "hidden_size": WIDTH, "depth": 6, "num_heads": 3, "mlp_ratio": 4, "patch_size": PATCH,
            "spatial_merge_size": MERGE, "temporal_patch_size": 2,
        },
        image_token_id=token("<|image_pad|>"), video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"), vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
    )  # fmt: skip
    model = Qwen2VLForConditionalGeneration(config)
    model.generation_config.eos_token_id = special["eos_token_id"]
    model.generation_config.pad_token_id = token("<|endoftext|>")
    return model, processor


@dataclass
class Reader:
    """The model, its processor, and the readers that are thrown away after training."""

    model: Any
    processor: Any

    def __post_init__(self) -> None:
        import torch

        config = self.processor.image_processor
        self.mean, self.std = (
            torch.tensor(values, device=device()).view(1, 3, 1, 1) for values in (config.image_mean, config.image_std)
        )
        self.model.to(device())
        self.seers = readers(WIDTH, TOKENS).to(device())
        self.read = torch.nn.Linear(WIDTH, len(NAMES), device=device())
        telling = [ids for word in TELLING for ids in (self._ids(word), self._ids(f" {word}"))]
        self.telling = torch.tensor(sorted({ids[0] for ids in telling if len(ids) == 1}), device=device())
        self.image, self.end = (self.model.config.image_token_id, self.model.config.vision_end_token_id)

    @property
    def tower(self) -> Any:
        return self.model.model.visual

    def tokens(self, pixels: Any) -> Any:
        """(n, 3, SIDE, SIDE) in 0..1 → (n, TOKENS, WIDTH)."""
        return see(self.tower, (pixels - self.mean) / self.std)

    def sees(self, pixels: Any) -> tuple[Any, Any]:
        """Target and map logits of stage 1."""
        told, mapped = self.seers(self.tokens(pixels))
        return told, mapped

    def seeing_loss(self, batch: Batch) -> Any:
        return seeing_loss(self.sees(batch.pixels), batch)

    def centre(self, pictures: Pictures, n: int = 256) -> None:
        """Makes every number of an image token 0 on average with deviation `IMAGE_SCALE`, in the last layer itself."""
        import torch

        with torch.no_grad():
            seen = self.tokens(pictures.draw(n).pixels).flatten(0, 1)
            mean, scale = seen.mean(0), IMAGE_SCALE / seen.std(0).clamp(min=1e-3)
            last = self.tower.merger.mlp[2]
            last.weight.mul_(scale[:, None])
            last.bias.copy_((last.bias - mean) * scale)
        self.tower.requires_grad_(False)  # the answers' loss tells it little, and would wash out what it knows

    def answering_loss(self, lesson: Lesson) -> Any:
        """Mean negative log-likelihood of the answers' tokens, telling words counted `TELLING_WEIGHT` times; and, where
        a picture ends, what is in it, read by a linear head from an early layer and thrown away: answers then find
        every finding in one place."""
        import torch
        from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

        ids, answers = self.collate(lesson)
        early, last = self.states(ids, lesson.pictures.pixels)
        learnt = answers[:, 1:] != -100
        goal = answers[:, 1:][learnt]
        each = cross_entropy(self.model.lm_head(last[:, :-1][learnt]).float(), goal, reduction="none")
        weight = torch.where(torch.isin(goal, self.telling), TELLING_WEIGHT, 1.0)
        targets = lesson.pictures.targets
        known = ~targets.isnan()
        seen = self.read(early[ids == self.end].float())
        reading = binary_cross_entropy_with_logits(seen[known], targets[known])
        return (each * weight).sum() / weight.sum() + READ_WEIGHT * reading

    def states(self, ids: Any, pixels: Any) -> tuple[Any, Any]:
        """Hidden states (n, length, WIDTH) after `READ_AFTER` layers and after the last. Rows are padded on the right,
        where a causal model never looks, so no mask is needed."""
        import torch

        inner = self.model.model
        with torch.no_grad():
            seen = self.tokens(pixels)
        words = inner.language_model.embed_tokens(ids)
        images = ids == self.image
        words = words.masked_scatter(images.unsqueeze(-1), seen.to(words.dtype))
        grid = torch.tensor([[1, SIDE // PATCH, SIDE // PATCH]] * len(pixels), device=device())
        places, _ = inner.get_rope_index(ids, images.int(), image_grid_thw=grid)
        out = inner.language_model(inputs_embeds=words, position_ids=places, output_hidden_states=True, use_cache=False)
        return out.hidden_states[READ_AFTER], out.last_hidden_state

    def collate(self, lesson: Lesson) -> tuple[Any, Any]:
        """Token ids (n, length) and the answers among them, -100 elsewhere; only the answers and their ends of turn
        are learnt."""
        import torch
        from torch.nn.utils.rnn import pad_sequence

        from assistant.engines.chat import chat

        image = "<|image_pad|>" * TOKENS
        rows = []
        for sample in lesson.samples:
            messages, _ = chat(sample.prompt)
            opening = self.processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
            pieces = [(opening.replace("<|image_pad|>", image), sample.answer + END)]
            pieces += [(f"\n<|im_start|>user\n{q}{END}\n<|im_start|>assistant\n", a + END) for q, a in sample.more]
            rows.append([(self._ids(text), self._ids(answer)) for text, answer in pieces])
        ids = [torch.tensor([i for asked, said in row for i in asked + said]) for row in rows]
        answers = [torch.tensor([i for asked, said in row for i in [-100] * len(asked) + said]) for row in rows]
        pad = self.processor.tokenizer.pad_token_id
        padded = pad_sequence(ids, batch_first=True, padding_value=pad)
        return padded.to(device()), pad_sequence(answers, batch_first=True, padding_value=-100).to(device())

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.processor.tokenizer(text)["input_ids"]
        return ids

    def save(self, out: Path, domains: list[str]) -> None:
        """The weights in bfloat16 with processor and card, as transformers, vLLM and the local engine read them."""
        import torch

        out.mkdir(parents=True, exist_ok=True)
        copy = type(self.model)(self.model.config)
        copy.load_state_dict(self.model.state_dict())
        copy.generation_config = self.model.generation_config
        copy.to(torch.bfloat16).save_pretrained(out)
        self.processor.save_pretrained(out)
        facts = {"domains": domains, "demonstration": True, "picture": SIDE, "image_tokens": TOKENS}
        (out / "consult.json").write_text(json.dumps(facts, indent=2) + "\n")


def texts_of(data: PhantomSet, library: Sequence[Card]) -> list[str]:
    return [case_text(facts) for facts in data.facts[:2000]] + [f"{c.title} {c.section} {c.text}" for c in library] * 3


def judged(reader: Reader, lessons: list[Lesson]) -> dict[str, float]:
    """By kind of lesson: the share of answers of which every token is the likeliest, given those before it."""
    import torch

    right: dict[str, list[bool]] = {}
    with torch.no_grad(), torch.autocast(device(), dtype=torch.bfloat16):
        for lesson in lessons:
            ids, answers = reader.collate(lesson)
            goal = answers[:, 1:]
            learnt = goal != -100
            said = torch.full_like(goal, -100)
            said[learnt] = reader.model.lm_head(reader.states(ids, lesson.pictures.pixels)[1][:, :-1][learnt]).argmax(
                -1
            )
            for row, known in zip((said == goal).tolist(), learnt.tolist(), strict=True):
                answer = groupby(zip(row, known, strict=True), key=lambda token: token[1])
                right.setdefault(lesson.kind, []).extend(all(ok for ok, _ in run) for told, run in answer if told)
    return {kind: round(float(np.mean(values)), 3) for kind, values in right.items()}
