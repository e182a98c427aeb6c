"""What a library of a given size will take, before it is built: memory and disk, line by line, every factor shown.

The bytes a thing takes were measured, not derived: `python -m eval.bench.bytes` builds indexes and databases of several
sizes and fits them (largest error of the fit: 4 % on disk and in memory). Those of a server are the same engine's,
measured embedded; its own processes and caches come on top.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from retrieval.encoders.bundle import IMAGE, IMAGE_TEXT, TEXT
from retrieval.index import KEPT_GENERATIONS
from retrieval.store import ServerOptions
from retrieval.store.build import GRAPH_M, Layout, index_kind
from retrieval.types import VectorSpec

# Bytes of an index on the disk: of a record, a character of its words, a word of a segment's list, a case's own fields
RECORD, CHARACTER, WORD, CASE = 205.0, 0.86, 107.0, 229.0
FLOAT, QUANTISED = 4.0, 0.60  # of a number of a vector
LINKS = 362.0  # of a vector in a graph of 16 links
# Bytes of an index in memory
RECORD_RAM, CHARACTER_RAM, WORD_RAM, CASE_RAM, SEGMENT_RAM = 99.0, 0.29, 212.0, 503.0, 1.3e6
QUANTISED_RAM = {"turbo": 0.56, "int8": 1.0, "binary": 0.125, "none": 0.0}  # turbo measured, the others their size
# Bytes in consult.db: of a passage, of a character of it, which its document has too, and of a case
PASSAGE_ROW, PASSAGE_CHARACTER, CASE_ROW, REPORT_CHARACTER = 321.0, 2.2, 272.0, 1.1
CACHE_ROW, CACHE_INDEX, PAGE, USABLE = 110, 126, 4096, 4061  # a cached vector's row, its index entry, SQLite's pages
GENERATIONS = (KEPT_GENERATIONS + 1, "generations")  # those that are kept, and one while it is built
HEAPS, GROWTH, WORD_CHARS = 17, 0.49, 6  # different words of a text: 17 × words^0.49 (Heaps' law), fitted on 5.4 MB
FILLED = 0.8  # of a node's memory; the rest is the system's and the requests'


@dataclass(frozen=True, slots=True)
class Load:
    """What is planned for. `vectors` as in a manifest: role → specification. Lengths are means."""

    passages: int
    cases: int
    vectors: Mapping[str, VectorSpec]
    passage_chars: int = 1000
    report_chars: int = 500
    picture_kb: int = 300

    @property
    def records(self) -> int:
        return self.passages + self.cases

    @property
    def numbers(self) -> int:
        """Of all vectors of a record: the engine keeps room for each encoder's, also where a record has none."""
        return sum({spec.identity: spec.dim for spec in self.vectors.values()}.values())

    @property
    def encoders(self) -> int:
        return len({spec.identity for spec in self.vectors.values()})

    def dim(self, role: str) -> int:
        """Of the vectors of a role; where domains have encoders of their own, the largest."""
        return max((spec.dim for name, spec in self.vectors.items() if name.partition("@")[0] == role), default=0)


@dataclass(frozen=True, slots=True)
class Line:
    """One product. `factors`: numbers with what they count, in the order they are multiplied."""

    what: str
    factors: tuple[tuple[float, str], ...]

    @property
    def bytes(self) -> int:
        return math.ceil(math.prod(number for number, _ in self.factors))

    @property
    def arithmetic(self) -> str:
        return " × ".join(f"{number:,.10g} {unit}".strip() for number, unit in self.factors)


@dataclass(frozen=True, slots=True)
class Plan:
    disk: tuple[Line, ...]
    memory: tuple[Line, ...]

    @property
    def disk_bytes(self) -> int:
        return sum(line.bytes for line in self.disk)

    @property
    def memory_bytes(self) -> int:
        return sum(line.bytes for line in self.memory)


@dataclass(frozen=True, slots=True)
class Cluster:
    """The server's part: all its nodes together, and how many there have to be."""

    plan: Plan
    nodes: int
    shards: int  # at least so many, or some nodes stay empty
    memory_per_node: int  # bytes, without the share left free
    disk_per_node: int


def embedded(load: Load) -> Plan:
    """Everything on one machine. Memory is that of one process that searches, besides its models; whole vectors and
    graphs are mapped files, which the system keeps in memory while it has room."""
    kept = tuple(_times(line, (GENERATIONS,)) for line in index_on_disk(load))
    return Plan(database(load) + kept, _embedded_memory(load))


