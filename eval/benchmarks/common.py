"""What several benchmarks share: phantoms as studies, and how a closed answer is read.

Exam phantoms start where no training seed reaches; each benchmark has its own range of seeds in each exam family.
"""

import math
import re
from collections.abc import Iterator, Sequence

from assistant.study import STANDARD_RADIOGRAPH, Orientation, Picture, Study
from eval.exam.benchmark import Answer
from eval.ledger import EXAM_SEEDS
from eval.phantoms import Phantom

SPAN = 100_000  # seeds a benchmark and exam seed has to itself
SIZE = 512
TRUTH_SIZE = 64  # what is true of a phantom doesn't depend on its size, and small ones are quick
YES, NO = "[answer] Yes", "[answer] No"  # as the model writes them, for their likelihoods
_YES_NO = re.compile(r"\W*(yes|no)\b", re.IGNORECASE)
_LATERAL = Orientation(right="P", down="F")  # the front of the chest is on the picture's left


def exam_seeds(place: int, seed: int) -> Iterator[int]:
    """Seeds of benchmark number `place` under exam seed `seed`: ranges never meet."""
    first = EXAM_SEEDS.start + (seed * 20 + place) * SPAN
    return iter(range(first, first + SPAN))


def picture_of(phantom: Phantom) -> Picture:
    """As a reader would bring it in: view and sides known."""
    lateral = phantom.view == "LATERAL"
    spacing = (phantom.spacing_mm, phantom.spacing_mm)
    return Picture(phantom.pixels, "DX", phantom.view, _LATERAL if lateral else STANDARD_RADIOGRAPH, spacing)


def study_of(*phantoms: Phantom) -> Study:
    return Study(tuple(map(picture_of, phantoms)))


def about(phantom: Phantom) -> dict[str, str]:
    """The subgroups a phantom counts for."""
    band = "under 50" if phantom.age < 50 else "50 to 69" if phantom.age < 70 else "70 and over"
    return {"sex": phantom.sex, "age": band, "view": phantom.view, "family": phantom.family}


def cluster_of(phantom: Phantom) -> str:
    return f"{phantom.family}-{phantom.seed}"


def yes_or_no(text: str) -> bool | None:
    """What an answer that starts with yes or no says; None when it starts otherwise."""
    found = _YES_NO.match(text)
    return found[1].lower() == "yes" if found else None


def chosen(text: str, choices: Sequence[str]) -> str | None:
    """The one choice an answer names, by its words or by its letter alone; None when it names none or several."""
    letter = re.match(r"\W*([A-Z])\b(?:[).:]|\s*$)", text.strip())
    if letter and ord(letter[1]) - ord("A") < len(choices):
        return choices[ord(letter[1]) - ord("A")]
    named = [choice for choice in choices if re.search(rf"\b{re.escape(choice)}\b", text, re.IGNORECASE)]
    longest = [c for c in named if not any(c != other and c.lower() in other.lower() for other in named)]
    return longest[0] if len(longest) == 1 else None


def first_sentence(answer: Answer) -> str:
    """Where a closed question is answered: later sentences speak for guidelines."""
    return answer.sentences[0].text if answer.sentences else ""


def p_yes(answer: Answer) -> float | None:
    """Yes against no by their likelihoods after the same prompt, 0..1; None where the engine can't score."""
    if YES not in answer.likelihoods or NO not in answer.likelihoods:
        return None
    return 1 / (1 + math.exp(min(700.0, answer.likelihoods[NO] - answer.likelihoods[YES])))
