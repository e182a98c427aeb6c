"""How a Qdrant server keeps a generation; the embedded store needs none of it."""

from dataclasses import dataclass
from typing import Literal

Quantization = Literal["turbo", "int8", "binary", "none"]


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """`collection` is the alias that searches go to; collections are named `<collection>-<generation>`.

    `quantization`: what is searched before the best are rescored with whole vectors. "turbo" has 4 bits a number and
    holds its recall where all vectors are alike; "int8" is for servers that don't know it; "binary" (1 bit) is for
    vectors of more than a thousand numbers. `on_disk`: whole vectors and payload stay on disk, only the quantised are
    kept in memory.
    `write_consistency`: replicas that must have a batch before it counts as stored.
    """

    collection: str = "consult"
    quantization: Quantization = "turbo"
    on_disk: bool = False
    shards: int = 1
    replicas: int = 1
    write_consistency: int = 1
    hnsw_m: int = 16  # links of a node
    hnsw_ef: int = 512  # candidates of a search
    batch: int = 256  # records sent at a time
    timeout_s: int = 30  # of one request
    ready_s: float = 3600  # at most so long until a new generation is indexed
