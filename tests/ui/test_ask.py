import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from streamlit.testing.v1 import AppTest

from assistant.events import Offer
from assistant.requests import AskRequest
from tests.ui.conftest import html, told
from tests.ui.serving import FINDING, FakeAssistant, png, serving
from ui import strings
from ui.api_client import Api, ApiDown

Page = Callable[..., AppTest]
QUESTION = "Is there a pleural effusion?"


def ask(tab: AppTest, text: str = QUESTION) -> AppTest:
    return tab.chat_input(key="question").set_value(text).run()


def opened(page: Page, name: str = "a.png", content: bytes | None = None) -> AppTest:
    tab = page()
    tab.file_uploader(key="files").upload(name, content or png(), "image/png").run()
    return tab.button(key="open_study").click().run()


def test_from_a_picture_to_a_cited_answer_and_a_follow_up(page: Page, server: str, assistant: FakeAssistant) -> None:
    tab = opened(page)
    assert strings.SIDES_UNKNOWN in html(tab)
    assert strings.DEMONSTRATION in html(tab)
    ask(tab)
    shown = html(tab)
    assert "The left costophrenic angle is blunted" in shown
    assert f"<mark>{FINDING}</mark>" in shown
    assert shown.count(strings.OWN_READING) == 1
    assert "Picture 1 looks blurred" in shown
    assert "Relevance 93 %" in shown
    first = tab.query_params["run"]
    assert f'href="#evidence-{first}-1"' in shown
    assert f'id="evidence-{first}-1"' in shown

    ask(tab, "And the heart?")
    shown = html(tab)
    assert "Turn 2: The left costophrenic angle" in shown
    assert QUESTION in shown
    request = assistant.requests[-1]
    assert isinstance(request, AskRequest)
    assert [turn.question for turn in request.earlier] == [QUESTION]
    assert tab.query_params["run"] != first


def test_an_earlier_study_is_offered_and_asked_about(page: Page, server: str, assistant: FakeAssistant) -> None:
    assistant.priors = (Offer(id="c1", taken="2026-03-01", report="Small effusion.", image_sha256="ab" * 32),)
    tab = ask(opened(page))
    assert strings.PRIOR_OF.format(taken="2026-03-01") in html(tab)
    tab.button(key="compare-c1").click().run()
    # The picture's patient is not known here, so the server refuses; the question is kept.
    assert "same patient" in html(tab)
    assert strings.QUESTION_KEPT.format(question=QUESTION) in html(tab)


def test_the_address_is_enough_to_see_it_all_again(page: Page, server: str) -> None:
    tab = ask(ask(opened(page)), "And the heart?")
    (run,) = tab.query_params.values()
    again = page(run=run)
    assert html(again) == html(tab)


def test_several_files_are_one_study_and_the_tick_makes_sides_known(page: Page, server: str) -> None:
    tab = page()
    assert tab.button(key="open_study").disabled
    tab.file_uploader(key="files").upload("a.png", png(1), "image/png").upload("b.png", png(2), "image/png").run()
    tab.checkbox(key="standard_display").check().run()
    tab.button(key="open_study").click().run()
    assert html(tab).count(strings.SIDES_KNOWN) == 2
    alts = [image.proto.imgs[0].alt for image in tab.image]
    about = f"{strings.UNKNOWN_KIND} · {strings.SIDES_KNOWN}"
    assert alts == [strings.PICTURE_ALT.format(number=number, about=about) for number in (1, 2)]
    assert not tab.query_params


def test_a_study_of_before_and_its_questions(page: Page, server: str, study: str) -> None:
    tab = page().button(key=f"study-{study}").click().run()
    ask(tab)
    tab.button(key="new_question").click().run()
    assert "costophrenic angle is blunted" not in html(tab)
    assert not tab.query_params
    (earlier,) = (button for button in tab.button if (button.key or "").startswith("run-"))
    earlier.click().run()
    assert "costophrenic angle is blunted" in html(tab)
    tab.button(key="new_study").click().run()
    assert tab.file_uploader(key="files") is not None


def test_what_others_wrote_is_text_and_nothing_more(page: Page, server: str) -> None:
    tab = ask(opened(page), 'Is <img src=x onerror="alert(1)"> there?')
    shown = html(tab)
    assert "<script" not in shown
    assert "<img" not in shown
    assert "&lt;script&gt;" in shown
    assert "onerror=&quot;" in shown
    markdown = " ".join(str(e.value) for e in [*tab.markdown, *tab.caption, *tab.title, *tab.subheader])
    assert "alert" not in markdown


def test_the_whole_document_opens_with_the_used_part_marked(page: Page, server: str) -> None:
    tab = ask(opened(page))
    button = next(b for b in tab.button if (b.key or "").startswith("open-") and b.label == strings.OPEN_DOCUMENT)
    button.click().run()
    shown = html(tab)
    assert f'<mark id="used">{FINDING}</mark>' in shown
    assert "Sample a unilateral pleural effusion" in shown
    assert "scrollIntoView" in shown


