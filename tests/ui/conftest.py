"""The page over the real API with a fake assistant."""

from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path

import httpx
import pytest
from streamlit.testing.v1 import AppTest

from tests.ui.serving import FakeAssistant, png, serving
from ui import api_client

APP = Path(api_client.__file__).with_name("app.py")


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No token of this machine, and no connection left open."""
    monkeypatch.delenv("CONSULT_API_TOKEN", raising=False)
    yield
    for through_proxies in (False, True):
        api_client._http(through_proxies).close()
    api_client._http.cache_clear()


@pytest.fixture
def assistant() -> FakeAssistant:
    return FakeAssistant()


@pytest.fixture
def server(assistant: FakeAssistant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with serving(tmp_path / "home", assistant) as url:
        monkeypatch.setenv("CONSULT_API_URL", url)
        yield url


@pytest.fixture
def study(server: str) -> str:
    answer = httpx.post(f"{server}/v1/studies", files={"files": ("a.png", png())})
    return str(answer.raise_for_status().json()["id"])


@pytest.fixture
def page() -> Callable[..., AppTest]:
    """A new tab of the browser, with this in its address."""

    def opened(**address: str) -> AppTest:
        tab = AppTest.from_file(str(APP), default_timeout=60)
        for name, value in address.items():
            tab.query_params[name] = value
        return tab.run()

    return opened


def told(tab: AppTest) -> str:
    """What can be read of it, tags included."""
    return unescape(html(tab))


def html(tab: AppTest) -> str:
    """Everything the tab shows as HTML, style sheets left out."""
    assert not tab.exception, tab.exception
    return "\n".join(e.proto.body for e in tab.get("html") if not e.proto.body.startswith("<style"))
