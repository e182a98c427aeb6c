"""What the project's own retriever finds for a training sample, looked up once and kept in a file.

Two things are never in it. The sample's own patient: neither by number, nor by a near-duplicate picture, nor by what
else the library has of whom such a duplicate names; otherwise the model would learn to copy. And what an image encoder
finds for pictures it was trained on: it finds better there than it will for a new patient, so another encoder looks, or
the run is refused. The library is copied when the run begins: what is found doesn't change under it, nor does the home.
"""

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from assistant.events import EvidenceItem
from assistant.evidence import shown
from assistant.prompting import pictures_of, query_of
from assistant.requests import Request
from eval.errors import LeakFound
from eval.exam.guard import corpus_of
from eval.exam.library import contents
from eval.leaks import Seen, leaks, own_patient
from eval.ledger import read_ledger
from finetune.errors import BadInput, Misconfigured
from finetune.sft_config import Retrieval
from finetune.sft_data import Row
from finetune.sft_samples import request_of
from retrieval.db import FILE
from retrieval.domain import Domains
from retrieval.embed import Progress, no_progress
from retrieval.encoders.bundle import Names, encoder_folder, load
from retrieval.index import is_current, rebuild
from retrieval.ingest import add_documents, bundled_sources
from retrieval.library import Library
from retrieval.retriever import Retriever
from retrieval.store import open_store
from retrieval.types import Case
from retrieval.weigh import Selection

Found = dict[str, tuple[EvidenceItem, ...]]  # by the id of a row's trace


@dataclass(frozen=True, slots=True)
class Lookup:
    """`seed` draws which rows come with evidence; `folder` keeps the library's copy and what was found."""

    how: Retrieval
    folder: Path
    salt: bytes
    seed: int
    max_answer: int

    def find(self, rows: Sequence[Row], progress: Progress = no_progress) -> Found:
        """What is shown with each row. A lookup that was killed goes on. Raises `LeakFound` when an encoder has seen
        the rows it is asked about, `Misconfigured` when there is no library or encoder."""
        chosen = [row for row in rows if _drawn(f"{self.seed}:{row.digest}") < self.how.share]
        found: Found = {}
        for place, (encoder, own) in enumerate(assigned(chosen, self.how).items()):
            if own:
                with _retriever(self.how, encoder, self.folder / f"library-{place}", progress) as retriever:
                    found |= self._look_up(retriever, encoder, own, progress)
        return found

    def _look_up(self, retriever: Retriever, encoder: str, rows: Sequence[Row], progress: Progress) -> Found:
        forbidden = kin_pictures(rows, retriever.library, self.salt)
        domains, parts = _domains(encoder, retriever), (contents(retriever.library), retriever.identities, self.how)
        cache = _Cache(self.folder / f"evidence-{hashlib.sha256(repr(parts).encode()).hexdigest()[:12]}.jsonl")
        found: Found = {}
        for done, row in enumerate(rows, 1):
            hidden = forbidden.get(row.trace.id, ())
            key = hashlib.sha256(f"{row.digest} {self.max_answer} {' '.join(hidden)}".encode()).hexdigest()
            if key not in cache.found:
                request = request_of(row, self.salt, self.max_answer)
                cache.add(key, look_up(retriever, domains, request, hidden))
            found[row.trace.id] = cache.found[key]
            progress("looking up evidence", done, len(rows))
        return found


def look_up(
    retriever: Retriever, domains: Domains | None, request: Request, hidden: Sequence[str] = ()
) -> tuple[EvidenceItem, ...]:
    """What serving would retrieve for the request, from a library without the pictures `hidden` (sha256)."""
    embeddings = retriever.look([picture.pixels for picture in pictures_of(request)])
    query = query_of(request, embeddings, [domains.identify(row) for row in embeddings] if domains else [])
    evidence = retriever.retrieve(replace(query, sha256=(*query.sha256, *hidden)))
    for item in evidence.items:
        for case in (item.content, item.earlier):
            if isinstance(case, Case) and (case.sha256 in hidden or (case.patient and case.patient == query.patient)):
                raise LeakFound(f"The library's case {case.id} shows a sample's own patient. Please report this.")
    return tuple(map(shown, evidence.items))


def kin_pictures(rows: Sequence[Row], library: Library, salt: bytes) -> dict[str, tuple[str, ...]]:
    """By the id of a row's trace, the pictures of cases that are its patient's although their numbers don't say so:
    near-duplicates, the same phantom, and all that the library has of whom these name."""
    cases = {case.id: case.sha256 for case in library.cases()}
    training = Seen("the training data", tuple(row.trace for row in rows), salt.hex())
    found: dict[str, set[str]] = {}
    for leak in own_patient(training, corpus_of(library)):
        found.setdefault(leak.test_id, set()).add(cases[leak.other_id])
    return {row: tuple(sorted(pictures)) for row, pictures in found.items()}


