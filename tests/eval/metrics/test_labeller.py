"""The rule labeller against sentences labelled by hand, the phantoms' own reports, and scikit-learn."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from assistant.reports.entity_words import FINDINGS
from eval.metrics.labeller import f1_of_counts, finding_counts, finding_f1, findings_of, label
from eval.phantoms import make_phantom
from retrieval.errors import BadInput

SENTENCES = [json.loads(line) for line in Path(__file__).with_name("sentences.jsonl").read_text().splitlines()]
LEVELS: dict[str, Callable[..., tuple[object, ...]]] = {
    "mention": lambda finding, state, side: (finding,),
    "state": lambda finding, state, side: (finding, state),
    "side": lambda finding, state, side: (finding, side),
    "all": lambda finding, state, side: (finding, state, side),
}
OF_PHANTOM = {
    "effusion": "Pleural Effusion",
    "consolidation": "Consolidation",
    "nodule": "Lung Lesion",
    "pneumothorax": "Pneumothorax",
    "cardiomegaly": "Cardiomegaly",
    "oedema": "Edema",
    "atelectasis": "Atelectasis",
}


def said(text: str) -> set[tuple[str, str, str | None]]:
    return {(m.finding, m.state, m.side) for m in label(text)}


PARTS = {
    # Written before the rules, and those of the later ones on which the words were widened.
    "tuning": [s for s in SENTENCES if not s["held"]],
    # Written before the rules and drawn by lot; the rules were never changed for what they do here.
    "held": [s for s in SENTENCES if s["held"] and not s["later"]],
    # Written when the rules were done, and looked at once: the fairest figure. Wider words would be fitted to it.
    "later": [s for s in SENTENCES if s["held"] and s["later"]],
}


def f1(part: str, level: str) -> float:
    """Micro F1 over the distinct mentions of each sentence of a part."""
    key, tp, wrong = LEVELS[level], 0, 0
    for sentence in PARTS[part]:
        gold = {key(m["finding"], m["state"], m["side"]) for m in sentence["mentions"]}
        own = {key(*mention) for mention in said(sentence["text"])}
        tp += len(gold & own)
        wrong += len(gold ^ own)
    return 2 * tp / (2 * tp + wrong)


def test_the_sentences_cover_every_finding_state_and_side_in_every_part() -> None:
    assert len(SENTENCES) >= 130
    for part in PARTS.values():
        mentions = [m for s in part for m in s["mentions"]]
        assert {m["state"] for m in mentions} == {"present", "absent", "uncertain"}
        assert {m["side"] for m in mentions} == {"left", "right", "both", None}
    assert {m["finding"] for s in SENTENCES for m in s["mentions"]} == set(FINDINGS)


# Reached: tuning 1.00, 1.00, .99, .99; held 1.00, 1.00, .97, .97; later .95, .88, .91, .84.
@pytest.mark.parametrize(
    ("part", "level", "floor"),
    [
        ("tuning", "mention", 0.98), ("tuning", "state", 0.98), ("tuning", "side", 0.97), ("tuning", "all", 0.97),
        ("held", "mention", 0.98), ("held", "state", 0.98), ("held", "side", 0.95), ("held", "all", 0.95),
        ("later", "mention", 0.93), ("later", "state", 0.86), ("later", "side", 0.89), ("later", "all", 0.82),
    ],
)  # fmt: skip
def test_f1_on_sentences(part: str, level: str, floor: float) -> None:
    assert f1(part, level) >= floor


@pytest.mark.parametrize(
    "text",
    [
        "The cited passage covers pneumothorax: next step.",
        "[lungs] The guideline recommends a drain for a large pneumothorax.",
        "The British Thoracic Society's guideline says that a pneumothorax may be observed.",
        "A similar case shows a large effusion.",
    ],
)
def test_what_a_source_says_is_not_of_the_patient(text: str) -> None:
    assert findings_of(text) == {}
    (mention,) = label(f"{text} There is a small left pneumothorax.")
    assert (mention.finding, mention.side, mention.start) == (
        "Pneumothorax",
        "left",
        len(f"{text} There is a small left "),
    )


def test_a_case_of_this_patient_is_of_the_patient() -> None:
    assert findings_of("The case shows a pneumothorax.")["Pneumothorax"] == "present"
    assert findings_of("By the guideline's measure there is a pneumothorax.")["Pneumothorax"] == "present"
    assert findings_of("A pneumothorax for which guidance recommends a drain.")["Pneumothorax"] == "present"


def test_a_tube_that_is_denied_is_absent() -> None:
    assert findings_of("No tube or line is seen.")["Support Devices"] == "absent"
    assert findings_of("The chest tube is in place.")["Support Devices"] == "present"


@pytest.mark.parametrize("family", ["train", "exam"])
def test_the_phantoms_reports_are_labelled_without_an_error(family: str) -> None:
    for seed in range(40):
        phantom = make_phantom(seed, family=family, size=64)
        states = findings_of(phantom.report.text)
        present = {f for f, state in states.items() if state == "present"} - {"Support Devices", "No Finding"}
        assert present == {OF_PHANTOM[f.kind] for f in phantom.findings}, phantom.report.text
        assert all(states.get(f, "absent") == "absent" for f in set(OF_PHANTOM.values()) - present)
        assert (states["No Finding"] == "present") == (not phantom.findings)
        sides = {(m.finding, m.side) for m in label(phantom.report.text) if m.state == "present" and m.side}
        assert sides == {(OF_PHANTOM[f.kind], f.side) for f in phantom.findings if f.side}


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("No change in the effusion.", "present"),
        ("No effusion.", "absent"),
        ("An effusion cannot be excluded.", "uncertain"),
        ("The effusion is no longer seen.", "absent"),
        ("Not only an effusion.", "present"),
        ("The effusion has not resolved.", "present"),
        ("NO EFFUSION.", "absent"),
    ],
)
def test_what_a_denial_is_and_what_only_looks_like_one(text: str, state: str) -> None:
    assert said(text) == {("Pleural Effusion", state, None)}


def test_a_denial_ends_with_its_clause() -> None:
    assert said("No pneumothorax. Left effusion.") == {
        ("Pneumothorax", "absent", None),
        ("Pleural Effusion", "present", "left"),
    }


def test_both_spellings_mean_the_same() -> None:
    assert said("Pulmonary oedema and a left haemothorax.") == said("Pulmonary edema and a left hemothorax.")


def test_spans_point_at_the_words_also_behind_letters_whose_lower_case_is_longer() -> None:
    text = "İ. Small LEFT Pleural effusion."
    (mention,) = label(text)
    assert text[mention.start : mention.end] == "Pleural effusion"
    assert mention.side == "left"


@given(st.text(alphabet=st.sampled_from(list("no effusion left.,?:;\nİ")) | st.characters(), max_size=80))
def test_any_text_is_labelled_within_its_bounds(text: str) -> None:
    for mention in label(text):
        assert 0 <= mention.start < mention.end <= len(text)


def test_a_report_is_merged_present_before_uncertain_before_absent() -> None:
    states = findings_of(
        "No right effusion. Possible left effusion. No nodule. Possible pneumonia. There is pneumonia."
    )
    assert states["Pleural Effusion"] == "uncertain"
    assert states["Lung Lesion"] == "absent"
    assert states["Pneumonia"] == "present"
    assert states["No Finding"] == "absent"


def test_no_finding_is_derived_and_devices_leave_it() -> None:
    assert findings_of("No effusion. Pacemaker in place.")["No Finding"] == "present"
    assert findings_of("Normal chest. Small left effusion.")["No Finding"] == "absent"
    assert findings_of("The weather is fine.") == {}


def test_f1_by_hand() -> None:
    # Effusion: right once, missed once (2/3). Pneumothorax: made up (0). No Finding: made up once, missed once (0).
    references = ["Left effusion.", "Right effusion.", "No effusion."]
    drafts = ["Effusion.", "No effusion.", "Pneumothorax."]
    counts = finding_counts(references, drafts)
    assert counts.shape == (3, 14, 3)
    assert counts[:, FINDINGS.index("Pleural Effusion")].tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0]]
    assert counts[:, FINDINGS.index("Pneumothorax")].tolist() == [[0, 0, 0], [0, 0, 0], [0, 1, 0]]
    assert counts[:, FINDINGS.index("No Finding")].tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 1]]
    scores = finding_f1(references, drafts)
    assert scores.findings["Pleural Effusion"] == pytest.approx(2 / 3)
    assert scores.micro == pytest.approx(2 / 6)
    assert scores.macro == pytest.approx((2 / 3 + 0 + 0) / 3)
    assert np.isnan(scores.findings["Edema"])


def test_strict_leaves_doubts_out() -> None:
    assert finding_f1(["Possible effusion."], ["Effusion."]).micro == 1.0
    strict = finding_counts(["Possible effusion."], ["Effusion."], strict=True)
    assert strict[0, FINDINGS.index("Pleural Effusion")].tolist() == [0, 1, 0]


def test_f1_agrees_with_scikit_learn() -> None:
    texts = [s["text"] for s in SENTENCES]
    references, drafts = texts[:-1], texts[1:]
    truth, own = (
        np.array([[findings_of(t).get(f) in ("present", "uncertain") for f in FINDINGS] for t in column])
        for column in (references, drafts)
    )
    seen = [n for n in range(len(FINDINGS)) if truth[:, n].any() or own[:, n].any()]
    scores = finding_f1(references, drafts)
    assert scores.micro == pytest.approx(f1_score(truth, own, average="micro"))
    assert scores.macro == pytest.approx(f1_score(truth[:, seen], own[:, seen], average="macro"))


def test_nothing_to_score_is_nan_and_uneven_columns_are_refused() -> None:
    assert np.isnan(f1_of_counts(finding_counts([], [])).micro)
    with pytest.raises(BadInput, match="differ in length"):
        finding_f1(["No effusion."], [])
