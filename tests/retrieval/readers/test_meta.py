from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.readers.meta import dated, kept


@pytest.mark.parametrize(
    ("value", "day"),
    [
        (2023, "2023"), ("2023", "2023"), ("2023-05", "2023-05"), (date(2023, 5, 14), "2023-05-14"),
        ("2023-05-14T08:00:00+02:00", "2023-05-14"), ("2023/05/14", "2023-05-14"), ("2023/5", "2023-05"),
        ("20230514", "2023-05-14"), ("14 May 2023", "2023-05-14"), ("May 14th, 2023", "2023-05-14"),
        ("September 2023", "2023-09"), ("Third edition, 2023", "2023"),
        ("03/04/2023", "2023"), ("2019, revised 2023", ""), ("2019-2023", ""), ("2019-20", ""), ("2023-02-30", ""),
        ("1066", ""), ("9999-01-01", ""), ("soon", ""), ("", ""), (None, ""), (True, ""), ([2023], ""), ("v12023", ""),
        ("May or June 2023", "2023"),
    ],
)  # fmt: skip
def test_only_what_is_certain_of_a_date(value: Any, day: str) -> None:
    assert dated(value) == day


@given(st.dates(date(1800, 1, 1), date(2099, 12, 31)))
def test_dates_come_back(day: date) -> None:
    assert dated(day) == dated(day.strftime("%d %B %Y")) == dated(day.strftime("%Y/%m/%d")) == day.isoformat()


@given(st.text(max_size=40))
def test_any_text_is_a_date_or_none(text: str) -> None:
    found = dated(text)
    assert not found or date.fromisoformat((found + "-01-01")[:10])


def test_the_first_stated_date_wins() -> None:
    assert kept({"date": "2020", "published": "2021-03", "dated": "unknown"}) == {"dated": "2021-03"}


def test_only_what_is_known_is_kept() -> None:
    assert kept({"edition": 2, "author": "N. N.", "terms": ["a", 1], "aliases": "no list", "source": ""}) == {
        "edition": "2", "terms": ["a", "1"],
    }  # fmt: skip
