from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.editions import MANY, Place, compare, editions_of, place_of, read_place, work_of
from retrieval.rows import Document

BTS = {"source": "British Thoracic Society, Pleural disease, 2023", "jurisdiction": "UK", "domain": "chest_xray"}


def document(name: str, title: str = "Pneumothorax", file: str = "", **meta: object) -> Document:
    return Document(name, file or name, title, name, "", {**BTS, **meta})


@pytest.mark.parametrize(
    ("text", "alone", "number", "date"),
    [
        ("2023", True, (), (2023,)),
        ("2023-05-14", True, (), (2023, 5, 14)),
        ("May 2023", True, (), (2023, 5)),
        ("14 Sept. 2023", True, (), (2023, 9, 14)),
        ("2010 (updated 2016)", True, (), (2016,)),
        ("2023-40", True, (), (2023,)),
        ("3", True, (3,), ()),
        ("3rd", True, (3,), ()),
        ("v2.1", True, (2, 1), ()),
        ("V2", True, (2,), ()),
        ("third edition, 2021", True, (3,), (2021,)),
        ("Pneumothorax, 3rd edition", False, (3,), ()),
        ("Pneumothorax (version 2.1)", False, (2, 1), ()),
        ("Pneumothorax v2.1 2019", False, (2, 1), (2019,)),
        ("Lead V2", False, (), ()),  # a lead, no version
        ("Stage 3 disease, type 2", False, (), ()),
        ("ICD-10 codes 20235", False, (), ()),
        ("", True, (), ()),
    ],
)
def test_what_a_text_says(text: str, alone: bool, number: tuple[int, ...], date: tuple[int, ...]) -> None:
    assert read_place(text, alone) == Place(number, date)


@pytest.mark.parametrize(
    ("one", "other", "sign"),
    [
        (Place((), (2010,)), Place((), (2023,)), -1),
        (Place((), (2023,)), Place((), (2023, 5)), None),  # May is in 2023
        (Place((2,)), Place((2, 0)), 0),
        (Place((2, 9)), Place((2, 10)), -1),
        (Place((3,)), Place((), (2023,)), None),
        (Place((3,), (2019,)), Place((2,), (2023,)), None),  # they contradict each other
        (Place((3,), (2019,)), Place((3,), (2023,)), -1),  # the same edition, revised
        (Place((3,), (2023,)), Place((4,), (2023, 5)), -1),
        (Place(), Place((), (2023,)), None),
    ],
)
def test_which_is_newer(one: Place, other: Place, sign: int | None) -> None:
    assert compare(one, other) == sign
    assert compare(other, one) == (sign if sign is None else -sign)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (document("a", edition="2010"), document("b", edition="2023")),
        (document("a", "Pneumothorax 2010"), document("b", "PNEUMOTHORAX (2023)")),
        (document("a", "Pneumothorax, 2nd edition"), document("b", "Pneumothorax: third edition")),
        (document("a", dated="2010-05"), document("b", dated="2010-06-01")),
        (document("a", edition="2023", organisation="BTS"), document("b", edition="2024", organisation="bts")),
        (document("a", source="", edition="1"), document("b", source="", edition="2")),
        (document("a", jurisdiction="", domain=None), document("b", "Guide", supersedes="A", domain=None)),
        (document("g/old.md", "Old"), document("b", "Guide", supersedes=["nothing", "old"])),
    ],
)
def test_a_newer_edition_supersedes(old: Document, new: Document) -> None:
    assert editions_of([old, new]).newer == editions_of([new, old]).newer == {old.id: new.id}
    assert editions_of([old, new]).undecided == ()


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        (document("a", edition="2010", jurisdiction="US"), document("b", edition="2023"), False),
        (document("a", edition="2010", domain="fundus"), document("b", edition="2023"), False),
        (document("a", edition="2010", source="ACCP, x"), document("b", edition="2023"), False),
        (document("a", "Pneumothorax in children", edition="2010"), document("b", edition="2023"), False),
        (document("a", source="", dated="2010"), document("b", source="", dated="2023"), False),  # whose?
        (document("a"), document("b"), False),
        (document("a", edition="2023"), document("b", edition="2023"), False),  # two parts, or two copies
        (document("a"), document("b", edition="2023"), True),
        (document("a", edition="2nd"), document("b", edition="2023"), True),
        (document("a", edition="2023"), document("b", edition="2023-05"), True),
        (document("a", jurisdiction="US"), document("b", "Guide", supersedes="a"), True),
        (document("a", supersedes="b"), document("b", supersedes="a"), True),
        (document("a", edition="2010", supersedes="b"), document("b", edition="2023"), True),
        (document("a#1", file="f", dated="2010"), document("a#2", file="f", dated="2023"), False),  # two articles
        (document("a", edition="2010", condensed_by="m"), document("b", edition="2023"), False),
    ],
)
def test_both_stand(one: Document, other: Document, told: bool) -> None:
    found = editions_of([one, other])
    assert found.newer == {}
    assert bool(found.undecided) is told


