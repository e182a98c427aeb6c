"""Engines whose faults are known, and a small closed benchmark on which the figures must tell each of them."""

import re
from collections.abc import Callable, Iterator
from functools import cache

from assistant.engines.base import Prompt
from assistant.requests import AskRequest
from assistant.study import Picture, Study
from eval.benchmarks.closed import Closed, ClosedItem
from eval.exam.benchmark import Item
from retrieval.types import Case, Evidence
from retrieval.types import Item as Reference
from tests.assistant.parts import study

QUESTION = "Is there a pleural effusion?"
ITEMS = 8
_FIRST = re.compile(r"\[1\] Case: (.*)")


@cache
def picture(number: int, *, ill: bool) -> Study:
    """Even seeds stand for a picture with the finding, odd ones for one without: only `truth_of` knows."""
    return study(seed=2 * number + (0 if ill else 1))


ILL = {picture(n, ill=True).pictures[0].sha256 for n in range(2 * ITEMS)}


def sees(prompt: Prompt) -> bool:
    """What a perfect reader sees in the prompt's last picture."""
    pictures = [part for message in prompt.messages for part in message.parts if isinstance(part, Picture)]
    return pictures[-1].sha256 in ILL


def first_reference(prompt: Prompt) -> bool | None:
    """Whether the first case shown has the finding; None when none is shown."""
    text = "\n".join(part for message in prompt.messages for part in message.parts if isinstance(part, str))
    found = _FIRST.search(text)
    return None if found is None else "no pleural effusion" not in found[1]


def says(present: bool) -> str:
    return "[answer] Yes, there is a pleural effusion. [image]" if present else "[answer] No. [image]"


def copies(prompt: Prompt) -> str:
    """Says what the first reference says; looks at the picture only when there is none."""
    said = first_reference(prompt)
    return says(sees(prompt) if said is None else said)


FAKES: dict[str, Callable[[Prompt], str]] = {
    "always yes": lambda prompt: says(True),
    "copies the first reference": copies,
    "ignores references": lambda prompt: says(sees(prompt)),
    "always abstains": lambda prompt: "",
    "perfect": lambda prompt: says(sees(prompt)),
}


def reference(present: bool) -> Evidence:
    report = "There is a moderate pleural effusion." if present else "There is no pleural effusion."
    case = Case(f"case-{present}", "0" * 64, report, "chest_xray")
    return Evidence((Reference(1, case, {}, 0.9),), 1)


class Small(Closed):
    """Half of the pictures have the finding; half of the references agree with the picture."""

    name, title, full, quick = "small", "A small closed set", ITEMS, ITEMS

    def items(self, n: int, seed: int) -> Iterator[Item]:
        for number in range(min(n, ITEMS)):
            ill, helps = number % 2 == 0, number % 4 < 2
            yield ClosedItem(
                id=f"item-{number}",
                truth={"answer": ill},
                request=lambda number=number, ill=ill: ask(picture(number, ill=ill)),
                other=lambda number=number, ill=ill: ask(picture(number + ITEMS, ill=not ill)),
                references=reference(ill if helps else not ill),
                groups={"reference": "helps" if helps else "conflicts"},
                cluster=f"person-{number}",
            )


def ask(shown: Study) -> AskRequest:
    return AskRequest(study=shown, question=QUESTION)
