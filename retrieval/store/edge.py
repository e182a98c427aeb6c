"""The embedded default: Qdrant Edge, one finished shard a kind and generation, read by any number of processes.

    HOME/index/<generation>/shard/<kind>/ written once, by `retrieval.store.build`
    HOME/index/<generation>/manifest.json
    HOME/index/CURRENT                    the current generation's name, replaced in one step
    HOME/index/LOCK                       held while publishing

A generation appears under its name only when it is complete and on the disk. Whatever ends a publisher early leaves a
folder `building-…`, which nobody reads and the next publisher removes (or the one after, while the orphaned builder
still writes to it). Readers need write access to the folder: the engine rewrites its configuration, unchanged, when it
opens a shard.
"""

import fcntl
import json
import os
import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import retrieval
from retrieval.errors import Busy, Misconfigured, NotFound, Unavailable
from retrieval.store import rules
from retrieval.store.build import Layout
from retrieval.types import Filter, Hit, Leg, Manifest, Record, Vector

BUILDING = "building-"
DEFAULT = Layout()
SPARE = 16  # hits asked for beyond a leg's limit where some may be excluded: a patient's own studies, old editions
OVERSAMPLING = 8.0  # candidates a wanted hit, for rescoring: recall .999 also where all vectors are near each other
EF = 512  # candidates when a graph is followed
SCARCE = 64 << 20  # bytes: with less than this left on the disk, a failed build is blamed on it


