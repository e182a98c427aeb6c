"""The page in a real browser: its process, and a tab that notices what it should not do."""

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

from tests.ui.serving import FakeAssistant, serving
from ui import strings

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE_MS = 120_000
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
APP = Path(strings.__file__).with_name("app.py")


@pytest.fixture
def assistant() -> FakeAssistant:
    return FakeAssistant()


@pytest.fixture
def token() -> str:
    """Whoever needs a user with a name overrides it."""
    return ""


@pytest.fixture
def address(assistant: FakeAssistant, token: str, tmp_path: Path) -> Iterator[str]:
    """The page's; its process is gone at the end."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(APP), f"--server.port={port}",
               "--server.address=127.0.0.1", "--server.headless=true"]  # fmt: skip
    with serving(tmp_path / "home", assistant, token=token) as api:
        environment = {**os.environ, "CONSULT_API_URL": api, "CONSULT_API_TOKEN": token}
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
