"""Parts of the page as HTML, made of what the API tells. Pure.

Invariant: nothing the API tells becomes a tag, a link or an attribute of its own: all of it is escaped here.
Streamlit's own text elements get none of it: they read Markdown, in which a text could load a picture from elsewhere.
"""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from ui import strings
from ui.marking import Span, paragraphs

Json = dict[str, Any]
MAIN_SECTIONS = ("", "answer")  # need no heading


def note(text: str, kind: str = "") -> str:
    """One calm line. `kind`: "", "warning" or "error"."""
    role = "alert" if kind == "error" else "note"
    return f'<div class="cs cs-note {kind}" role="{role}">{escape(text)}</div>'


def head(info: Json | None) -> str:
    parts = [f"<b>{strings.NAME}</b>"]
    if info:
        parts.append(
            f'<span class="cs-quiet">{escape(strings.MODEL.format(model=str(info.get("model") or "–")))}</span>'
        )
        parts += [demonstration()] if info.get("demonstration") else []
    return f'<div class="cs cs-head">{"".join(parts)}</div>'


def demonstration() -> str:
    return f'<span class="cs-badge">{strings.DEMONSTRATION}</span>'


def question(run: Json) -> str:
    return f'<div class="cs cs-question" role="heading" aria-level="2">{_asked(run)}</div>'


def earlier_question(run: Json) -> str:
    return f'<div class="cs">{_asked(run)} <span class="cs-quiet">{escape(run["created"][:10])}</span></div>'


def _asked(run: Json) -> str:
    return escape(str(run["question"] or strings.TASKS.get(run["task"], run["task"])))


def sentences(run: Json) -> str:
    """What has been said so far, each sentence with what it rests on."""
    parts, section = ['<div class="cs" aria-live="polite">'], ""
    for sentence in run["result"]["sentences"]:
        if sentence["section"] != section:
            section = sentence["section"]
            if section not in MAIN_SECTIONS:
                parts.append(f'<div class="cs-section">{escape(section.replace("_", " "))}</div>')
        parts.append(f'<p class="cs-sentence">{_sentence(run["id"], sentence)}</p>')
    return "".join([*parts, "</div>"])


def _sentence(run: str, sentence: Json) -> str:
    text = escape(sentence["text"])
    if sentence["support"] == "image":
        text += f' <span class="cs-own" title="{strings.OWN_READING_HELP}">{strings.OWN_READING}</span>'
    for citation in sentence["citations"]:
        label = strings.CITED_AS.format(number=citation["number"], title=citation["title"])
        text += (
            f'<a class="cs-cite" href="#{anchor(run, citation["number"])}" target="_self" aria-label="{escape(label)}" '
            f'title="{escape(label)}: “{escape(citation["quote"])}”">{int(citation["number"])}</a>'
        )
    if sentence["confidence"] is not None:
        told = strings.CONFIDENCE.format(percent=100 * sentence["confidence"])
        text += f' <span class="cs-quiet">{escape(told)}</span>'
    return text


def anchor(run: str, number: int) -> str:
    return f"evidence-{escape(run)}-{int(number)}"


def notes(run: Json) -> str:
    """Everything that limits the answer: why there is none, what the gate and the checks noticed, what was left out.
    Each thing once."""
    result, said = run["result"], dict[str, str]()
    if result["error"]:
        said[strings.FAILED.format(message=result["error"]["message"])] = "error"
    if run["status"] == "abstained":
        said[strings.ABSTAINED.format(reason=result["reason"])] = "warning"
    if run["status"] == "cancelled":
        said[strings.STOPPED] = ""
    for defect in (result["quality"] or {"defects": ()})["defects"]:
        if defect["message"] != result["reason"]:
            said.setdefault(defect["message"], "warning")
    if result["note"]:
        said.setdefault(result["note"], "warning")
    for finding in result["findings"]:
        said.setdefault(finding["message"], {"note": "", "critical": "error"}.get(finding["severity"], "warning"))
    for text in result["warnings"]:
        said.setdefault(text, "")
    told = any(strings.NOT_CLINICAL in text for text in said)  # the API's own warning is enough
    badged = not told and (result["identity"] or {}).get("demonstration")
    badge = f'<div class="cs">{demonstration()}</div>' if badged else ""
    return "".join(note(text, kind) for text, kind in said.items()) + badge


def card(item: Json, spans: Iterable[Span], run: str | None = None) -> str:
    """A piece of evidence, the parts used of it marked. `spans` count as its `start` and `end` do."""
    start = item["start"] or 0
    place = [item["section"], strings.PAGE.format(page=item["page"]) if item["page"] else ""]
    percent = 100 * item["relevance"]
    relevance = strings.RELEVANCE.format(percent=percent)
    moved = [(low - start, high - start) for low, high in spans]
    identifier = f' id="{anchor(run, item["number"])}"' if run else ""
    return (
        f'<div class="cs cs-card"{identifier}>'
        f'<div class="cs-title"><span class="cs-number">{int(item["number"])}</span>{escape(item["title"])}</div>'
        f'<div class="cs-quiet">{_joined(place)}</div>'
        f'<div class="cs-quiet">{source(item)}</div>'
        f'<div class="cs-relevance" title="{strings.RELEVANCE_HELP}"><span class="cs-quiet">{relevance}</span>'
        f'<div class="cs-bar" aria-hidden="true"><i style="width:{percent:.0f}%"></i></div></div>'
        f'{_before(item)}<div class="cs-text">{paragraphs(item["text"], moved)}</div></div>'
    )


