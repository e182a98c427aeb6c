"""Parts of the report desk as HTML. Pure; all the API tells is escaped here, as in `html_parts`."""

import difflib
import io
import re
from html import escape
from typing import Any

from PIL import Image, ImageDraw

from ui import html_parts, strings

Json = dict[str, Any]
_KINDS = {"critical": "error", "note": ""}
_TEAL = (23, 146, 158)


def standing(report: Json) -> str:
    """Who answers for this version."""
    at = report["at"][:16].replace("T", " ")
    who = report["name"] or report["author"] or report["draft"]["identity"]["model"]
    told = strings.STANDING[report["status"]].format(who=who, at=at, version=report["version"])
    return html_parts.note(told, "" if report["name"] else "warning")


def warnings(draft: Json) -> str:
    """Alerts, checks and what is missing: what has to be read before the draft is."""
    numbers = {said["id"]: n for n, said in enumerate(statements(draft), 1)}
    found = [(f"{strings.ALERT}: {alert['message']}", "error", alert["statements"]) for alert in draft["alerts"]]
    found += [
        (check["message"], _KINDS.get(check["severity"], "warning"), check["statements"])
        for check in draft["checks"] if check["check"] != "missing"  # `missing` tells it
    ]  # fmt: skip
    found += [(strings.MISSING.format(what=what), "warning", ()) for what in draft["missing"]]
    return "".join(_warning(text, kind, [numbers[s] for s in said if s in numbers]) for text, kind, said in found)


def _warning(text: str, kind: str, numbers: list[int]) -> str:
    links = ", ".join(
        f'<a href="#sentence-{n}" target="_self">{strings.SENTENCE_NUMBER.format(number=n)}</a>' for n in numbers
    )
    role = "alert" if kind == "error" else "note"
    return f'<div class="cs cs-note {kind}" role="{role}">{escape(text)} {links}</div>'


def statements(draft: Json) -> list[Json]:
    return [said for section in draft["sections"] for said in section["statements"]]


def section(title: str) -> str:
    return f'<div class="cs cs-section" role="heading" aria-level="3">{escape(title)}</div>'


def sentence(statement: Json, number: int | None = None) -> str:
    """A stored sentence as it reads, with its marks."""
    return f'<div class="cs cs-sentence"{_anchor(number)}>{escape(statement["text"])} {marks(statement)}</div>'


def anchor(number: int | None) -> str:
    return f"<span{_anchor(number)}></span>"


def _anchor(number: int | None) -> str:
    return f' id="sentence-{number}"' if number else ""


def marks(statement: Json) -> str:
    """What a sentence rests on."""
    parts = []
    if label := strings.SUPPORT.get(statement.get("support", "person")):
        parts.append(f'<span class="cs-own">{escape(label)}</span>')
    parts += [f'<span class="cs-number">{int(c["number"])}</span>' for c in statement.get("citations", ())]
    if (confidence := statement.get("confidence")) is not None:
        told = strings.CONFIDENCE.format(percent=100 * confidence)
        parts.append(f'<span class="cs-quiet">{escape(told)}</span>')
    if statement.get("repair"):
        parts.append(f'<span class="cs-own" title="{strings.REPAIRED_HELP}">{strings.REPAIRED}</span>')
    return " ".join(parts)


def change(kind: str, before: str | None, after: str | None) -> str:
    """What became of one sentence."""
    body = words_changed(before or "", after or "")
    return f'<p class="cs cs-sentence"><span class="cs-own">{strings.CHANGES[kind]}</span> {body}</p>'


def words_changed(before: str, after: str) -> str:
    """Word by word, what went and what came."""
    old, new = (re.findall(r"\S+\s*", text) for text in (before, after))
    parts = []
    for what, i, j, k, m in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        gone, come = escape("".join(old[i:j])), escape("".join(new[k:m]))
        if what == "equal":
            parts.append(come)
        else:
            parts.append((f"<del>{gone}</del>" if gone else "") + (f"<ins>{come}</ins>" if come else ""))
    return "".join(parts)


def version(told: Json) -> str:
    who = told["name"] or told["author"] or told["model"]
    at = told["at"][:16].replace("T", " ")
    line = strings.VERSION_LINE.format(version=told["version"], status=strings.STATUS[told["status"]], who=who, at=at)
    return html_parts.quiet(f"{line} {told['reason']}".strip())


def with_region(png: bytes, box: tuple[int, int, int, int], width: int) -> bytes:
    """The picture with a frame around `box`, which counts in pixels of the original, `width` of them wide."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    scale = picture.width / width
    x0, y0, x1, y1 = (round(scale * at) for at in box)
    ImageDraw.Draw(picture).rectangle((x0, y0, max(x1 - 1, x0), max(y1 - 1, y0)), outline=_TEAL, width=3)
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()