def test_a_name_of_several_files_supersedes_none() -> None:
    rows = [document("x/a.md", "One"), document("y/a.md", "Two"), document("b", "Guide", supersedes="a.md")]
    assert editions_of(rows).newer == {}
    assert "several files" in editions_of(rows).undecided[0]


def test_the_newest_of_many_and_what_is_explicit_before_it() -> None:
    rows = [document(str(year), edition=str(year)) for year in (2003, 2010, 2023)]
    guide = document("guide", "All of it", supersedes="2023")
    assert editions_of(rows).newer == {"2003": "2023", "2010": "2023"}
    assert editions_of([*rows, guide]).newer == {"2003": "guide", "2010": "guide", "2023": "guide"}
    assert editions_of(rows[:2]).newer == {"2003": "2010"}  # the newest gone, the one before it stands again


def test_a_jsonl_file_of_two_editions() -> None:
    rows = [document(f"g#{n}", file="g", edition=e) for n, e in enumerate(("2010", "2010", "2023", "2023"))]
    assert editions_of(rows).newer == {"g#0": "g#2", "g#1": "g#2"}


def test_a_heading_is_no_work() -> None:
    rows = [document(f"{n}", "Editorial", dated=f"{1950 + n}") for n in range(MANY + 1)]
    assert editions_of(rows).newer == {}
    assert "heading" in editions_of(rows).undecided[0]


NUMBERS = st.lists(st.integers(0, 3), max_size=2).map(tuple)
DATES = st.one_of(
    st.just(()), st.tuples(st.integers(2020, 2022)), st.tuples(st.integers(2020, 2022), st.integers(1, 3))
)
PLACES = st.builds(Place, NUMBERS, DATES)
WORDS = st.sampled_from(["2010", "2023", "2023-05", "3rd edition", "v2.1", "May 2021", "2", "second edition, 2019", ""])
DOCUMENTS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "title": st.sampled_from(["A", "B", "A 2023", "A, 3rd edition"]), "edition": WORDS,
            "dated": st.sampled_from(["2009", "2023-05-14"]), "jurisdiction": st.sampled_from(["UK", "US", ""]),
            "domain": st.sampled_from(["fundus", "chest_xray"]), "file": st.sampled_from(["f", "g"]),
            "supersedes": st.sampled_from(["0", "1", "A", "none"]),
        },
    ),
    max_size=7,
).map(lambda rows: [document(str(n), **{"title": "A", **row}) for n, row in enumerate(rows)])  # fmt: skip


@given(PLACES, PLACES)
def test_the_order_is_the_same_from_both_sides(one: Place, other: Place) -> None:
    sign = compare(one, other)
    assert compare(other, one) == (None if sign is None else -sign)
    assert compare(one, one) == (0 if one.number or one.date else None)


@given(st.lists(PLACES, max_size=6))
def test_no_edition_is_older_than_itself_by_a_detour(places: Sequence[Place]) -> None:
    older = {(a, b) for a, one in enumerate(places) for b, other in enumerate(places) if compare(one, other) == -1}
    for _ in places:
        older |= {(a, d) for a, b in older for c, d in older if b == c}
    assert not any(a == b for a, b in older)


@given(st.text(), st.booleans())
def test_any_text_is_read(text: str, alone: bool) -> None:
    place = read_place(text, alone)
    assert not place.date or 1900 <= place.date[0] <= 2099


@given(DOCUMENTS, st.randoms(use_true_random=False))
def test_what_supersedes_stands_and_is_of_the_same_place(documents: list[Document], random: object) -> None:
    found = editions_of(documents)
    by_id = {row.id: row for row in documents}
    for old, new in found.newer.items():
        assert new not in found.newer
        assert old != new
        for key in ("jurisdiction", "domain"):
            assert by_id[old].meta[key] == by_id[new].meta[key] or "" in (by_id[old].meta[key], by_id[new].meta[key])
        if not any(row.meta.get("supersedes") for row in documents):
            assert work_of(by_id[old]) == work_of(by_id[new])
            assert compare(place_of(by_id[new]), place_of(by_id[old])) != -1
    shuffled = list(documents)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert editions_of(shuffled) == found
