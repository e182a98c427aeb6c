"""`consult train pocket`: everything that ships, from data to model card, in one command that goes on after a kill.

The order: phantoms are rendered, real pictures read; the vision tower learns to see, the language model to answer; the
image–text encoder and the passage encoder learn; thresholds and calibration are set on phantoms that taught nothing.
What is done lies in the work folder, so that the same command takes it from there.
"""

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from eval.leaks import picture_hash
from eval.ledger import TRAINING_SEEDS, VALIDATION_SEEDS, TrainingLedger, Use, drawn, hashed_patients, write_ledger
from eval.phantoms import TRAINING_FAMILIES
from finetune.curves import Curves
from finetune.pocket import image_text, language, passages, places
from finetune.pocket.card import card
from finetune.pocket.lessons import KINDS, Lesson, Lessons
from finetune.pocket.material import CARD_FOLDER, cards
from finetune.pocket.phantoms import PhantomSet, phantom_set
from finetune.pocket.pictures import DOMAIN_OF, SOURCES, RealSet, check_sources, real_set
from finetune.pocket.stage import Stage, device
from finetune.pocket.tokenizer import chat_tokenizer
from finetune.pocket.vision import Batch, Pictures, judged
from retrieval.errors import BadInput


@dataclass(frozen=True)
class Recipe:
    """Steps, batch sizes and peak learning rates, as what ships was made."""

    phantoms: int = 20_000  # seeds; a pair is two films
    validation: int = 300
    vision: tuple[int, int, float] = (6000, 32, 1.2e-3)
    language: tuple[int, int, float] = (2000, 10, 1.2e-3)
    image_text: tuple[int, int, float] = (1600, 48, 1.5e-3)
    places: tuple[int, int, float] = (250, 96, 5e-3)
    passages: tuple[int, int, float] = (800, 64, 2e-3)
    seed: int = 1

    def scaled(self, by: float) -> "Recipe":
        """All of it smaller, to try the way; at least a few steps and phantoms of each."""

        def less(stage: tuple[int, int, float]) -> tuple[int, int, float]:
            return max(2, round(stage[0] * by)), stage[1], stage[2]

        return replace(
            self, phantoms=max(64, round(self.phantoms * by)), validation=max(48, round(self.validation * by)),
            vision=less(self.vision), language=less(self.language), image_text=less(self.image_text),
            places=less(self.places), passages=less(self.passages),
        )  # fmt: skip