def _before(item: Json) -> str:
    """Of a pair of studies, what was said of the earlier one."""
    return quiet(strings.BEFORE.format(report=item["earlier"])) if item.get("earlier") else ""


def prior(offer: Json) -> str:
    """An earlier study of the same patient, as it is offered."""
    head = strings.PRIOR_OF.format(taken=offer["taken"]) if offer["taken"] else strings.PRIOR
    return f'<div class="cs"><div class="cs-title">{escape(head)}</div>{quiet(offer["report"])}</div>'


def source(item: Json) -> str:
    """Where a passage or document comes from, in one line."""
    return _joined([item["source"], _edition(item), item.get("dated", ""), item["jurisdiction"], _superseded(item)])


def used(run: Json, number: int) -> list[Span]:
    """The spans of a piece of evidence that the sentences so far rest on."""
    return [(c["start"], c["end"]) for c in run["result"]["citations"] if c["number"] == number]


def table(rows: Mapping[str, str], first: str = "", second: str = "") -> str:
    header = f'<tr><th>{escape(first)}</th><th class="n">{escape(second)}</th></tr>' if first else ""
    body = "".join(
        f'<tr><td>{escape(name)}</td><td class="n">{escape(value)}</td></tr>' for name, value in rows.items()
    )
    return f'<table class="cs cs-table">{header}{body}</table>'


def quiet(text: str) -> str:
    return f'<div class="cs cs-quiet">{escape(text)}</div>'


def title(text: str) -> str:
    return f'<div class="cs cs-title">{escape(text)}</div>'


def _joined(parts: Iterable[str]) -> str:
    return escape(" · ".join(part for part in parts if part))


def with_references(run: Json) -> str:
    """The answer as plain text for a letter: sentences with their numbers, then what the numbers stand for."""
    result = run["result"]
    lines = [run["question"]] if run["question"] else []
    said = []
    for sentence in result["sentences"]:
        marks = "".join(f" [{c['number']}]" for c in sentence["citations"]) or f" {strings.COPY_OWN}"
        said.append(sentence["text"] + marks)
    lines += ["", " ".join(said)]
    items = {item["number"]: item for item in result["evidence"]}
    numbers = sorted({citation["number"] for citation in result["citations"]})
    if numbers:
        lines += ["", f"{strings.COPY_REFERENCES}:"]
        lines += [f"[{n}] {_reference(items[n])}" for n in numbers if n in items]
    if identity := result["identity"]:
        lines += ["", strings.COPY_MODEL.format(model=identity["model"])]
        lines += [f"{strings.DEMONSTRATION}."] if identity["demonstration"] else []
    return "\n".join(lines).strip()


def _reference(item: Json) -> str:
    parts = (item["title"], item["section"], item["source"], _edition(item), _superseded(item))
    return ", ".join(part for part in parts if part)


def _edition(item: Json) -> str:
    return strings.EDITION.format(edition=item["edition"]) if item["edition"] else ""


def _superseded(item: Json) -> str:
    """Runs that were kept by an older Consult don't say."""
    return strings.SUPERSEDED.format(by=item["superseded_by"]) if item.get("superseded_by") else ""


def details(result: Json) -> str:
    """Time by stage, who answered, and what was left out."""
    seconds = {strings.STAGE_NAMES.get(name, name): f"{value:.2f}" for name, value in result["timings"].items()}
    parts = [table(seconds, strings.STAGE, strings.SECONDS)] if seconds else []
    if identity := result["identity"]:
        told = {**identity, "encoders": ", ".join(f"{k}: {v}" for k, v in identity["encoders"].items())}
        rows = {
            label: str(told[name]) for name, label in strings.IDENTITY_NAMES.items() if told[name] not in (None, "")
        }
        parts += [title(strings.IDENTITY), table(rows)]
    if result["dropped"]:
        parts.append(title(strings.DROPPED))
        parts += [note(strings.LEFT_OUT.format(what=item["what"], why=item["why"])) for item in result["dropped"]]
    return "".join(f'<div class="cs-block">{part}</div>' for part in parts)


def document_line(document: Json) -> str:
    return f'{title(document["title"])}<div class="cs cs-quiet">{source(document)}</div>'


def report(report: Json) -> str:
    """What adding documents did, file by file; what was skipped with its reason."""
    lines = []
    for name, label in strings.REPORT.items():
        if name != "skipped" and report.get(name):
            lines.append(note(strings.REPORT_LINE.format(what=label, names=", ".join(map(str, report[name])))))
    for old, new in report.get("superseded", ()):
        lines.append(note(strings.REPORT_SUPERSEDED.format(old=old, new=new)))
    lines += [note(strings.REPORT_UNDECIDED.format(doubt=doubt)) for doubt in report.get("undecided", ())]
    for file, why in report.get("skipped", ()):
        told = strings.LEFT_OUT.format(what=file, why=why)
        lines.append(note(strings.REPORT_LINE.format(what=strings.REPORT["skipped"], names=told), "warning"))
    return "".join(lines) or note(strings.NOTHING_CHANGED)
