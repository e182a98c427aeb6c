"""The page in a real browser, over the real API with a fake assistant: what only a browser can show."""

from typing import Any

import pytest

from tests.ui.serving import FINDING, FakeAssistant, png
from ui import strings

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
QUESTION = "Is there a pleural effusion?"
FIRST, SECOND = "The left costophrenic angle is blunted", "The heart is of normal size."


def upload_and_ask(page: Any) -> None:
    page.locator("input[type=file]").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": png()})
    page.locator(f"button:not([disabled]):has-text('{strings.OPEN_STUDY}')").click()
    page.get_by_alt_text("Picture 1 of the study").wait_for()
    ask(page, strings.QUESTION_FIRST, QUESTION)


def sentence(page: Any, text: str) -> Any:
    return page.locator(".cs-sentence").filter(has_text=text)


def ask(page: Any, hint: str, text: str) -> None:
    box = page.get_by_placeholder(hint)
    box.fill(text)
    box.press("Enter")


def test_upload_ask_reload_in_the_middle_open_a_citation_and_follow_up(page: Any, assistant: FakeAssistant) -> None:
    assistant.gate.clear()
    upload_and_ask(page)
    sentence(page, FIRST).wait_for()
    page.get_by_role("button", name=strings.STOP, exact=True).wait_for()
    assert sentence(page, SECOND).count() == 0
    assert page.url.partition("?")[2].startswith("run=")

    page.reload()
    sentence(page, FIRST).wait_for()
    page.get_by_text(QUESTION).wait_for()
    assert sentence(page, SECOND).count() == 0
    assistant.gate.set()
    sentence(page, SECOND).wait_for()
    page.get_by_text(strings.OWN_READING).wait_for()
    page.get_by_placeholder(strings.QUESTION_NEXT).wait_for()
    assert len(assistant.requests) == 1

    marker = page.locator("a.cs-cite").first
    marker.click()
    card = page.locator(marker.get_attribute("href"))
    assert card.evaluate("card => card.matches(':target')")
    assert card.locator("mark").inner_text() == FINDING
    page.get_by_role("button", name=strings.OPEN_DOCUMENT).first.click()
    used = page.get_by_role("dialog").locator("#used")
    used.wait_for()
    assert used.inner_text() == FINDING
    assert used.evaluate("mark => mark.getBoundingClientRect().top < innerHeight")
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")

    ask(page, strings.QUESTION_NEXT, "And the heart?")
    sentence(page, "Turn 2: ").wait_for()
    page.get_by_placeholder(strings.QUESTION_NEXT).wait_for()
    page.reload()
    sentence(page, "Turn 2: ").wait_for()
    assert page.locator(".cs-question").all_inner_texts() == [QUESTION, "And the heart?"]
    assert sentence(page, SECOND).count() == 2
    assert sentence(page, '<script>document.title="owned"</script>').count() == 2
    assert page.title() == strings.NAME


def test_stop(page: Any, assistant: FakeAssistant) -> None:
    assistant.gate.clear()
    upload_and_ask(page)
    sentence(page, FIRST).wait_for()
    page.get_by_role("button", name=strings.STOP, exact=True).click()
    page.get_by_text(strings.STOPPED).wait_for()
    sentence(page, FIRST).wait_for()
    assert page.get_by_placeholder(strings.QUESTION_NEXT).is_enabled()
