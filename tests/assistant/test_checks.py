import pytest

from assistant.checks import Situation, sides_agree, withhold
from assistant.events import Sentence
from assistant.lines import Line

KNOWN = Situation(sides=True, prior=True)
UNKNOWN = Situation(sides=False, prior=False)


def line(text: str, *sources: int, image: bool = True) -> Line:
    return Line("answer", text, sources, image)


@pytest.mark.parametrize(
    "text",
    [
        "The effusion is unchanged.",
        "There is a new consolidation.",
        "The nodule has grown.",
        "The effusion is larger than before.",
        "Compared with the prior, it is smaller.",
        "Stable cardiomegaly.",
        "The pneumothorax has resolved.",
        "The tube is no longer seen.",
        "It has slightly increased.",
        "The effusion is increasing.",
        "It has become larger.",
        "Worsening consolidation.",
        "Improved aeration.",
        "Increase in size of the nodule.",
        "Larger.",
        "The effusion is smaller.",
        "It appears slightly larger.",
    ],
)
def test_change_is_withheld_without_a_prior_only(text: str) -> None:
    assert "change" in str(withhold(line(text), Situation(sides=True, prior=False)))
    assert withhold(line(text), KNOWN) is None


@pytest.mark.parametrize(
    "text",
    [
        "There is a small effusion.", "No renewal is needed.", "The heart is enlarged.", "It is larger than 10 mm.",
        "The larger nodule is in the upper zone.", "Smaller than 8 mm.",
    ],
)  # fmt: skip
def test_a_plain_statement_needs_no_prior(text: str) -> None:
    assert withhold(line(text), UNKNOWN) is None


def test_a_guideline_may_speak_of_change() -> None:
    cited = Line("guideline", "Repeat CT if the nodule has grown.", (2,), image=False)
    assert withhold(cited, UNKNOWN) is None


def test_a_citation_outside_the_guideline_section_exempts_from_nothing() -> None:
    assert withhold(line("The left effusion has increased.", 1, image=False), UNKNOWN)


def test_what_speaks_for_a_guideline_must_cite_one() -> None:
    assert "guideline" in str(withhold(Line("guideline", "Give alteplase now.", (), image=False), KNOWN))


@pytest.mark.parametrize(
    "text",
    [
        "A left effusion is seen.",
        "Right-sided pneumothorax.",
        "It is on the LEFT.",
        "RLL consolidation.",
        "Shift leftwards.",
    ],
)
def test_a_side_is_withheld_when_orientation_is_unknown(text: str) -> None:
    assert "side" in str(withhold(line(text), Situation(sides=False, prior=True)))
    assert withhold(line(text), KNOWN) is None


def test_halves_of_the_picture_are_no_sides_of_the_patient() -> None:
    assert withhold(line("The mass lies in the left half of the picture."), UNKNOWN) is None


def test_a_broken_off_sentence_is_withheld() -> None:
    assert withhold(Line("answer", "There is a", (), True, complete=False), KNOWN)


def sentence(index: int, text: str) -> Sentence:
    return Sentence(index=index, section="answer", text=text, support="image")


def test_one_finding_on_two_sides_is_shown() -> None:
    said = [sentence(0, "A left pneumothorax is seen."), sentence(1, "The pneumothorax is right-sided.")]
    (finding,) = sides_agree(said, ["pneumothorax"])
    assert finding.sentences == (0, 1)
    assert not sides_agree(said[:1], ["pneumothorax"])
    assert not sides_agree([said[0], sentence(1, "No right pneumothorax.")], ["pneumothorax"])
