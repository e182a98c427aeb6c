"""Checks that fail a run: nothing that is asked about was seen before, in training or in the library.

Three ways to have been seen: the same patient, the same phantom seed, or nearly the same picture. Pictures are compared
by the 256-bit perceptual hash of the ImageHash library (the signs of a picture's 16 x 16 lowest cosines against their
median). At most `NEAR` bits apart are every copy saved again as JPEG, at another size, 20 % darker, 10 % brighter or
noisy, and some 95 % of those with a gamma of 1.3 or 0.5 % cut off each side; of 391,493 pairs of two patients' films
(NIH ChestX-ray14) none came nearer than 54. A copy that lost 1 % or more each side is mostly missed, a mirrored one
always. A difference hash doesn't do here: of fifty thousand pairs of different phantoms one lies within 6 bits. By this
hash they come as near as 14, which is why two pictures known to be phantoms are compared by their seeds alone.

Messages name items by their ids alone: never a patient.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eval.errors import BadInput, LeakFound
from retrieval.cases import look_of, picture_digest
from retrieval.db import patient_hash, salt_of
from retrieval.library import Library
from retrieval.types import Case, Image

NEAR = 16  # of 256 bits

Hashes = NDArray[np.uint64]  # (n, 4): 256 bits a picture
Kind = Literal["patient", "phantom seed", "near-duplicate picture", "own patient"]


@dataclass(frozen=True, slots=True)
class Seeds:
    """The phantoms of a family from seed `first` to `last`, both included: all their views, visits and faults."""

    family: str
    first: int
    last: int

    @property
    def name(self) -> str:
        span = str(self.first) if self.first == self.last else f"{self.first} to {self.last}"
        return f"family {self.family}, seed {span}"


def _no_hashes() -> Hashes:
    return np.empty((0, 4), np.uint64)


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """What one item would be recognised by. `id` may stand in a message, `patient` never does."""

    id: str
    patient: str | None = None
    phantoms: tuple[Seeds, ...] = ()
    hashes: Hashes = field(default_factory=_no_hashes)
    sha256: tuple[str, ...] = ()  # of its pictures, as the library names them


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """All that a model, a library or an exam has seen. `salt` (hex): patients are hashes that it keys; "": they are as
    the source names them."""

    name: str
    traces: tuple[Trace, ...] = ()
    salt: str = ""


@dataclass(frozen=True, slots=True)
class Leak:
    """An item of the test (or of training) and what it has in common with an item of the other side."""

    kind: Kind
    test_id: str
    other_id: str


def picture_hash(pixels: Image) -> Hashes:
    """(4,) of a (H, W) or (H, W, 3) uint8 picture."""
    return _as_words(look_of(pixels))


def _as_words(look: str) -> Hashes:
    return np.frombuffer(bytes.fromhex(look), "<u8").astype(np.uint64)


def trace(id: str, pictures: Iterable[Image], patient: str | None = None, phantoms: Iterable[Seeds] = ()) -> Trace:
    """The trace of an item with these pictures."""
    shown = list(pictures)
    hashes = np.stack([picture_hash(pixels) for pixels in shown]) if shown else _no_hashes()
    return Trace(id, patient, tuple(phantoms), hashes, tuple(picture_digest(pixels) for pixels in shown))


def library_seen(library: Library, name: str = "the library") -> Seen:
    """What the cases of a library show; its patients are hashes keyed by its home's salt."""
    return Seen(name, tuple(_case_trace(library, case) for case in library.cases()), salt_of(library.home).hex())


def _case_trace(library: Library, case: Case) -> Trace:
    """From what ingestion kept of its picture; a case of an older Consult is looked at again."""
    if not case.look:
        return trace(case.id, [library.picture(case.sha256)], case.patient or None)
    return Trace(case.id, case.patient or None, hashes=_as_words(case.look)[None], sha256=(case.sha256,))


class _Index:
    """Finds traces by what they have in common with another; every answer is a list of positions."""

    def __init__(self, traces: Sequence[Trace], patients: Sequence[str | None]) -> None:
        self.by_patient: dict[str, list[int]] = {}
        for place, patient in enumerate(patients):
            if patient is not None:
                self.by_patient.setdefault(patient, []).append(place)
        spans = [(seeds, place) for place, one in enumerate(traces) for seeds in one.phantoms]
        self.families = np.array([seeds.family for seeds, _ in spans], dtype=object)
        self.spans = np.array([(seeds.first, seeds.last, place) for seeds, place in spans], np.int64).reshape(-1, 3)
        counts = [len(one.hashes) for one in traces]
        self.owners = np.repeat(np.arange(len(traces)), counts)
        self.synthetic = np.repeat(np.array([bool(one.phantoms) for one in traces], bool), counts)
        self.words = np.ascontiguousarray(np.concatenate([_no_hashes(), *(one.hashes for one in traces)]).T)

    def of_patient(self, patient: str | None) -> list[int]:
        return [] if patient is None else self.by_patient.get(patient, [])

    def of_phantoms(self, one: Trace) -> list[int]:
        places: list[int] = []
        for seeds in one.phantoms:
            first, last, place = self.spans.T
            meets = (self.families == seeds.family) & (first <= seeds.last) & (seeds.first <= last)
            places += place[meets].tolist()
        return places

    def near(self, one: Trace) -> list[int]:
        """Nearest first."""
        found: list[tuple[int, int]] = []
        for row in one.hashes:
            apart = np.bitwise_count(self.words ^ row[:, None]).sum(axis=0, dtype=np.uint16)
            close = np.flatnonzero((apart <= NEAR) & ~(self.synthetic & bool(one.phantoms)))
            found += [(int(apart[n]), int(self.owners[n])) for n in close]
        return [place for _, place in sorted(found)]


