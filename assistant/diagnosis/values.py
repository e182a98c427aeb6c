"""Measured values: read with their unit and range, converted by pint, refused when they can't be.

A value is what the request says (`laboratory`) or what the history says in words (`Temperature 38.5 °C`). What the
request says must be readable, since somebody typed it as a value; of a history only what is readable is taken.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from assistant.errors import BadInput
from retrieval.cards import Lab, Range

_NUMBER = r"[-+]?\d+(?:[.,]\d+)?(?:[eE][-+]?\d+)?"
_VALUE = re.compile(
    rf"^\s*(?P<number>{_NUMBER})\s*(?P<unit>[^\s(\[]*(?:\s*/\s*[^\s(\[]+)?)\s*"
    rf"(?:[(\[]\s*(?:(?P<low>{_NUMBER})\s*(?:-|–|to)\s*(?P<high>{_NUMBER})|[<≤]\s*(?P<most>{_NUMBER})"
    rf"|[>≥]\s*(?P<least>{_NUMBER}))\s*[)\]])?\s*$"
)
_UNIT_IN_TEXT = r"(?P<unit>%|°[CF]|[\w^µ×·]+(?:/[\w^µ×·]+)*)?"
_AGE = re.compile(r"\b(\d{1,3})[- ]years?[- ]old\b", re.I)
# What the registry lacks, or writes otherwise. Without dimension where the field gives none.
_WRITTEN = {
    "iu": "U", "mcg": "µg", "bpm": "1/min", "/min": "1/min", "years": "year", "g%": "g/dL", "ph": "",
    "cells/µl": "1/µL", "/µl": "1/µL", "/mm3": "1/mm^3", "x10^9/l": "10^9/L", "×10^9/l": "10^9/L", "10*9/l": "10^9/L",
}  # fmt: skip
_ALSO = {
    "crp": "c reactive protein", "spo2": "oxygen saturation", "sao2": "oxygen saturation", "wbc": "white cell count",
    "wcc": "white cell count", "white cells": "white cell count", "white blood cells": "white cell count",
    "white blood cell count": "white cell count", "leucocytes": "white cell count", "leukocytes": "white cell count",
    "plt": "platelets", "platelet count": "platelets", "rr": "respiratory rate", "iop": "intraocular pressure",
    "systolic bp": "systolic blood pressure", "diastolic bp": "diastolic blood pressure", "temp": "temperature",
    "body temperature": "temperature", "bnp": "b type natriuretic peptide", "nt pro bnp": "nt probnp",
    "n terminal pro b type natriuretic peptide": "nt probnp", "hb": "haemoglobin", "hemoglobin": "haemoglobin",
}  # fmt: skip
# g/mol, for values given by mass here and by amount there.
_MOLAR = {"glucose": 180.156, "creatinine": 113.12, "bilirubin": 584.66, "urea": 60.056, "calcium": 40.078}
# What no living patient has: (unit, lowest, highest). Any other value is at least not negative.
_POSSIBLE = {
    "temperature": ("degC", 13.0, 47.0), "oxygen saturation": ("percent", 0.0, 100.0), "age": ("year", 0.0, 125.0),
    "ph": ("", 6.3, 8.0), "heart rate": ("1/min", 0.0, 350.0), "glucose": ("mmol/L", 0.0, 200.0),
    "haemoglobin": ("g/dL", 0.0, 30.0), "ejection fraction": ("percent", 0.0, 100.0),
}  # fmt: skip
_SIGNED = ("base excess",)


@dataclass(frozen=True, slots=True)
class Measured:
    """One value. `start`/`end`: characters of the history, None where the request gives it. `low`/`high`: the range
    given with it, in its own unit."""

    name: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    start: int | None = None
    end: int | None = None

    @property
    def text(self) -> str:
        return f"{self.name} {self.value:g} {self.unit}".strip()

    def within(self, unit: str) -> float:
        """The value in `unit`. Raises `BadInput` where no conversion exists."""
        return converted(self.value, self.unit, unit, self.name)

    def range_of(self, ranges: Sequence[Range]) -> str:
        """The reference range in words: the one that came with the value, else the card's; "" for none."""
        low, high, unit = self.low, self.high, self.unit
        if low is None and high is None:
            fits = (r for r in ranges if same(r.name, self.name) and r.sex is None)
            if (card := next(fits, None)) is None:
                return ""
            low, high, unit = card.low, card.high, card.unit
        value = self.within(unit)
        where = (
            "below" if low is not None and value < low else "above" if high is not None and value > high else "within"
        )
        limits = f"{low:g} to {high:g}" if low is not None and high is not None else (
            f"at most {high:g}" if high is not None else f"at least {low:g}")  # fmt: skip
        return f"{where} its range of {limits} {unit}".strip()


