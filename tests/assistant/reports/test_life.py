import pytest

from assistant.errors import BadInput, WrongState
from assistant.events import Identity
from assistant.reports.draft import Draft, DraftSection, Statement
from assistant.reports.life import Line, check_signable, check_step, compare, revised

HEART = Statement(id="s1", text="Normal heart.", support="image", confidence=0.8)
LUNG = Statement(id="s2", text="Clear lungs.", support="image", confidence=0.7)
DRAFT = Draft(
    template="chest", title="Chest",
    sections=(DraftSection(name="heart", title="Heart", findings=True, statements=(HEART,)),
              DraftSection(name="lungs", title="Lungs", findings=True, statements=(LUNG,))),
    identity=Identity(model="m", model_hash="h", engine="e"),
)  # fmt: skip


def test_changed_words_lose_the_models_evidence_and_regain_it_with_its_words() -> None:
    new = revised(DRAFT, DRAFT, [("heart", [Line("Large heart.", "s1")]), ("lungs", [Line("Clear lungs.", "s2")])])
    assert new.by_id["s1"] == Statement(id="s1", text="Large heart.", support="person")
    assert new.by_id["s2"] == LUNG
    back = revised(DRAFT, new, [("heart", [Line(" Normal  heart. ", "s1")]), ("lungs", [Line("Clear lungs.", "s2")])])
    assert back == DRAFT


def test_a_moved_sentence_counts_as_changed() -> None:
    new = revised(DRAFT, DRAFT, [("lungs", [Line("Clear lungs.", "s2"), Line("Normal heart.", "s1")])])
    assert [(c.statement, c.kind, c.section) for c in compare(DRAFT, new)] == [
        ("s2", "kept", "lungs"), ("s1", "changed", "lungs")
    ]  # fmt: skip


@pytest.mark.parametrize("wanted", [
    [("spleen", [Line("Large.")])], [("heart", []), ("heart", [])], [("heart", [Line("x", "s9")])],
    [("heart", [Line("x", "s1"), Line("y", "s1")])], [("heart", [Line("  ", "s1")])],
])  # fmt: skip
def test_what_does_not_fit_is_refused(wanted: list[tuple[str, list[Line]]]) -> None:
    with pytest.raises(BadInput):
        revised(DRAFT, DRAFT, wanted)


def test_an_empty_report_is_not_signed_and_a_signed_one_only_amended() -> None:
    with pytest.raises(BadInput):
        check_signable(revised(DRAFT, DRAFT, []))
    for now in ("signed", "amended"):
        check_step(now, "amended")
        for wanted in ("edited", "signed"):
            with pytest.raises(WrongState):
                check_step(now, wanted)
    with pytest.raises(WrongState):
        check_step("edited", "amended")