@dataclass
class School:
    """The stages of one run. `data` holds the sources of real pictures, None: phantoms only."""

    recipe: Recipe
    work: Path
    data: Path | None
    without: tuple[str, ...] = ()

    @cached_property
    def phantoms(self) -> PhantomSet:
        first = TRAINING_SEEDS.start
        return phantom_set(self.work, range(first, first + self.recipe.phantoms), size=language.SIDE)

    @cached_property
    def fresh(self) -> PhantomSet:
        """Phantoms that teach nothing: thresholds and curves are set on them."""
        first = VALIDATION_SEEDS.start
        return phantom_set(self.work, range(first, first + self.recipe.validation), size=language.SIDE)

    @cached_property
    def real(self) -> RealSet | None:
        return real_set(self.data, language.SIDE, without=self.without) if self.data else None

    def check(self, exam: Path | None = None) -> None:
        """All that is wrong with what was given, of the data by file and line, before anything is trained. Raises
        `BadInput`."""
        if exam and not (exam / "table.md").is_file():
            raise BadInput(f"{exam} holds no exam; sit one with `consult eval … --out {exam}`.")
        if unknown := sorted(set(self.without) - {*SOURCES, "medquad"}):
            raise BadInput(f"There is no source {unknown[0]!r}; known are {', '.join(SOURCES)} and medquad.")
        if self.data:
            check_sources(self.data, self.sources)

    def pictures(self, size: int, purpose: int) -> Pictures:
        return Pictures(self.phantoms, self.real, size, np.random.default_rng([self.recipe.seed, purpose]))

    def held_back(self, size: int) -> list[Batch]:
        """Fresh phantoms and the real pictures marked "val", hardly changed."""
        real = real_set(self.data, language.SIDE, split="val", without=self.without) if self.data else None
        pictures = Pictures(self.fresh, real, size, np.random.default_rng(0))
        rows = [pictures.phantom(n, strong=False) for n in range(len(self.fresh.facts))]
        if real is not None:
            rows += [pictures.real_one(n, gentle=True) for n in range(len(real.sources))]
        return pictures.batches(rows)

    def tokenizer(self, lessons: Lessons) -> Any:
        """Learnt once; kept in the work folder, since every later stage depends on it."""
        from transformers import PreTrainedTokenizerFast

        kept = self.work / "tokenizer"
        if not kept.exists():
            draft = self.work / "tokenizer.draft"
            texts = language.corpus(lessons, language.texts_of(self.phantoms, lessons.maker.cards))
            chat_tokenizer(texts, language.VOCABULARY).save_pretrained(draft)
            draft.replace(kept)
        return PreTrainedTokenizerFast.from_pretrained(kept)

    def examined(self) -> list[Lesson]:
        """Two lessons of every kind about fresh phantoms and pictures marked "val"."""
        real = real_set(self.data, language.SIDE, split="val", without=self.without) if self.data else None
        lessons = Lessons(
            Pictures(self.fresh, real, language.SIDE, np.random.default_rng(3)), cards(CARD_FOLDER), gentle=True
        )
        return [lessons.of(kind, 12) for kind in KINDS if kind != "real" or real is not None for _ in range(2)]

    def seeing(self, lessons: Lessons) -> language.Reader:
        """Stage 1: a reader whose tower sees, and whose words are still unlearnt."""
        import torch

        torch.manual_seed(self.recipe.seed)
        reader = language.Reader(*language.build(self.tokenizer(lessons)))
        pictures, held = self.pictures(language.SIDE, 1), self.held_back(language.SIDE)
        self._stage("vision", {"tower": reader.tower, "read": reader.seers}, pictures.rng).run(
            lambda: reader.seeing_loss(pictures.draw(self.recipe.vision[1])), lambda: judged(reader.sees, held)
        )
        reader.centre(self.pictures(language.SIDE, 3))
        return reader

    def reader(self) -> language.Reader:
        """Stages 1 and 2: the vision-language model."""
        lessons = Lessons(self.pictures(language.SIDE, 2), cards(CARD_FOLDER))
        reader, examined = self.seeing(lessons), self.examined()
        self._stage("language", {"model": reader.model, "read": reader.read}, lessons.rng).run(
            lambda: reader.answering_loss(lessons.draw(self.recipe.language[1])),
            lambda: language.judged(reader, examined),
        )
        return reader

    def matcher(self, out: Path) -> image_text.Matcher:
        """Stage 3: the image–text encoder, with its domains and curves written to `out`."""
        import torch

        torch.manual_seed(self.recipe.seed)
        library, pictures = cards(CARD_FOLDER), self.pictures(image_text.SIDE, 4)
        model, tokenizer = image_text.build(image_text.texts_of(self.phantoms, library), out)
        matcher = image_text.Matcher(model, tokenizer, pictures, library)
        held = self.held_back(image_text.SIDE)

        def judge() -> dict[str, float]:
            model.eval()
            told = judged(matcher.sees, held)
            model.train()
            return told

        modules = {"model": model, "read": matcher.seers}
        self._stage("image_text", modules, pictures.rng).run(
            lambda: matcher.loss(pictures.draw(self.recipe.image_text[1], real=0.4, other=0.1)), judge
        )
        model.eval()
        return matcher

    def places(self, images: Path) -> None:
        """Where the encoder in this folder sees what a sentence says; the encoder itself stays as it is."""
        learner = places.Learner(images, self.pictures(image_text.SIDE, 5), self.recipe.seed)
        stage = self._stage("places", {"projection": learner.module}, learner.rng)
        pictures, batches = self._unseen()
        learner.learn(stage, self.recipe.places[1], learner.marked(batches, pictures))

    def _unseen(self) -> tuple[Pictures, list[Batch]]:
        """Fresh phantoms, hardly changed."""
        pictures = Pictures(self.fresh, None, image_text.SIDE, np.random.default_rng(0))
        return pictures, pictures.batches([pictures.phantom(n, strong=False) for n in range(len(self.fresh.facts))])

    def _stage(self, name: str, modules: dict[str, Any], rng: np.random.Generator) -> Stage:
        steps, _, lr = getattr(self.recipe, name)
        return Stage(self.work / name, modules, rng, steps, lr)

    def minutes(self) -> dict[str, float]:
        """How long each stage will take here, from a few steps of each on untrained models."""
        import torch

        rendered = time.time()
        phantoms = replace(self, recipe=replace(self.recipe, phantoms=64)).phantoms
        told = {"rendering": (time.time() - rendered) / 64 * self.recipe.phantoms / 60}
        pictures = Pictures(phantoms, None, language.SIDE, np.random.default_rng(0))
        lessons = Lessons(pictures, cards(CARD_FOLDER))
        texts = language.texts_of(phantoms, lessons.maker.cards)
        reader = language.Reader(*language.build(chat_tokenizer(texts, language.VOCABULARY)))
        small = Pictures(phantoms, None, image_text.SIDE, pictures.rng)
        with tempfile.TemporaryDirectory() as folder:
            matcher = image_text.Matcher(*image_text.build(texts, Path(folder)), small, lessons.maker.cards)
        losses: dict[str, Callable[[int], Any]] = {
            "vision": lambda n: reader.seeing_loss(pictures.draw(n)),
            "language": lambda n: reader.answering_loss(lessons.draw(n)),
            "image_text": lambda n: matcher.loss(small.draw(n)),
        }
        for name, loss_of in losses.items():
            steps, batch, _ = getattr(self.recipe, name)
            with torch.autocast(device(), dtype=torch.bfloat16):
                loss_of(batch).backward()
                began = time.time()
                for _ in range(3):
                    loss_of(batch).backward()
            told[name] = (time.time() - began) / 3 * steps / 60
        return told

    def ship(self, out: Path, exam: Path | None = None) -> None:
        """All stages, and what ships written to `out/assistant` and `out/retrieval`, laid out as the project's own."""
        reader, images = out / "assistant" / "pocket", out / "retrieval" / "pocket" / "image_text"
        self.reader().save(reader, self.domains)
        self._ledger(reader)
        matcher = self.matcher(images)
        self._set(matcher, images)
        image_text.save(matcher, images)
        self.places(images)
        self._ledger(images)
        passages.train_encoder(out / "retrieval" / "pocket" / "text", self.medquad, self.recipe.passages)
        self.cards(out, exam)

    def cards(self, out: Path, exam: Path | None) -> None:
        """Model cards beside the weights; `exam` a folder of `consult eval`, sat with these weights."""
        sources = ["phantoms", "cards", *self.sources]
        stages = [("vision", "tower"), ("language", "language model")]
        what = [
            ("architecture", "Qwen2-VL from scratch; loads unchanged in transformers and vLLM"),
            ("reads", f"{language.SIDE} x {language.SIDE} pixels ({language.TOKENS} tokens), 1024 tokens in all"),
            ("made by", f"`consult train pocket{''.join(f' --without {name}' for name in self.without)}`"),
            *((f"{name}", self._told(stage)) for stage, name in stages),
        ]
        curves = [self.work / stage for stage, _ in stages]
        text = card("Pocket vision-language model", what, sources, curves, exam)
        (out / "assistant" / "pocket" / "README.md").write_text(text)
        what = [
            ("image_text/", f"contrastive image–text encoder, open_clip format, {image_text.DIM} numbers; reads "
                            f"{image_text.SIDE} x {image_text.SIDE} pixels, {image_text.LENGTH} tokens"),
            ("text/", f"passage encoder, one BERT layer, 128 numbers; reads {passages.LENGTH} tokens"),
            ("image_text/ learnt by", self._told("image_text")),
            ("`places.safetensors`", f"a projection of its patches into the texts' space, learnt from masks; the "
                                     f"encoder unchanged: {self._told('places')}"),
            ("also there", "`domains.json`: known kinds of pictures; `calibration.json`: from cosine to relevance; "
                           "`fitted.json`: for both encoders with the pocket model, by `consult calibrate`"),
        ]  # fmt: skip
        sources += ["medquad"] * (self.medquad is not None)
        text = card("Pocket encoders", what, sources, [self.work / "image_text", self.work / "places"], None)
        (out / "retrieval" / "pocket" / "README.md").write_text(text)

    @property
    def sources(self) -> list[str]:
        return [name for name in SOURCES if name not in self.without] if self.data else []

    @property
    def medquad(self) -> Path | None:
        folder = self.data / "text" if self.data else None
        return folder if folder and "medquad" not in self.without and (folder / "medquad.jsonl").exists() else None

    @property
    def domains(self) -> list[str]:
        return sorted({"chest_xray", *(DOMAIN_OF[name] for name in self.sources)})

    def _told(self, stage: str) -> str:
        steps, batch, lr = getattr(self.recipe, stage)
        minutes = sum(row.get("minutes", 0) for row in Curves(self.work / stage).rows())
        return f"{steps} steps of {batch}, peak learning rate {lr:g}, {minutes:.0f} minutes"

    def _set(self, matcher: image_text.Matcher, out: Path) -> None:
        """Domains from training pictures of every kind, curves from phantoms that taught nothing."""
        pictures = matcher.pictures
        some = range(0, len(self.phantoms.facts), max(1, len(self.phantoms.facts) // 600))
        chests = pictures.batches([pictures.phantom(n, strong=False) for n in some])
        reals = [pictures.real_one(n, gentle=True) for n in range(len(self.real.sources))] if self.real else []
        found = image_text.domains(matcher, chests, pictures.batches(reals))
        (out / "domains.json").write_text(json.dumps(found) + "\n")
        unseen, held = self._unseen()
        fresh = replace(matcher, pictures=unseen)
        legs = json.dumps(image_text.calibrate(fresh, held), ensure_ascii=False)
        (out / "calibration.json").write_text(legs + "\n")

    def _ledger(self, out: Path) -> None:
        """What was learnt from: seeds of phantoms, patients, and a hash of every real picture."""
        uses: tuple[tuple[Use, range, int], ...] = (
            ("training", TRAINING_SEEDS, self.recipe.phantoms),
            ("validation", VALIDATION_SEEDS, self.recipe.validation),
        )
        spans = [(use, drawn(seeds, n, family)) for use, seeds, n in uses for family in TRAINING_FAMILIES]
        patients = {str(row["patient"]) for row in self.real.rows if row.get("patient")} if self.real else set()
        salt, hashed = hashed_patients(patients)
        hashes = [picture_hash(pixels) for pixels in self.real.pixels] if self.real else []
        seen = np.array(hashes, np.uint64).reshape(-1, 4)
        write_ledger(out, TrainingLedger(tuple(spans), ("the guideline cards", *self.sources), salt, hashed, seen))
