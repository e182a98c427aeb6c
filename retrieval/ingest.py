"""Ingestion: files and case folders into the library, cut into passages; then a new generation of the index.

The order is the promise: a file's texts are committed in one transaction before anybody hears of it, then what is gone
is removed and the editions are put in order, vectors are computed batch by batch, and the index is published last.
Killed or out of disk at any moment, what was acknowledged is still there, the old generation still serves, and
repeating the command does only what is left. Files are told apart by the hash of their bytes, not by their times, which
copying and restoring change.
"""

import contextlib
import fcntl
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from retrieval.cases import BadLine, CaseLine, ReadPicture, look_of, picture_digest, read_manifest, read_picture_safely
from retrieval.cutting import CUTTER_VERSION, cut
from retrieval.db import patient_hash, plain_errors, salt_of
from retrieval.editions import editions_of
from retrieval.embed import Progress, no_progress
from retrieval.encoders.bundle import Encoders
from retrieval.errors import BadInput, Busy, NotFound, UnreadableDocument
from retrieval.follow import folder_of, gone, inside, refuse_emptied
from retrieval.index import is_current, rebuild
from retrieval.library import Library, stable_id
from retrieval.readers import MAX_BYTES, READERS_VERSION, Draft, Span, read_document, reader_for
from retrieval.rows import Document, File
from retrieval.store.base import Store
from retrieval.types import Case, Passage

Waiting = Callable[[], None]  # called once when another ingestion has to be waited for


@dataclass(frozen=True, slots=True)
class Source:
    """A file to add: `path` tells it from others (added again, it replaces itself), `name` is shown to people."""

    path: str
    name: str
    data: bytes | Path


@dataclass(slots=True)
class Report:
    """What an ingestion did, by the names of files or the lines of a manifest (removed cases by their ids). `skipped`
    says why, `superseded` by which document, `undecided` which editions can't be put in order."""

    added: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    superseded: list[tuple[str, str]] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)
    generation: str | None = None  # None: the index was already up to date


def find_sources(paths: Iterable[Path]) -> list[Source]:
    """The files named, and all that lies below the folders named, hidden ones left out. A folder that is empty or may
    not be opened is a source too, and so is a link that leads nowhere: reading it says so. Raises `BadInput`."""
    found: dict[str, Source] = {}
    for path in paths:
        if not os.path.exists(path):  # unlike `Path.exists` silent on a folder that may not be entered
            raise BadInput(f"{path} is not there, or may not be opened.")
        full = path.resolve()
        for file in _below(full) if full.is_dir() else [full]:
            found[str(file)] = Source(_in_unicode(file), _in_unicode(file.relative_to(full.parent)), file)
    return list(found.values())


def _in_unicode(path: Path) -> str:
    """A name that is not in UTF-8 can neither be stored nor printed."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _below(folder: Path) -> list[Path]:
    """Its files and those of the folders in it, sorted; links to folders aren't followed, only listed."""
    closed: list[Path] = []
    files: list[Path] = []
    for place, below, names in os.walk(folder, onerror=lambda error: closed.append(Path(error.filename))):
        below[:] = [name for name in below if not name.startswith(".")]
        links = [name for name in below if os.path.islink(os.path.join(place, name))]
        files += [Path(place, name) for name in names + links if not name.startswith(".")]
    return sorted(files + closed) or [folder]


def bundled_sources() -> list[Source]:
    """The demonstration cards that ship with Consult."""
    folder = Path(__file__).parent / "knowledge"
    cards = [path for path in sorted(folder.glob("*.md")) if path.name != "README.md"]
    return [Source(f"bundled/{path.name}", f"bundled/{path.name}", path) for path in cards]


