"""A shelf: a folder of texts with vectors that may be added to and deleted from, in Qdrant Edge.

It is not a generation of the index, which is immutable and read by many: a shelf belongs to one process at a time, and
a second one is refused, by a lock of ours: the engine's own let a second one in, 1 time in 40. A change is in the
write-ahead log and on the disk before the call that made it returns. The scan is exact and its time grows linearly:
about 9 ms for 100,000 vectors of 512 numbers on one core.

    FOLDER/shard-<dimension>/   appears, under this name, when it is complete
    FOLDER/LOCK                 held while the shelf is open
"""

import fcntl
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import IO, Any, Literal

import numpy as np

from retrieval.errors import BadInput, Busy, Misconfigured
from retrieval.store.words import normalise

VECTOR = "text"
PAGE = 256  # points read at a time
Value = str | int | float


@dataclass(frozen=True, slots=True)
class Term:
    """A test of one payload field; `key` is a path: `meta."a key"`. A list passes "==" and "in" by one of its elements.
    "empty" is missing, null, "" or []."""

    key: str
    test: Literal["==", "in", ">", ">=", "<", "<=", "substring", "empty"]
    value: Value | Sequence[Value] | None = None


@dataclass(frozen=True, slots=True)
class Where:
    """All of `must`, one of `should` (None: no such demand), none of `must_not`; `ids` restricts to these."""

    must: tuple["Term | Where", ...] = ()
    should: tuple["Term | Where", ...] | None = None
    must_not: tuple["Term | Where", ...] = ()
    ids: tuple[str, ...] | None = None


Condition = Term | Where
Row = tuple[str, Sequence[float], str, dict[str, Any]]  # id (a UUID), vector, text for BM25, payload (JSON)
Found = tuple[dict[str, Any], float]  # payload, score


class Shelf:
    """Safe to share between threads. `indexed`: payload fields that deletions look up. Opened by the first call.

    Every method raises `Busy` while another process has the folder open, `Misconfigured` when it is damaged.
    """

    def __init__(self, folder: Path, indexed: Sequence[str] = ()) -> None:
        self._folder, self._indexed = folder, tuple(indexed)
        self._lock = RLock()
        self._held: IO[str] | None = None
        self._shard: Any = None
        self._dim = 0

    def put(self, rows: Iterable[Row]) -> None:
        """Stores points, in place of those of the same id. The first vector ever stored fixes the dimension.
        Raises `BadInput` for a vector of another one, or one that is zero or not finite; then nothing is stored."""
        import qdrant_edge as edge

        with self._lock:
            rows = list(rows)
            if not rows:
                return
            self._folder.mkdir(parents=True, exist_ok=True)
            dim = self._dim if self._opened() else len(rows[0][1])
            points = [
                edge.Point(key, {VECTOR: _checked(vector, dim)}, {**payload, "text": normalise(text)})
                for key, vector, text, payload in rows
            ]
            if self._shard is None:
                self._create(dim)
            self._change(edge.UpdateOperation.upsert_points(points))

    def nearest(self, vector: Sequence[float], limit: int, where: Where = Where(), diverse: float = 0.0) -> list[Found]:
        """By cosine, best first. `diverse` 0..1 trades nearness for variety (maximal marginal relevance)."""
        import qdrant_edge as edge

        with self._lock:
            if not self._opened():
                return []
            asked = _checked(vector, self._dim).tolist()
            if diverse:
                return self._found(edge.Mmr(asked, 1 - diverse, max(100, 4 * limit), using=VECTOR), limit, where)
            return self._found(edge.Query.Nearest(asked, using=VECTOR), limit, where)

    def worded(self, text: str, limit: int, where: Where = Where()) -> list[Found]:
        """By BM25 (0 and up), best first; [] for a text without words."""
        import qdrant_edge as edge

        with self._lock:
            if not self._opened() or not (asked := normalise(text)):
                return []
            return self._found(edge.TextQuery("text", asked), limit, where)

    def all(self, where: Where = Where()) -> Iterator[dict[str, Any]]:
        """The payloads, in no order that means anything."""
        import qdrant_edge as edge

        offset: Any = None
        while True:
            with self._lock:
                if not self._opened():
                    return
                with _told():
                    request = edge.ScrollRequest(offset, PAGE, _filter(where), with_payload=True)
                    records, offset = self._shard.scroll(request)
            yield from (record.payload for record in records)
            if offset is None:
                return

    def remove(self, where: Where) -> None:
        """Takes out everything that satisfies `where`; all there is when that is empty."""
        import qdrant_edge as edge

        with self._lock:
            if self._opened():
                with _told():
                    operation = edge.UpdateOperation.delete_points_by_filter(_filter(where))
                self._change(operation)

    def tidy(self) -> None:
        """Gives back the space of what was deleted or replaced. Other threads of the process wait."""
        with self._lock:
            if self._opened():
                with _told():
                    self._shard.optimize()
                    self._shard.flush()

    def clear(self) -> None:
        """Everything goes, the dimension too."""
        with self._lock:
            if self._opened():
                self._shard.close()
                self._shard = None
                for path in self._folder.glob("shard-*"):
                    shutil.rmtree(path)

    def close(self) -> None:
        """Lets another process have it. The next call opens it again."""
        with self._lock:
            if self._shard is not None:
                self._shard.close()
            if self._held is not None:
                self._held.close()
            self._shard = self._held = None

    # inside

    def _opened(self) -> bool:
        """False while nothing has ever been stored."""
        import qdrant_edge as edge

        if self._shard is None and self._folder.is_dir():
            self._hold()
            for path in self._folder.glob("shard-*"):
                try:
                    self._shard = edge.EdgeShard.load(str(path))
                except Exception as error:
                    self.close()
                    raise Misconfigured(f"{self._folder} is damaged: remove it and add its texts again.") from error
                self._dim = int(path.name.removeprefix("shard-"))
        return self._shard is not None

    def _hold(self) -> None:
        if self._held is None:
            file = (self._folder / "LOCK").open("a")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.close()
                raise Busy(f"{self._folder} is open in another process; one at a time can have it.") from error
            self._held = file

    def _create(self, dim: int) -> None:
        import qdrant_edge as edge

        draft = self._folder / "new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        config = edge.EdgeConfig(
            vectors={VECTOR: edge.EdgeVectorParams(size=dim, distance=edge.Distance.Cosine)},
            hnsw_config=edge.HnswIndexConfig(m=0, ef_construct=16, full_scan_threshold=10),
            wal_enabled=True,
        )
        shard = edge.EdgeShard.create(str(draft), config)
        shard.update(edge.UpdateOperation.create_field_index("text", edge.TextIndexParams(scoring=True)))
        for key in self._indexed:
            shard.update(edge.UpdateOperation.create_field_index(key, edge.PayloadSchemaType.Keyword))
        shard.flush()
        shard.close()
        draft.rename(self._folder / f"shard-{dim}")
        self._opened()

    def _change(self, operation: Any) -> None:
        with _told():
            self._shard.update(operation)
            self._shard.flush()

    def _found(self, query: Any, limit: int, where: Where) -> list[Found]:
        import qdrant_edge as edge

        with _told():
            request = edge.QueryRequest(limit=limit, query=query, filter=_filter(where), with_payload=True)
            return [(point.payload, point.score) for point in self._shard.query(request)]


