"""What `consult train sft` is told: one YAML file, validated once. `finetune/recipes/sft-lora.yaml` explains it. What
every tuning shares stands in `Tuning`."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from finetune.configs import Frozen

Share = Annotated[float, Field(ge=0, le=1)]
Part = Literal["language", "projector", "vision"]


class Data(Frozen):
    """`validation`: share of patients held out where lines name no split. `ignore`: further keys that lines may have.
    `cite_image`: sentences of plain answers and reports are marked as read from the picture."""

    manifests: Annotated[tuple[Path, ...], Field(min_length=1)]
    validation: Annotated[float, Field(ge=0, lt=1)] = 0.1
    ignore: tuple[str, ...] = ()
    cite_image: bool = True


class Retrieval(Frozen):
    """Evidence from the project's own retriever in this `share` of samples. `home`: a CONSULT_HOME, or "bundled" for
    the cards that ship. `image_text` and `text` name encoders as the settings do. `cross_fitted`: image encoders each
    trained without a part of the samples; each sample is looked up with one that has not seen it."""

    home: Path | Literal["bundled"] = "bundled"
    share: Share = 0.6
    k_max: Annotated[int, Field(ge=1, le=50)] = 3
    image_text: str = "pocket"
    text: str = "pocket"
    cross_fitted: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _two_at_least(self) -> Self:
        if len(self.cross_fitted) == 1:
            raise ValueError("cross_fitted needs at least two encoders, each trained without a part of the samples")
        if self.cross_fitted and "image_text" in self.model_fields_set:
            raise ValueError("name image encoders under image_text or under cross_fitted, not both")
        return self

    @property
    def encoders(self) -> tuple[str, ...]:
        return self.cross_fitted or (self.image_text,)


class Lora(Frozen):
    """Low-rank adapters on the linear layers of the tuned parts. `merge`: the adapters are added to the weights at the
    end, and a whole model is written."""

    rank: PositiveInt = 16
    alpha: PositiveFloat = 32
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.05
    merge: bool = False


class Training(Frozen):
    """AdamW with `lr` after a linear warm-up over a share of the steps, then a cosine to 0. A step sees `batch` times
    `accumulate` samples. `steps` or `epochs`, not both. `evaluate_every` steps the validation loss is measured and a
    checkpoint written; of the checkpoints the last and the best stay."""

    steps: PositiveInt | None = None
    epochs: PositiveFloat | None = None
    batch: PositiveInt = 1
    accumulate: PositiveInt = 16
    lr: PositiveFloat
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.03
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    clip_gradient: PositiveFloat = 1.0
    precision: Literal["fp32", "bf16"] = "bf16"
    gradient_checkpointing: bool = True
    workers: Annotated[int, Field(ge=0)] = 0
    seed: Annotated[int, Field(ge=0)] = 0
    evaluate_every: PositiveInt = 100

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give steps or epochs, one of them")
        return self


class Tuning(Frozen):
    """What every tuning of a vision-language model is told. `model`: "pocket", a folder, or a hub name of one that
    transformers loads. `tune`: the parts that learn; the vision tower does not unless named. `domains`: kinds of image
    the result may read, None for the model's."""

    out: Path
    model: str
    method: Literal["full", "lora", "qlora"]
    training: Training
    lora: Lora = Lora()
    tune: Annotated[tuple[Part, ...], Field(min_length=1)] = ("language",)
    domains: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _fits_the_method(self) -> Self:
        if self.method == "full" and "lora" in self.model_fields_set:
            raise ValueError("lora belongs to the methods lora and qlora")
        if self.method == "qlora" and self.lora.merge:
            raise ValueError("four-bit weights can't be merged exactly; keep the adapter, or use method lora")
        if self.domains is not None and not self.whole:
            raise ValueError("an adapter reads what its model reads; domains belongs to full tuning or lora.merge")
        return self

    @property
    def whole(self) -> bool:
        """Whether a whole model is written, not an adapter."""
        return self.method == "full" or self.lora.merge


class SftConfig(Tuning):
    """`max_answer`: tokens of the longest answer, for which prompts leave room as a request's `max_tokens` does."""

    data: Data
    retrieval: Retrieval | None = None
    max_answer: PositiveInt = 256
