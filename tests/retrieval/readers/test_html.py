import pytest

from retrieval.errors import UnreadableDocument
from retrieval.readers import Draft, read_document


def only(html: str | bytes) -> Draft:
    (draft,) = read_document(html.encode() if isinstance(html, str) else html, "a_page.html").drafts
    return draft


def test_without_scripts_and_styles() -> None:
    draft = only("""<html><head><title>Guide &amp; more</title><style>p {color: red}</style></head><body>
    <script>alert(1)</script><!-- hidden --><nav>menu</nav><h1>Guide</h1><p>Take <b>great</b>&nbsp;care_of 2*3.</p>
    <h2>Signs</h2><ul><li>one</li><li>two</li></ul><table><tr><th>a</th></tr><tr><td>b|c</td></tr></table></body></html>
    """)
    assert draft.title == "Guide & more"
    assert draft.text == (
        "# Guide\n\nTake great care_of 2*3.\n\n## Signs\n\n- one\n- two\n\n| a |\n| --- |\n| b\\|c |"
    )  # fmt: skip
    assert draft.spans is None


def test_wrapped_in_a_form_it_keeps_its_text() -> None:
    html = """<html><body><form action="."><input type="hidden" value="state"><h1>Guide</h1><p>Take care.</p>
    <select><option>English</option></select><button>Send</button></form></body></html>"""
    assert only(html).text == "# Guide\n\nTake care."


def test_powers_stay_powers() -> None:
    html = "<p>10<sup>9</sup>/L, s<sup>-1</sup>, CO<sub>2</sub>, Ca<sup>2+</sup>, the 1<sup>st</sup></p>"
    assert only(html).text == "10^9/L, s^-1, CO2, Ca2+, the 1st"


@pytest.mark.parametrize(
    ("head", "text", "encoding"),
    [
        ('<meta charset="iso-8859-1">', "Müller", "latin-1"),
        ('<meta http-equiv="Content-Type" content="text/html; charset=gb2312">', "肺炎", "gb2312"),
        ("", "Müller, älter", "cp1252"),
        ("", "重症度を評価してから抗菌薬を選択する。胸部写真で浸潤影を確認する。" * 9, "shift_jis"),
        ("", "Müller", "utf-16"),
    ],
)
def test_encodings(head: str, text: str, encoding: str) -> None:
    html = f"<html><head>{head}</head><body><p>{text}</p></body></html>"
    assert only(html.encode(encoding)).text == text


@pytest.mark.parametrize(
    ("head", "day"),
    [
        ('<meta name="citation_publication_date" content="2021/03/09">', "2021-03-09"),
        ('<meta property="article:published_time" content="2020-02-01T09:00:00Z">', "2020-02-01"),
        ('<meta name="DCTERMS.issued" content="2019-11">', "2019-11"),
        ('<meta itemprop="datePublished" content="2018">', "2018"),
        ('<script type="application/ld+json">{"a": {"datePublished": "2017-05-02"}}</script>', "2017-05-02"),
        ('<meta name="date" content="soon"><meta name="dcterms.date" content="2016">', "2016"),
        ('<meta name="dcterms.modified" content="2024-01-01"><meta name="generator" content="2023">', None),
    ],
)
def test_the_date_of_publication(head: str, day: str | None) -> None:
    assert only(f"<head>{head}</head><body>x</body>").meta.get("dated") == day


def test_place_edition_and_domain() -> None:
    tags = {"dcterms.spatial": "Japan", "edition": "4", "domain": "d"}
    head = "".join(f'<meta name="{name}" content="{value}">' for name, value in tags.items())
    assert only(f"<head>{head}</head><p>x").meta == {"domain": "d", "edition": "4", "jurisdiction": "Japan"}


def test_nested_up_to_what_can_be_read() -> None:
    deep = 100
    assert only("<p>top</p>" + "<div>" * deep + "deep" + "</div>" * deep + "<p>after").text == "top\n\ndeep\n\nafter"
    with pytest.raises(UnreadableDocument, match="nested too deeply"):
        only("<div>" * 4000 + "deep")


@pytest.mark.parametrize("html", ["<html><body><script>x</script></body></html>", "<html></html>", "<!-- x -->"])
def test_scripts_only(html: str) -> None:
    with pytest.raises(UnreadableDocument, match="no text"):
        only(html)
