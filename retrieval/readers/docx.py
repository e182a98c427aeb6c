"""Word documents (DOCX), through HTML: headings, lists and tables as Word has them, tracked changes accepted."""

import io
import re
import zipfile
from xml.etree import ElementTree

from retrieval.errors import UnreadableDocument
from retrieval.readers.draft import Draft, Reading
from retrieval.readers.html import heading_of, parse, to_markdown
from retrieval.readers.meta import kept
from retrieval.readers.plain import stated_title, words_of

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # the container of old Word files, and of encrypted new ones
MAX_XML = 16 * 1024 * 1024  # bytes when unpacked: 4 MB held 650,000 words; 30 MB took 98 s and 0.9 GB to read
STYLES = """
p[style-name='Title'] => h1.title:fresh
p[style-name='Subtitle'] => p:fresh
p[style-name='heading 7'] => h6:fresh
p[style-name='heading 8'] => h6:fresh
p[style-name='heading 9'] => h6:fresh
"""


def read_docx(data: bytes, stem: str) -> Reading:
    import mammoth

    properties = _properties(_opened(data))
    try:
        html = mammoth.convert_to_html(
            io.BytesIO(data), style_map=STYLES, include_embedded_style_map=False,
            convert_image=lambda image: [],
        ).value  # fmt: skip
    except Exception as error:  # mammoth lets through what its parsers raise
        raise UnreadableDocument("The DOCX is damaged and can't be read; open it in Word and save it anew.") from error
    soup = parse(html)
    for back in soup.select("a[href^='#footnote-ref'], a[href^='#endnote-ref']"):
        back.decompose()
    shown = soup.find("h1", class_="title")
    title = shown.get_text(" ", strip=True) if shown else stated_title(properties.get("title", "")) or heading_of(soup)
    return Reading((Draft(title or words_of(stem), to_markdown(soup), meta=kept(properties)),))


def _opened(data: bytes) -> zipfile.ZipFile:
    """Refuses, saying what to do, whatever is no Word document of a size that can be read."""
    if data.startswith(OLE):
        if "EncryptedPackage".encode("utf-16-le") in data:
            raise UnreadableDocument("The document is password-protected; save it without a password.")
        raise UnreadableDocument("This is an old Word file (.doc) by another name; save it as .docx.")
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise UnreadableDocument("The DOCX is damaged or cut short and can't be read.") from error
    if not any(member.filename.startswith("word/") for member in members):
        raise UnreadableDocument("This is no Word document, whatever its name says; save it as .docx or PDF.")
    if sum(member.file_size for member in members if _unpacked(member)) > MAX_XML:
        raise UnreadableDocument(f"The DOCX unpacks to more than {MAX_XML // 1024 // 1024} MB of text; split it.")
    return archive


def _unpacked(member: zipfile.ZipInfo) -> bool:
    """Pictures are left alone; a member that swells is none, whatever it is called."""
    return member.filename.endswith((".xml", ".rels")) or member.file_size > 50 * max(member.compress_size, 1)


def _properties(archive: zipfile.ZipFile) -> dict[str, str]:
    """The core and custom properties by name, in lower case; `file_dated` is the day the file was last changed."""
    found: dict[str, str] = {}
    for name in ("docProps/core.xml", "docProps/custom.xml"):
        try:
            root = ElementTree.fromstring(archive.read(name))
        except Exception:  # missing, not XML, not to be unpacked
            continue  # they are optional, and the text is what counts
        for element in root:
            own = str(element.get("name") or element.tag.rpartition("}")[2]).lower()
            found[own] = "".join(element.itertext()).strip()
    day = re.match(r"\d{4}-\d\d-\d\d", found.get("modified") or found.get("created") or "")
    return {**found, "file_dated": day[0] if day else ""}