def add_documents(
    library: Library, store: Store, encoders: Encoders, sources: Sequence[Source], domain: str | None = None,
    progress: Progress = no_progress, folders: Sequence[Path] = (), waiting: Waiting | None = None,
) -> Report:  # fmt: skip
    """Adds files to the library and brings the index up to date. `domain` is that of files that name none. What was
    added with one of `folders` and is no longer there is removed. A file that can't be read is told of and stops
    nothing. Raises `BadInput` for a folder that lost all its files, `Busy` while another ingestion is under way, unless
    `waiting` is given: then it waits for its turn."""
    with exclusive(library.home, waiting), plain_errors():
        report, files, roots = Report(), library.files(), [str(folder.resolve()) for folder in folders]
        refuse_emptied(files, [source.path for source in sources], roots)
        known = {file.id: file for file in files}
        made_by = f"{READERS_VERSION}.{CUTTER_VERSION} {domain or ''}".strip()
        read: dict[str, str] = {}
        for done, source in enumerate(sources, 1):
            old = known.get(stable_id("file", source.path))
            folder = folder_of(source.path, old, roots)
            try:
                _add_file(library, source, old, made_by, folder, domain, report)
                read[source.path] = folder
            except UnreadableDocument as error:
                report.skipped.append((source.name, f"{error}{' Its earlier version stays.' if old else ''}"))
            progress("reading documents", done, len(sources))
        _follow(library, read, roots, report)
        _supersede(library, report)
        _publish(library, store, encoders, report, progress)
        return report


def _add_file(
    library: Library, source: Source, old: File | None, made_by: str, folder: str, domain: str | None, report: Report
) -> None:
    data = _bytes(source)
    sha256 = hashlib.sha256(data).hexdigest()
    if old and (old.sha256, old.made_by) == (sha256, made_by):
        report.unchanged.append(source.name)
        return
    reading = read_document(data, source.name)
    file = File(stable_id("file", source.path), source.path, source.name, sha256, made_by, folder)
    content = []
    for draft, cuts in zip(reading.drafts, _cut(reading.drafts), strict=True):
        meta = {**draft.meta, "domain": draft.meta.get("domain") or domain}
        name = f"{source.name}#{draft.key}" if draft.key else source.name
        document = Document(stable_id("document", source.path, draft.key), file.id, draft.title, name, draft.text, meta)
        content.append((document, [passage_at(document, span) for span in cuts]))
    library.put_file(file, content)
    (report.replaced if old else report.added).append(source.name)
    report.skipped += [(f"{source.name} {place}", why) for place, why in reading.skipped]


def _follow(library: Library, read: dict[str, str], folders: Sequence[str], report: Report) -> None:
    """`read`: by path of all that could be read the folder it belongs to."""
    files = library.files()
    moved = {file.id: folder for file in files if (folder := read.get(file.path, file.folder)) != file.folder}
    if moved:
        library.set_folders(moved)
    if missing := gone(files, read, folders):
        library.remove_files([file.id for file in missing])
        report.removed += [file.name for file in missing]


def _supersede(library: Library, report: Report) -> None:
    outlines = [one for one in library.outlines() if not one.meta.get("condensed_by")]  # named as its sources are
    names = {document.id: document.name for document in outlines}
    found = editions_of(outlines)
    changed = library.set_editions(found.newer)
    report.superseded += [(names[old], names[new]) for old, new in changed.items() if new is not None]
    report.undecided += found.undecided


def _cut(drafts: Sequence[Draft]) -> list[list[Span]]:
    try:
        return cut(drafts)
    except ValueError as error:  # a passage that isn't found again in its text
        raise UnreadableDocument("The text can't be cut into passages; save it as plain text.") from error


def _bytes(source: Source) -> bytes:
    if isinstance(source.data, bytes):
        return source.data
    try:
        status = source.data.stat()
        if stat.S_ISDIR(status.st_mode):
            os.scandir(source.data).close()  # may it be opened?
            linked = source.data.is_symlink()
            raise UnreadableDocument("Links to folders aren't followed." if linked else "The folder holds no files.")
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableDocument("This is no file but a device, socket or pipe.")
        if status.st_size > MAX_BYTES:
            raise UnreadableDocument(f"The file is larger than {MAX_BYTES // 1024 // 1024} MB; split it.")
        with source.data.open("rb") as file:
            head = file.read(4096)  # enough to say what it isn't
            return head + file.read(MAX_BYTES) if reader_for(head, source.name) else head
    except OSError as error:
        raise UnreadableDocument(f"It can't be opened ({error.strerror}).") from error


def passage_at(document: Document, span: Span) -> Passage:
    text = document.text[span.start : span.end]
    return Passage(
        id=stable_id("passage", document.id, str(span.start), text), document_id=document.id, document=document.title,
        section=span.section, text=text, start=span.start, end=span.end, page=span.page,
    )  # fmt: skip


