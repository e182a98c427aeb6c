"""Restore of a home from a backup: verified, migrated and indexed beside the home, then put in its place in one step.

Killed at any moment, the home is what it was or what the backup holds; what was left beside it (.NAME.restoring-…) is
removed by the next restore. The index is built from the vectors in the backup, so no encoder is loaded. With a Qdrant
server it is published after the home is in place: killed between the two, `consult knowledge rebuild` does the rest.

A home that holds anything is replaced only when that is asked for, and never while a server, an ingestion or another
restore has it: they hold locks on HOME/serve.lock, HOME/ingest.lock and the folder beside. One step is an exchange of
two names, which Linux has; elsewhere the old home is moved aside first and moved back when the second step fails.

Needs room for the home, and its index, beside the old one. Time grows with the bytes; the index takes seconds per
100,000 records.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NoReturn

from retrieval.archive import About, newer, unpack, workplace
from retrieval.db import FILE, plain_errors
from retrieval.embed import Progress, no_progress
from retrieval.encoders.bundle import IMAGE, IMAGE_TEXT, TEXT, Encoders, named
from retrieval.errors import BadInput, Busy, ConsultError, Misconfigured, NotFound, Unavailable
from retrieval.index import rebuild
from retrieval.ingest import exclusive
from retrieval.library import Library
from retrieval.store import open_store
from retrieval.store.base import Store
from retrieval.store.rules import manifest_from_json
from retrieval.types import Manifest, VectorSpec

SCHEMAS = "consult.schemas"  # entry points: room → its migration steps
LOCKS = ("serve.lock", "ingest.lock")  # held by whoever has a home: assistant/api/app.py, retrieval/ingest.py
UNTOUCHED = "nothing was changed"


@dataclass(frozen=True, slots=True)
class Report:
    """`indexed`: False when the backup lacks vectors or says nothing of an index; then rebuild it with the encoders."""

    files: int
    created: str  # when the backup was made
    passages: int
    cases: int
    indexed: bool


def restore(
    archive: Path, home: Path, server: Store | None = None, replace: bool = False, progress: Progress = no_progress
) -> Report:
    """Makes `home` what `archive` holds; with `replace` in place of what is there. `server`: the Qdrant server whose
    index is to follow; None: embedded. Raises `BadInput` for a damaged or foreign file or a home that isn't empty,
    `Misconfigured` for a backup of a newer Consult, `Busy` while somebody has the home, `Unavailable` when the disk is
    full or the server can't be reached; in this last case all but its index is restored."""
    home = home.resolve()
    with plain_errors(home), _held(home, replace), workplace(home.parent, f".{home.name}.restoring-") as draft:
        about, files = unpack(archive, draft, _check, progress)
        if not (draft / FILE).is_file():
            raise BadInput(f"The backup holds no {FILE}; {UNTOUCHED}.")
        manifest = _manifest(about)
        with Library(draft) as library, contextlib.closing(open_store(draft)) as embedded:
            library.set_indexed(-1)
            indexed = server is None and _indexed(library, embedded, manifest, progress)
            counts = library.counts()
        os.sync()
        _put_in_place(draft, home)
    if server is not None:
        indexed = _published(home, server, manifest, progress)
    return Report(files, about.created, counts["passages"], counts["cases"], indexed)


def _manifest(about: About) -> Manifest | None:
    """None also for one this version can't read: an index is disposable."""
    with contextlib.suppress(Misconfigured):
        return manifest_from_json(about.index) if about.index else None
    return None


def _check(about: About) -> None:
    rooms: dict[str, Sequence[str]] = {point.name: point.load() for point in entry_points(group=SCHEMAS)}
    if any(version > len(rooms.get(room, ())) for room, version in about.schema.items()):
        raise newer(about.consult)


# The index, without encoders


