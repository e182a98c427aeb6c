"""What was fitted on validation data, as it is written down: with an index, in the database, beside encoders.

Invariant: values fitted for some encoders are in force with exactly these. `told["identities"]` says which they were.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from retrieval.types import Fitted

IDENTITIES = "identities"  # of `told`: the encoders by part, as `Encoders.identities` names them


def to_json(fitted: Fitted) -> dict[str, Any]:
    """Plain JSON; `from_json` gives the same back."""
    return asdict(fitted)


def from_json(data: Any) -> Fitted:
    """Raises `KeyError`, `TypeError`, `ValueError` or `AttributeError` for anything but what `to_json` makes."""
    legs = {leg: (float(a), float(b)) for leg, (a, b) in data["legs"].items() if leg != "ks"}
    ks = data.get("ks")
    return Fitted(**{**data, "legs": legs, "ks": None if ks is None else tuple(ks)})


def belongs(fitted: Fitted, identities: Mapping[str, str]) -> bool:
    """Whether these encoders are those it was fitted for."""
    return bool(fitted.told.get(IDENTITIES) == dict(identities))


def merged(base: Fitted, own: Fitted | None, identities: Mapping[str, str]) -> Fitted:
    """What is in force with these encoders: `own`, where it was fitted for them, over `base`. A leg that `own` leaves
    out keeps the base's curve, and so does every other value; where `own` belongs to others, `base` as it is."""
    if own is None or not belongs(own, identities):
        return base
    return replace(
        own,
        legs={**base.legs, **own.legs},
        gamma=base.gamma if own.gamma is None else own.gamma,
        gamma_to_top=base.gamma_to_top if own.gamma_to_top is None else own.gamma_to_top,
        floor=base.floor if own.floor is None else own.floor,
        ks=base.ks if own.ks is None else own.ks,
    )
