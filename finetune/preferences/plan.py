"""What `consult preferences build` is told, checked once. It is written beside the pairs: another plan, another run."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, PositiveInt, model_validator

from finetune.configs import Frozen
from finetune.preferences.noise import STEP, STEPS, Damage
from finetune.preferences.pair import Source

# "typed" and "sampled" both give pairs of the source "hallucination".
Recipe = Literal["typed", "sampled", "lesion", "whole_noise", "rag_a", "rag_b", "rag_c", "edits"]
RECIPES: tuple[Recipe, ...] = get_args(Recipe)
RAG: tuple[Recipe, ...] = ("rag_a", "rag_b", "rag_c")


class Plan(Frozen):
    """`phantoms`: how many synthetic studies are rendered. `knowledge`: what is retrieved from: none, the bundled
    cards, or a home's library. `shown`: share of the cases of other recipes than RAG that show what was retrieved.
    `whole`: RAG's damaged picture is damaged as a whole, as published, not in the lesion's region alone."""

    recipes: Annotated[tuple[Recipe, ...], Field(min_length=1)]
    n: PositiveInt
    model: str
    phantoms: Annotated[int, Field(ge=0, le=100_000)] = 0
    first_seed: int
    size: Annotated[int, Field(ge=64)]
    data: tuple[Path, ...] = ()
    knowledge: Path | Literal["none", "bundled"] = "none"
    shown: Annotated[float, Field(ge=0, le=1)] = 0.5
    judges: tuple[str, ...] = ()
    adapter: str | None = None
    damage: Damage = "diffusion"
    step: Annotated[int, Field(ge=1, le=STEPS)] = STEP
    whole: bool = False
    rounds: PositiveInt = 4
    temperature: Annotated[float, Field(gt=0)] = 0.9
    validation: Annotated[float, Field(ge=0, lt=1)] = 0.1
    max_answer: PositiveInt = 256
    seed: int = 0

    @model_validator(mode="after")
    def _possible(self) -> Self:
        cases = set(self.recipes) - {"edits"}
        if cases and not self.phantoms and not self.data:
            raise ValueError(f"{', '.join(sorted(cases))}: give --phantoms or --data to make pairs from")
        if set(RAG) & set(self.recipes) and self.knowledge == "none":
            raise ValueError("the rag sets need knowledge to retrieve from: bundled, or a home with a library")
        if len(set(self.recipes)) != len(self.recipes):
            raise ValueError("a source is named twice")
        return self

    @property
    def asks_model(self) -> bool:
        return bool({*RAG, "sampled"} & set(self.recipes))

    def quotas(self) -> dict[Recipe, int]:
        """Pairs wanted of each recipe: as equal as `n` allows."""
        share, rest = divmod(self.n, len(self.recipes))
        return {recipe: share + (place < rest) for place, recipe in enumerate(self.recipes)}


def source_of(recipe: Recipe) -> Source:
    return "hallucination" if recipe in ("typed", "sampled") else recipe  # type: ignore[return-value]


def told(plan: Plan, data: str, model_hash: str) -> dict[str, Any]:
    """What makes a run another one."""
    return {"plan": plan.model_dump(mode="json"), "data": data, "weights": model_hash}
