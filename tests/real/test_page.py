"""The page in a real browser, over the real API with a fake assistant: what only a browser can show."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.ui.serving import FINDING, FakeAssistant, png, serving
from ui import strings

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE_MS = 60_000
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
APP = Path(strings.__file__).with_name("app.py")
QUESTION = "Is there a pleural effusion?"
FIRST, SECOND = "The left costophrenic angle is blunted", "The heart is of normal size."


@pytest.fixture
def assistant() -> FakeAssistant:
    return FakeAssistant()


@pytest.fixture
def address(assistant: FakeAssistant, tmp_path: Path) -> Iterator[str]:
    """The page's; its process is gone at the end."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(APP), f"--server.port={port}",
               "--server.address=127.0.0.1", "--server.headless=true"]  # fmt: skip
    with serving(tmp_path / "home", assistant) as api:
        environment = {**os.environ, "CONSULT_API_URL": api}
        process = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL)
        try:
            _wait_for(f"http://127.0.0.1:{port}/_stcore/health", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(url: str, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + PATIENCE_MS / 1000
    with httpx.Client(trust_env=False) as client:
        while time.monotonic() < end:
            assert process.poll() is None, "the page's process ended"
            try:
                client.get(url).raise_for_status()
            except httpx.HTTPError:
                time.sleep(0.1)
            else:
                return
    pytest.fail("the page did not start in time")


@pytest.fixture
def page(address: str) -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install 'consult[browser]'")
    if not CHROMIUM:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        tab = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
        tab.set_default_timeout(PATIENCE_MS)
        elsewhere: list[str] = []
        errors: list[str] = []
        tab.on("request", lambda request: elsewhere.append(request.url) if _leaves(request.url) else None)
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.on("dialog", lambda dialog: errors.append(f"alert: {dialog.message}"))
        tab.goto(address)
        yield tab
        browser.close()
    assert elsewhere == []
    assert errors == []


def _leaves(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:"))


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
