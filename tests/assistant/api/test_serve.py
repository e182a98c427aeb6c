"""`consult serve` as a process: with a fake assistant and a page that only sleeps."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import typer
from typer.testing import CliRunner

from assistant.errors import Misconfigured
from assistant.serve import _page_environment, seed, serve
from assistant.settings import ApiSettings, Settings
from tests.assistant.api.conftest import wait_for

SCRIPT = """
import sys, pathlib
from assistant import serve
from assistant.api import app
from tests.assistant.api.conftest import FakeAssistant
fake = FakeAssistant()
fake.gate.clear()
app._open = lambda settings: fake
page = "import os, pathlib, time; pathlib.Path({pid!r}).write_text(str(os.getpid())); time.sleep(600)"
serve._page = lambda settings, port: serve.Page([sys.executable, "-c", page], {{}}, "http://page")
serve.serve(port=0)
"""


ROOT = Path(__file__).parents[3]


class Served:
    def __init__(self, tmp_path: Path) -> None:
        self.pid = tmp_path / "page.pid"
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT.format(pid=str(self.pid))],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout
        self.said = ""
        while "Ctrl-C" not in self.said:
            line = self.process.stdout.readline()
            assert line, self.process.communicate()
            self.said += line
        found = re.search(r"API\s+(http://\S+)/docs", self.said)
        assert found
        self.url = found[1]
        self.page = int(wait_for(lambda: self.pid.exists() and self.pid.read_text()))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    server = Served(tmp_path)
    yield server
    server.process.kill()
    server.process.communicate()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_greets_and_stops_with_all_its_children(served: Served, stop: signal.Signals) -> None:
    assert "http://page" in served.said
    assert "library is empty" in served.said
    assert httpx.get(f"{served.url}/ready").json()["status"] == "ready"
    assert alive(served.page)
    from tests.assistant.api.conftest import start, upload

    with httpx.Client(base_url=served.url) as client:  # a listener that waits does not hold it up
        run = start(client, upload(client))
        with client.stream("GET", f"/v1/runs/{run}/events") as stream:
            lines = stream.iter_lines()
            next(lines)
            began = time.monotonic()
            served.process.send_signal(stop)
            assert "event: failed" in list(lines)
    out, err = served.process.communicate(timeout=20)
    assert served.process.returncode == 0, err
    assert "Traceback" not in out + err
    assert time.monotonic() - began < 8
    assert not alive(served.page)


def test_a_terminal_that_closes_takes_everything_along(served: Served) -> None:
    assert served.process.stdout
    assert served.process.stderr
    served.process.stdout.close()
    served.process.stderr.close()
    served.process.send_signal(signal.SIGHUP)
    served.process.wait(20)
    assert not alive(served.page)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_a_kill_takes_the_page_along(served: Served) -> None:
    served.process.kill()
    served.process.communicate()
    wait_for(lambda: not alive(served.page))


def run_serve(*arguments: str) -> object:
    app = typer.Typer()
    app.command()(serve)
    return CliRunner().invoke(app, list(arguments)).exception


def test_a_port_in_use_is_told_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSULT_HOME", str(tmp_path / "home"))
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as free:
        port, other = str(taken.getsockname()[1]), str(free.getsockname()[1])
        free.close()
        for arguments in (("--port", port), ("--port", other, "--ui-port", port)):
            error = run_serve(*arguments)
            assert isinstance(error, Misconfigured)
            assert port in str(error)
    assert not (tmp_path / "home").exists()


def test_the_open_world_needs_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSULT_HOME", str(tmp_path / "home"))
    assert isinstance(run_serve("--host", "0.0.0.0", "--port", "0"), Misconfigured)


def test_the_page_speaks_for_a_user_only_when_there_is_one() -> None:
    one = Settings(api=ApiSettings(tokens={"ann": "a"}))
    assert _page_environment(one, 80)["CONSULT_API_TOKEN"] == "a"
    for api in (ApiSettings(tokens={"ann": "a", "bob": "b"}), ApiSettings(host="0.0.0.0", tokens={"ann": "a"})):
        environment = _page_environment(Settings(api=api), 80)
        assert "CONSULT_API_TOKEN" not in environment
        assert environment["CONSULT_API_URL"] == "http://127.0.0.1:80"


def test_seeding_starts_over_when_it_was_broken_off(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    codes = iter([0, 0, 3])  # the third command fails at the first try

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        calls.append(command[3])
        return subprocess.CompletedProcess(command, next(codes, 0))

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(Misconfigured, match="cases add"):
        seed(settings)
    monkeypatch.setattr("assistant.serve._counts", lambda settings: {"passages": 3, "cases": 0})
    calls.clear()
    for _ in range(2):  # the second time there is nothing left to do
        seed(settings)
    assert calls == ["knowledge", "phantom", "cases", "phantom"]


def test_a_library_in_use_is_left_alone(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assistant.serve._counts", lambda settings: {"passages": 3, "cases": 0})
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("nothing is to be added"))
    seed(settings)
