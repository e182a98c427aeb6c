"""HTML, and what other formats turn into it, to Markdown: headings, lists and tables keep their form."""

import re
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

from retrieval.errors import UnreadableDocument
from retrieval.readers.draft import Draft, Reading
from retrieval.readers.meta import dated, kept
from retrieval.readers.plain import clean, decode, plain_headings, words_of

if TYPE_CHECKING:
    from bs4 import BeautifulSoup

STRANGERS = (  # what of a page is no text of its own
    "script", "style", "noscript", "template", "nav", "svg", "iframe", "img", "button", "select", "textarea", "input",
)  # fmt: skip
PUBLISHED = (  # tags that say when a page was published, the most exact first
    "dated", "published", "citation_publication_date", "citation_date", "article:published_time", "datepublished",
    "dcterms.issued", "dc.date.issued", "dcterms.date", "dc.date", "date", "pubdate", "publication_date",
    "citation_online_date",
)  # fmt: skip


def read_html(data: bytes, stem: str) -> Reading:
    from bs4.dammit import EncodingDetector

    declared = EncodingDetector.find_declared_encoding(data, is_html=True, search_entire_document=False)
    soup = parse(data if declared else decode(data))
    meta = _meta(soup)
    title = soup.title.get_text(" ", strip=True) if soup.title else ""
    text = to_markdown(soup)
    return Reading((Draft(title or heading_of(soup) or words_of(stem), text, meta=kept(meta)),))


def parse(html: bytes | str) -> "BeautifulSoup":
    """Raises `UnreadableDocument`."""
    from bs4 import BeautifulSoup
    from bs4.exceptions import ParserRejectedMarkup

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about markup that looks like XML
            return BeautifulSoup(html, "lxml")
    except (ParserRejectedMarkup, RecursionError, AssertionError) as error:
        raise UnreadableDocument("The HTML is too damaged to be read.") from error


def heading_of(soup: "BeautifulSoup") -> str:
    heading = soup.find("h1")
    return heading.get_text(" ", strip=True) if heading else ""


def to_markdown(soup: "BeautifulSoup") -> str:
    """The page's own text; changes `soup`. Raises `UnreadableDocument`."""
    from bs4 import Comment
    from markdownify import markdownify

    for stranger in soup(STRANGERS):
        stranger.decompose()
    for form in soup("form"):  # some servers wrap a whole page in one
        form.unwrap()
    for comment in soup.find_all(string=lambda string: isinstance(string, Comment)):
        comment.extract()
    for power in soup("sup"):  # 10⁹ must not become 109
        if re.fullmatch(r"[-+\u2212]?\d+", number := power.get_text(strip=True)):
            power.replace_with(f"^{number}")
    for cell in soup(("td", "th")):
        for string in cell.find_all(string=re.compile(r"\|")):
            string.replace_with(string.replace("|", "\\|"))
    try:
        markdown = markdownify(
            str(soup.body or soup), heading_style="ATX", bullets="-", strip=["a", "b", "strong", "i", "em", "u"],
            escape_asterisks=False, escape_underscores=False, table_infer_header=True,
        )  # fmt: skip
    except RecursionError as error:
        raise UnreadableDocument("The document is nested too deeply to be read; save it as plain text.") from error
    text = re.sub(r"\n{3,}", "\n\n", clean(markdown).replace("\xa0", " ")).strip()
    return plain_headings(text)


def _meta(soup: "BeautifulSoup") -> Mapping[str, str]:
    """The page's own `<meta>` tags, with the date of publication and the place under our names."""
    tags: dict[str, str] = {}
    for tag in soup("meta"):
        name = str(tag.get("name") or tag.get("property") or tag.get("itemprop") or "").lower()
        tags.setdefault(name, str(tag.get("content") or "").strip())
    linked = " ".join(script.get_text() for script in soup("script", type="application/ld+json"))
    if found := re.search(r'"datePublished"\s*:\s*"([^"]+)"', linked):
        tags.setdefault("datepublished", found[1])
    days = (dated(tags.get(name)) for name in PUBLISHED)
    place = tags.get("jurisdiction") or tags.get("dcterms.spatial") or tags.get("dcterms.coverage") or ""
    own = {key: tags.get(key, "") for key in ("domain", "edition", "source", "license")}
    return {**own, "jurisdiction": place, "dated": next((day for day in days if day), "")}
