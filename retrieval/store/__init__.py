"""Search engines behind one seam, `base.Store`. No type of any engine leaves this folder."""

from pathlib import Path

from retrieval.store.base import Store
from retrieval.store.options import ServerOptions

__all__ = ["ServerOptions", "Store", "open_store"]


def open_store(
    home: Path, url: str | None = None, api_key: str | None = None, options: ServerOptions | None = None
) -> Store:
    """The store of an installation: the Qdrant server at `url`, used as `options` say, or embedded in `home`. Nothing
    is opened yet."""
    if url:
        from retrieval.store.server import ServerStore

        return ServerStore.at(url, api_key, options or ServerOptions())
    from retrieval.store.edge import EdgeStore

    return EdgeStore(home)
