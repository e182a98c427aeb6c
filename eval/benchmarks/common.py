"""What several benchmarks share: phantoms as studies, and how a closed answer is read.

Exam phantoms start where no training seed reaches; each benchmark has its own range of seeds in each exam family.
"""

import math
import re
from collections.abc import Iterator, Sequence

from assistant.study import STANDARD_RADIOGRAPH, Orientation, Picture, Study
from eval.exam.benchmark import Answer
from eval.ledger import EXAM_SEEDS
from eval.metrics.labeller import label as label_text
from eval.phantoms import Phantom

SPAN = 100_000  # seeds a benchmark and exam seed has to itself
SIZE = 512
TRUTH_SIZE = 64  # what is true of a phantom doesn't depend on its size, and small ones are quick
YES, NO = "[answer] Yes", "[answer] No"  # as the model writes them, for their likelihoods
_YES_NO = re.compile(r"\W*(yes|no)\b", re.IGNORECASE)
_DENIED = re.compile(r"\b(?:not|no longer|neither|nor|never|n't)\s+(?:(?!but\b)\w+\s+){0,2}$", re.IGNORECASE)
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
    return {"sex": phantom.sex, "age": age_band(phantom.age), "view": phantom.view, "family": phantom.family}


def age_band(years: float) -> str:
    return "under 50" if years < 50 else "50 to 69" if years < 70 else "70 and over"


def cluster_of(phantom: Phantom) -> str:
    return f"{phantom.family}-{phantom.seed}"


def yes_or_no(text: str, label: str | None = None) -> bool | None:
    """What an answer that starts with yes or no says; None when it starts otherwise, or when it speaks of other
    findings than `label` (of the labeller's 14, or a name beside them): "No, there is no consolidation" is no answer
    about a hernia."""
    found = _YES_NO.match(text)
    mentioned = {mention.finding for mention in label_text(text)} if found and label else set()
    if found is None or (mentioned and label not in mentioned):
        return None
    return found[1].lower() == "yes"


def chosen(text: str, choices: Sequence[str]) -> str | None:
    """The one choice an answer names without denying it, by its words or by its letter alone; None when it names none
    or several."""
    letter = re.match(r"\W*([A-Z])\b(?:[).:]|\s*$)", text.strip())
    if letter and ord(letter[1]) - ord("A") < len(choices):
        return choices[ord(letter[1]) - ord("A")]
    named = [choice for choice in choices if _asserted(choice, text)]
    longest = [c for c in named if not any(c != other and c.lower() in other.lower() for other in named)]
    return longest[0] if len(longest) == 1 else None


def _asserted(choice: str, text: str) -> bool:
    found = re.finditer(rf"\b{re.escape(choice)}\b", text, re.IGNORECASE)
    return any(not _DENIED.search(text[: match.start()]) for match in found)


def first_sentence(answer: Answer) -> str:
    """Where a closed question is answered: later sentences speak for guidelines."""
    return answer.sentences[0].text if answer.sentences else ""


def p_yes(answer: Answer) -> float | None:
    """Yes against no by their likelihoods after the same prompt, 0..1; None where the engine can't score."""
    if YES not in answer.likelihoods or NO not in answer.likelihoods:
        return None
    return 1 / (1 + math.exp(min(700.0, answer.likelihoods[NO] - answer.likelihoods[YES])))
