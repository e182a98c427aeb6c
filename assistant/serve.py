"""`consult serve`: API, worker and web page on one machine, started together and stopped together.

Invariant: whatever was started here is gone when this returns; a stop that was asked for (Ctrl-C, SIGTERM, a
terminal that closes) is a clean end. What can be known to fail, ports and tokens, is found out before anything starts.
"""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assistant.errors import Misconfigured

if TYPE_CHECKING:
    from assistant.settings import Settings

STOP_S = 10
# Starts a command that the kernel ends with its parent, however that one dies. Where there is no such promise (macOS),
# it only starts it. In the command's own process, since a fork of ours must run no Python beside other threads.
_TIED = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != int(sys.argv[1]):
        sys.exit()
os.execv(sys.argv[2], sys.argv[2:])
"""
DEMO_CASES, DEMO_STUDIES = 12, 6
QUESTION = "Is there a pleural effusion?"


def serve(
    host: Annotated[str | None, typer.Option(help="Address the API listens on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port of the API; 0 takes a free one.")] = None,
    ui_port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port of the web page; 0: a free one.")] = None,
    no_ui: Annotated[bool, typer.Option("--no-ui", help="Start no web page.")] = False,
    demo: Annotated[bool, typer.Option("--demo", help="Fill an empty library with demonstration material.")] = False,
) -> None:
    """Start the API, the worker and the web page; stop them with Ctrl-C."""
    from assistant.api.app import create_app
    from assistant.api.auth import check_exposure

    settings = _settings(host, port, ui_port)
    check_exposure(settings)
    with _listen(settings.api.host, settings.api.port, "--port") as listener:
        page = None if no_ui else _page(settings, listener.getsockname()[1])
        if demo:
            seed(settings)
        _quiet_logs()
        _run(create_app(settings, warm=True), listener, lambda: _greet(settings, listener, page), page)


def seed(settings: "Settings") -> None:
    """Demonstration cards, synthetic cases and sample studies, when the library holds nothing yet. One that was broken
    off is done again at the next start."""
    demo = settings.home / "demo"
    complete = demo / "complete"
    if complete.exists() or (not demo.exists() and any(_counts(settings).values())):
        return
    demo.mkdir(parents=True, exist_ok=True)
    typer.echo("First start: adding demonstration knowledge, cases and sample studies. This takes a minute.")
    for command in (
        ("knowledge", "add", "--bundled"),
        ("phantom", str(demo / "cases"), "--n", str(DEMO_CASES), "--seed", "1000", "--force"),
        ("cases", "add", str(demo / "cases")),
        ("phantom", str(demo / "studies"), "--n", str(DEMO_STUDIES), "--seed", "2000", "--dicom", "--force"),
    ):
        whole = [sys.executable, "-m", "assistant.cli", *command]
        environment = {**os.environ, "CONSULT_HOME": str(settings.home)}
        if subprocess.run(whole, env=environment, stdout=subprocess.DEVNULL).returncode:
            raise Misconfigured(f"`consult {' '.join(command)}` failed, see above. Run `consult doctor`.")
    _keep_samples(settings, demo / "studies")
    complete.touch()


def _keep_samples(settings: "Settings", folder: Path) -> None:
    """Sample studies as if somebody who works on this machine had uploaded them."""
    from assistant.api.auth import LOCAL_USER
    from assistant.api.records import Records
    from assistant.api.studies import keep_in

    with contextlib.closing(Records(settings.home)) as records:
        for path in sorted(folder.glob("*.dcm")):
            keep_in(records, LOCAL_USER, [(path.name, path.read_bytes())], False)


class Page:
    """The web page, a process of its own."""

    def __init__(self, command: list[str], environment: dict[str, str], address: str) -> None:
        self.command = command
        self.environment = environment
        self.address = address
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = False

    def start(self) -> None:
        # A session of its own: Ctrl-C in the terminal reaches us alone, and we stop it.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", _TIED, str(os.getpid()), *self.command], env=self.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        threading.Thread(target=self._watch, args=(self._process,), daemon=True).start()

    def stop(self) -> None:
        self._stopping = True
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _watch(self, process: "subprocess.Popen[bytes]") -> None:
        code = process.wait()
        if not self._stopping:
            typer.echo(f"The web page stopped (exit code {code}). The API goes on.", err=True)


def _run(app: Any, listener: socket.socket, ready: Callable[[], None], page: Page | None) -> None:
    """Serves until a signal says stop; runs under way get their end before connections are closed."""
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if page:
                page.start()
            ready()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            with contextlib.suppress(OSError):  # the terminal may be gone
                typer.echo("Stopping.")
            await app.state.desk.runs.close()  # listeners hear the end and leave
            await super().shutdown(sockets)

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield  # ours are set already, and a stop is not raised again as the process's death

    config = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=STOP_S)
    server = Server(config)

    async def main() -> None:
        async with app.router.lifespan_context(app):  # by hand: its errors are told by the command line in one line
            await server.serve(sockets=[listener])

    stops = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # started by `nohup`, it stays when the terminal goes
        stops.append(signal.SIGHUP)
    before = {which: signal.signal(which, server.handle_exit) for which in stops}
    try:
        asyncio.run(main())
    finally:
        if page:
            page.stop()
        for which, handler in before.items():
            signal.signal(which, handler)


def _settings(host: str | None, port: int | None, ui_port: int | None) -> "Settings":
    from assistant.settings import load_settings

    api = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    return load_settings(api=api, ui={} if ui_port is None else {"port": ui_port})


def _listen(host: str, port: int, option: str) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise Misconfigured(
            f"Can't listen on {host}, port {port}: {(error.strerror or 'error').lower()}. "
            f"Stop what listens there, or choose another port: consult serve {option} N."
        ) from None


def _page(settings: "Settings", api_port: int) -> Page:
    """The page, ready to be started, once its port is known to be free."""
    with _listen(settings.api.host, settings.ui.port, "--ui-port") as probe:
        port = probe.getsockname()[1]
    spec = find_spec("ui")
    app = Path(spec.origin).parent / "app.py" if spec and spec.origin else None
    if find_spec("streamlit") is None or app is None or not app.is_file():
        raise Misconfigured("The web page is not installed: pip install 'consult[ui]', or start with --no-ui.")
    options = {
        "server.address": settings.api.host, "server.port": port, "server.headless": "true",
        "server.fileWatcherType": "none", "server.maxUploadSize": settings.api.max_upload_mb,
        "client.showErrorDetails": "none", "browser.gatherUsageStats": "false", "global.developmentMode": "false",
    }  # fmt: skip
    command = [sys.executable, "-m", "streamlit", "run", str(app), *(f"--{k}={v}" for k, v in options.items())]
    return Page(command, _page_environment(settings, api_port), _address(settings.api.host, port))


def _page_environment(settings: "Settings", api_port: int) -> dict[str, str]:
    """The page gets a token only when it speaks for one user on this machine; otherwise it has to ask for one."""
    from assistant.api.auth import is_loopback

    environment = {**os.environ, "CONSULT_API_URL": _address(settings.api.host, api_port)}
    tokens = list(settings.api.tokens.values())
    if len(tokens) == 1 and is_loopback(settings.api.host):
        environment["CONSULT_API_TOKEN"] = tokens[0].get_secret_value()
    return environment


def _address(host: str, port: int) -> str:
    """Where a program on this machine reaches it."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def _greet(settings: "Settings", listener: socket.socket, page: Page | None) -> None:
    api = _address(settings.api.host, listener.getsockname()[1])
    if page:
        typer.echo(f"Page  {page.address}")
    typer.echo(f"API   {api}/docs  (OpenAI-compatible: {api}/v1)")
    if not any(_counts(settings).values()):
        typer.echo("The library is empty, so answers cite nothing yet: consult knowledge add FOLDER, or --bundled.")
    samples = sorted((settings.home / "demo" / "studies").rglob("*.dcm"))
    picture = str(samples[0]) if samples else "PICTURE"
    typer.echo(f'Try   {_as_typed(settings)} ask {picture} -q "{QUESTION}"')
    typer.echo("Stop with Ctrl-C.")


def _as_typed(settings: "Settings") -> str:
    """`consult` as this machine's shell finds it, with the same home."""
    from assistant.settings import Settings

    name = sys.argv[0] if Path(sys.argv[0]).name == "consult" else "consult"
    elsewhere = settings.home != Settings.model_fields["home"].get_default(call_default_factory=True)
    return f"CONSULT_HOME={settings.home} {name}" if elsewhere else name


def _counts(settings: "Settings") -> dict[str, int]:
    from retrieval.library import Library

    with Library(settings.home) as library:
        return {name: count for name, count in library.counts().items() if name in ("passages", "cases")}


def _quiet_logs() -> None:
    """Our own loggers speak; of the server's, what goes wrong."""
    import logging

    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", level=logging.WARNING)
    logging.getLogger("consult").setLevel(logging.INFO)