class Remembered:
    """Stands for an encoder whose vectors are all there."""

    def __init__(self, spec: VectorSpec, reads_text: bool) -> None:
        self.identity, self.dim, self.reads_text = spec.identity, spec.dim, reads_text

    def encode(self, given: Sequence[Any]) -> NoReturn:
        raise Missing

    encode_images = encode_texts = encode_queries = encode_passages = encode


class Missing(Exception):
    """Something has no vector yet: an ingestion had not come to its end. Or an index is of a kind unknown here."""


def remembered(manifest: Manifest) -> Encoders:
    """The encoders of an index, as far as building it again from their vectors needs them. Raises `Missing`."""
    made: dict[str, dict[str, Remembered]] = {IMAGE: {}, TEXT: {}}  # by role, and by domain; "": of all others
    for name, spec in manifest.vectors.items():
        role, _, domain = name.partition("@")
        if role in made:
            made[role][domain] = Remembered(spec, named(IMAGE_TEXT, domain) in manifest.vectors)
    if "" not in made[TEXT]:
        raise Missing
    seeing, reading = made[IMAGE].pop("", None), made[TEXT].pop("")
    return Encoders(seeing, reading, manifest.fitted, made[IMAGE], made[TEXT])


def _indexed(library: Library, store: Store, manifest: Manifest | None, progress: Progress) -> bool:
    if manifest is None:
        return library.state("revision") == 0  # nothing was ever added
    try:
        rebuild(library, store, remembered(manifest), progress)
    except (Missing, NotFound):  # a vector, or even the picture it is of
        return False
    return True


def _published(home: Path, server: Store, manifest: Manifest | None, progress: Progress) -> bool:
    try:
        with Library(home) as library, exclusive(home):
            return _indexed(library, server, manifest, progress)
    except ConsultError as error:
        raise Unavailable(f"All but the index is restored: {error}. Then run `consult knowledge rebuild`.") from error


# Putting it in place


@contextlib.contextmanager
def _held(home: Path, replace: bool) -> Iterator[None]:
    """Nobody else has the home, nor will before this ends."""
    if home.exists() and not home.is_dir():
        raise BadInput(f"{home} is a file. Set CONSULT_HOME to a folder.")
    home.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        if _filled(home):
            if not replace:
                raise BadInput(f"{home} is not empty. --replace puts the backup in its place; {UNTOUCHED}.")
            for name in LOCKS:
                file = held.enter_context((home / name).open("a"))
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    who = "A Consult server" if name == LOCKS[0] else "An ingestion"
                    raise Busy(f"{who} is using {home}. Stop it, then restore; {UNTOUCHED}.") from None
        yield


def _filled(home: Path) -> bool:
    return home.is_dir() and any(home.iterdir())


def _put_in_place(draft: Path, home: Path) -> None:
    """In one step. Afterwards `draft` is gone, or is the old home."""
    if home.is_dir():
        draft.chmod(stat.S_IMODE(home.stat().st_mode))
    try:
        if _filled(home):
            _exchange(draft, home)
        else:
            draft.rename(home)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise Busy(f"Somebody began to use {home} meanwhile. Stop them, then repeat with --replace.") from error
        reason = (error.strerror or "error").lower()
        raise Misconfigured(
            f"{home} can't be replaced ({reason}); {UNTOUCHED}."
            f" If a disk is mounted there, set CONSULT_HOME to a folder on it, such as {home / 'consult'}."
        ) from error


def _exchange(one: Path, other: Path) -> None:
    """Two names change places."""
    if _renameat2(one, other):
        return
    aside = other.with_name(f".{other.name}.replaced-{secrets.token_hex(6)}")
    other.rename(aside)
    try:
        one.rename(other)
    except OSError:
        aside.rename(other)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _renameat2(one: Path, other: Path) -> bool:
    """False where the system or its disk can't."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    if call is None:
        return False
    if call(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0:
        return True
    if (code := ctypes.get_errno()) in (errno.EINVAL, errno.ENOSYS):
        return False
    raise OSError(code, os.strerror(code))
