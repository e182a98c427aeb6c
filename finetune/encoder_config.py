"""What `consult train encoder` is told: one YAML file, validated once. `finetune/recipes/encoder.yaml` explains it."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from finetune.configs import Frozen

Share = Annotated[float, Field(ge=0, lt=1)]
Weight = Annotated[float, Field(ge=0)]


class Data(Frozen):
    """`validation`: share of patients held out where lines name no split. `labels`: the only ones that may occur.
    `ignore`: further keys that lines may have. `workers`: processes that read pictures, 0 for none beside."""

    manifests: Annotated[tuple[Path, ...], Field(min_length=1)]
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.1
    labels: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()
    workers: Annotated[int, Field(ge=0)] = 0


class Duplicates(Frozen):
    """Pictures are copies at most `bits` of 256 apart, or from this `cosine` in `encoder`. None: not looked for."""

    bits: Annotated[int, Field(ge=0, le=128)] | None = 16
    cosine: Annotated[float, Field(gt=0, le=1)] | None = None
    encoder: str = "pocket"


class Augment(Frozen):
    """Largest change of a training picture: degrees, and shares of its size, scale, brightness and contrast. None is
    mirrored: a mirrored radiograph has the heart on the wrong side, and its report would be false."""

    rotate: Annotated[float, Field(ge=0, le=180)] = 5
    shift: Share = 0.05
    zoom: Share = 0.1
    light: Share = 0.1


class Lora(Frozen):
    """Low-rank adapters on every linear and attention layer, merged into the weights at the end."""

    rank: PositiveInt = 16
    alpha: PositiveFloat = 32
    dropout: Share = 0.0


class Model(Frozen):
    """`name`: "scratch", a folder, or for pictures "hf-hub:org/model" (open_clip), for text "org/model" (transformers).
    From scratch: `architecture` is a name open_clip knows or its model_cfg (for text: a transformers configuration),
    `preprocess` its preprocess_cfg, `vocabulary` the size of a tokenizer learnt from the training texts (None:
    open_clip's own). `length`: tokens a text encoder reads."""

    name: str = "scratch"
    architecture: str | dict[str, Any] | None = None
    preprocess: dict[str, Any] | None = None
    vocabulary: Annotated[int, Field(ge=300)] | None = None
    length: PositiveInt = 256
    lora: Lora | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.name == "scratch") != (self.architecture is not None):
            raise ValueError("architecture belongs to the name scratch, and is needed there")
        if self.lora and self.name == "scratch":
            raise ValueError("lora adapts a trained model, and scratch is none")
        return self


class Clip(Frozen):
    name: Literal["clip"] = "clip"


class SigLip(Frozen):
    name: Literal["siglip"]


class MultiPositive(Frozen):
    """`positives`: pairs belong together that share their text, picture or group; with "labels", also those whose sets
    of labels are the same."""

    name: Literal["multi-positive"]
    positives: Literal["text", "labels"] = "text"


class DhnNce(Frozen):
    name: Literal["dhn-nce"]
    beta_image: Weight = 0.15
    beta_text: Weight = 0.15


class ClipUniformAlign(Frozen):
    name: Literal["clip-uniform-align"]
    within: Weight = 1.0
    across: Weight = 1.0
    align: Weight = 1.0


Loss = Annotated[Clip | SigLip | MultiPositive | DhnNce | ClipUniformAlign, Field(discriminator="name")]


class Training(Frozen):
    """AdamW with `lr` after a linear warm-up over a share of the steps, then a half cosine to 0. A step sees `batch`
    pairs. `validation_pairs`: how many the recall is measured on, at most."""

    steps: PositiveInt
    batch: Annotated[int, Field(ge=2)]
    lr: PositiveFloat
    warmup: Share = 0.05
    weight_decay: Weight = 0.1
    clip_gradient: PositiveFloat = 1.0
    precision: Literal["fp32", "bf16"] = "fp32"
    gradient_checkpointing: bool = False
    seed: Annotated[int, Field(ge=0)] = 0
    device: str = "auto"
    evaluate_every: PositiveInt = 500
    checkpoint_every: PositiveInt = 500
    validation_pairs: Annotated[int, Field(ge=2)] = 2000


class EncoderConfig(Frozen):
    """`out`: folder for the encoder, its checkpoints and curves."""

    kind: Literal["image-text", "text"] = "image-text"
    out: Path
    data: Data
    duplicates: Duplicates = Duplicates()
    augment: Augment = Augment()
    model: Model
    loss: Loss = Clip()
    training: Training

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        if self.kind == "text":
            if foreign := {"augment", "duplicates"} & self.model_fields_set:
                raise ValueError(f"{' and '.join(sorted(foreign))}: belongs to pictures, and kind is text")
            if isinstance(self.loss, MultiPositive) and self.loss.positives == "labels":
                raise ValueError("loss.positives: questions have no labels; give them a group")
            if isinstance(self.model.architecture, str) or (self.model.architecture and not self.model.vocabulary):
                raise ValueError("model: from scratch, text needs a transformers configuration as architecture, "
                                 "with its model_type, and a vocabulary")  # fmt: skip
        return self

    def run(self) -> dict[str, Any]:
        """What makes a run the run it is: all but where it writes and how many processes read for it."""
        return self.model_dump(mode="json", exclude={"out": True, "data": {"workers"}})
