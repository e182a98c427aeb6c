"""Preference pairs as a run learns from them: read and checked, all that is wrong told by file and line."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assistant.engines.base import Message, Prompt
from assistant.engines.card import harmless
from assistant.engines.chat import rendered
from assistant.study import Picture
from eval.leaks import Hashes, Seeds, Seen, Trace, leaks
from eval.phantoms import FAMILIES
from finetune.dpo_config import DpoConfig
from finetune.errors import BadInput, Problem, WrongData
from finetune.manifest import check_apart
from finetune.pictures import hashes_of, look_at, read_training_picture
from finetune.preferences.pair import Pair, TextPart, read_pairs
from finetune.sft_samples import Reader
from finetune.tuned import Learnt
from retrieval.embed import Progress, no_progress

Report = Callable[[Problem], None]
_PHANTOM = re.compile(r"PHANTOM-(\d+)|family (\S+), seed (\d+)")


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A pair, where it stands, and what its pictures look like. `digest`: of the line and its pictures' files."""

    file: Path
    line: int
    pair: Pair
    hashes: Hashes
    digest: str

    @property
    def split(self) -> str:
        return self.pair.split

    @property
    def phantoms(self) -> tuple[Seeds, ...]:
        """A synthetic study's seed, of every family where the pair doesn't say which."""
        if not (found := _PHANTOM.fullmatch(self.pair.patient)):
            return ()
        bare, family, seed = found.groups()
        number = int(bare or seed)
        return tuple(Seeds(name, number, number) for name in ([family] if family else FAMILIES))

    @property
    def learnt(self) -> Learnt:
        return Learnt(self.split, self.file.name, self.phantoms, self.pair.patient, self.hashes)


def read_samples(config: DpoConfig, reader: Reader, progress: Progress = no_progress) -> list[Sample]:
    """Raises `WrongData` with everything that is wrong, `BadInput` when a file can't be read or none teaches."""
    problems: list[Problem] = []
    pairs = [(file, pair) for file in config.pairs for pair in read_pairs(file, problems.append)]
    _raise(problems)
    wanted = [(file, pair) for file, pair in pairs if config.sources is None or pair.source in config.sources]
    samples = _looked_at(config, wanted, problems.append, progress)
    _raise(problems)
    _check_apart(samples, problems.append)
    _check_fit(samples, reader, problems.append)
    _raise(problems)
    splits = {sample.split for sample in samples}
    if "train" not in splits:
        raise BadInput("There is no pair to learn from: none of the wanted sources is in split train.")
    if config.training.patience is not None and "val" not in splits:
        raise BadInput("training.patience needs pairs in split val; add some, or say patience: null.")
    return samples


def _raise(problems: list[Problem]) -> None:
    if problems:
        raise WrongData(problems)


def _looked_at(
    config: DpoConfig, pairs: Sequence[tuple[Path, Pair]], report: Report, progress: Progress
) -> list[Sample]:
    """All pictures are read once. `config.out` remembers what they look like."""
    paths = [file.parent / name for file, pair in pairs for name in (*pair.images, *pair.rejected_images)]
    looks = look_at(paths, config.out / "pictures.jsonl", config.training.workers, progress)
    digests = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in looks}
    lines = {file: _lines(file) for file in config.pairs}
    samples = []
    for file, pair in pairs:
        shown = [file.parent / name for name in pair.images]
        every = [*shown, *(file.parent / name for name in pair.rejected_images)]
        for wrong in dict.fromkeys(looks[path].wrong for path in every if looks[path].wrong):
            report(Problem(file, lines[file][pair.id], wrong))
        if not any(looks[path].wrong for path in every):
            told = "".join([pair.model_dump_json(), *(digests[path] for path in every)])
            digest = hashlib.sha256(told.encode()).hexdigest()
            samples.append(Sample(file, lines[file][pair.id], pair, hashes_of([looks[p] for p in shown]), digest))
    return samples


def _lines(file: Path) -> dict[str, int]:
    """The line of each pair's id, in a file that is whole."""
    text = file.read_text(encoding="utf-8-sig")
    return {json.loads(line)["id"]: n for n, line in enumerate(text.split("\n"), 1) if line.strip()}


def _check_apart(samples: Sequence[Sample], report: Report) -> None:
    """Reports a patient on both sides of several files, and validation pictures nearly the same as training ones."""
    check_apart([(s.file, s.line, s.pair.patient, s.split) for s in samples], report)
    real = {str(number): sample for number, sample in enumerate(samples) if not sample.phantoms}
    sides = {
        split: Seen(split, tuple(Trace(key, hashes=s.hashes) for key, s in real.items() if s.split == split))
        for split in ("train", "val")
    }
    for leak in leaks(sides["val"], sides["train"]):
        mine, other = real[leak.test_id], real[leak.other_id]
        if mine.pair.patient != other.pair.patient:  # else told above
            where = f"{other.file}:{other.line}"
            report(Problem(mine.file, mine.line, f"its {leak.kind} is in val here and in train at {where}"))


def _check_fit(samples: Sequence[Sample], reader: Reader, report: Report) -> None:
    black = Picture(np.zeros((reader.card.picture or 32,) * 2, np.uint8))
    for sample in samples:
        pair = sample.pair
        text, _ = rendered(reader.processor, prompt_of(pair, [black] * len(pair.images)), reader.card.picture)
        size, *answers = reader.count([text, pair.chosen, pair.rejected])
        needed = size + len(pair.images) * reader.info.image_tokens + max(answers)
        if needed >= reader.info.context:
            what = f"prompt and answer need {needed} tokens; the model reads {reader.info.context}"
            report(Problem(sample.file, sample.line, what))


def prompt_of(pair: Pair, pictures: Sequence[Picture]) -> Prompt:
    """The pair's prompt with these pictures in place of its own, in order."""
    rest: Iterator[Picture] = iter(pictures)
    return Prompt(
        tuple(
            Message(told.role, tuple(part.text if isinstance(part, TextPart) else next(rest) for part in told.parts))
            for told in pair.prompt
        )
    )


def pictured(sample: Sample, rejected: bool = False) -> Prompt:
    """The sample's prompt with its pictures read from their files, or with those of its rejected side. Raises
    `BadInput` when one has gone."""
    pair = sample.pair
    names = (rejected and pair.rejected_images) or pair.images
    return prompt_of(pair, [Picture(read_training_picture(sample.file.parent / name)[0]) for name in names])


def example(reader: Reader, sample: Sample) -> dict[str, Any]:
    """Text and pictures of both sides as the model is shown them: `prompt`, `chosen`, `rejected`, `images`,
    `rejected_images`, and the `weight`. Raises `BadInput` when a picture has gone."""
    pair, side, prompt = sample.pair, reader.card.picture, pictured(sample)
    text, images = rendered(reader.processor, prompt, side)
    others = rendered(reader.processor, pictured(sample, rejected=True), side)[1] if pair.rejected_images else images
    chosen, rejected = (
        reader.completion(prompt, text, harmless(answer.strip())) for answer in (pair.chosen, pair.rejected)
    )
    return {
        "prompt": text, "chosen": chosen, "rejected": rejected, "images": images, "rejected_images": others,
        "weight": pair.weight,
    }  # fmt: skip
