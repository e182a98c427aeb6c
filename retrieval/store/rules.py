"""What every engine does alike: names, payload, filter, checks, and the gathering of hits from legs.

Kept in one place so that the engines can't drift apart; the contract suite holds them to it.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from uuid import UUID, uuid4

import numpy as np

from retrieval.errors import EncoderMismatch, Misconfigured
from retrieval.fitted import from_json
from retrieval.store.words import normalise
from retrieval.types import Filter, Hit, Kind, Leg, Manifest, Record, Vector, VectorSpec

BM25 = "bm25"
CHUNK = 256  # records handed over at a time: bounds memory
KINDS: tuple[Kind, ...] = ("passage", "case")
KEYWORDS: dict[str, tuple[str, ...]] = {  # payload fields a filter reads, besides "kind"
    "passage": ("domain", "edition"),
    "case": ("domain", "patient", "sha256"),
}
ANY_DOMAIN = ""  # what "domain" holds where a record bears on any: engines find a value faster than its absence
SUPERSEDED = "superseded"  # what "edition" holds where a newer one is there
REBUILD = "run `consult knowledge rebuild`"

Chunk = list[tuple[str, dict[str, Vector], dict[str, str]]]  # (id, vectors by engine name, payload)


def new_generation() -> str:
    """Sorts by time of creation, to the microsecond."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{uuid4().hex[:6]}"


def engine_name(identity: str) -> str:
    """An encoder's identity as a vector name: hub names have slashes, and engines make folders of vector names."""
    return re.sub(r"[^\w.-]", "_", identity)


def text_field(kind: str) -> str:
    """Where BM25 reads: one field a kind, so that the number and length of reports don't move a passage's score."""
    return f"{kind}_text"


def sizes(manifest: Manifest) -> dict[str, int]:
    """Encoder identity → dimension. Two roles of one encoder share a vector."""
    return {spec.identity: spec.dim for spec in manifest.vectors.values()}


def stamped(manifest: Manifest, records: int) -> Manifest:
    return replace(manifest, records=records, created=datetime.now(UTC).isoformat(timespec="seconds"))


def manifest_to_json(manifest: Manifest) -> dict[str, Any]:
    return asdict(manifest)


def manifest_from_json(data: Any) -> Manifest:
    """Raises `Misconfigured` when `data` is not a manifest of this version."""
    try:
        specs = {role: {**spec, "domains": tuple(spec.get("domains", ()))} for role, spec in data["vectors"].items()}
        return Manifest(
            vectors={role: VectorSpec(**spec) for role, spec in specs.items()},
            records=data["records"],
            created=data["created"],
            domains=tuple(data["domains"]),
            layout=data.get("layout", ""),
            fitted=from_json(data["fitted"] if "fitted" in data else {"legs": data["calibration"]}),  # 0.1.0: only legs
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Misconfigured(f"the index has a manifest that this version can't read: {REBUILD}") from error


def manifest_from_text(text: str) -> Manifest:
    try:
        return manifest_from_json(json.loads(text))
    except ValueError as error:
        raise Misconfigured(f"the index has a damaged manifest: {REBUILD}") from error


def chunks(records: Iterable[Record], manifest: Manifest, size: int = CHUNK) -> Iterable[Chunk]:
    """Checked records, `size` at a time, in the form engines store. Raises `EncoderMismatch`, `Misconfigured`."""
    dims = sizes(manifest)
    rows = iter(records)
    while block := list(islice(rows, size)):
        yield [_row(record, dims) for record in block]


def _row(record: Record, dims: dict[str, int]) -> tuple[str, dict[str, Vector], dict[str, str]]:
    vectors = {}
    for name, vector in record.vectors.items():
        vectors[engine_name(name)] = checked(vector, name, dims, "a record brings")
    fields = {
        "kind": record.kind, "domain": record.domain or ANY_DOMAIN, "patient": record.patient,
        "sha256": record.sha256, "edition": SUPERSEDED if record.superseded else None,
        text_field(record.kind): normalise(record.text),
    }  # fmt: skip
    return str(UUID(record.id)), vectors, {key: value for key, value in fields.items() if value is not None}


def checked(vector: Vector | str, name: str, dims: dict[str, int], who: str) -> Vector:
    """The vector as float32, or `EncoderMismatch` when the manifest doesn't know its name or size."""
    if name not in dims:
        raise EncoderMismatch(f"{who} a vector of {name}, the index has {', '.join(dims) or 'none'}: {REBUILD}")
    array = np.ascontiguousarray(vector, dtype=np.float32)
    if array.shape != (dims[name],):
        raise EncoderMismatch(f"{who} a vector of shape {array.shape}, {name} has {dims[name]} numbers: {REBUILD}")
    if not 0 < float(array @ array) < np.inf:
        raise Misconfigured(f"encoder {name} made a vector that is zero or not finite; its weights may be damaged")
    return array


def asked(legs: Sequence[Leg], manifest: Manifest) -> list[tuple[Leg, Vector | str]]:
    """Each leg with its checked vector or normalised text; legs that can find nothing are left out."""
    dims = sizes(manifest)
    queries: list[tuple[Leg, Vector | str]] = []
    for leg in legs:
        if leg.using == BM25:
            if not isinstance(leg.query, str):
                raise TypeError("a BM25 leg asks with a string")
            query: Vector | str = normalise(leg.query)
        else:
            if isinstance(leg.query, str):
                raise TypeError("a vector leg asks with a vector")
            query = checked(leg.query, leg.using, dims, "the search asks for")
        if leg.limit > 0 and len(query):
            queries.append((leg, query))
    return queries


# Filters in terms of `m`, qdrant_edge or qdrant_client.models


def holds(m: Any, key: str, value: str) -> Any:
    """One value, never a list of them: engines go through `MatchAny` more than twice as slowly."""
    return m.FieldCondition(key=key, match=m.MatchValue(value=value))


def inside(m: Any, where: Filter) -> list[Any]:
    """What a hit must satisfy, besides its kind."""
    if not where.domains:
        return []
    return [m.Filter(should=[holds(m, "domain", domain) for domain in (*where.domains, ANY_DOMAIN)])]


def outside(m: Any, kind: Kind, where: Filter) -> list[Any]:
    """What a hit must not satisfy."""
    return [holds(m, key, value) for key, values in excluded(kind, where).items() for value in values]


def excluded(kind: Kind, where: Filter) -> dict[str, tuple[str, ...]]:
    """Payload fields and the values a hit must not have in them. Passages have no patient, cases no edition."""
    if kind == "passage":
        return {} if where.all_editions else {"edition": (SUPERSEDED,)}
    fields = {"patient": (where.not_patient,) if where.not_patient is not None else (), "sha256": where.not_sha256}
    return {key: values for key, values in fields.items() if values}


def gathered(found: Iterable[tuple[Leg, Iterable[tuple[str, float]]]]) -> list[Hit]:
    """One hit a record, in order of first appearance, with each leg's score (its best, should a name repeat)."""
    hits: dict[str, Hit] = {}
    for leg, scored in found:
        for record_id, raw in scored:
            score = max(0.0, raw) if leg.using == BM25 else min(1.0, max(-1.0, raw))  # float32 leaves 1.0000002
            scores = hits.setdefault(record_id, Hit(record_id, leg.kind, {})).scores
            scores[leg.name] = max(score, scores.get(leg.name, -np.inf))
    return list(hits.values())
