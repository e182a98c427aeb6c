"""A patient's earlier studies in the library: offered, compared with when asked, and never another patient's."""

from pathlib import Path

import pytest

from assistant.assistant import Assistant
from assistant.errors import NotFound, PatientMismatch
from assistant.events import Retrieved
from assistant.priors import prior_study
from retrieval.index import rebuild
from retrieval.library import stable_id
from retrieval.types import Case
from tests.assistant.parts import ask, make_assistant, study
from tests.assistant.test_assistant import prompt_text, run

SAID = "[answer] The effusion has grown. [image][1]\n"


def filled(home: Path) -> tuple[Assistant, dict[str, str]]:
    """Ids of cases by patient and time. One other patient's effusion has grown."""
    assistant = make_assistant(home, [SAID])
    ids: dict[str, str] = {}
    told = {"anna 1": "Small effusion.", "bert 1": "No effusion.", "bert 2": "A new effusion has come."}
    for seed, (who, report) in enumerate(told.items(), 5):
        patient, taken = who.split()
        picture = study(seed=seed).pictures[0]
        case = Case(stable_id(who), picture.sha256, report, None, patient, taken=taken)
        assistant.library.put_case(case, picture.pixels)
        ids[who] = case.id
    rebuild(assistant.library, assistant.retriever.store, assistant.retriever.encoders)
    return assistant, ids


def retrieved(assistant: Assistant, **changes: object) -> Retrieved:
    return next(event for event in run(assistant, ask(**changes)) if isinstance(event, Retrieved))


def test_ones_own_studies_are_offered(tmp_path: Path) -> None:
    assistant, ids = filled(tmp_path)
    (offer,) = retrieved(assistant, study=study(patient="anna")).priors
    assert (offer.id, offer.taken, offer.report) == (ids["anna 1"], "1", "Small effusion.")
    assert retrieved(assistant, study=study(patient="erna")).priors == ()
    with_prior = retrieved(assistant, study=study(patient="anna"), prior=study(seed=9, patient="anna"))
    assert with_prior.priors == ()  # there is one already


def test_an_offered_study_becomes_the_prior(tmp_path: Path) -> None:
    assistant, ids = filled(tmp_path)
    prior = prior_study(assistant.library, ids["anna 1"], "anna")
    assert prior.pictures[0].sha256 == study(seed=5).pictures[0].sha256
    assert prior.pictures[0].orientation is None
    for case, patient in ((ids["bert 1"], "anna"), (ids["anna 1"], None)):
        with pytest.raises(PatientMismatch):
            prior_study(assistant.library, case, patient)
    with pytest.raises(NotFound):
        prior_study(assistant.library, "nothing", "anna")


def test_two_studies_are_answered_with_a_pair(tmp_path: Path) -> None:
    assistant, ids = filled(tmp_path)
    now, before = study(seed=17, patient="anna"), study(seed=16, patient="anna")
    pair = next(item for item in retrieved(assistant, study=now, prior=before).evidence if item.kind == "case")
    assert (pair.id, pair.text, pair.earlier) == (ids["bert 2"], "A new effusion has come.", "No effusion.")
    assert pair.title == "Similar pair of studies (another patient)"
    assert "Case: before: No effusion. Then: A new effusion has come." in prompt_text(assistant)
