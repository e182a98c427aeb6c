"""What is known of a document's source, from whatever its format offers: front matter, tags, properties, a JSON line.

`dated` is the day, month or year of publication that the document states, in ISO 8601 as far as it is known. A wrong
date is worse than none, since a newer edition supersedes an older one: what a file's own properties say of the day it
was written goes to `file_dated`, which dates nothing but the file.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

PLAIN = ("domain", "edition", "jurisdiction", "organisation", "supersedes", "kind", "license", "url", "file_dated")
LISTS = ("aliases", "terms", "supersedes")
DATED = ("dated", "published", "date", "publication_date")  # the first that holds a date wins
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def kept(meta: Mapping[str, Any]) -> dict[str, Any]:
    """What of a front matter or its like is kept: strings, lists of strings, and when it was published."""
    source = meta.get("source") or _sources(meta.get("sources"))
    found: dict[str, Any] = {key: str(meta[key]) for key in PLAIN if meta.get(key)}
    found |= {key: [str(v) for v in meta[key]] for key in LISTS if isinstance(meta.get(key), list)}
    day = next((day for day in (dated(meta.get(key)) for key in DATED) if day), "")
    return found | ({"source": str(source)} if source else {}) | ({"dated": day} if day else {})


def dated(value: Any) -> str:
    """A date as "2023", "2023-05" or "2023-05-14", as much of it as is certain; "" when none is.

    Read are ISO 8601, its forms with slashes or without marks, and English names of months. Of "03/04/2023" only the
    year is certain."""
    text = str(value).strip() if isinstance(value, str | int | date) and not isinstance(value, bool) else ""
    if numbers := re.match(r"(\d{4})(?:([-/.]?)(\d{1,2})(?:\2(\d{1,2}))?)?(?=$|[T\s])", text):
        return _iso(numbers[1], numbers[3], numbers[4])
    years = set(re.findall(r"(?<!\d)(?:1[89]|20)\d\d(?!\d)", text))
    if len(years) != 1:
        return ""
    months = {_MONTHS.index(name) + 1 for name in re.findall(rf"\b({'|'.join(_MONTHS)})[a-z]*\b", text.lower())}
    days = re.findall(r"(?<![\d/.-])(\d{1,2})(?:st|nd|rd|th)?(?![\d/.:-])", text)
    if len(months) != 1:
        return years.pop()
    return _iso(years.pop(), months.pop(), days[0] if len(days) == 1 else None)


def _iso(year: str, month: str | int | None, day: str | None) -> str:
    """As much of it as is a date of the calendar."""
    try:
        full = date(int(year), int(month or 1), int(day or 1)).isoformat()
    except ValueError:
        return ""
    if not 1800 <= int(year) < 2100:
        return ""
    return full if month and day else full[:7] if month else full[:4]


def _sources(sources: Any) -> str:
    """ "Organisation, title, year, section; …", ready to print."""
    rows: Sequence[Any] = sources if isinstance(sources, list) else []
    fields = ("organisation", "title", "year", "section")
    lines = [
        ", ".join(str(row[f].year if isinstance(row[f], date) else row[f]) for f in fields if row.get(f))
        for row in rows
        if isinstance(row, dict)
    ]
    return "; ".join(line for line in lines if line)