def server(load: Load, options: ServerOptions, node_gb: float) -> Cluster:
    """Qdrant nodes of `node_gb` GB of memory, for as many generations as stand beside each other in a swap."""
    copies = (GENERATIONS, (options.replicas, "replicas"))
    disk = [_line("vectors, 32 bits a number", (load.records, "records"), (load.numbers, "numbers"), (FLOAT, "bytes"))]
    ram = [] if options.on_disk else list(disk)
    small = QUANTISED_RAM[options.quantization]
    if small:
        quantised = _line(f"quantised ({options.quantization})", (load.records, "records"), (load.numbers, "numbers"),
                          (small, "bytes"))  # fmt: skip
        disk, ram = [*disk, quantised], [*ram, quantised]
    links = options.hnsw_m / GRAPH_M * LINKS
    graph = _line("graph", (load.records, "records"), (load.encoders, "vectors"), (links, "bytes"))
    plan = Plan(
        tuple(_times(line, copies) for line in (*disk, graph, *_words_on_disk(load))),
        tuple(_times(line, copies) for line in (*ram, graph, *_words_in_memory(load))),
    )
    nodes = max(options.replicas, math.ceil(plan.memory_bytes / (FILLED * node_gb * 1e9)))
    return Cluster(plan, nodes, math.ceil(nodes / options.replicas), math.ceil(plan.memory_bytes / nodes),
                   math.ceil(plan.disk_bytes / nodes))  # fmt: skip


def index_on_disk(load: Load) -> tuple[Line, ...]:
    """One generation of the embedded index."""
    lines = [
        _line("vectors, 32 bits a number", (load.records, "records"), (load.numbers, "numbers"), (FLOAT, "bytes")),
        _line("quantised, 4 bits a number", (load.records, "records"), (load.numbers, "numbers"), (QUANTISED, "bytes")),
        *_words_on_disk(load),
    ]
    linked = sum(count for count in (load.passages, load.cases) if index_kind(count) == "graph")
    if linked:
        lines.append(_line("graph", (linked, "records"), (load.encoders, "vectors"), (LINKS, "bytes")))
    return tuple(lines)


def database(load: Load) -> tuple[Line, ...]:
    """HOME/consult.db and HOME/blobs: what an index is made from."""
    cached = (
        ("cached vectors of pictures", load.cases, load.dim(IMAGE)),
        ("cached vectors of passages, to compare with pictures", load.passages, load.dim(IMAGE_TEXT)),
        ("cached vectors of texts", load.records, load.dim(TEXT)),
    )
    return (
        _line("passages", (load.passages, "passages"), (PASSAGE_ROW, "bytes")),
        _line("texts of passages, there and in their documents", (load.passages, "passages"),
              (load.passage_chars, "characters"), (PASSAGE_CHARACTER, "bytes")),
        _line("cases", (load.cases, "cases"), (CASE_ROW, "bytes")),
        _line("reports", (load.cases, "cases"), (load.report_chars, "characters"), (REPORT_CHARACTER, "bytes")),
        *(_line(what, (count, "vectors"), (round(cached_vector(dim)), "bytes")) for what, count, dim in cached if dim),
        _line("pictures", (load.cases, "cases"), (load.picture_kb, "kB"), (1000, "bytes")),
    )  # fmt: skip