@contextmanager
def _told() -> Iterator[None]:
    """The engine's errors are bare exceptions."""
    try:
        yield
    except Exception as error:
        raise Misconfigured(f"Qdrant Edge refused: {str(error)[:200]}") from error


def _checked(vector: Sequence[float], dim: int) -> Any:
    array = np.asarray(vector, dtype=np.float32)
    if array.shape != (dim,):
        raise BadInput(f"A vector has the shape {array.shape}, this shelf holds vectors of {dim} numbers.")
    if not 0 < float(array @ array) < np.inf:
        raise BadInput("A vector is zero or not finite.")
    return array


def _filter(where: Where) -> Any:
    import qdrant_edge as edge

    must = [_condition(part) for part in where.must]
    if where.ids is not None:
        must.append(edge.HasIdCondition(set(where.ids)))
    if where.should is not None:  # an empty `should` asks the engine for nothing; ours is satisfied by nothing
        must.append(edge.Filter(should=[_condition(p) for p in where.should]) if where.should else _never())
    return edge.Filter(must=must, must_not=[_condition(part) for part in where.must_not])


def _never() -> Any:
    import qdrant_edge as edge

    return edge.HasIdCondition(set())


def _condition(part: Condition) -> Any:
    import qdrant_edge as edge

    match part:
        case Where():
            return _filter(part)
        case Term(key, "==", int() | float() as value):
            return edge.FieldCondition(key, range=edge.RangeFloat(gte=value, lte=value))
        case Term(key, "==", value):
            return edge.FieldCondition(key, match=edge.MatchValue(str(value)))
        case Term(key, "in", values):
            assert isinstance(values, Sequence)
            return _filter(Where(should=tuple(Term(key, "==", value) for value in values)))
        case Term(key, "substring", value):
            return edge.FieldCondition(key, match=edge.MatchSubstring(str(value)))
        case Term(key, "empty"):
            blank = edge.FieldCondition(key, match=edge.MatchValue(""))
            return edge.Filter(should=[edge.IsEmptyCondition(key), blank])
        case Term(key, test, value):
            bound = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}[test]
            return edge.FieldCondition(key, range=edge.RangeFloat(**{bound: value}))  # type: ignore[arg-type]