def read_values(laboratory: Mapping[str, str]) -> list[Measured]:
    """The values of a request. Raises `BadInput` for one without number or known unit, and for an impossible one."""
    found = []
    for name, text in laboratory.items():
        match = _VALUE.match(text)
        if not match:
            raise BadInput(f"{name} {text!r} isn't a value with its unit; write it as 18 mg/L or 18 mg/L (0-5).")
        low, high = (
            _number(limit) if (limit := match[side] or match[alone]) else None
            for side, alone in (("low", "least"), ("high", "most"))
        )
        if low is not None and high is not None and low >= high:
            raise BadInput(f"{name} {text!r}: its range has no value in it; write the lower limit first.")
        one = Measured(name, _number(match["number"]), match["unit"], low, high)
        _check(one)
        found.append(one)
    return found


def told_value(name: str, history: str) -> Measured | None:
    """The first value of that name in a history, with its place; None when none is told that can be read."""
    if same(name, "age"):
        match = _AGE.search(history)
        return Measured("age", float(match[1]), "year", start=match.start(), end=match.end()) if match else None
    names = {_key(name), *(short for short, full in _ALSO.items() if full == _key(name))}
    either = "|".join(r"[\s-]+".join(map(re.escape, one.split())) for one in sorted(names, key=len, reverse=True))
    pattern = rf"\b(?:{either})\b[\s:=]*(?:(?:is|was|of)\s+)?(?P<number>{_NUMBER})\s*{_UNIT_IN_TEXT}"
    for match in re.finditer(pattern, history, re.I):
        try:
            one = Measured(name, _number(match["number"]), match["unit"] or "", None, None, *match.span())
            _check(one)
        except BadInput:
            continue
        return one
    return None


def value_of(name: str, values: Sequence[Measured], history: str) -> Measured | None:
    """The request's value goes before the history's."""
    return next((one for one in values if same(one.name, name)), None) or told_value(name, history)


def converted(value: float, unit: str, to: str, name: str) -> float:
    """Raises `BadInput` for an unknown unit or one of another kind. Mass and amount convert for a few substances."""
    registry = _registry()
    mass = _MOLAR.get(_key(name))
    try:
        quantity, target = value * _unit(unit, name), _unit(to, name)
        if unit.strip("° ").casefold() in ("c", "f", "degc", "degf"):  # has a zero of its own
            quantity = registry.Quantity(value, _unit(unit, name).units)
        if mass:
            return float(quantity.to(target.units, "chemistry", mw=registry.Quantity(mass, "g/mol")).m / target.m)
        return float(quantity.to(target.units).m / target.m)
    except _pint().DimensionalityError:
        raise BadInput(
            f"{name} in {unit or 'no unit'} can't be compared with a limit in {to}; give it in {to}."
        ) from None


def same(one: str, other: str) -> bool:
    """Whether two names mean the same measurement."""
    return _key(one) == _key(other)


def same_limits(one: Lab, other: Lab) -> bool:
    """Whether two limits part the same values, in whatever units they are written."""
    pairs = zip(
        (one.below, one.above, one.low, one.high), (other.below, other.above, other.low, other.high), strict=True
    )
    return all(
        a is b or (a is not None and b is not None and math.isclose(a, converted(b, other.unit, one.unit, one.name)))
        for a, b in pairs
    )


def _number(text: str) -> float:
    """Raises `BadInput` for "4,500", which is read as 4.5 in some countries and as 4500 in others."""
    if re.search(r",\d{3}(?!\d)", text):
        raise BadInput(f"{text} can be read in two ways; write it without a comma.")
    return float(text.replace(",", "."))


def _key(name: str) -> str:
    plain = " ".join(re.sub(r"[^\w]+", " ", name.casefold()).split())
    return _ALSO.get(plain, plain)


def _check(one: Measured) -> None:
    if not math.isfinite(one.value):
        raise BadInput(f"{one.name} {one.value} isn't a number; check the value.")
    _unit(one.unit, one.name)
    if not one.unit and not re.search(r"/|\bph$|\b(?:ratio|index|score)\b", one.name, re.I):
        raise BadInput(f"{one.name} {one.value:g} has no unit; write it behind the number.")
    unit, lowest, highest = _POSSIBLE.get(_key(one.name), ("", -math.inf if _key(one.name) in _SIGNED else 0, math.inf))
    value = converted(one.value, one.unit, unit, one.name) if unit else one.value
    if not lowest <= value <= highest:
        raise BadInput(f"{one.text} is not possible in a patient; check the value and its unit.")


def _unit(text: str, name: str) -> Any:
    """One of this unit, as a quantity. Raises `BadInput`."""
    plain = _WRITTEN.get(text.strip().casefold(), text.strip())
    plain = "/".join(_WRITTEN.get(part.casefold(), part) for part in plain.split("/")) if plain else ""
    try:
        power = re.match(r"^(10\^\d+)(/.+)?$", plain)
        if power:
            return _registry().Quantity(float(power[1].replace("10^", "1e")), f"1{power[2] or ''}")
        return _registry().Quantity(1, plain) if plain else _registry().Quantity(1, "")
    except (_pint().UndefinedUnitError, _pint().errors.DefinitionSyntaxError, AssertionError, TypeError, ValueError):
        raise BadInput(f"{text!r} of {name} is no known unit; write it as mg/L, mmol/L, % or °C.") from None


@cache
def _registry() -> Any:
    return _pint().UnitRegistry(autoconvert_offset_to_baseunit=True)


def _pint() -> Any:
    import pint

    return pint
