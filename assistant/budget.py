"""What fits the model's context. Pure: sizes in, what stays and what goes out; nothing is cut in silence."""

from collections.abc import Sequence
from dataclasses import dataclass

from assistant.errors import TooLarge


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a prompt. Pieces with a higher `expendable` go first, those with 0 never; among equals the last goes
    first."""

    name: str
    tokens: int
    expendable: int = 0


def fit(pieces: Sequence[Piece], context: int, answer: int) -> tuple[frozenset[str], tuple[str, ...]]:
    """Names that stay and, in the order of their going, those that had to go, so that prompt and answer fit `context`.

    Raises `TooLarge` when what can't be given up is already too long.
    """
    room = context - answer
    kept = list(pieces)
    dropped = []
    while sum(piece.tokens for piece in kept) > room:
        last = max(range(len(kept)), key=lambda n: (kept[n].expendable, n), default=-1)
        if last < 0 or kept[last].expendable == 0:
            need = sum(piece.tokens for piece in kept)
            raise TooLarge(
                f"The question and its pictures need {need} tokens and the answer {answer}, but the model reads "
                f"{context}. Shorten the question or send fewer pictures."
            )
        dropped.append(kept.pop(last).name)
    return frozenset(piece.name for piece in kept), tuple(dropped)
