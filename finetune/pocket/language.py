"""Trains the pocket vision-language model from scratch: a small Qwen2-VL that loads unchanged in transformers and vLLM.

Three stages, each short: (1) the vision tower learns findings and sides from pooled features, which costs a tenth of
a language step, and its output is centred and scaled, since the language model otherwise sees the same token
everywhere; (2) the whole model is quizzed on bare pictures, several questions a picture; (3) the same with retrieved
knowledge and earlier turns in the prompt. Words that carry a finding weigh more than those every answer shares. A run
that was killed goes on with the stage it was in.
Run: `python -m finetune.pocket.language --out assistant/pocket`.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from assistant import tasks
from eval.ledger import TRAINING_SEEDS, TrainingLedger, drawn, write_ledger
from finetune.memory import keep_freed_memory
from finetune.pocket.phantoms import PhantomSet, augmented, batches, fingerprint, phantom_set
from finetune.pocket.samples import FINDINGS, Sample, SampleMaker, cards, case_text
from finetune.pocket.tokenizer import CHAT_TEMPLATE, chat_tokenizer

PICTURE = 140  # pixels; 25 image tokens
IMAGE_SCALE = 0.2  # deviation of the numbers of an image token, near that of a word's
TELLING_WEIGHT = 8.0
READ_AFTER = 2  # layers of the language model
TELLING = (
    "Yes", "No", "left", "right", "upper", "middle", "lower", "small", "moderate", "large", "mildly",
    "moderately", "severely", "enlarged", "about", "not", "no", "There",
)  # fmt: skip
END = "<|im_end|>"
CARD_FOLDER = Path(__file__).parents[2] / "retrieval" / "knowledge"


@dataclass(frozen=True)
class Recipe:
    """Steps and batch sizes of the three stages. `lr` peaks after a warm-up and falls to a tenth by a cosine."""

    phantoms: int = 10000
    vision_steps: int = 2000
    quiz_steps: int = 700
    knowledge_steps: int = 400
    vision_batch: int = 32
    batch: int = 8
    quiz_batch: int = 8
    quiz_turns: int = 4
    lr: float = 1e-3
    seed: int = 1


def corpus(facts: list[dict[str, Any]], texts: list[str]) -> Iterator[str]:
    """What the tokenizer is learnt from: the prompts and answers of training, and the cards."""
    maker = SampleMaker(facts, cards(CARD_FOLDER), knowledge=0.5)
    rng = np.random.default_rng(0)
    blank = np.zeros((8, 8), np.uint8)
    for index in range(min(len(facts), 3000)):
        sample = maker.make(index, blank, rng, ("ask", "ask", "report", "diagnose")[index % 4])
        for message in sample.prompt.messages:
            yield from (part for part in message.parts if isinstance(part, str))
        yield sample.answer
    yield from texts


def build(texts: Iterator[str]) -> tuple[Any, Any]:
    """An untrained model and its processor."""
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration, Qwen2VLProcessor, Qwen2VLVideoProcessor
    from transformers.models.qwen2_vl import Qwen2VLImageProcessor

    tokenizer = chat_tokenizer(texts, 4096)
    side = {"min_pixels": PICTURE**2, "max_pixels": PICTURE**2}
    pictures = Qwen2VLImageProcessor(patch_size=14, merge_size=2, temporal_patch_size=2, **side)
    processor = Qwen2VLProcessor(pictures, tokenizer, Qwen2VLVideoProcessor(), chat_template=CHAT_TEMPLATE)
    token = tokenizer.convert_tokens_to_ids
    special = {"bos_token_id": token("<|endoftext|>"), "eos_token_id": token("<|im_end|>")}
    config = Qwen2VLConfig(
        text_config={
            "vocab_size": len(tokenizer), "hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 5,
            "num_attention_heads": 4, "num_key_value_heads": 4, "max_position_embeddings": 1024,
            "tie_word_embeddings": True, "pad_token_id": token("<|endoftext|>"), **special,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [8, 12, 12]},
        },
        vision_config={
            "embed_dim": 192, "hidden_size": 256, "depth": 4, "num_heads": 6, "mlp_ratio": 4, "patch_size": 14,
            "spatial_merge_size": 2, "temporal_patch_size": 2,
        },
        image_token_id=token("<|image_pad|>"), video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"), vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
    )  # fmt: skip
    model = Qwen2VLForConditionalGeneration(config)
    model.generation_config.eos_token_id = special["eos_token_id"]
    model.generation_config.pad_token_id = token("<|endoftext|>")
    return model, processor


def schedule(step: int, steps: int) -> float:
    """Share of the peak learning rate: linear warm-up over 5 %, then a cosine down to a tenth."""
    warm = max(1, steps // 20)
    if step < warm:
        return (step + 1) / warm
    return 0.1 + 0.45 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


class Trainer:
    """Model, data and the three stages."""

    def __init__(self, recipe: Recipe, data: PhantomSet, out: Path) -> None:
        import torch

        torch.manual_seed(recipe.seed)
        self.recipe, self.data, self.out = recipe, data, out
        self.rng = np.random.default_rng(recipe.seed)
        self.model, self.processor = build(corpus(data.facts, [case_text(facts) for facts in data.facts[:3000]]))
        ids = [self._ids(f" {word}") for word in (*TELLING, *map(str, range(5, 35, 5)))]
        self.telling = [piece[0] for piece in ids if len(piece) == 1]
        self.pad = self.processor.tokenizer.pad_token_id
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model.to(self.device)
        self.targets = torch.tensor([targets(facts) for facts in data.facts], device=self.device)
        self.reader = torch.nn.Linear(256, self.targets.shape[1]).to(self.device)

    def run(self, stage: str, loss_of: Any, learning: Iterable[Any], steps: int, lr: float) -> None:
        import torch

        parameters = [parameter for parameter in learning if parameter.requires_grad]
        optimizer = torch.optim.AdamW(parameters, lr=lr, weight_decay=0.02, betas=(0.9, 0.98))
        started, mean = time.time(), 0.0
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = lr * schedule(step, steps)
            with torch.autocast(self.device, dtype=torch.bfloat16):
                loss = loss_of()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            mean = loss.item() if step == 0 else 0.98 * mean + 0.02 * loss.item()
            if step % 50 == 0 or step == steps - 1:
                left = (time.time() - started) / (step + 1) * (steps - step - 1) / 60
                print(f"{stage} {step + 1}/{steps} loss {mean:.4f}, {left:.1f} min left", flush=True)

    def patches(self, pictures: list[NDArray[np.uint8]]) -> tuple[Any, Any]:
        """What the image processor makes of square grey pictures (tested to be equal), a hundred times faster."""
        import torch

        config, size = self.processor.image_processor, PICTURE // 14
        mean, std = np.asarray(config.image_mean, np.float32), np.asarray(config.image_std, np.float32)
        grey = np.stack(pictures).astype(np.float32)[:, None] / 255
        values = (grey - mean[None, :, None, None]) / std[None, :, None, None]
        # Row and column of the merged token, then of the patch in it, then channel, frame (twice the same), pixels.
        tiles = values.reshape(len(pictures), 3, size // 2, 2, 14, size // 2, 2, 14).transpose(0, 2, 5, 3, 6, 1, 4, 7)
        flat = np.repeat(tiles[:, :, :, :, :, :, None], 2, axis=6).reshape(len(pictures) * size * size, -1)
        grid = torch.tensor([[1, size, size]] * len(pictures), device=self.device)
        return torch.from_numpy(np.ascontiguousarray(flat)).to(self.device), grid

    def vision(self, steps: int) -> None:
        """Stage 1: which findings, on which side, from the mean output of the vision tower, which then rests."""
        import torch

        labels = self.targets
        head = torch.nn.Linear(256, labels.shape[1]).to(self.device)
        indices = batches(len(labels), self.recipe.vision_batch, self.rng)
        tower = self.model.model.visual

        def loss_of() -> Any:
            chosen = next(indices)
            pixels, grid = self.patches([augmented(self.data.pixels[n], self.rng) for n in chosen])
            output = tower(pixels, grid_thw=grid)
            tokens = self._tokens(output).view(len(chosen), -1, 256)
            return torch.nn.functional.binary_cross_entropy_with_logits(head(tokens.mean(1)), labels[chosen])

        parameters = [*tower.parameters(), *head.parameters()]
        self.run("vision", loss_of, parameters, steps, 1e-3)
        self.centre()

    def centre(self) -> None:
        """Makes every number of an image token 0 on average with deviation `IMAGE_SCALE`, in the last layer itself."""
        import torch

        tower = self.model.model.visual
        with torch.no_grad():
            pixels, grid = self.patches(list(self.data.pixels[:256]))
            tokens = self._tokens(tower(pixels, grid_thw=grid))
            mean, scale = tokens.mean(0), IMAGE_SCALE / tokens.std(0).clamp(min=1e-3)
            last = tower.merger.mlp[2]
            last.weight.mul_(scale[:, None])
            last.bias.copy_((last.bias - mean) * scale)
        tower.requires_grad_(False)  # the answers' loss tells it little, and would wash out what it knows

    @staticmethod
    def _tokens(output: Any) -> Any:
        """(tokens, hidden) of the tower's output, whichever form this version of transformers gives it."""
        return (output.pooler_output if hasattr(output, "pooler_output") else output).float()

    def quiz(self, steps: int, lr: float) -> None:
        """Stage 2: several questions a picture, nothing retrieved."""
        maker = SampleMaker(self.data.facts, cards(CARD_FOLDER), 0.0)
        indices = batches(len(self.data.facts), self.recipe.quiz_batch, self.rng)

        def loss_of() -> Any:
            chosen, turns = next(indices), self.recipe.quiz_turns
            return self.loss([maker.quiz(int(n), self.seen(n), self.rng, turns) for n in chosen], chosen)

        self.run("quiz", loss_of, [*self.model.parameters(), *self.reader.parameters()], steps, lr)

    def knowledge(self, steps: int, lr: float) -> None:
        """Stage 3: all tasks, with retrieved items in three of five samples."""
        maker = SampleMaker(self.data.facts, cards(CARD_FOLDER), 0.6)
        indices = batches(len(self.data.facts), self.recipe.batch, self.rng)

        def loss_of() -> Any:
            # One task a batch: answers of one length waste no padding.
            task = str(self.rng.choice(["ask", "report", "diagnose"], p=[0.87, 0.08, 0.05]))
            chosen = next(indices)
            return self.loss([maker.make(int(n), self.seen(n), self.rng, task) for n in chosen], chosen)

        self.run("knowledge", loss_of, [*self.model.parameters(), *self.reader.parameters()], steps, lr)

    def seen(self, index: int) -> NDArray[np.uint8]:
        return augmented(self.data.pixels[index], self.rng)

    def loss(self, samples: list[Sample], indices: NDArray[np.int64]) -> Any:
        """Mean negative log-likelihood of the answers' tokens, telling words counted `TELLING_WEIGHT` times; and, where
        a picture ends, what is in it, read by a linear head from an early layer and thrown away: answers then find
        every finding in one place."""
        import torch
        from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

        batch = self.collate(samples)
        labels = batch.pop("labels")[:, 1:].flatten()
        output = self.model(**batch, output_hidden_states=True)
        each = cross_entropy(output.logits[:, :-1].float().flatten(0, 1), labels, reduction="none")
        telling = torch.isin(labels, torch.tensor(self.telling, device=self.device))
        weight = (labels != -100).float() * torch.where(telling, TELLING_WEIGHT, 1.0)
        ends = batch["input_ids"] == self.model.config.vision_end_token_id
        seen = self.reader(output.hidden_states[READ_AFTER].float()[ends])
        return (each * weight).sum() / weight.sum() + binary_cross_entropy_with_logits(seen, self.targets[indices])

    def collate(self, samples: list[Sample]) -> dict[str, Any]:
        """Left-aligned batch; only the answers and their ends of turn are learnt."""
        import torch

        from assistant.engines.chat import chat

        image = "<|image_pad|>" * (PICTURE // 28) ** 2
        rows, pictures = [], []
        for sample in samples:
            messages, _ = chat(sample.prompt)
            opening = self.processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
            pieces = [(opening.replace("<|image_pad|>", image), sample.answer + END)]
            pieces += [(f"\n<|im_start|>user\n{q}{END}\n<|im_start|>assistant\n", a + END) for q, a in sample.more]
            rows.append([(self._ids(text), self._ids(answer)) for text, answer in pieces])
            pictures += [part.pixels for m in sample.prompt.messages for part in m.parts if not isinstance(part, str)]
        ids = [torch.tensor([i for asked, said in row for i in asked + said]) for row in rows]
        learnt = [torch.tensor([i for asked, said in row for i in [-100] * len(asked) + said]) for row in rows]
        padded = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=self.pad)
        pixels, grid = self.patches(pictures)
        batch = {
            "input_ids": padded,
            "attention_mask": torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in ids], batch_first=True),
            "labels": torch.nn.utils.rnn.pad_sequence(learnt, batch_first=True, padding_value=-100),
            "mm_token_type_ids": (padded == self.model.config.image_token_id).int(),
            "pixel_values": pixels,
            "image_grid_thw": grid,
        }
        return {name: value.to(self.device) for name, value in batch.items()}

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.processor.tokenizer(text)["input_ids"]
        return ids

    def stage(self, kept: Path, train: Callable[[], None]) -> None:
        """Trains, or takes the weights of an earlier run that was killed in a later stage."""
        import torch

        if kept.exists():
            self.model.load_state_dict(torch.load(kept, map_location=self.device))
            print(f"{kept.stem}: taken from an earlier run", flush=True)
            return
        train()
        draft = kept.with_suffix(".draft")
        torch.save(self.model.state_dict(), draft)
        draft.replace(kept)

    def save(self) -> None:
        import torch

        self.out.mkdir(parents=True, exist_ok=True)
        copy = type(self.model)(self.model.config)
        copy.load_state_dict(self.model.state_dict())
        copy.generation_config = self.model.generation_config
        copy.to(torch.bfloat16).save_pretrained(self.out)
        self.processor.save_pretrained(self.out)
        facts = {
            "domains": ["chest_xray"],
            "demonstration": True,
            "picture": PICTURE,
            "image_tokens": (PICTURE // 28) ** 2,
        }
        (self.out / "consult.json").write_text(json.dumps(facts, indent=2) + "\n")


def targets(facts: dict[str, Any]) -> list[float]:
    """Presence of each finding, then each finding on the left, then on the right."""
    found = {(finding["kind"], finding["side"]) for finding in facts["findings"]}
    kinds = {kind for kind, _ in found}
    sided = [float((kind, side) in found) for side in ("left", "right") for kind in FINDINGS]
    return [float(kind in kinds) for kind in FINDINGS] + sided


def main(
    out: Annotated[Path, typer.Option(help="where the model is written")],
    cache: Annotated[Path, typer.Option(help="where rendered phantoms are kept")] = Path("out/phantoms"),
    scale: Annotated[float, typer.Option(help="all steps times this; 0.01 tries the whole way quickly")] = 1.0,
) -> None:
    """Train the pocket vision-language model on phantoms."""
    keep_freed_memory()
    recipe = Recipe()
    count = max(256, int(recipe.phantoms * min(1.0, scale)))
    trainer = Trainer(recipe, phantom_set(cache, count, seed=TRAINING_SEEDS.start, size=PICTURE), out)
    rooms = fingerprint(Path(__file__).parent, CARD_FOLDER, Path(tasks.__file__).parent)  # what samples are made of
    kept = cache / f"vlm-{rooms}-{hashlib.sha256(repr((recipe, scale)).encode()).hexdigest()[:8]}"

    def steps(full: int) -> int:
        return math.ceil(full * scale)

    trainer.stage(Path(f"{kept}-1.pt"), lambda: trainer.vision(steps(recipe.vision_steps)))
    trainer.stage(Path(f"{kept}-2.pt"), lambda: trainer.quiz(steps(recipe.quiz_steps), recipe.lr))
    trainer.stage(Path(f"{kept}-3.pt"), lambda: trainer.knowledge(steps(recipe.knowledge_steps), recipe.lr / 2))
    trainer.save()
    write_ledger(out, TrainingLedger((("training", drawn(TRAINING_SEEDS, count)),), ("the guideline cards",)))
    print(f"Written to {out}.")


if __name__ == "__main__":
    typer.run(main)
