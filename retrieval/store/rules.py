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
KEYWORDS = ("kind", "domain", "patient", "sha256", "edition")  # payload fields a filter reads
SUPERSEDED = "superseded"  # what "edition" holds where a newer one is there
REBUILD = "run `consult knowledge rebuild`"

Chunk = list[tuple[str, dict[str, Vector], dict[str, str]]]  # (id, vectors by engine name, payload)


def new_generation() -> str:
    """Sorts by time of creation, to the microsecond."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{uuid4().hex[:6]}"


def engine_name(identity: str) -> str:
    """An encoder's identity as a vector name: hub names have slashes, and engines make folders of vector names."""
    return re.sub(r"[^\w.-]", "_", identity)


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
            fitted=from_json(data["fitted"] if "fitted" in data else {"legs": data["calibration"]}),  # 0.1.0: only legs
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Misconfigured(f"the index has a manifest that this version can't read: {REBUILD}") from error


def manifest_from_text(text: str) -> Manifest:
    try:
        return manifest_from_json(json.loads(text))
    except ValueError as error:
        raise Misconfigured(f"the index has a damaged manifest: {REBUILD}") from error


def chunks(records: Iterable[Record], manifest: Manifest) -> Iterable[Chunk]:
    """Checked records, `CHUNK` at a time, in the form engines store. Raises `EncoderMismatch`, `Misconfigured`."""
    dims = sizes(manifest)
    rows = iter(records)
    while block := list(islice(rows, CHUNK)):
        yield [_row(record, dims) for record in block]


def _row(record: Record, dims: dict[str, int]) -> tuple[str, dict[str, Vector], dict[str, str]]:
    vectors = {}
    for name, vector in record.vectors.items():
        vectors[engine_name(name)] = checked(vector, name, dims, "a record brings")
    edition = SUPERSEDED if record.superseded else None
    fields = {
        "kind": record.kind, "domain": record.domain, "patient": record.patient, "sha256": record.sha256,
        "edition": edition,
    }  # fmt: skip
    payload = {key: value for key, value in fields.items() if value is not None}
    return str(UUID(record.id)), vectors, {**payload, "text": normalise(record.text)}


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


def condition(m: Any, without_domain: Any, kind: Kind, where: Filter) -> Any:
    """The filter in terms of `m`, qdrant_edge or qdrant_client.models, which agree on all but one constructor."""

    def among(key: str, values: Sequence[str]) -> Any:
        return m.FieldCondition(key=key, match=m.MatchAny(any=list(values)))

    must = [among("kind", [kind])]
    if where.domains:
        must.append(m.Filter(should=[among("domain", where.domains), without_domain]))
    must_not = []
    if where.not_patient is not None:
        must_not.append(among("patient", [where.not_patient]))
    if where.not_sha256:
        must_not.append(among("sha256", where.not_sha256))
    if not where.all_editions and kind == "passage":
        must_not.append(among("edition", [SUPERSEDED]))
    return m.Filter(must=must, must_not=must_not)


def gathered(found: Iterable[tuple[Leg, Iterable[tuple[str, float]]]]) -> list[Hit]:
    """One hit a record, in order of first appearance, with each leg's score (its best, should a name repeat)."""
    hits: dict[str, Hit] = {}
    for leg, scored in found:
        for record_id, raw in scored:
            score = max(0.0, raw) if leg.using == BM25 else min(1.0, max(-1.0, raw))  # float32 leaves 1.0000002
            scores = hits.setdefault(record_id, Hit(record_id, leg.kind, {})).scores
            scores[leg.name] = max(score, scores.get(leg.name, -np.inf))
    return list(hits.values())
