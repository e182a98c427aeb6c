"""Markdown, with or without YAML front matter."""

import re

from retrieval.errors import UnreadableDocument
from retrieval.readers.draft import Draft, Reading
from retrieval.readers.meta import kept
from retrieval.readers.plain import clean, decode, plain_headings, words_of


def read_markdown(data: bytes, stem: str) -> Reading:
    import frontmatter
    import yaml

    try:
        meta, text = frontmatter.parse(clean(decode(data)))
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise UnreadableDocument("The front matter (between the --- lines) is not valid YAML.") from error
    text = plain_headings(text)
    heading = re.search(r"(?m)^# (.+)$", text)
    title = str(meta.get("title") or (heading.group(1).strip(" #") if heading else "") or words_of(stem))
    return Reading((Draft(title, text, meta=kept(meta)),))
