"""What `consult train dpo` is told: one YAML file, validated once. `finetune/recipes/mmedpo.yaml` explains it."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt

from finetune.configs import Frozen
from finetune.preferences.pair import Source
from finetune.sft_config import Training, Tuning


class Objective(Frozen):
    """`finetune.losses.preference` with this `beta`. `weighted`: by the pairs' clinical relevance, else all count 1.
    `per_token`: log-ratios are divided by the answer's length. `sft`: how much the chosen answers' own likelihood
    counts beside it."""

    beta: PositiveFloat = 0.1
    weighted: bool = True
    per_token: bool = False
    sft: Annotated[float, Field(ge=0)] = 0.0


class DpoTraining(Training):
    """A step sees `batch` times `accumulate` pairs. `patience`: stop when the validation loss was not the best so many
    times running; None: never before the last step."""

    patience: PositiveInt | None = 3


class DpoConfig(Tuning):
    """`pairs`: JSONL files of `finetune.preferences`. `sources`: only pairs of these, None for all."""

    pairs: Annotated[tuple[Path, ...], Field(min_length=1)]
    sources: Annotated[tuple[Source, ...], Field(min_length=1)] | None = None
    objective: Objective = Objective()
    training: DpoTraining