def add_cases(
    library: Library, store: Store, encoders: Encoders, manifest: Path, read: ReadPicture, domain: str | None = None,
    progress: Progress = no_progress, waiting: Waiting | None = None,
) -> Report:  # fmt: skip
    """Adds a manifest's cases to the library, removes those that neither it nor another names any more, and brings the
    index up to date. Raises as `add_documents` does."""
    with exclusive(library.home, waiting), plain_errors():
        report, own, salt = Report(), str(manifest.resolve()), salt_of(library.home)
        lines, before, named = list(read_manifest(manifest)), library.named(own), dict[str, str]()
        if before and not any(isinstance(line, CaseLine) for _, line in lines):
            raise BadInput(
                f"{manifest} names no case any more, but the library holds {len(before)} that it named."
                f" To remove them on purpose: consult knowledge remove {manifest}"
            )
        for done, (place, line) in enumerate(lines, 1):
            key = patient_hash(salt, str(line.picture)) if line.picture else ""  # a file name may name a patient
            try:
                if isinstance(line, BadLine):
                    raise line
                named[key] = _add_case(library, place, line, read, domain, (own, key), report)
            except BadInput as error:
                report.skipped.append((place, f"{error}{'; its earlier version stays' if key in before else ''}"))
                named |= {key: before[key]} if key in before else {}
            progress("reading cases", done, len(lines))
        if any(line.picture is None for _, line in lines) and (left := before.keys() - named.keys()):
            named |= {key: before[key] for key in left}
            report.skipped.append((manifest.name, f"{len(left)} cases may have left it; mend its bad lines to know"))
        report.removed += library.name_cases(own, named)
        _publish(library, store, encoders, report, progress)
        return report


def _add_case(
    library: Library, place: str, line: CaseLine, read: ReadPicture, domain: str | None, named: tuple[str, str],
    report: Report,
) -> str:  # fmt: skip
    """Returns its id."""
    salt = salt_of(library.home)
    picture, patient = read_picture_safely(read, line.picture, salt)
    if line.patient:
        patient = patient_hash(salt, line.patient)
    sha256 = picture_digest(picture)
    case = Case(
        stable_id("case", sha256), sha256, line.report, line.domain or domain, patient, line.labels, line.source,
        line.taken, look_of(picture),
    )  # fmt: skip
    old: Case | None = None
    with contextlib.suppress(NotFound):
        old = library.case(case.id)
    if old == case:
        report.unchanged.append(place)
    else:
        library.put_case(case, picture, named)
        (report.replaced if old else report.added).append(place)
    return case.id


def _publish(library: Library, store: Store, encoders: Encoders, report: Report, progress: Progress) -> None:
    if not is_current(library, store, encoders):
        report.generation = rebuild(library, store, encoders, progress)


def remove(
    library: Library, store: Store, encoders: Encoders, what: str, progress: Progress = no_progress,
    waiting: Waiting | None = None,
) -> int:  # fmt: skip
    """Removes a document, file or case by its id, or what was added from a path: a file, a folder, a manifest's cases.
    Takes it out of the index and returns how many documents or cases it was. It is no longer shown from the first
    moment on: what the library doesn't hold, a search doesn't return. Raises `NotFound`, else as `add_documents`."""
    with exclusive(library.home, waiting), plain_errors():
        try:
            count = library.remove(what)
        except NotFound:
            count = _remove_path(library, str(Path(what).resolve())) if what else 0
            if not count:
                raise
        _supersede(library, Report())
        rebuild(library, store, encoders, progress)
        return count


def _remove_path(library: Library, path: str) -> int:
    cases = library.name_cases(path, {})
    files = [file.id for file in library.files() if inside(file.path, path)]
    return len(cases) + (library.remove_files(files) if files else 0)


@contextlib.contextmanager
def exclusive(home: Path, waiting: Waiting | None = None) -> Iterator[None]:
    """One ingestion at a time on a home; the system lets go of the lock when the process dies. Another one waits for
    its turn if `waiting` is given, which is called before it does, else raises `Busy`."""
    with plain_errors(home):  # of the lock alone: what goes wrong inside is not the home's fault
        file = (home / "ingest.lock").open("w")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting is None:
                raise Busy("Another ingestion is under way on this library. Try again when it is done.") from None
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
