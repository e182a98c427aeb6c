"""`consult merge`: an adapter into its model, or several adapters into one, by peft's own arithmetic."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, Literal

from assistant.engines.card import weights_hash
from eval.ledger import LEDGER, TrainingLedger, joined, load_ledger, write_ledger
from finetune.errors import BadInput, Misconfigured
from finetune.sft_samples import Reader
from finetune.tuned import consult_json, write_folder

How = Literal["cat", "linear", "svd", "ties", "ties_svd", "dare_linear", "dare_ties", "magnitude_prune"]
PRUNING = ("ties", "ties_svd", "dare_linear", "dare_ties", "magnitude_prune")

_CARD = """# {title}

**Not for clinical use.** {what} of {base}, by `consult merge`; measure it with `consult eval` before anything else.

| adapter | weight | weights' hash |
|---|---|---|
{rows}

Combined by: {how}. {ledger}
"""


@dataclass(frozen=True, slots=True)
class Merge:
    """`weights`: one an adapter, 1 where none are given. `how`: peft's combination of several; "cat" is their exact
    sum, of as high a rank as theirs together. `density`: what share of values the pruning ways keep. `whole`: into the
    model's own weights, else into one adapter. `model`: where the adapters don't say whose they are."""

    adapters: tuple[Path, ...]
    out: Path
    weights: tuple[float, ...] = ()
    how: How = "cat"
    density: float | None = None
    whole: bool = True
    model: str | None = None


def run(told: Merge, say: Callable[[str], None] = print) -> Path:
    """Writes the folder and returns it. Raises `BadInput`, `Misconfigured`."""
    weights = told.weights or (1.0,) * len(told.adapters)
    _check(told, weights)
    reader = Reader.open(_model_of(told))
    ledgers = [load_ledger(folder) for folder in told.adapters]
    if told.whole and isinstance(reader.source, Path):
        ledgers.append(load_ledger(reader.source))
    seen = _seen([ledger for ledger in ledgers if ledger])
    merged = _merged(told, weights, reader)
    data = hashlib.sha256("\n".join([*map(_data_of, told.adapters), repr(weights), told.how]).encode()).hexdigest()

    def write(draft: Path) -> None:
        _save(merged, draft, told.whole)
        reader.processor.save_pretrained(draft)
        card = consult_json(reader, None, None if told.whole else reader.name) | {"data": data}
        (draft / "consult.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
        if None not in ledgers:
            write_ledger(draft, seen)
        (draft / "README.md").write_text(_card(told, weights, reader.name, None in ledgers), encoding="utf-8")

    folder = write_folder(told.out, write)
    if None in ledgers:
        say(f"{folder} has no {LEDGER}: not all it is made of says what it learnt from.")
    return folder


def _check(told: Merge, weights: Sequence[float]) -> None:
    for folder in told.adapters:
        if not (folder / "adapter_config.json").is_file():
            raise BadInput(f"{folder} is no adapter: it holds no adapter_config.json.")
    if told.out.exists():
        raise BadInput(f"{told.out} is there already; name another --out.")
    if len(weights) != len(told.adapters):
        raise BadInput(f"{len(told.adapters)} adapters were named and {len(weights)} weights; give one each, or none.")
    if (told.how in PRUNING) != (told.density is not None):
        raise BadInput(f"--density belongs to {', '.join(PRUNING)}, which need it.")


def _model_of(told: Merge) -> str:
    """The model whose adapters they are. Raises `BadInput` when they disagree, or none says."""
    if told.model is not None:
        return told.model
    named = {str(told_of) for folder in told.adapters if (told_of := _told(folder).get("adapter_of"))}
    if len(named) != 1:
        what = f"are of different models ({', '.join(sorted(named))})" if named else "don't say whose they are"
        raise BadInput(f"The adapters {what}; name the model with --model.")
    return named.pop()


def _told(folder: Path) -> dict[str, Any]:
    path = folder / "consult.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _data_of(folder: Path) -> str:
    return str(_told(folder).get("data") or weights_hash(folder))


def _seen(ledgers: Sequence[TrainingLedger]) -> TrainingLedger:
    try:
        return reduce(joined, ledgers, TrainingLedger())
    except ValueError:
        raise BadInput(
            "The adapters' ledgers key their patients by different salts, so one ledger can't hold both. Train the "
            "second on the first one's merged model instead."
        ) from None


def _merged(told: Merge, weights: Sequence[float], reader: Reader) -> Any:
    """peft's model with one adapter on; merged in float32, then as the model's weights were stored."""
    import torch
    from peft import PeftModel
    from transformers import AutoConfig, AutoModelForImageTextToText

    names = [f"adapter{number}" for number in range(len(told.adapters))]
    try:
        base = AutoModelForImageTextToText.from_pretrained(reader.source, dtype=torch.float32)
        model = PeftModel.from_pretrained(base, str(told.adapters[0]), adapter_name=names[0])
        for name, folder in zip(names[1:], told.adapters[1:], strict=True):
            model.load_adapter(str(folder), adapter_name=name)
        options = {} if told.density is None else {"density": told.density}
        if len(names) > 1 or weights[0] != 1:
            model.add_weighted_adapter(names, list(weights), "default", combination_type=told.how, **options)
            model.set_adapter("default")
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        what = " ".join(str(error).split())[:200]
        raise Misconfigured(f"The adapters don't go together with {reader.name} by {told.how}: {what}") from None
    if not told.whole:
        return model
    stored = AutoConfig.from_pretrained(reader.source).dtype
    return model.merge_and_unload().to(stored or torch.float32)


def _save(model: Any, folder: Path, whole: bool) -> None:
    if whole:
        model.save_pretrained(folder)
        return
    name = model.active_adapter
    model.save_pretrained(folder, selected_adapters=[name])
    if name != "default":  # which peft puts into a folder of its own
        for path in (folder / name).iterdir():
            path.rename(folder / path.name)
        (folder / name).rmdir()


def _card(told: Merge, weights: Sequence[float], base: str, unknown: bool) -> str:
    rows = "\n".join(
        f"| {folder.resolve().parent.name}/{folder.name} | {weight:g} | {weights_hash(folder)} |"
        for folder, weight in zip(told.adapters, weights, strict=True)
    )
    what = "An adapter merged into the weights" if told.whole else "An adapter made of several"
    ledger = "What it learnt from is not known of all parts." if unknown else f"`{LEDGER}` says what it learnt from."
    how = told.how if len(weights) > 1 or weights[0] != 1 else "addition"
    return _CARD.format(title=told.out.name, what=what, base=base, rows=rows, how=how, ledger=ledger)
