"""The file a home is backed up to: a zip of its files as they are, in `home/`, and last of all `manifest.json`.

Nothing is compressed: pictures are PNGs already, and vectors don't shrink. The manifest names every file with its size
and sha256; a file that is cut off, changed, or holds anything but plain files inside one folder is refused. The format:

    {"format": 1, "consult": "0.1.0", "created": "2026-01-31T12:00:00+00:00", "schema": {"library": 2, "api": 1},
     "index": manifest of the index or null, "files": {"consult.db": {"size": 4096, "sha256": "…"}, …}}
"""

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from retrieval.db import disk_full
from retrieval.embed import Progress
from retrieval.errors import BadInput, Busy, Misconfigured, Unavailable

FORMAT = 1
MANIFEST, HOME = "manifest.json", "home/"
CHUNK = 1 << 20
MB = 1_000_000
DAMAGED = "The backup is damaged or no backup of Consult; nothing was restored. Use another copy of it."
PLAIN = 0o100600  # a file, for its owner


@dataclass(frozen=True, slots=True)
class About:
    """What a backup says of itself. `schema`: room → version of its tables; `index`: manifest as JSON, None without."""

    consult: str
    created: str  # ISO 8601, UTC
    schema: dict[str, int]
    index: dict[str, Any] | None


def pack(folder: Path, file: IO[bytes], about: About, progress: Progress) -> tuple[int, int]:
    """Writes all files below `folder`; returns how many and how many bytes. Raises `Unavailable` when one vanishes."""
    paths = sorted(path for path in folder.rglob("*") if not path.is_dir())
    total, done, files = sum(size_of(path) for path in paths), 0, {}
    with zipfile.ZipFile(file, "w") as archive:
        for path in paths:
            name, digest, size = path.relative_to(folder).as_posix(), hashlib.sha256(), 0
            with _there(path) as source, archive.open(_member(HOME + name), "w", force_zip64=True) as member:
                while block := source.read(CHUNK):
                    member.write(block)
                    digest.update(block)
                    size += len(block)
                    progress("packing, MB", (done + size) // MB, total // MB)
            files[name] = {"size": size, "sha256": digest.hexdigest()}
            done += size
        text = json.dumps({"format": FORMAT, **asdict(about), "files": files}, indent=1, ensure_ascii=False)
        archive.writestr(_member(MANIFEST), text.encode())
    return len(files), done


def unpack(path: Path, into: Path, check: Callable[[About], None], progress: Progress) -> tuple[About, int]:
    """Writes the files of a backup below `into`, each verified; returns what it says of itself and how many they were.
    `check` may refuse it before anything is written. Raises `BadInput` for what is no whole, unchanged backup."""
    with _told(), _opened(path) as file, zipfile.ZipFile(file) as archive:
        about, files = _manifest(archive)
        check(about)
        total, done = sum(file["size"] for file in files.values()), 0
        room_for(into, total)
        for name, told in files.items():
            target = into / name
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            digest = hashlib.sha256()
            with archive.open(HOME + name) as member, os.fdopen(os.open(target, _NEW, 0o600), "wb") as out:
                while block := member.read(CHUNK):
                    out.write(block)
                    digest.update(block)
                    done += len(block)
                    progress("unpacking, MB", done // MB, total // MB)
            if digest.hexdigest() != told["sha256"]:
                raise BadInput(DAMAGED)
    return about, len(files)


_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL


def _manifest(archive: zipfile.ZipFile) -> tuple[About, dict[str, Any]]:
    """Checked against the members: as many, as large, plain files with names that stay inside."""
    told = json.loads(archive.read(MANIFEST))
    if told["format"] > FORMAT:
        raise newer(told["consult"])
    members, files = archive.infolist(), told["files"]
    sizes = {member.filename: member.file_size for member in members if member.filename != MANIFEST}
    if len(sizes) + 1 != len(members) or sizes != {HOME + name: file["size"] for name, file in files.items()}:
        raise BadInput(DAMAGED)
    if not all(_stays_inside(member.filename) and _is_plain(member) for member in members):
        raise BadInput("The backup holds names that lead outside a home, or links; it was not made by Consult.")
    return About(told["consult"], told["created"], told["schema"], told["index"]), files


def newer(consult: str) -> Misconfigured:
    return Misconfigured(f"The backup was written by a newer Consult ({consult}). Upgrade, then restore.")


def _stays_inside(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return not name.startswith("/") and ".." not in parts and "/".join(parts) == name


def _is_plain(member: zipfile.ZipInfo) -> bool:
    return member.external_attr >> 16 == PLAIN and member.compress_type == zipfile.ZIP_STORED


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.external_attr = PLAIN << 16
    return member


_UNREADABLE = (
    zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, FileExistsError, NotADirectoryError, KeyError,
    ValueError, TypeError, AttributeError, IndexError,
)  # fmt: skip


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What goes wrong while reading a zip, or a manifest that isn't one, says that it isn't ours."""
    try:
        yield
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
        EOFError,
        FileExistsError,
        NotADirectoryError,
    ) as error:
        raise BadInput(DAMAGED) from error
    except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise BadInput(DAMAGED) from error


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise BadInput(f"The backup can't be read ({(error.strerror or 'error').lower()}).") from error


@contextlib.contextmanager
def _there(path: Path) -> Iterator[IO[bytes]]:
    try:
        source = path.open("rb")
    except FileNotFoundError as error:
        raise Unavailable("A file was removed while it was backed up. Repeat the command.") from error
    with source:
        yield source


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def room_for(folder: Path, needed: int) -> None:
    """Raises `Unavailable` where the disk has no room for so many bytes."""
    if shutil.disk_usage(folder).free < needed:
        raise disk_full()


@contextlib.contextmanager
def workplace(parent: Path, prefix: str) -> Iterator[Path]:
    """A folder for work under way, for its owner alone, gone afterwards. What killed ones left is removed first; one
    that is at work keeps it locked, and a second one raises `Busy`."""
    for stale in parent.glob(f"{prefix}*"):
        with _locked(stale):
            shutil.rmtree(stale, ignore_errors=True)
    folder = parent / f"{prefix}{secrets.token_hex(6)}"
    folder.mkdir(mode=0o700)
    with _locked(folder):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise Busy("Another backup or restore of this home is under way. Try again when it is done.") from error
    finally:
        os.close(handle)
