import dataclasses
import logging

import pytest

from assistant.errors import PatientMismatch
from assistant.identity import Identity, Instance, merge, patient_key

JANE = Identity("P1", "Hospital A", "Doe^Jane", "19600102", "F", "ACC1", (Instance("1.2", "1.2.3", "1.2.4", "1.2.5"),))


def test_an_identity_shows_nothing_of_what_it_holds(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        logging.getLogger("test").info("%s %r %s", JANE, JANE, [JANE, JANE.instances])
    shown = caplog.text + f"{JANE}" + repr(JANE) + repr({"identity": JANE}) + repr(JANE.instances[0])
    fields = [v for v in dataclasses.astuple(JANE)[:6] if v] + ["1.2.3", "1.2.5"]
    assert not [value for value in fields if len(value) > 1 and value in shown.replace("test_identity", "")]


def test_files_of_one_patient_and_files_of_nobody_come_together() -> None:
    other = Identity("P1", None, "DOE^JANE^^", "19600102", "F", "ACC2", (Instance("1.9"),))
    merged = merge([Identity(), JANE, other, Identity()])
    assert (merged.patient_id, merged.issuer, merged.name) == ("P1", "Hospital A", "Doe^Jane")
    assert [i.study_uid for i in merged.instances] == ["1.2", "1.9"]


def test_a_field_on_which_files_disagree_is_not_taken_from_one_of_them() -> None:
    assert merge([JANE, dataclasses.replace(JANE, accession="ACC2")]).accession is None
    assert merge([JANE, dataclasses.replace(JANE, accession=None)]).accession == "ACC1"


@pytest.mark.parametrize(
    "other",
    [
        Identity("P2", "Hospital A", "Doe^Jane", "19600102"),
        Identity("P1", "Hospital B", "Doe^Jane", "19600102"),
        Identity(None, None, "Roe^Richard", "19600102"),
        Identity(None, None, "Doe^Jane", "19600103"),
        Identity("P1", "Hospital A", "Roe^Richard", "19700101"),  # one number given to two people
    ],
)
def test_two_patients_are_refused_and_none_is_named(other: Identity) -> None:
    for pair in ([JANE, other], [other, Identity(), JANE]):
        with pytest.raises(PatientMismatch) as caught:
            merge(pair)
        assert not any(v in str(caught.value) for v in ("P1", "P2", "Doe", "Roe", "Hospital", "1960"))


def test_a_third_file_without_a_number_does_not_hide_a_mismatch() -> None:
    nameless = Identity(None, None, "Doe^Jane", None)
    with pytest.raises(PatientMismatch):
        merge([nameless, JANE, dataclasses.replace(JANE, patient_id="P2")])


@pytest.mark.parametrize(
    "same",
    [
        Identity("P1", None, "Doe-Smith^Jane", "19600102"),  # married
        Identity("P1", "Hospital A", None, None),
        Identity(None, None, "doe^jane", "19600102"),
    ],
)
def test_the_same_patient_written_differently_is_accepted(same: Identity) -> None:
    assert merge([JANE, same]).patient_id == "P1"


def test_nobody_at_all() -> None:
    assert merge([]) == merge([Identity()]) == Identity()
    assert patient_key(Identity(), b"salt") is None


def test_the_key_links_studies_and_depends_on_the_salt() -> None:
    key = patient_key(JANE, b"salt")
    assert key is not None
    assert len(key) == 32
    assert int(key, 16) >= 0
    assert key == patient_key(dataclasses.replace(JANE, accession="X", name="Other"), b"salt")
    assert key != patient_key(JANE, b"other salt")
    assert key != patient_key(dataclasses.replace(JANE, issuer="Hospital B"), b"salt")


def test_a_name_alone_is_no_key() -> None:
    assert patient_key(Identity(name="Doe^Jane"), b"s") is None
    born = patient_key(Identity(name="Doe^Jane", birth_date="19600102"), b"s")
    assert born == patient_key(Identity(name="DOE^Jane^", birth_date="19600102"), b"s")
    assert born is not None