class Indexed:
    """One side, ready to be asked about many items whose patients are named as their source names them: what it costs
    to index a large library is paid once."""

    def __init__(self, other: Seen) -> None:
        self.other = other
        self._index = _Index(other.traces, [one.patient for one in other.traces])

    def leaks(self, test: Seen) -> list[Leak]:
        mine = _hashed(test, self.other.salt)
        return _common(test, mine, self.other, self._index)


def leaks(test: Seen, other: Seen) -> list[Leak]:
    """What items of the test have in common with the other side, in the test's order: at most one leak of a kind an
    item, the first or nearest. Raises `BadInput` when both hash their patients with a salt of their own."""
    mine, theirs = _patients(test, other)
    return _common(test, mine, other, _Index(other.traces, theirs))


def _common(test: Seen, mine: Sequence[str | None], other: Seen, index: _Index) -> list[Leak]:
    found = []
    for one, patient in zip(test.traces, mine, strict=True):
        common: tuple[tuple[Kind, list[int]], ...] = (
            ("patient", index.of_patient(patient)),
            ("phantom seed", index.of_phantoms(one)),
            ("near-duplicate picture", index.near(one)),
        )
        found += [Leak(kind, one.id, other.traces[places[0]].id) for kind, places in common if places]
    return found


def own_patient(training: Seen, corpus: Seen) -> list[Leak]:
    """Records of the corpus that a training item could retrieve although they show its own patient.

    Retrieval leaves out the records of the query's patient and its very pictures (`retrieval.types.Filter`). It can't
    know of a near-duplicate, or the same phantom, under another patient or none, nor of other records of the patient
    whom such a record (or the very picture) names, when the item names none or another.
    """
    mine, theirs = _patients(training, corpus)
    index, found = _Index(corpus.traces, theirs), []
    by_picture: dict[str, list[int]] = {}
    for place, record in enumerate(corpus.traces):
        for digest in record.sha256:
            by_picture.setdefault(digest, []).append(place)
    for one, patient in zip(training.traces, mine, strict=True):
        same = {place for digest in one.sha256 for place in by_picture.get(digest, [])}
        alike = same | {*index.near(one), *index.of_phantoms(one)}
        kin = {place for twin in alike for place in index.of_patient(theirs[twin])}
        left_out = same | set(index.of_patient(patient))
        found += [Leak("own patient", one.id, corpus.traces[place].id) for place in sorted((alike | kin) - left_out)]
    return found


def check(test: Seen, corpus: Sequence[Seen | Indexed] = (), training: Sequence[Seen | Indexed] = ()) -> None:
    """Raises `LeakFound` when an item of the test was seen in a corpus or in training."""
    for others, advice in (
        (corpus, "Remove these cases from the library (`consult knowledge remove`), or these items from the exam."),
        (training, "Ask about others, or examine a model that did not learn from them."),
    ):
        for other in others:
            found = other.leaks(test) if isinstance(other, Indexed) else leaks(test, other)
            name = other.other.name if isinstance(other, Indexed) else other.name
            _refuse(found, f"items of {test.name} are in {name}, too", advice)


def check_training(training: Seen, corpus: Seen) -> None:
    """Raises `LeakFound` when a training item could retrieve its own patient."""
    _refuse(
        own_patient(training, corpus),
        f"items of {training.name} can retrieve their own patient from {corpus.name}",
        "Give both sides the patient's number, or remove the copies from one of them.",
    )


def _refuse(found: Sequence[Leak], what: str, advice: str, shown: int = 5) -> None:
    if not found:
        return
    kinds = ", ".join(f"{n} by {kind}" for kind, n in sorted(Counter(leak.kind for leak in found).items()))
    pairs = "; ".join(f"{leak.test_id} – {leak.other_id}" for leak in found[:shown])
    more = "; …" if len(found) > shown else ""
    raise LeakFound(f"{len({leak.test_id for leak in found})} {what} ({kinds}): {pairs}{more}. {advice}")


def _patients(one: Seen, other: Seen) -> tuple[list[str | None], list[str | None]]:
    """Both sides' patients, hashed where one side has them as hashes only."""
    if one.salt and other.salt and one.salt != other.salt and _named(one) and _named(other):
        raise BadInput(
            f"Patients of {one.name} and {other.name} are hashed with different salts and can't be compared; "
            "name the patients of one side as its source does."
        )
    salt = one.salt or other.salt
    return _hashed(one, salt), _hashed(other, salt)


def _named(seen: Seen) -> bool:
    return any(one.patient is not None for one in seen.traces)


def _hashed(seen: Seen, salt: str) -> list[str | None]:
    if seen.salt or not salt:
        return [one.patient for one in seen.traces]
    key = bytes.fromhex(salt)
    return [None if one.patient is None else patient_hash(key, one.patient) for one in seen.traces]