class EdgeStore:
    """`home` is CONSULT_HOME. Safe to share between threads. Raises `Misconfigured` when the index is damaged."""

    def __init__(self, home: Path, layout: Layout = DEFAULT) -> None:
        self._index = Path(home) / "index"
        self._layout = layout
        self._lock = Lock()
        self._name: str | None = None  # of the open generation
        self._shards: dict[str, Any] = {}
        self._manifest: Manifest | None = None

    @property
    def manifest(self) -> Manifest | None:
        with self._lock:
            self._refresh()
            return self._manifest

    def search(self, legs: Sequence[Leg], where: Filter) -> list[Hit]:
        with self._lock:
            self._refresh()
            if self._manifest is None:
                return []
            queries = rules.asked(legs, self._manifest)
            return rules.gathered([(leg, self._scored(leg, query, where)) for leg, query in queries])

    def publish(self, records: Iterable[Record], manifest: Manifest) -> str:
        """Raises `Busy` when another process is publishing, `Unavailable` when the builder fails (a full disk)."""
        self._index.mkdir(parents=True, exist_ok=True)
        with self._publishing():
            name = rules.new_generation()
            folder = self._index / f"{BUILDING}{name}"
            try:
                count = self._build(folder, records, manifest)
                _write(folder / "manifest.json", json.dumps(rules.manifest_to_json(rules.stamped(manifest, count))))
                _to_disk(folder)
                self._make_current(folder, name)
            except BaseException as error:
                shutil.rmtree(folder, ignore_errors=True)
                if isinstance(error, OSError):
                    what = error.strerror or type(error).__name__
                    raise Unavailable(f"the index can't be written ({what}); the previous one stays in use") from error
                raise
            return name

    def delete(self, generation: str) -> None:
        if generation not in self.generations():
            raise NotFound("the index has no such generation")
        if generation == self._current():
            raise Busy("this generation of the index is in use; publish another one first")
        gone = self._index / f"{BUILDING}{generation}"
        (self._index / generation).rename(gone)  # in one step out of every reader's sight
        shutil.rmtree(gone, ignore_errors=True)

    def generations(self) -> list[str]:
        if not self._index.is_dir():
            return []
        return sorted(p.parent.name for p in self._index.glob("*/manifest.json") if BUILDING not in p.parent.name)

    def close(self) -> None:
        with self._lock:
            self._close()

    # reading

    def _current(self) -> str | None:
        try:
            return (self._index / "CURRENT").read_text().strip() or None
        except FileNotFoundError:
            return None

    def _refresh(self) -> None:
        """Opens the current generation unless it is open. Tries again when it is replaced and removed meanwhile."""
        while (name := self._current()) != self._name:
            self._close()
            if name is None:
                return
            try:
                self._open(name)
            except Exception as error:
                if self._current() == name:
                    raise Misconfigured(f"the index can't be opened: {rules.REBUILD}") from error

    def _open(self, name: str) -> None:
        import qdrant_edge as edge

        manifest = rules.manifest_from_text((self._index / name / "manifest.json").read_text(encoding="utf-8"))
        for folder in sorted((self._index / name / "shard").iterdir()):
            if folder.name not in rules.KINDS:
                raise Misconfigured(f"the index was built by another version: {rules.REBUILD}")
            self._shards[folder.name] = edge.EdgeShard.load(str(folder))
        self._name, self._manifest = name, manifest

    def _close(self) -> None:
        while self._shards:
            self._shards.popitem()[1].close()
        self._name = self._manifest = None

    def _scored(self, leg: Leg, query: Vector | str, where: Filter) -> list[tuple[str, float]]:
        """What `where` excludes is few: to drop it from a few hits more than asked for is many times faster than the
        engine's filter, which goes through all that is not excluded. That filter is asked only when too few are left.
        """
        import qdrant_edge as edge

        shut = rules.excluded(leg.kind, where)
        inside, outside = rules.inside(edge, where), rules.outside(edge, leg.kind, where)
        room = leg.limit + (SPARE if shut else 0)
        points = self._query(leg, query, room, edge.Filter(must=inside) if inside else None, list(shut))
        kept = [p for p in points if not any(p.payload.get(key) in values for key, values in shut.items())]
        if len(kept) < leg.limit and len(points) == room:
            kept = self._query(leg, query, leg.limit, edge.Filter(must=inside, must_not=outside), [])
        return [(str(point.id), point.score) for point in kept[: leg.limit]]

    def _query(self, leg: Leg, query: Vector | str, limit: int, chosen: Any, shown: list[str]) -> list[Any]:
        import qdrant_edge as edge

        if isinstance(query, str):
            asked: Any = edge.TextQuery(rules.text_field(leg.kind), query)
        else:
            asked = edge.Query.Nearest(query.tolist(), using=rules.engine_name(leg.using))
        rescored = edge.QuantizationSearchParams(rescore=True, oversampling=OVERSAMPLING * leg.limit / limit)
        if leg.kind not in self._shards:
            return []
        request = edge.QueryRequest(
            limit=limit,
            query=asked,
            filter=chosen,
            params=edge.SearchParams(hnsw_ef=EF, quantization=rescored),
            with_payload=shown or False,
        )
        found: list[Any] = self._shards[leg.kind].query(request)
        return found

    # publishing

    @contextmanager
    def _publishing(self) -> Iterator[None]:
        """One publisher at a time, on this machine; sweeps what an interrupted one left."""
        with (self._index / "LOCK").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Busy("another process is publishing the index; try again when it is done") from error
            for stale in self._index.glob(f"{BUILDING}*"):
                _sweep(stale)
            yield

    def _build(self, folder: Path, records: Iterable[Record], manifest: Manifest) -> int:
        """Streams the records to a builder process; returns how many it stored."""
        (folder / "shard").mkdir(parents=True)
        dims = {rules.engine_name(name): dim for name, dim in rules.sizes(manifest).items()}
        root = str(Path(retrieval.__file__).parents[1])
        path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
        command = [sys.executable, "-m", "retrieval.store.build", str(folder / "shard")]
        with (folder / "log").open("w+b") as log:
            builder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                                       env={**os.environ, "PYTHONPATH": path})  # fmt: skip
            try:
                assert builder.stdin is not None
                pickle.dump((dims, self._layout), builder.stdin)
                for chunk in rules.chunks(records, manifest):
                    pickle.dump(chunk, builder.stdin)
                pickle.dump(None, builder.stdin)
                output, _ = builder.communicate()
            except BrokenPipeError:
                output, _ = builder.communicate()
            except BaseException:
                builder.kill()
                builder.communicate()
                raise
            if builder.returncode != 0:
                raise Unavailable(self._why(builder.returncode, log))
        (folder / "log").unlink()
        return int(output)

    def _why(self, status: int, log: Any) -> str:
        log.seek(0)
        said = (log.read().decode(errors="replace").strip().splitlines() or [""])[-1]
        if "No space left" in said or shutil.disk_usage(self._index).free < SCARCE:
            reason = "the disk is full; free some space"
        elif status < 0:
            reason = f"the builder was ended by signal {-status}, perhaps for lack of memory"
        else:
            reason = said[:200]
        return f"the index could not be built: {reason}. The previous one stays in use"

    def _make_current(self, folder: Path, name: str) -> None:
        pointer = folder / "CURRENT"  # written beforehand: only two renames are left to go wrong
        _write(pointer, name + "\n")
        folder.rename(self._index / name)
        try:
            os.replace(self._index / name / "CURRENT", self._index / "CURRENT")
        except OSError:
            (self._index / name).rename(folder)
            raise
        _sync(self._index)


def _sweep(folder: Path) -> None:
    """A killed publisher's builder may still be writing for a moment, until it notices."""
    for _ in range(50):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)


def _write(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _to_disk(folder: Path) -> None:
    """Every file and folder below, so that the rename can't outrun the bytes."""
    for path in (folder, *folder.rglob("*")):
        _sync(path)
    _sync(folder.parent)