def test_an_abstention_says_why(page: Page, server: str, assistant: FakeAssistant) -> None:
    assistant.abstain = True
    shown = html(ask(opened(page)))
    assert "No answer. The picture is unlike anything this installation knows." in shown
    assert shown.count("Nothing relevant was found in the knowledge base.") == 1
    assert "cs-card" not in shown


def test_copying_takes_the_references_along(page: Page, server: str) -> None:
    (code,) = ask(opened(page)).code
    assert "suggests a pleural effusion. [1] [3]" in code.value
    assert "The heart is of normal size. [image]" in code.value
    assert "[1] Pleural effusion, Radiological findings, British Thoracic Society" in code.value
    assert "[2]" not in code.value
    assert strings.DEMONSTRATION in code.value


def test_a_file_that_is_no_picture(page: Page, server: str) -> None:
    tab = opened(page, "a.dcm", b"hello")
    assert 'role="alert"' in html(tab)
    assert tab.file_uploader(key="files") is not None


def test_an_address_of_somebody_elses(page: Page, server: str) -> None:
    tab = page(run="0" * 32)
    assert strings.NO_SUCH_RUN in html(tab)
    tab.button(key="new_study").click().run()
    assert not tab.query_params
    assert tab.file_uploader(key="files") is not None


def test_an_api_that_is_away_keeps_the_question(
    page: Page, assistant: FakeAssistant, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(tmp_path / "home", assistant) as url:
        monkeypatch.setenv("CONSULT_API_URL", url)
        tab = ask(opened(page))
    ask(tab, "And the heart?")
    assert "can't be reached" in told(tab)
    assert strings.QUESTION_KEPT.format(question="And the heart?") in html(tab)
    assert "costophrenic angle is blunted" in html(tab)  # what was said before stays on the page
    with serving(tmp_path / "home", assistant, port=int(url.rsplit(":", 1)[1])):
        tab.button(key="send_again").click().run()
        assert "Turn 2: " in html(tab)
        assert "can't be reached" not in told(tab)
        assert len(httpx.get(f"{url}/v1/runs").json()["items"]) == 2


def test_nobody_there_from_the_beginning(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSULT_API_URL", "http://127.0.0.1:9")
    tab = page()
    assert "can't be reached at http://127.0.0.1:9" in told(tab)
    assert told(tab).count("can't be reached") == 1
    assert tab.button(key="try_again") is not None


def test_a_token_is_asked_for(
    page: Page, assistant: FakeAssistant, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(tmp_path / "home", assistant, token="token-of-ann") as url:
        monkeypatch.setenv("CONSULT_API_URL", url)
        tab = page()
        assert strings.TOKEN_NEEDED in html(tab)
        for typed, shown in (("wrong", strings.TOKEN_REFUSED), ("token-of-ann", strings.DEMONSTRATION)):
            tab.text_input(key="token_typed").set_value(typed)
            tab.button[0].click().run()
            assert shown in html(tab)
        assert "token-of-ann" not in html(tab)
        monkeypatch.setenv("CONSULT_API_TOKEN", "token-of-ann")
        assert strings.TOKEN_NEEDED not in html(page())


def test_stopping(page: Page, server: str, study: str, assistant: FakeAssistant) -> None:
    """The tab that stops is another one than the one that listens: here a script can't be interrupted."""
    body = {"task": "ask", "study": study, "question": QUESTION}
    assistant.gate.clear()
    run = httpx.post(f"{server}/v1/runs", json=body).json()["id"]
    httpx.post(f"{server}/v1/runs/{run}/cancel").raise_for_status()
    shown = html(page(run=run))
    assert strings.STOPPED in shown


def test_every_answer_of_a_demonstration_model_says_so_once(page: Page, server: str) -> None:
    shown = html(ask(opened(page)))
    assert shown.count('class="cs-badge"') == 2  # the page's head and the answer


def test_an_api_that_goes_away_in_mid_answer(
    page: Page, server: str, study: str, assistant: FakeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Api, run: str, after: int) -> Any:
        async def events() -> Any:
            raise ApiDown("The server went away.")
            yield

        return events()

    assistant.gate.clear()
    body = {"task": "ask", "study": study, "question": QUESTION}
    run = httpx.post(f"{server}/v1/runs", json=body).json()["id"]
    while Api(server).run(run)["events"] < 3:
        time.sleep(0.02)
    with monkeypatch.context() as patch:
        patch.setattr(Api, "events", broken)
        tab = page(run=run)
        assert "The server went away." in html(tab)
        assert "costophrenic angle is blunted" in html(tab)
    assistant.gate.set()
    tab.button(key="try_again").click().run()
    assert "The heart is of normal size." in html(tab)
    assert "The server went away." not in html(tab)
