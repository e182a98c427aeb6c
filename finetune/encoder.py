"""`consult train encoder`: contrastive training from one configuration file, top to bottom in `train_encoder`.

What is wrong with the data is told before anything is trained; near-duplicates are left out; the encoder with the best
recall on patients it never learnt from is written as a folder, with its ledger, curves and card.
"""

from collections.abc import Callable
from pathlib import Path

from finetune.checkpoints import Checkpoints, write_whole
from finetune.contrastive import Run
from finetune.curves import Curves
from finetune.encoder_config import EncoderConfig
from finetune.errors import BadInput, Misconfigured
from finetune.material import Material
from retrieval.embed import Progress

Say = Callable[[str], None]


def train_encoder(config: EncoderConfig, watch: Progress, say: Say) -> Path:
    """The folder of the encoder that was trained. Raises `WrongData`, `BadInput`, `Misconfigured`."""
    device = device_of(config.training.device)
    work = config.out / "training"
    material = _material(config, work, watch)
    for line in material.told:
        say(line)
    _check_sizes(config, material)
    if config.training.gradient_checkpointing:
        material.learner.checkpoint_gradients()
    told = {"configuration": config.run(), "data": {"digest": material.digest}}
    run = Run(
        material.learner, material.train, material.validation, config.loss, config.training, device,
        config.data.workers, Checkpoints(work, told), Curves(config.out),
    )  # fmt: skip
    figures = run.fit(watch, say)
    _draw(run, config)
    recalls = ", ".join(f"{name} {value:.3f}" for name, value in figures.items() if "recall" in name)
    say(f"Best at step {figures['step']:g}, on {len(material.validation)} validation pairs: {recalls}.")
    return _written(config, material, figures)


def device_of(name: str) -> str:
    """The device that "auto" stands for: a GPU where there is one. Raises `Misconfigured` for one that isn't there."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise Misconfigured(f"training.device: there is no {name} here; auto takes what there is.") from error
    return name


def _material(config: EncoderConfig, work: Path, watch: Progress) -> Material:
    if config.kind == "text":
        from finetune.text_material import text_material

        return text_material(config, work)
    from finetune.image_text_material import image_text_material

    return image_text_material(config, work, watch)


def _check_sizes(config: EncoderConfig, material: Material) -> None:
    if len(material.train) < config.training.batch:
        raise BadInput(
            f"training.batch is {config.training.batch}, and there are only {len(material.train)} training pairs."
        )
    if len(material.validation) < 2:
        raise BadInput(
            f"Only {len(material.validation)} validation pairs: raise data.validation, or name lines of split val."
        )


def _draw(run: Run, config: EncoderConfig) -> None:
    ways, count = run.learner.ways, len(run.validation)
    panels = {
        "loss": ["loss"],
        "validation recall@1": [f"{way} recall@1" for way in ways],
        "validation recall@5": [f"{way} recall@5" for way in ways],
        "learning rate": ["lr"],
    }
    run.curves.draw(panels, f"{config.loss.name}, {len(run.train)} training pairs, {count} validation pairs")


def _written(config: EncoderConfig, material: Material, figures: dict[str, float]) -> Path:
    folder = config.out / "encoder"
    folder.mkdir(parents=True, exist_ok=True)
    material.write_ledger(folder)  # first: weights without a ledger would pass for weights nothing is known of
    material.learner.save(folder)
    text = card(config, material, figures)
    write_whole(folder / "README.md", lambda draft: draft.write_text(text, encoding="utf-8"))
    return folder


def card(config: EncoderConfig, material: Material, figures: dict[str, float]) -> str:
    """The model card: what it learnt from, how, and what was measured."""
    import yaml

    recipe = yaml.safe_dump(config.run(), sort_keys=False, allow_unicode=True)
    count = len(material.validation)
    rows = "\n".join(f"| {name} | {value:.3f} |" for name, value in figures.items() if "recall" in name)
    setting = "text" if config.kind == "text" else "image_text"
    data = "\n".join(f"- {line.strip()}" for line in material.told)
    return f"""# An encoder trained by `consult train encoder`

Not for clinical use. It finds what resembles a {"question" if config.kind == "text" else "picture"}; it doesn't judge
whether that is true of the patient.

## Use

    [encoders]
    {setting} = "{config.out / "encoder"}"

then `consult calibrate`{"" if config.kind == "text" else " and `consult domains fit`"}: how relevant a score is,
is not fitted here.

## Data

{data}

`trained_on.json` names what it learnt from (patients as hashes), so that `consult eval` refuses to ask about it. With
the salt beside it a short patient number can be guessed: keep weights that learnt from patients in the house.

## Figures

On {count} validation pairs, of which a random order would find {1 / count:.3f} first, with the weights of step
{figures["step"]:g}, which these same pairs chose: expect less on others. A pair counts as found when any text (or
picture) that belongs to it comes first, or among five.

| figure | value |
|---|---|
{rows}

## Recipe

```yaml
{recipe}```
"""


def run_file(path: Path, watch: Progress, say: Say) -> Path:
    """As `train_encoder`, from a configuration file."""
    from finetune.configs import load_config

    return train_encoder(load_config(path, EncoderConfig), watch, say)
