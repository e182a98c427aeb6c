"""The patient's identifiers, kept apart from the pictures; only exporters read their fields.

Invariant: nothing here shows itself. `repr`, `str` and every message are free of what the fields hold, so an `Identity`
that ends up in a log line or a traceback tells nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import combinations

from assistant.errors import PatientMismatch
from retrieval.db import patient_hash


@dataclass(frozen=True, slots=True, repr=False)
class Instance:
    """One DICOM file: what an export has to refer to."""

    study_uid: str | None = None
    series_uid: str | None = None
    sop_class_uid: str | None = None
    sop_instance_uid: str | None = None

    def __repr__(self) -> str:
        return "Instance(hidden)"


@dataclass(frozen=True, slots=True, repr=False)
class Identity:
    """Whose pictures these are, as far as the files say. `birth_date` as DICOM writes it (YYYYMMDD); `instances` in the
    order in which the files were handed in."""

    patient_id: str | None = None
    issuer: str | None = None
    name: str | None = None
    birth_date: str | None = None
    sex: str | None = None
    accession: str | None = None
    instances: tuple[Instance, ...] = ()

    def __repr__(self) -> str:
        return "Identity(hidden)"

    @property
    def is_known(self) -> bool:
        return bool(self.patient_id or self.name)


def merge(identities: Sequence[Identity]) -> Identity:
    """The one patient of all these files. Files that name nobody join anything.

    A field on which the files disagree (an accession number of two examinations, say) comes out None rather than as
    one of the two. Raises `PatientMismatch` when two files belong to different patients.
    """
    people = {(i.patient_id, i.issuer, _plain(i.name), i.birth_date): i for i in identities if i.is_known}
    if any(_differ(a, b) for a, b in combinations(people.values(), 2)):
        raise PatientMismatch("The pictures belong to different patients. Send one patient's pictures at a time.")
    agreed: dict[str, str | None] = {}
    for name in (f.name for f in fields(Identity) if f.name != "instances"):
        values = {value for i in identities if (value := getattr(i, name))}
        agreed[name] = values.pop() if len(values) == 1 else None
    # The same patient, written in two ways ("DOE^JANE" and "Doe^Jane"): the first spelling stands.
    known = [i for i in identities if i.is_known]
    for name in ("patient_id", "name"):
        agreed[name] = next((value for i in known if (value := getattr(i, name))), None)
    return Identity(**agreed, instances=tuple(instance for i in identities for instance in i.instances))


def patient_key(identity: Identity, salt: bytes) -> str | None:
    """The hash that links a patient's studies and can't be turned back (`retrieval.db.patient_hash`), or None when
    nobody is named."""
    who = patient_named(identity)
    return patient_hash(salt, who) if who else None


def patient_named(identity: Identity) -> str | None:
    """What the source calls the patient, before it is hashed. A name alone is none: two people may bear it."""
    if identity.patient_id:
        return f"{identity.patient_id}^^^{identity.issuer}" if identity.issuer else identity.patient_id
    if identity.name and identity.birth_date:
        return f"{_plain(identity.name)}|{identity.birth_date}"
    return None


def _differ(a: Identity, b: Identity) -> bool:
    """Whether the two are certainly not shown to be one person by what both of them say."""
    name = bool(a.name and b.name) and _plain(a.name) != _plain(b.name)
    born = bool(a.birth_date and b.birth_date) and a.birth_date != b.birth_date
    if a.patient_id and b.patient_id:
        issuer = bool(a.issuer and b.issuer) and a.issuer != b.issuer
        # The same number with another name *and* another birthday: a number that was given out twice.
        return a.patient_id != b.patient_id or issuer or (name and born)
    return name or born


def _plain(name: str | None) -> str:
    return " ".join((name or "").replace("^", " ").casefold().split())
