"""PDFs written by hand, for tests: one string of text a page, and what is drawn there in a PDF's own words."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

PICTURE = "q 99 0 0 99 72 600 cm BI /W 1 /H 1 /CS /G /BPC 8 ID x EI Q"  # one pixel, as a scan is many


def words(text: str, x: float, y: float) -> str:
    return f"BT /F1 10 Tf {x} {y} Td ({_escaped(text)}) Tj ET"


def grid(rows: Sequence[Sequence[str]], x: float, y: float, width: float = 90, height: float = 20) -> str:
    """A ruled table whose upper left corner is at (x, y), in points from the lower left of the page."""
    right, bottom = x + width * len(rows[0]), y - height * len(rows)
    across = [f"{x} {y - height * n} m {right} {y - height * n} l S" for n in range(len(rows) + 1)]
    down = [f"{x + width * n} {y} m {x + width * n} {bottom} l S" for n in range(len(rows[0]) + 1)]
    cells = [
        words(cell, x + 3 + width * column, y - 14 - height * row)
        for row, line in enumerate(rows)
        for column, cell in enumerate(line)
        if cell
    ]
    return "\n".join(across + down + cells)


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


def pdf(pages: Sequence[str], title: str = "", info: str = "", drawn: Mapping[int, str] | None = None) -> bytes:
    """A valid PDF; lines of a page are separated by line breaks. `info`: entries of the information dictionary;
    `drawn`: by page, from 0, more of its content."""
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(len(pages)))
    bodies = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for number, page in enumerate(pages):
        lines = " ".join(f"({_escaped(line)}) Tj T*" for line in page.split("\n"))
        stream = f"BT /F1 12 Tf 14 TL 72 720 Td {lines} ET\n" + (drawn or {}).get(number, "")
        resources = "<< /Font << /F1 3 0 R >> >>"
        bodies += [
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {5 + 2 * number} 0 R"
            f" /Resources {resources} >>",
            f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream",
        ]
    bodies.append(f"<< /Title ({title}) {info} >>")
    out = io.BytesIO(b"%PDF-1.4\n")
    out.seek(0, io.SEEK_END)
    offsets = []
    for number, body in enumerate(bodies, 1):
        offsets.append(out.tell())
        out.write(f"{number} 0 obj\n{body}\nendobj\n".encode("cp1252"))
    start = out.tell()
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    trailer = f"<< /Size {len(bodies) + 1} /Root 1 0 R /Info {len(bodies)} 0 R >>"
    out.write(
        f"xref\n0 {len(bodies) + 1}\n0000000000 65535 f \n{table}trailer\n{trailer}\nstartxref\n{start}\n%%EOF".encode()
    )
    return out.getvalue()


def outlined(data: bytes, headings: Sequence[tuple[str, int, int]]) -> bytes:
    """The PDF with an outline of (heading, page from 0, level from 0)."""
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter()
    writer.append(PdfReader(io.BytesIO(data)))
    path: list[Any] = []
    for heading, page, level in headings:
        path = [
            *path[:level],
            writer.add_outline_item(title=heading, page_number=page, parent=path[level - 1] if level else None),
        ]
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def encrypted(data: bytes, password: str) -> bytes:
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter()
    writer.append(PdfReader(io.BytesIO(data)))
    writer.encrypt(password, algorithm="AES-256")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()
