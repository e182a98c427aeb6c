"""The gate: may this adapter answer people? Two exams side by side, the model as it is and the same with the adapter.

It opens when something that counts is better beyond chance and nothing that counts is worse: of each benchmark both sat
the headline figure, and what no model should do more of. "Beyond chance": the 95 % interval of the paired difference
leaves 0 out; to be called better the permutation test's p must moreover stay under .05 divided by the figures that
count (Bonferroni), since many exams find something. What the figures mean for patients no gate knows: that a person
says, who promotes it.
"""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from assistant.engines.card import weights_hash
from eval.exam.compare import compare
from eval.exam.results import FEWEST, Results
from finetune.checkpoints import write_whole
from finetune.errors import BadInput

GATE = "gate.json"
LOWER = frozenset(
    ["contradiction rate", "copy-reference rate", "hallucinated findings", "off by", "over-reliance rate", "wrong side"]
)
LEVEL = 0.05
_SAME = ("model", "model_hash", "engine", "encoders", "knowledge", "retrieval")
Verdict = Literal["better", "worse", "no difference", "not counted"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Compared(_Part):
    """A figure of the model, of the model with the adapter, and the paired difference, the second minus the first.
    `counts`: +1 where more is better, −1 where less is, 0 where it is only told."""

    benchmark: str
    figure: str
    base: float | None
    candidate: float | None
    difference: float
    low: float
    high: float
    p: float
    patients: int
    counts: Literal[-1, 0, 1]

    def verdict(self, counting: int) -> Verdict:
        """`counting`: figures that count, over which chance is shared out."""
        if not self.counts or self.patients < FEWEST:
            return "not counted"
        low, high = sorted((self.counts * self.low, self.counts * self.high))
        if high < 0:
            return "worse"
        return "better" if low > 0 and self.p <= LEVEL / counting else "no difference"


class Gate(_Part):
    """`data`: fingerprint of what the adapter learnt from; `exams`: sha256 of both results.json, base first."""

    format: Literal[1] = 1
    adapter: str
    adapter_hash: str
    data: str
    model: str
    model_hash: str
    exams: tuple[str, str]
    when: str
    figures: tuple[Compared, ...]

    @property
    def counting(self) -> int:
        return sum(one.counts != 0 and one.patients >= FEWEST for one in self.figures)

    def verdicts(self) -> dict[Verdict, list[Compared]]:
        found: dict[Verdict, list[Compared]] = {}
        for one in self.figures:
            found.setdefault(one.verdict(self.counting), []).append(one)
        return found

    def refusal(self) -> str | None:
        """Why it stays closed, in one line; None: it is open."""
        found = self.verdicts()
        if worse := found.get("worse"):
            return f"It is worse than the model as it is in {_named(worse)}."
        if not self.counting:
            return f"No figure that counts rests on {FEWEST} patients or more; sit longer exams."
        if "better" not in found:
            return f"It is better beyond chance in none of the {self.counting} figures that count."
        return None

    def save(self, path: Path) -> None:
        write_whole(path, lambda draft: draft.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8"))

    @classmethod
    def load(cls, path: Path) -> "Gate":
        """Raises `BadInput`."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError:
            raise BadInput(f"{path} is not there; `consult adapters gate` makes it from two exams.") from None
        except ValidationError:
            raise BadInput(f"{path} is no gate file of this version; make it again: `consult adapters gate`.") from None


def _named(figures: list[Compared]) -> str:
    told = [
        f"{one.benchmark}, {one.figure} ({one.difference:+.3f} [{one.low:+.3f}, {one.high:+.3f}])" for one in figures
    ]
    return "; ".join(told[:3]) + ("; …" if len(told) > 3 else "")


def weigh(name: str, folder: Path, base: Path, candidate: Path, seed: int = 0) -> Gate:
    """The gate of the adapter in `folder` from two exams' folders. Raises `BadInput` when they don't belong to it."""
    found = compare(base, candidate, seed)
    before, after = found.a.candidate, found.b.candidate
    own, data = weights_hash(folder), data_of(folder)
    if before.get("adapter"):
        raise BadInput(f"{base} is an exam of an adapter; the first exam is of the model as it is, without --adapter.")
    if after.get("adapter_hash") != own or own is None:
        raise BadInput(f"{candidate} is no exam of these weights: sit it again with --adapter {name}.")
    if differing := [key for key in _SAME if before.get(key) != after.get(key)]:
        raise BadInput(f"The two exams differ in more than the adapter: {', '.join(differing)}.")
    if not data:
        raise BadInput(
            f"{folder} doesn't say what it learnt from (consult.json has no `data`); train or merge it anew."
        )
    return Gate(
        adapter=name, adapter_hash=own, data=data, model=str(before["model"]), model_hash=str(before["model_hash"]),
        exams=(_digest(base), _digest(candidate)), when=datetime.now(UTC).isoformat(timespec="seconds"),
        figures=tuple(
            Compared(
                benchmark=benchmark, figure=figure, base=_value(found.a, benchmark, figure),
                candidate=_value(found.b, benchmark, figure), difference=one.value, low=one.low, high=one.high, p=one.p,
                patients=sheet.patients, counts=_counts(found.a, benchmark, figure),
            )
            for benchmark, sheet in found.sheets.items()
            for figure, one in sheet.figures.items()
        ),
    )  # fmt: skip


def _value(results: Results, benchmark: str, figure: str) -> float | None:
    measured = results.benchmarks[benchmark].figures.get(figure)
    return measured.value if measured else None


def _counts(results: Results, benchmark: str, figure: str) -> Literal[-1, 0, 1]:
    if figure in LOWER:
        return -1
    return 1 if figure == results.benchmarks[benchmark].headline else 0


def _digest(exam: Path) -> str:
    return hashlib.sha256((exam / "results.json" if exam.is_dir() else exam).read_bytes()).hexdigest()


def data_of(folder: Path) -> str:
    """The fingerprint of what an adapter learnt from; "" where it doesn't say."""
    path = folder / "consult.json"
    return str(json.loads(path.read_text(encoding="utf-8")).get("data") or "") if path.is_file() else ""


def checked(name: str, folder: Path, gate: Gate, model: str) -> None:
    """Raises `BadInput` with the reason why this adapter may not be promoted by this gate for this model."""
    if gate.adapter_hash != weights_hash(folder):
        raise BadInput(f"{name} is not promoted: its gate was made for other weights.")
    if gate.data != data_of(folder):
        raise BadInput(f"{name} is not promoted: its gate was made for an adapter of other data.")
    if model and gate.model != model:  #  takes whatever the server serves
        raise BadInput(f"{name} is not promoted: its gate was made on {gate.model}, and [engine] model is {model}.")
    if why := gate.refusal():
        raise BadInput(f"{name} is not promoted. {why}")


def page(gate: Gate) -> str:
    """What a person reads before agreeing, as Markdown."""
    why, found = gate.refusal(), gate.verdicts()
    lines = [
        f"# {gate.adapter}: {'may be promoted' if why is None else 'may not be promoted'}", "",
        why or "Better beyond chance in what is marked so, worse in nothing that counts.", "",
        f"Model {gate.model} ({gate.model_hash}), adapter {gate.adapter_hash}, data {gate.data[:12]}, {gate.when}.",
        f"Differences: with the adapter minus without, 95 % intervals over patients. {gate.counting} count.", "",
        "| benchmark | figure | without | with | difference | p | patients | |", "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    order: tuple[Verdict, ...] = ("worse", "better", "no difference", "not counted")
    lines += [_row(one, verdict) for verdict in order for one in found.get(verdict, [])]
    return "\n".join([*lines, ""])


def _row(one: Compared, verdict: Verdict) -> str:
    base, candidate = ("–" if value is None else f"{value:.3f}" for value in (one.base, one.candidate))
    less = ", less is better" if one.counts < 0 else ""
    told: list[Any] = [
        one.benchmark, one.figure + less, base, candidate, f"{one.difference:+.3f} [{one.low:+.3f}, {one.high:+.3f}]",
        f"{one.p:.3f}", one.patients, "" if verdict == "not counted" else verdict,
    ]  # fmt: skip
    return "| " + " | ".join(map(str, told)) + " |"