def cached_vector(dim: int) -> float:
    """Bytes a vector takes in the database: SQLite puts whole rows on pages of 4 kB, and long rows on pages of their
    own (sqlite.org/fileformat2.html, "B-tree Pages")."""
    row = 4 * dim + CACHE_ROW
    if row <= USABLE:
        return PAGE / (USABLE // row) + CACHE_INDEX
    kept = 489 + (row - 489) % (PAGE - 4)
    kept = kept if kept <= USABLE else 489
    return math.ceil((row - kept) / (PAGE - 4)) * PAGE + PAGE / (USABLE // (kept + 12)) + CACHE_INDEX


def to_json(load: Load, here: Plan, there: Cluster) -> dict[str, Any]:
    assumed = {key: value for key, value in asdict(load).items() if key != "vectors"}
    dims = {name: spec.dim for name, spec in load.vectors.items()}
    cluster = {key: value for key, value in asdict(there).items() if key != "plan"}
    return {"assumed": {**assumed, "dims": dims}, "embedded": _lines(here), "server": {**_lines(there.plan), **cluster}}


def to_text(load: Load, here: Plan, there: Cluster) -> str:
    """The same for a person: every line with its product, every sum below its lines."""
    dims = ", ".join(f"{name} {spec.dim}" for name, spec in load.vectors.items())
    parts = [
        f"{load.passages:,} passages of {load.passage_chars:,} characters, {load.cases:,} cases with reports of"
        f" {load.report_chars:,} characters and pictures of {load.picture_kb:,} kB. Numbers a vector: {dims}.",
        "Means to be told better: --passage-chars, --report-chars, --picture-kb.",
        "",
        *_section("Embedded, on disk", here.disk, here.disk_bytes),
        *_section("Embedded, in memory of the process that searches (models come on top)", here.memory,
                  here.memory_bytes),
        *_section("Qdrant server, on the disks of all nodes", there.plan.disk, there.plan.disk_bytes),
        *_section("Qdrant server, in memory of all nodes", there.plan.memory, there.plan.memory_bytes),
        f"Nodes: {there.nodes}, each with {_size(there.memory_per_node)} of memory in use and"
        f" {_size(there.disk_per_node)} of disk; at least {there.shards} shards.",
        "The database and the pictures stay on the machine that runs Consult.",
    ]  # fmt: skip
    return "\n".join(parts)


def _lines(plan: Plan) -> dict[str, Any]:
    def told(lines: Sequence[Line]) -> list[dict[str, Any]]:
        return [{"what": line.what, "arithmetic": line.arithmetic, "bytes": line.bytes} for line in lines]

    return {"disk": told(plan.disk), "disk_bytes": plan.disk_bytes,
            "memory": told(plan.memory), "memory_bytes": plan.memory_bytes}  # fmt: skip


def _section(title: str, lines: Sequence[Line], total: int) -> list[str]:
    rows = [f"  {_size(line.bytes):>9}  {line.what}: {line.arithmetic}" for line in lines]
    return [title, *rows, f"  {_size(total):>9}  together", ""]


def _size(count: float) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"


def _embedded_memory(load: Load) -> tuple[Line, ...]:
    segments = _segments(load.passages) + _segments(load.cases)
    small = QUANTISED_RAM["turbo"]
    lines = [
        _line("quantised, 4 bits a number", (load.records, "records"), (load.numbers, "numbers"), (small, "bytes")),
        *_words_in_memory(load),
        _line("segments", (segments, "segments"), (SEGMENT_RAM, "bytes")),
    ]
    return tuple(lines)


def _words_on_disk(load: Load) -> tuple[Line, ...]:
    return _words(load, RECORD, CASE, CHARACTER, WORD)


def _words_in_memory(load: Load) -> tuple[Line, ...]:
    return _words(load, RECORD_RAM, CASE_RAM, CHARACTER_RAM, WORD_RAM)


def _words(load: Load, record: float, case: float, character: float, word: float) -> tuple[Line, ...]:
    passages, cases = (load.passages, "passages"), (load.cases, "cases")
    different = _different(load.passages, load.passage_chars) + _different(load.cases, load.report_chars)
    return (
        _line("records and filters", (load.records, "records"), (record, "bytes")),
        _line("patients and pictures of cases", cases, (case, "bytes")),
        _line("BM25, words of passages", passages, (load.passage_chars, "characters"), (character, "bytes")),
        _line("BM25, words of reports", cases, (load.report_chars, "characters"), (character, "bytes")),
        _line("BM25, lists of different words", (different, "words"), (word, "bytes")),
    )


def _different(records: int, chars: int) -> int:
    """Words of the lists of all segments: each has its own."""
    part = records if index_kind(records) == "graph" else Layout.part
    full, rest = divmod(records, part) if records else (0, 0)
    return sum(round(HEAPS * (n * chars / WORD_CHARS) ** GROWTH) for n in (*([part] * full), rest) if n)


def _segments(records: int) -> int:
    """An index of no record is a segment too."""
    return 1 if index_kind(records) == "graph" else max(1, math.ceil(records / Layout.part))


def _line(what: str, *factors: tuple[float, str]) -> Line:
    return Line(what, factors)


def _times(line: Line, copies: tuple[tuple[float, str], ...]) -> Line:
    return Line(line.what, (*line.factors, *copies))
