"""What was seen before is found, by patient, seed or picture; the rest is left alone; no message names a patient."""

import io
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from eval.errors import BadInput, LeakFound
from eval.leaks import (
    NEAR,
    Leak,
    Seeds,
    Seen,
    Trace,
    check,
    check_training,
    leaks,
    library_seen,
    own_patient,
    picture_hash,
    trace,
)  # fmt: skip
from eval.phantoms import make_phantom
from retrieval.cases import look_of, picture_digest
from retrieval.db import patient_hash, salt_of
from retrieval.library import Library
from retrieval.types import Case

Pixels = NDArray[np.uint8]
PHANTOMS = [make_phantom(seed, size=128).pixels for seed in range(12)]


def bits(*set_bits: int) -> NDArray[np.uint64]:
    """One hash, (1, 4), with these of its 256 bits set."""
    row = np.zeros(4, np.uint64)
    for bit in set_bits:
        row[bit // 64] |= np.uint64(1) << np.uint64(bit % 64)
    return row[None]


def apart(one: Pixels, other: Pixels) -> int:
    return int(np.bitwise_count(picture_hash(one) ^ picture_hash(other)).sum())


def saved_again(pixels: Pixels) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=60)
    return np.asarray(Image.open(file))


def resized(pixels: Pixels) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize((90, 90), Image.Resampling.BICUBIC))


def darker(pixels: Pixels) -> Pixels:
    return (pixels * 0.8).astype(np.uint8)


def in_colour(pixels: Pixels) -> Pixels:
    return np.repeat(pixels[..., None], 3, axis=2)


COPIES: list[Callable[[Pixels], Pixels]] = [saved_again, resized, darker, in_colour]


def test_a_hash_has_256_bits_half_of_them_set() -> None:
    assert picture_hash(PHANTOMS[0]).shape == (4,)
    assert int(np.bitwise_count(picture_hash(PHANTOMS[0])).sum()) in range(126, 130)  # above their own median


@pytest.mark.parametrize("copy", COPIES)
def test_copies_are_near(copy: Callable[[Pixels], Pixels]) -> None:
    assert max(apart(pixels, copy(pixels)) for pixels in PHANTOMS) <= NEAR


def test_other_phantoms_are_far() -> None:
    assert min(apart(a, b) for n, a in enumerate(PHANTOMS) for b in PHANTOMS[:n]) > NEAR


FILMS = Path(__file__).parents[3] / "shared" / "data" / "open" / "cxr_nih"


@pytest.mark.skipif(not FILMS.is_dir(), reason="the NIH films are not here")
def test_real_films_are_told_apart_and_their_copies_are_not() -> None:
    rows = [json.loads(line) for line in (FILMS / "studies.jsonl").read_text().splitlines()]
    first = list({row["patient"]: row for row in rows}.values())[:80]  # one film a patient
    films = [np.asarray(Image.open(FILMS / row["image"]).convert("L")) for row in first]
    hashes = np.stack([picture_hash(film) for film in films])
    distances = np.bitwise_count(hashes[:, None] ^ hashes[None]).sum(-1)[np.triu_indices(len(films), 1)]
    assert distances.min() > 2 * NEAR
    assert all(apart(film, copy(film)) <= NEAR for film in films[:20] for copy in COPIES)


def test_each_kind_is_found_and_nothing_else() -> None:
    test = Seen(
        "the exam",
        (
            Trace("a", patient="P1"),
            Trace("b", phantoms=(Seeds("exam", 7, 7),)),
            Trace("c", hashes=bits(*range(40))),
            Trace("d", "P9", (Seeds("train", 7, 7),), bits(100)),
        ),
    )
    other = Seen(
        "the library",
        (
            Trace("x", patient="P1"),
            Trace("y", phantoms=(Seeds("exam", 0, 7), Seeds("train", 8, 20))),
            Trace("z", hashes=bits(*range(40 + NEAR))),
            Trace("w", hashes=bits(*range(101, 130))),
        ),
    )
    assert leaks(test, other) == [
        Leak("patient", "a", "x"),
        Leak("phantom seed", "b", "y"),
        Leak("near-duplicate picture", "c", "z"),
    ]


