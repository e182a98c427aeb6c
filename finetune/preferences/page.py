"""The page on which pairs are read: one HTML file beside the pictures, no script, whatever came from data escaped."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from html import escape
from typing import TYPE_CHECKING

from finetune.preferences.pair import ImagePart, Pair

if TYPE_CHECKING:
    from finetune.preferences.report import Lengths

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: .6rem 0 1.4rem; } th, td { padding: .2rem .8rem .2rem 0; text-align: left; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; } tr { border-bottom: 1px solid #e4e4e4; }
.note { color: #555; } .pair { border-top: 2px solid #ccc; padding: .8rem 0 1.4rem; }
.sides { display: grid; grid-template-columns: 1fr 1fr; gap: 1.2rem; }
.side { min-width: 0; } .side img { width: 16rem; max-width: 100%; image-rendering: auto; margin: 0 .4rem .4rem 0; }
.side h4 { margin: 0 0 .3rem; font-size: .85rem; letter-spacing: .05em; text-transform: uppercase; }
.good h4 { color: #007050; } .bad h4 { color: #b34a00; }
.answer { white-space: pre-wrap; overflow-wrap: anywhere; }
.good mark { background: #bfe8da; } .bad mark { background: #f9d3b8; }
details { margin: .3rem 0 .7rem; } summary { cursor: pointer; color: #555; }
details pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f6f6f6; padding: .6rem; font-size: .85rem; }
"""
_HEAD = "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"


def page(name: str, pairs: Sequence[Pair], lengths: "Sequence[Lengths]", unit: str, shown: Sequence[Pair]) -> str:
    parts = [
        f"{_HEAD}<title>Preference pairs {escape(name)}</title><style>{_STYLE}</style>",
        f"<h1>Preference pairs: {escape(name)}</h1>",
        f"<p>{len(pairs)} pairs of {len({pair.patient for pair in pairs})} patients or synthetic studies. Read some of "
        "them before anything is trained: what is preferred here, the model will do.</p>",
        "<h2>Counts</h2>", _counts(pairs),
        "<h2>Length</h2>", _lengths(lengths, unit),
        "<h2>Weights</h2>", _weights(pairs),
        f"<h2>Pairs to read ({len(shown)})</h2>", *map(_pair, shown),
    ]  # fmt: skip
    return "\n".join(parts) + "\n"


def _counts(pairs: Sequence[Pair]) -> str:
    sources = sorted({pair.source for pair in pairs})
    cells = Counter((pair.finding, pair.source) for pair in pairs)
    findings = sorted({pair.finding for pair in pairs})
    rows = [(finding, *(cells[finding, source] for source in sources)) for finding in findings]
    totals = Counter(pair.source for pair in pairs)
    held = Counter(pair.source for pair in pairs if pair.split == "val")
    rows += [("all", *(totals[source] for source in sources)), ("for validation", *(held[s] for s in sources))]
    return _table(("finding", *sources), rows)


def _lengths(lengths: "Sequence[Lengths]", unit: str) -> str:
    if not lengths:
        return "<p>All pairs say the same on both sides: there is no length to compare.</p>"
    rows = [
        (one.name, one.pairs, f"{one.chosen:.1f}", f"{one.rejected:.1f}",
         f"{one.difference.value:+.1f} ({one.difference.low:+.1f} to {one.difference.high:+.1f})",
         f"{one.shorter_right:.0%}")
        for one in lengths
    ]  # fmt: skip
    head = ("source", "pairs", "chosen", "rejected", "rejected minus chosen (95 %)", "“the shorter is right”")
    note = (
        f"Mean {escape(unit)}, over pairs whose answers differ in words; the interval is over patients. The last "
        "column is how often the shorter answer is the chosen one, ties left out: far from 50 %, a model can learn "
        "length in place of medicine."
    )
    return _table(head, rows) + f"<p class=note>{note}</p>"


def _weights(pairs: Sequence[Pair]) -> str:
    by = Counter(pair.weighed_by for pair in pairs)
    told = ", ".join(f"{count} by {escape(who)}" for who, count in by.most_common())
    rest = " Pairs that nobody weighed have weight 1." if by["none"] else ""
    return f"<p>Weighed: {told}.{rest}</p><img src='weights.png' alt='Histogram of weights' width=640>"


def _table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    def line(cells: Sequence[object], tag: str) -> str:
        told = (f"<{tag}{' class=n' if n else ''}>{escape(str(cell))}</{tag}>" for n, cell in enumerate(cells))
        return f"<tr>{''.join(told)}</tr>"

    return f"<table>{line(head, 'th')}{''.join(line(row, 'td') for row in rows)}</table>"


def _pair(pair: Pair) -> str:
    chosen, rejected = _marked(pair.chosen, pair.rejected)
    question = next((text for text in reversed(_texts(pair)) if text.strip()), "").strip().splitlines()
    about = f"{pair.source} · {pair.finding} · {pair.split} · weight {pair.weight:g} ({pair.weighed_by}) · {pair.id}"
    prompt = "\n".join(f"⟨{message.role}⟩ {_written(message.parts)}" for message in pair.prompt)
    return (
        f"<div class=pair><b>{escape(question[-1] if question else '')}</b><br>"
        f"<span class=note>{escape(about)}</span><p>{escape(pair.why)}</p>"
        f"<details><summary>All that is read</summary><pre>{escape(prompt)}</pre></details><div class=sides>"
        f"{_side('good', 'chosen', pair.images, chosen)}"
        f"{_side('bad', 'rejected', pair.rejected_images or pair.images, rejected)}</div></div>"
    )


def _side(name: str, title: str, images: Sequence[str], answer: str) -> str:
    shown = "".join(f"<img src='{escape(image, quote=True)}' alt='' loading=lazy>" for image in images)
    return f"<div class='side {name}'><h4>{title}</h4>{shown}<div class=answer>{answer}</div></div>"


def _texts(pair: Pair) -> list[str]:
    return [part.text for message in pair.prompt for part in message.parts if not isinstance(part, ImagePart)]


def _written(parts: Sequence[object]) -> str:
    return "".join("⟨picture⟩" if isinstance(part, ImagePart) else part.text for part in parts)  # type: ignore[attr-defined]


def _marked(chosen: str, rejected: str) -> tuple[str, str]:
    """Both as HTML, with the words marked that the other hasn't."""
    ours, theirs = (text.replace("\n", " \n ").split(" ") for text in (chosen, rejected))
    left, right = list[str](), list[str]()
    for kind, a, b, c, d in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        for side, words in ((left, ours[a:b]), (right, theirs[c:d])):
            text = escape(" ".join(words))
            side.append(f"<mark>{text}</mark>" if kind != "equal" and text.strip() else text)
    return tuple(re.sub(r" ?\n ?", "\n", " ".join(side)) for side in (left, right))  # type: ignore[return-value]
