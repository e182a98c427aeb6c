"""A report on the way of one request: prior, indication, cases, repair, and the typed draft at its end."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from assistant.api.results import joined
from assistant.engines.base import Prompt
from assistant.engines.fake import FakeEngine
from assistant.events import Done, Drafted, Event, EvidenceItem, Finding, Sentence
from assistant.reports.draft import Draft
from assistant.reports.drafting import draft_of
from assistant.requests import ReportRequest
from assistant.tasks.report import NO_PRIOR, draft
from eval.phantoms.organs import organs
from eval.phantoms.pairs import make_pair
from eval.phantoms.phantom import make_phantom
from tests.assistant.parts import make_assistant, study
from tests.assistant.test_assistant import prompt_text, run

NORMAL = organs(())


def told(sections: dict[str, str], **more: str) -> str:
    """Sections as the model writes them."""
    lines = [(name, text) for name, texts in (sections | more).items() for text in texts.split(". ")]
    return "\n".join(f"[{name}] {text.removesuffix('.')}. [image]" for name, text in lines)


def reported(
    home: Path, answers: Sequence[str] | Callable[[Prompt], str], **request: Any
) -> tuple[list[Event], Draft, FakeEngine]:
    assistant = make_assistant(home, answers)
    events = run(assistant, ReportRequest(**{"study": study(), "max_tokens": 512} | request))
    whole = draft_of(events)
    assert whole is not None
    assert isinstance(assistant.engine, FakeEngine)
    return events, whole, assistant.engine


def said(whole: Draft, section: str) -> list[str]:
    return [s.text for part in whole.sections if part.name == section for s in part.statements]


def test_what_is_true_of_phantoms_is_a_whole_report(tmp_path: Path) -> None:
    for seed in range(40):
        phantom = make_phantom(seed, size=64)
        truth = organs(phantom.shown, phantom.devices, phantom.view, phantom.fault)
        (tmp_path / str(seed)).mkdir()
        events, whole, engine = reported(tmp_path / str(seed), [told(truth)])
        assert whole.missing == (), truth
        assert len(engine.prompts) == 1  # nothing to repair
        for section, text in truth.items():
            assert " ".join(said(whole, section)) == text
        assert isinstance(events[-2], Drafted)
        assert joined(events).draft == whole


def test_the_truth_of_pairs_states_the_change_of_every_finding(tmp_path: Path) -> None:
    for seed in range(25):
        pair = make_pair(seed, size=64)
        truth = organs(pair.current.shown, pair.current.devices, pair.current.view, None, pair.report.comparison)
        (tmp_path / str(seed)).mkdir()
        _, whole, _ = reported(tmp_path / str(seed), [told(truth)], prior=study(seed=1))
        assert whole.missing == (), truth
        assert said(whole, "comparison")
        assert NO_PRIOR not in said(whole, "comparison")


def test_a_missing_prior_is_said_by_us_and_never_imagined(tmp_path: Path) -> None:
    imagined = told(NORMAL, comparison="Comparison with the film of May. The heart is normal")
    events, whole, _ = reported(tmp_path, [imagined])
    (statement,) = next(part.statements for part in whole.sections if part.name == "comparison")
    assert (statement.text, statement.support) == (NO_PRIOR, "request")
    done = events[-1]
    assert isinstance(done, Done)
    assert sum("no prior study" in dropped.why for dropped in done.dropped) == 2


def test_our_own_sentence_alone_is_no_draft(tmp_path: Path) -> None:
    events = run(make_assistant(tmp_path, [""]), ReportRequest(study=study()))
    assert isinstance(events[-1], Done)
    assert events[-1].status == "abstained"
    assert draft_of(events) is None


def test_a_finding_whose_change_is_not_stated_is_missing(tmp_path: Path) -> None:
    text = told(NORMAL, comparison="The heart is unchanged", pleura="There is a small left pleural effusion. "
                "There is no pneumothorax")  # fmt: skip
    _, whole, _ = reported(tmp_path, [text], prior=study(seed=1))
    assert whole.missing == ("the change of pleural effusion since the prior study",)


def test_what_the_indication_asks_must_be_answered(tmp_path: Path) -> None:
    request: dict[str, Any] = {"indication": "Fall, rib fracture? [1] Pneumothorax?"}
    _, whole, engine = reported(tmp_path, [told(NORMAL)], **request)
    assert whole.missing == ("fracture, which the indication asks about",)
    parts = [part for part in engine.prompts[0].messages[-1].parts if isinstance(part, str)]
    assert parts[-1].endswith("Draft the report. Answer: pneumothorax, fracture.")
    assert whole.indication == request["indication"]


def test_a_case_is_told_by_its_findings_not_in_its_words() -> None:
    report = "Findings: Hazy veil at the left base. No pneumothorax. Impression: Left effusion."
    case = EvidenceItem(
        number=1, kind="case", id="c", title="Similar case", text=report, scores={}, relevance=1, labels=("effusion",)
    )
    unnamed = case.model_copy(update={"number": 2, "labels": ()})
    parts = {name: text for name, text, _ in draft(ReportRequest(study=study()), [case, unnamed]).parts()}
    assert parts["evidence 1"] == "[1] Case: effusion"
    assert parts["evidence 2"] == "[2] Case: Left effusion."


def test_a_line_without_a_section_of_the_template_is_kept_among_the_findings(tmp_path: Path) -> None:
    assistant = make_assistant(tmp_path, ["[answer] There is a consolidation. [image]"])
    whole = draft_of(run(assistant, ReportRequest(study=study())))
    assert whole is not None
    assert said(whole, "lungs") == ["There is a consolidation."]
    assert "Sections: technique, comparison, lines, lungs, pleura, heart, bones, impression." in prompt_text(assistant)


# Repair: one more call, which may add and replace, and takes nothing back that was released.
def test_what_is_missing_is_asked_once_more(tmp_path: Path) -> None:
    first = told({name: text for name, text in NORMAL.items() if name != "heart"})
    events, whole, engine = reported(tmp_path, [first, "[heart] The heart is not enlarged. [image]"])
    assert len(engine.prompts) == 2
    assert whole.missing == ()
    assert [s.repair for s in whole.statements if s.text == "The heart is not enlarged."] == [True]
    asked = engine.prompts[1].messages
    assert [message.role for message in asked] == ["system", "user", "assistant", "user"]
    assert "Heart and mediastinum" in str(asked[-1].parts[0])
    assert next(event.check for event in events if isinstance(event, Finding)) == "preliminary"
    assert whole.checks == ()
    assert sum(isinstance(event, Finding) and event.check == "missing" for event in events) == 1  # as it was shown


def test_a_repair_replaces_only_what_a_check_named(tmp_path: Path) -> None:
    wrong = told(NORMAL, pleura="There is a left pleural effusion. There is no pneumothorax",
                 impression="Right pleural effusion")  # fmt: skip
    events, whole, _ = reported(tmp_path, [wrong, "[impression] Left pleural effusion. [image]"])
    assert said(whole, "impression") == ["Left pleural effusion."]
    assert said(whole, "pleura") == ["There is a left pleural effusion.", "There is no pneumothorax."]
    assert [gone.statement.text for gone in whole.superseded] == ["Right pleural effusion."]
    released = [event.text for event in events if isinstance(event, Sentence)]
    assert "Right pleural effusion." in released  # never taken back
    assert isinstance(events[-1], Done)
    assert "Right" not in events[-1].answer


def test_a_repair_that_mends_nothing_is_not_released(tmp_path: Path) -> None:
    first = told({name: text for name, text in NORMAL.items() if name != "heart"})
    events, whole, engine = reported(tmp_path, [first, "[bones] The ribs are intact. [image]"])
    assert len(engine.prompts) == 2
    assert said(whole, "bones") == []
    assert whole.missing == ("the section Heart and mediastinum",)
    assert [result.check for result in whole.checks] == ["missing"]
    assert isinstance(events[-1], Done)
    assert any("mend" in dropped.why for dropped in events[-1].dropped)


def test_a_repair_passes_the_same_release(tmp_path: Path) -> None:
    first = told({name: text for name, text in NORMAL.items() if name != "heart"})
    _, whole, _ = reported(tmp_path, [first, "[heart] The heart has increased since the prior study. [image]"])
    assert said(whole, "heart") == []
