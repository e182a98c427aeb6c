"""Cutting: headings and pages give sections, and a section that is too long is cut between bullets or sentences."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from retrieval.readers import Draft, Span

MAX_WORDS = 120  # of a passage: short enough to be read whole when it is cited
CUTTER_VERSION = "2"  # raise it when the same text is cut otherwise: files are then read again

_TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\s\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{1,24}")
_BULLET = re.compile(r"(?m)^(?=[ \t]*(?:[-*+\u2022]|\d{1,2}[.)])[ \t])")
_ROW = re.compile(r"(?m)^(?=\|)")
_SENTENCE = re.compile(r"(?<=[.!?;])(?=\s+[A-Z0-9(\[\"\u201c])")


def cut(drafts: Sequence[Draft]) -> list[list[Span]]:
    """Passages of each document: at most `MAX_WORDS` words, inside one section and page, in order, not overlapping."""
    from llama_index.core.ingestion import IngestionPipeline
    from llama_index.core.node_parser import SentenceSplitter
    from llama_index.core.schema import TextNode

    sections = [(at, span) for at, draft in enumerate(drafts) for span in _sections(draft)]
    splitter = SentenceSplitter(
        chunk_size=MAX_WORDS, chunk_overlap=0, tokenizer=_TOKEN.findall, chunking_tokenizer_fn=_units,
        paragraph_separator="\n\n", include_metadata=False, include_prev_next_rel=False,
    )  # fmt: skip
    pipeline = IngestionPipeline(transformations=[splitter], disable_cache=True)
    nodes = [
        TextNode(id_=str(number), text=drafts[at].text[span.start : span.end])
        for number, (at, span) in enumerate(sections)
    ]
    cuts: list[list[Span]] = [[] for _ in drafts]
    cursors = [span.start for _, span in sections]
    for node in pipeline.run(nodes=nodes) if nodes else []:
        number = int(node.ref_doc_id)
        at, span = sections[number]
        start = drafts[at].text.index(node.text, cursors[number])  # chunks partition their section, blanks aside
        cursors[number] = start + len(node.text)
        cuts[at].append(replace(span, start=start, end=cursors[number]))
    return cuts


def _units(text: str) -> list[str]:
    """Whole bullets or rows of a table, or where there is only one the sentences; joined they are `text` again."""
    for marks in (_BULLET, _ROW):
        parts = [part for part in marks.split(text) if part]
        if len(parts) > 1:
            return parts
    return [part for part in _SENTENCE.split(text) if part]


def _sections(draft: Draft) -> Iterable[Span]:
    """Stretches of a document no passage may cross, without their headings; empty ones are left out."""
    spans = draft.spans if draft.spans is not None else _markdown_sections(draft)
    return (span for span in spans if draft.text[span.start : span.end].strip())


def _markdown_sections(draft: Draft) -> Iterator[Span]:
    from llama_index.core.node_parser import MarkdownNodeParser
    from llama_index.core.schema import Document as Whole

    parser = MarkdownNodeParser.from_defaults(include_prev_next_rel=False, header_path_separator="\n")
    cursor = 0
    text = re.sub(r"(?m)^(#+)[^\S\n]", r"\1 ", draft.text)  # as the parser writes headings; no character moves
    nodes: list[Any] = parser.get_nodes_from_node(Whole(text=text))
    for node in nodes:
        cursor = text.index(node.text, cursor)
        end = cursor + len(node.text)
        path = [part for part in node.metadata["header_path"].split("\n") if part]
        start = cursor
        if heading := re.match(r"#+ (.*)(?:\n|$)", node.text):
            path.append(heading.group(1))
            start += heading.end()
        names = [re.sub(r"\s*#*$", "", name).strip() for name in path]
        if names and names[0].casefold() == draft.title.casefold():  # the title is shown beside the section anyway
            names = names[1:]
        yield Span(start, end, " / ".join(name for name in names if name))
        cursor = end
