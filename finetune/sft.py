"""Supervised tuning of a vision-language model: `consult train sft`. The way of a run, top to bottom in `run`.

All data is read and checked, and all evidence looked up, before the weights are loaded. Killed at any moment, the same
command goes on; with other data or another configuration it refuses.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from finetune.configs import load_config
from finetune.curves import Curves
from finetune.errors import BadInput, Problem, WrongData
from finetune.runs import check_same, described, keep
from finetune.sft_config import SftConfig
from finetune.sft_data import Report, Row, read_rows
from finetune.sft_samples import Maker, Reader, answer_lines
from retrieval.db import salt_of
from retrieval.embed import Progress, no_progress

Say = Callable[[str], None]
SHOWN = 3


def run_file(path: Path, progress: Progress, say: Say, dry_run: bool = False) -> Path | None:
    """Tunes as the YAML file says. Returns the folder of the adapter or model, None for a dry run."""
    return run(load_config(path, SftConfig), progress, say, dry_run)


def run(config: SftConfig, progress: Progress = no_progress, say: Say = print, dry_run: bool = False) -> Path | None:
    """Raises `WrongData` with all that is wrong, `LeakFound`, `BadInput` for a run begun otherwise, `Misconfigured`."""
    salt = _salt(config)
    rows, reader = prepared_rows(config, salt, progress)
    begun = described(config, (f"{row.digest} {row.split}" for row in rows))
    check_same(config.out, begun)
    maker = Maker(reader, _evidence(config, rows, salt, progress), salt, config.max_answer, config.data.cite_image)
    if dry_run:
        for line in preview(maker, rows):
            say(line)
        return None
    keep(config.out, begun)
    return _train(config, maker, rows, str(begun["data"]), progress, say)


def _train(config: SftConfig, maker: Maker, rows: Sequence[Row], data: str, progress: Progress, say: Say) -> Path:
    from finetune.sft_output import write_output
    from finetune.sft_training import load_model, steps_of, train, trainer_of
    from finetune.tuned import target

    if (folder := target(config)).is_dir():
        say(f"{folder} is there already: nothing to do.")
        return folder
    curves, steps = Curves(config.out), steps_of(config, [row.split for row in rows])
    model = load_model(config, maker.reader)
    trainer = trainer_of(config, model, maker, rows, curves, progress)
    train(trainer, curves, steps, say)
    curves.draw({"loss": ("loss", "validation loss"), "learning rate": ("learning rate",)}, config.out.name)
    facts = {"data": data, "steps": steps, "with evidence": sum(bool(maker.evidence.get(row.trace.id)) for row in rows)}
    return write_output(config, maker.reader, trainer, rows, facts, curves)


def prepared_rows(config: SftConfig, salt: bytes, progress: Progress = no_progress) -> tuple[list[Row], Reader]:
    """The rows and the model's processor. Raises `WrongData` with everything that is wrong."""
    problems: list[Problem] = []
    rows = read_rows(config.data, salt, config.training.seed, problems.append, progress)
    if problems:
        raise WrongData(problems)
    if not any(row.split == "train" for row in rows):
        raise BadInput("There is no sample to learn from: no line is in split train.")
    reader = Reader.open(config.model)
    _check_answers(config, rows, reader, problems.append)
    if problems:
        raise WrongData(problems)
    return rows, reader


def _check_answers(config: SftConfig, rows: Sequence[Row], reader: Reader, report: Report) -> None:
    for row in rows:
        lines, withheld = answer_lines(row, config.data.cite_image)
        size = reader.count(["\n".join(lines)])[0]
        if not lines:
            why = f"serving would withhold all {withheld} sentences" if withheld else "it has no sentence"
            report(Problem(row.file, row.line, f"nothing of its answer can be taught: {why}"))
        elif size > config.max_answer:
            what = f"its answer has {size} tokens, more than max_answer {config.max_answer}"
            report(Problem(row.file, row.line, what))


def preview(maker: Maker, rows: Sequence[Row]) -> list[str]:
    """Three samples as the model will read them, different tasks first, and counts."""
    first = {row.told.task: row for row in reversed(rows)}
    chosen = list({row.trace.id: row for row in [*first.values(), *rows]}.values())[:SHOWN]
    lines = []
    for row in chosen:
        example, sample = maker.example(row), maker.sample(row)
        lines += [f"=== {row.file}:{row.line} ({row.told.task}, {row.split}, {len(example['images'])} pictures) ==="]
        lines += [example["prompt"] + "⟦" + example["completion"] + "⟧"]
        if sample.withheld or sample.dropped:
            gone = ", ".join(sample.dropped) or "nothing"
            lines += [f"({sample.withheld} sentences not taught; left out of the prompt: {gone})"]
    shown = sum(bool(maker.evidence.get(row.trace.id)) for row in rows)
    counts = Counter((row.split, row.told.task) for row in rows)
    told = ", ".join(f"{split} {task} {count}" for (split, task), count in sorted(counts.items()))
    return [*lines, f"=== {len(rows)} samples: {told}; {shown} with evidence. ⟦…⟧ is what is learnt. ==="]


def _salt(config: SftConfig) -> bytes:
    """What patients are hashed with: the searched home's, so that they are told apart there, else the run's own."""
    if config.retrieval:
        from finetune.sft_evidence import home_of

        if home := home_of(config.retrieval):
            return salt_of(home)
    return salt_of(config.out)


def _evidence(config: SftConfig, rows: Sequence[Row], salt: bytes, progress: Progress) -> Any:
    if config.retrieval is None:
        return {}
    from finetune.sft_evidence import Lookup

    lookup = Lookup(config.retrieval, config.out / "evidence", salt, config.training.seed, config.max_answer)
    return lookup.find(rows, progress)
