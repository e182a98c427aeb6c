"""Contradictions: what is one, and what only looks like one."""

import pytest

from eval.metrics.contradiction import Truth, contradiction_rate, contradictions, contradicts
from eval.phantoms import make_phantom


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        ("There is a left effusion.", "No pleural effusion.", "Pleural Effusion: present and absent"),
        ("No effusion on the left.", "Bilateral effusions.", "Pleural Effusion: present and absent"),
        ("The lungs are clear.", "There is a right nodule.", "Lung Lesion: present and absent"),
        ("The heart is normal in size.", "Cardiomegaly.", "Cardiomegaly: present and absent"),
        ("Normal chest radiograph.", "Left lower lobe atelectasis.", "Atelectasis: present, and the study normal"),
        ("There is a small left effusion.", "The left effusion is large.", "Pleural Effusion: small and large"),
        ("Mild cardiomegaly.", "The heart is severely enlarged.", "Cardiomegaly: small and large"),
        ("There is a left effusion.", "The pleural effusion is on the right.", "Pleural Effusion: side"),
        ("Findings: Left pneumothorax.", "Impression: Right pneumothorax.", "Pneumothorax: side"),
        ("[findings] Left pneumothorax.", "[impression] Bilateral pneumothorax.", "Pneumothorax: side"),
        ("Findings: No pneumothorax.", "Impression: Pneumothorax.", "Pneumothorax: present and absent"),
    ],
)
def test_contradictions(one: str, other: str, why: str) -> None:
    assert contradictions([one, other]) == [(0, 1, why)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("There is a left effusion.", "No right effusion."),
        ("There is a left effusion.", "There is a right effusion."),
        ("There is a left effusion.", "The left lung shows consolidation."),
        ("There is right consolidation.", "The left lung shows consolidation."),
        ("Findings: Left effusion. Right effusion.", "Impression: Right effusion."),
        ("There is a small left effusion.", "There is a moderate left effusion."),
        ("There is a small left effusion.", "There is a large right effusion."),
        ("There is a small left effusion.", "No large effusion."),
        ("Left upper zone consolidation.", "No consolidation in the left lower zone."),
        ("There is a right nodule.", "The lungs are otherwise clear."),
        ("There is a right nodule.", "No mass."),
        ("There is consolidation.", "No new consolidation."),
        ("Possible left effusion.", "No effusion."),
        ("The previous study showed a left effusion.", "No effusion."),
        ("Indication: pneumonia.", "Findings: No pneumonia."),
        ("Normal chest radiograph.", "Pacemaker in place."),
        ("No acute abnormality.", "Left pleural effusion."),
        ("No rib fracture.", "Healed fracture of the left clavicle."),
        ("The endotracheal tube has been removed.", "A nasogastric tube is in place."),
    ],
)
def test_what_only_looks_like_one(one: str, other: str) -> None:
    assert contradictions([one, other]) == []


def test_pairs_carry_the_places_of_their_sentences_each_reason_once() -> None:
    said = ["The heart is not enlarged.", "Left effusion.", "Mild oedema.", "No effusion. There is no effusion."]
    assert contradictions(said) == [(1, 3, "Pleural Effusion: present and absent")]


def test_a_section_holds_until_the_next() -> None:
    said = ["Findings:", "Left effusion.", "Impression:", "Stable.", "Right effusion."]
    assert contradictions(said) == [(1, 4, "Pleural Effusion: side")]


def test_the_rate_counts_answers() -> None:
    answers = [["Left effusion.", "No effusion."], ["Left effusion."], [], ["No nodule.", "Nodule.", "No nodule."]]
    assert contradiction_rate(answers) == (0.5, 2, 4)
    assert contradiction_rate([]).of == 0


@pytest.mark.parametrize("family", ["train", "exam"])
def test_a_phantoms_report_does_not_contradict_itself_but_another_patients_negation_does(family: str) -> None:
    for seed in range(30):
        phantom = make_phantom(seed, family=family, size=64)
        sentences = phantom.report.text.replace("\n", " ").replace(". ", ".\n").splitlines()
        assert contradictions(sentences) == [], sentences
        if any(f.kind == "effusion" for f in phantom.findings):
            assert contradictions([*sentences, "No pleural effusion."])


TRUTH: Truth = {
    "Pleural Effusion": ("present", ("left",)),
    "Pneumothorax": ("absent", ()),
    "Edema": ("present", ()),
    "Pneumonia": ("uncertain", ()),
}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("There is a left effusion.", ()),
        ("There is an effusion.", ()),
        ("There is a right effusion.", ("Pleural Effusion: side",)),
        ("There are bilateral effusions.", ("Pleural Effusion: side",)),
        ("No effusion.", ("Pleural Effusion: state",)),
        ("No left effusion.", ("Pleural Effusion: state",)),
        ("No effusion on either side.", ("Pleural Effusion: state",)),
        ("No right effusion.", ()),
        ("No large effusion.", ()),
        ("Possible right effusion.", ()),
        ("A left pneumothorax is present.", ("Pneumothorax: state",)),
        ("Bilateral oedema.", ()),
        ("No pneumonia. Cardiomegaly.", ()),
        ("Pneumothorax. No oedema. No oedema.", ("Pneumothorax: state", "Edema: state")),
    ],
)
def test_against_the_truth(text: str, why: tuple[str, ...]) -> None:
    assert contradicts(text, TRUTH) == why
