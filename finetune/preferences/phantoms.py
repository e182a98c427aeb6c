"""Synthetic studies to make pairs from: pictures, and the questions and reports that are true of them, as the JSONL
that supervised tuning reads. Training seeds alone, and frontal films."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from eval.leaks import Seeds
from eval.phantoms import TRAINING_FAMILIES, Phantom, make_phantom
from eval.phantoms.phrases import capital
from finetune.checkpoints import write_whole
from finetune.pocket.samples import asked, mixed
from finetune.preferences.typed import Facts, asked_of, report_of
from retrieval.embed import Progress, no_progress

SIZE = 256  # pixels; larger than the bundled model reads
FIRST_SEED = 1_900_000  # the bundled models learnt from seeds below
QUESTIONS = 6  # of a study


def write_phantoms(folder: Path, seeds: range, size: int = SIZE, progress: Progress = no_progress) -> Path:
    """Writes pictures and samples.jsonl, the families in turn; what is there already is not rendered again."""
    path = folder / "samples.jsonl"
    if path.is_file():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for done, seed in enumerate(seeds, 1):
        phantom = make_phantom(seed, family=TRAINING_FAMILIES[seed % len(TRAINING_FAMILIES)], size=size)
        file = f"{phantom.family}-{seed}.png"
        Image.fromarray(phantom.pixels).save(folder / file)
        lines += [json.dumps(line, ensure_ascii=False) for line in samples(phantom, file)]
        progress("rendering phantoms", done, len(seeds))
    write_whole(path, lambda draft: draft.write_text("\n".join(lines) + "\n", encoding="utf-8"))
    return path


def samples(phantom: Phantom, file: str) -> Iterator[dict[str, Any]]:
    """A report, and questions of many kinds, as many on what is there as on what isn't."""
    facts = Facts.of(phantom)
    common = {
        "image": file, "patient": Seeds(phantom.family, phantom.seed, phantom.seed).name, "seed": phantom.seed,
        "family": phantom.family, "modality": "DX", "view": phantom.view, "standard_display": True,
        "source": "phantoms of training families",
    }  # fmt: skip
    yield {**common, "task": "report", "report": report_of(facts)}
    rng = np.random.default_rng([phantom.seed, 79])
    for question in mixed(asked_of(facts, phantom.seed), rng, QUESTIONS):
        answer = f"{capital(question.answer)}." if question.choices else question.answer
        yield {**common, "task": "ask", "question": asked(question), "answer": answer}
