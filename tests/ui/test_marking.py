import re
from html import unescape

from hypothesis import given
from hypothesis import strategies as st

from ui.marking import FIRST_MARK, document, marked, merged, paragraphs

TEXTS = st.text(alphabet="ab <>&\"'#-*\n", max_size=60)
SPANS = st.lists(st.tuples(st.integers(-3, 65), st.integers(-3, 65)), max_size=5)


def plain(html: str) -> str:
    return unescape(re.sub(r"</?(mark|p)( [a-z]+=\"[a-z]+\")*>", "", html))


@given(TEXTS, SPANS)
def test_marked_is_the_text_and_marks_what_it_says(text: str, spans: list[tuple[int, int]]) -> None:
    html = marked(text, spans)
    assert plain(html) == text
    wanted = {n for low, high in spans for n in range(max(low, 0), min(high, len(text)))}
    got, at, inside = set(), 0, False
    for piece in re.split(r"(</?mark>)", html):
        if piece in ("<mark>", "</mark>"):
            inside = piece == "<mark>"
            continue
        length = len(unescape(piece))
        got |= set(range(at, at + length)) if inside else set()
        at += length
    assert got == wanted


@given(TEXTS, SPANS)
def test_paragraphs_lose_no_word_and_let_no_tag_through(text: str, spans: list[tuple[int, int]]) -> None:
    html = paragraphs(text, spans)
    assert set(re.findall(r"<[^>]*>", html)) <= {
        '<p class="p">', '<p class="h">', '<p class="li">', "</p>", "<mark>", "</mark>",
    }  # fmt: skip
    assert re.findall(r"[ab<>&\"']", plain(html)) == re.findall(r"[ab<>&\"']", text)


@given(SPANS)
def test_merged_spans_are_apart_and_in_order(spans: list[tuple[int, int]]) -> None:
    flat = [end for span in merged(spans, 5, 40) for end in span]
    assert flat == sorted(set(flat))
    assert all(0 <= end <= 35 for end in flat)


def test_a_mark_may_begin_in_the_sign_of_a_list_and_cross_lines() -> None:
    html = paragraphs("## Signs\n- one\n- two", [(9, 18)])
    assert html == (
        '<p class="h">Signs</p><p class="li">• <mark>one</mark></p><p class="li">• <mark>t</mark>wo</p>'
    )  # fmt: skip


def test_only_the_first_mark_of_a_document_has_the_id() -> None:
    html = document("<mark> a b", [(0, 1), (7, 8)])
    assert html == f'<p class="p"><mark id="{FIRST_MARK}">&lt;</mark>mark&gt; <mark>a</mark> b</p>'