@pytest.mark.parametrize(("distance", "found"), [(0, 1), (NEAR, 1), (NEAR + 1, 0)])
def test_the_threshold_is_exact(distance: int, found: int) -> None:
    test = Seen("exam", (Trace("a", hashes=bits()),))
    spread = range(0, 250, 250 // max(distance, 1))[:distance] if distance else ()
    assert len(leaks(test, Seen("library", (Trace("x", hashes=bits(*spread)),)))) == found


@pytest.mark.parametrize(
    ("family", "first", "last", "found"),
    [
        ("train", 5, 9, 1),
        ("train", 10, 10, 1),
        ("train", 0, 99, 1),
        ("train", 11, 20, 0),
        ("train", 0, 4, 0),
        ("exam", 5, 10, 0),
    ],
)
def test_seed_ranges_meet_at_their_ends_within_one_family(family: str, first: int, last: int, found: int) -> None:
    test = Seen("exam", (Trace("a", phantoms=(Seeds("train", 5, 10),)),))
    other = Seen("training", (Trace("x", phantoms=(Seeds(family, first, last),)),))
    assert len(leaks(test, other)) == found


def test_two_known_phantoms_are_compared_by_seed_alone_but_a_copy_without_a_seed_by_its_picture() -> None:
    test = Seen("exam", (trace("a", [PHANTOMS[0]], phantoms=[Seeds("train", 0, 0)]),))
    elsewhere = trace("x", [PHANTOMS[0]], phantoms=[Seeds("train", 1, 1)])
    assert leaks(test, Seen("training", (elsewhere,))) == []
    unknown = trace("y", [saved_again(PHANTOMS[0])])
    assert leaks(test, Seen("library", (elsewhere, unknown))) == [Leak("near-duplicate picture", "a", "y")]


def test_the_nearest_of_many_pictures_is_named() -> None:
    test = Seen("exam", (Trace("a", hashes=np.concatenate([bits(*range(200)), bits()])),))
    other = Seen("library", (Trace("x", hashes=bits(1, 2, 3)), Trace("y", hashes=bits(1))))
    assert leaks(test, other) == [Leak("near-duplicate picture", "a", "y")]


def test_nothing_has_nothing_in_common() -> None:
    assert leaks(Seen("exam"), Seen("library")) == []
    assert leaks(Seen("exam", (Trace("a"),)), Seen("library", (Trace("x"),))) == []  # None is no patient


def test_a_large_library_takes_seconds() -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 2**64, (100_000, 4), dtype=np.uint64, endpoint=False)
    library = Seen(
        "library", (Trace("all", hashes=rows), *(Trace(f"s{n}", phantoms=(Seeds("f", n, n),)) for n in range(5_000)))
    )
    test = [Trace(f"t{n}", phantoms=(Seeds("g", n, n),), hashes=rows[n : n + 1] ^ bits(n % 256)) for n in range(300)]
    started = time.perf_counter()
    found = leaks(Seen("exam", tuple(test)), library)
    assert [leak.kind for leak in found] == ["near-duplicate picture"] * 300
    assert time.perf_counter() - started < 20


def test_patients_are_compared_under_the_salt_of_either_side() -> None:
    salt = b"s" * 32
    hashed = Seen("library", (Trace("x", patient=patient_hash(salt, "P1")),), salt.hex())
    named = Seen("exam", (Trace("a", patient="P1"), Trace("b", patient="P2")))
    assert leaks(named, hashed) == [Leak("patient", "a", "x")]
    assert leaks(hashed, named) == [Leak("patient", "x", "a")]
    assert leaks(hashed, hashed) == [Leak("patient", "x", "x")]
    foreign = Seen("training", (Trace("y", patient=patient_hash(b"t", "P1")),), b"t".hex())
    with pytest.raises(BadInput, match="different salts"):
        leaks(hashed, foreign)
    assert leaks(hashed, Seen("training", (Trace("y"),), b"t".hex())) == []  # no patient to compare


