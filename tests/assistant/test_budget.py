import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.budget import Piece, fit
from assistant.errors import TooLarge

PIECES = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 3)), max_size=12).map(
    lambda rows: [Piece(str(n), size, rank) for n, (size, rank) in enumerate(rows)]
)


def test_the_most_expendable_goes_first_and_the_last_among_equals() -> None:
    pieces = [Piece("task", 10), Piece("first", 10, 2), Piece("second", 10, 2), Piece("turn", 10, 3)]
    kept, gone = fit(pieces, context=30, answer=5)
    assert gone == ("turn", "second")
    assert kept == {"task", "first"}


def test_what_can_not_be_given_up_is_an_error() -> None:
    with pytest.raises(TooLarge, match="Shorten the question"):
        fit([Piece("question", 100), Piece("evidence", 5, 2)], context=50, answer=10)


@given(PIECES, st.integers(0, 200))
def test_what_stays_fits_and_nothing_goes_in_silence(pieces: list[Piece], context: int) -> None:
    try:
        kept, gone = fit(pieces, context, 0)
    except TooLarge:
        assert sum(piece.tokens for piece in pieces if not piece.expendable) > context
        return
    assert sum(piece.tokens for piece in pieces if piece.name in kept) <= context
    assert kept | set(gone) == {piece.name for piece in pieces}
    assert not {piece.name for piece in pieces if not piece.expendable} & set(gone)
