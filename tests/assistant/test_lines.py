import asyncio
from collections.abc import AsyncIterator

from hypothesis import given
from hypothesis import strategies as st

from assistant.engines.base import Delta
from assistant.lines import Line, lines, parse

SECTIONS = ("answer", "guideline")


def one(raw: str, **options: bool) -> Line:
    (line,) = parse(raw, SECTIONS, **options)
    return line


def test_a_line_has_section_text_and_sources() -> None:
    assert one("[guideline] Drain it. [1][3]") == Line("guideline", "Drain it.", (1, 3), False)
    assert one("[answer] There is an effusion. [image]") == Line("answer", "There is an effusion.", (), True)


def test_sources_may_stand_together_or_inside() -> None:
    assert one("[answer] Drain [2] it [1, image].") == Line("answer", "Drain it.", (2, 1), True)


def test_a_line_without_or_with_a_foreign_section_belongs_to_the_first() -> None:
    assert one("Seen. [image]").section == "answer"
    assert one("[secret] Seen.").section == "answer"
    assert one("[image] Seen.") == Line("answer", "Seen.", (), True)


def test_several_sentences_on_a_line_keep_their_own_sources() -> None:
    first, second = parse("[answer] Fluid is seen. [image] Sample it. [2]", SECTIONS)
    assert (first.text, first.image, first.sources) == ("Fluid is seen.", True, ())
    assert (second.text, second.image, second.sources) == ("Sample it.", False, (2,))


def test_abbreviations_and_numbers_do_not_end_a_sentence() -> None:
    assert one("[answer] It measures 3.5 mm, e.g. Like a pea.").text == "It measures 3.5 mm, e.g. Like a pea."


def test_markup_is_taken_off_and_empty_lines_are_passed_over() -> None:
    assert one("- **[answer]** Normal.").text == "Normal."
    assert not list(parse("", SECTIONS))
    assert not list(parse("[answer] [1]", SECTIONS))
    assert not list(parse("[answer] ...", SECTIONS))


def test_a_number_alone_is_an_answer_and_before_words_it_is_not() -> None:
    assert one("[answer] 14. [image]").text == "14."
    assert [line.text for line in parse("1. The heart is large.", SECTIONS)] == ["The heart is large."]


def test_a_broken_off_sentence_is_incomplete() -> None:
    assert not one("[answer] There is a large", complete=False).complete
    assert not one("[answer] The nodule measures 3.", complete=False).complete  # of 3.5 cm
    first, second = parse("[answer] One is here. Two is", SECTIONS, complete=False)
    assert first.complete
    assert not second.complete


@given(st.text())
def test_parse_never_raises_and_never_invents(raw: str) -> None:
    for line in parse(raw, SECTIONS):
        assert line.section in SECTIONS
        assert any(character.isalnum() for character in line.text)


@given(st.text(alphabet="ab.\n []1", max_size=60), st.integers(1, 7))
def test_lines_are_the_same_however_the_stream_is_cut(text: str, size: int) -> None:
    async def stream(pieces: list[str]) -> AsyncIterator[Delta]:
        for piece in pieces:
            yield Delta(piece)

    async def read(pieces: list[str]) -> list[tuple[str, bool]]:
        return [line async for line in lines(stream(pieces))]

    cut = [text[i : i + size] for i in range(0, len(text), size)]
    assert asyncio.run(read(cut)) == asyncio.run(read([text]))