def test_a_run_is_refused_with_ids_and_what_to_do_but_no_patient() -> None:
    test = Seen("vqa", tuple(Trace(f"item-{n}", patient=f"MUELLER-{n}") for n in range(9)))
    check(test, corpus=[Seen("the library", (Trace("case-1", patient="SMITH"),))], training=[Seen("nothing")])
    known = Seen("the library", tuple(Trace(f"case-{n}", patient=f"MUELLER-{n}") for n in range(2, 9)))
    with pytest.raises(LeakFound) as caught:
        check(test, corpus=[known])
    said = str(caught.value)
    assert said.startswith("7 items of vqa are in the library, too (7 by patient): item-2 – case-2; ")
    assert "item-6 – case-6; …. Remove these cases" in said
    assert "MUELLER" not in said
    assert (caught.value.type, caught.value.exit_code) == ("leak", 2)
    with pytest.raises(LeakFound, match="examine a model that did not learn"):
        check(test, training=[known])


def test_what_the_filter_leaves_out_is_no_leak() -> None:
    training = Seen("training", (trace("a", [PHANTOMS[0]], "P1"),))
    corpus = Seen("library", (trace("own", [PHANTOMS[1]], "P1"), trace("copy", [saved_again(PHANTOMS[0])], "P1")))
    assert own_patient(training, corpus) == []
    check_training(training, corpus)


@pytest.mark.parametrize("patient", [None, "P2"])
def test_a_copy_under_another_patient_or_none_can_be_retrieved(patient: str | None) -> None:
    training = Seen("training", (trace("a", [PHANTOMS[0]], "P1"), trace("b", [PHANTOMS[2]], "P3")))
    corpus = Seen("library", (trace("copy", [saved_again(PHANTOMS[0])], patient),))
    assert own_patient(training, corpus) == [Leak("own patient", "a", "copy")]
    with pytest.raises(LeakFound, match="1 items of training can retrieve their own patient from library"):
        check_training(training, corpus)


def test_an_item_without_patient_reaches_the_others_of_whom_its_picture_betrays() -> None:
    training = Seen("training", (trace("a", [PHANTOMS[0]]),))
    records = (trace("itself", [PHANTOMS[0]], "P1"), trace("follow-up", [PHANTOMS[1]], "P1"), trace("b", [PHANTOMS[2]]))
    assert own_patient(training, Seen("library", records)) == [Leak("own patient", "a", "follow-up")]
    assert own_patient(training, Seen("library", (records[0], records[2]))) == []  # the very picture is left out


def test_the_same_phantom_at_another_visit_is_the_same_patient() -> None:
    training = Seen("training", (Trace("a", phantoms=(Seeds("train", 3, 3),)),))
    corpus = Seen("library", (Trace("visit", phantoms=(Seeds("train", 3, 3),)), Trace("other", phantoms=())))
    assert own_patient(training, corpus) == [Leak("own patient", "a", "visit")]


def test_a_library_is_seen_by_its_cases(own_home: Path) -> None:
    with Library(own_home) as library:
        hashed = patient_hash(salt_of(own_home), "P1")
        library.put_case(Case("case-1", picture_digest(PHANTOMS[0]), "Clear.", patient=hashed), PHANTOMS[0])
        library.put_case(Case("case-2", picture_digest(PHANTOMS[1]), "Clear."), PHANTOMS[1])
        seen = library_seen(library)
    assert [one.patient for one in seen.traces] == [hashed, None]
    test = Seen("exam", (trace("a", [resized(PHANTOMS[1])], "P1"),))
    assert leaks(test, seen) == [Leak("patient", "a", "case-1"), Leak("near-duplicate picture", "a", "case-2")]


def test_a_picture_that_ingestion_looked_at_is_not_read_again(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case("case", picture_digest(PHANTOMS[0]), "Clear.", look=look_of(PHANTOMS[0]))
    with Library(own_home) as library:
        library.put_case(case, PHANTOMS[0])
        monkeypatch.setattr(library, "picture", None)
        (seen,) = library_seen(library).traces
    (own,) = (trace("own", [PHANTOMS[0]]),)
    np.testing.assert_array_equal(seen.hashes, own.hashes)
    assert seen.sha256 == own.sha256