def assigned(rows: Sequence[Row], how: Retrieval) -> dict[str, list[Row]]:
    """Which image encoder looks each row up: one that has not seen it, by a hash where several haven't. An encoder
    without a ledger is taken as one that has seen none, unless it is cross-fitted. Raises `LeakFound`."""
    training = Seen("the training data", tuple(replace(row.trace, patient=row.patient) for row in rows))
    seen = {}
    for name in how.encoders:
        folder = encoder_folder(name, "image_text")
        ledger = read_ledger(folder) if folder else None
        if ledger is None and how.cross_fitted:
            raise Misconfigured(f"{name} has no trained_on.json: nobody can tell which samples it has not seen.")
        seen[name] = {leak.test_id for leak in leaks(training, ledger)} if ledger else set[str]()
    by_encoder: dict[str, list[Row]] = {name: [] for name in how.encoders}
    refused = []
    for row in rows:
        fresh = [name for name in how.encoders if row.trace.id not in seen[name]]
        if fresh:
            by_encoder[fresh[int(_drawn(row.digest) * len(fresh))]].append(row)
        else:
            refused.append(row)
    if refused:
        raise LeakFound(
            f"{len(refused)} of {len(rows)} samples with evidence were in the training of "
            f"{' and of '.join(how.encoders)} (first: {refused[0].file}:{refused[0].line}): what an encoder finds for "
            "pictures it has learnt is better than what it will find for a new patient. Name under "
            "retrieval.cross_fitted encoders that were each trained without a part of these patients, or other samples."
        )
    return by_encoder


def _drawn(key: str) -> float:
    """0 ≤ x < 1, the same for the same key on every machine."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) / 2**64


def home_of(how: Retrieval) -> Path | None:
    """The home whose library is searched; None for the bundled cards. Raises `BadInput` when it has no library."""
    if how.home == "bundled":
        return None
    home = Path(how.home).expanduser()
    if not (home / FILE).is_file():
        raise BadInput(
            f"{home} holds no library ({FILE}); fill it with `consult knowledge add` or `consult cases add`."
        )
    return home


@contextmanager
def _retriever(how: Retrieval, encoder: str, folder: Path, progress: Progress) -> Iterator[Retriever]:
    """Over the library's copy in `folder`, indexed by this image encoder; made where it isn't yet."""
    copied = folder / "copied"
    if (home := home_of(how)) and not copied.is_file():
        _copy(home, folder)
    encoders = load(Names(image_text=encoder, text=how.text))
    with Library(folder) as library, closing(open_store(folder)) as store:
        if home is None:
            add_documents(library, store, encoders, bundled_sources(), progress=progress)
        elif not is_current(library, store, encoders):
            rebuild(library, store, encoders, progress)
        copied.touch()
        yield Retriever(store, library, encoders, Selection(k_max=how.k_max))


def _copy(home: Path, folder: Path) -> None:
    """The truth of the home at this moment; pictures are linked, never changed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    source = sqlite3.connect(f"file:{home.resolve() / FILE}?mode=ro", uri=True)
    with closing(source), closing(sqlite3.connect(folder / FILE)) as target:
        source.backup(target)
    for name in ("salt", "domains.json"):
        if (home / name).is_file():
            shutil.copy(home / name, folder / name)
    if (home / "blobs").is_dir():
        (folder / "blobs").symlink_to((home / "blobs").resolve())


def _domains(encoder: str, retriever: Retriever) -> Domains | None:
    """As the settings of that home and encoder would judge pictures."""
    folder = encoder_folder(encoder, "image_text")
    domains = Domains.load(retriever.library.home) or (Domains.load(folder) if folder else None)
    if domains:
        domains.check(retriever.identities.get("image_text"))
    return domains


class _Cache:
    """Lines of `{"key", "evidence"}`; the half line of a run that was killed is looked up again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: Found = {}
        whole = []
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else ():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            self.found[row["key"]] = tuple(map(EvidenceItem.model_validate, row["evidence"]))
            whole.append(line if line.endswith("\n") else line + "\n")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(whole), encoding="utf-8")

    def add(self, key: str, evidence: tuple[EvidenceItem, ...]) -> None:
        self.found[key] = evidence
        row = {"key": key, "evidence": [item.model_dump() for item in evidence]}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
