"""The one process with torch in it: encoders and the in-process engine, behind a pipe.

Parent's side: `Worker`. A call in flight when the process dies raises `WorkerDied`; the next call starts it again. The
process ends when its parent does, because its end of the pipe closes. Encoders are served while the engine generates:
two lanes, one thread each. Parts are loaded when first needed.
"""

import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from itertools import count as counter
from multiprocessing.connection import Connection
from typing import Any

from assistant.errors import Misconfigured, WorkerDied
from assistant.proxies import RemoteEngine, RemoteImageText, RemoteReranker, RemoteText
from assistant.quiet import QUIET
from assistant.settings import Settings
from retrieval.encoders.bundle import Encoders

log = logging.getLogger("consult.worker")

RESTARTS = 3  # in any minute; then something is wrong that starting again doesn't mend
GRACE_S = 5.0  # for the process to leave by itself
PARTS = "assistant.worker_process:Parts"
_BOOT = "import json,sys; sys.path[:] = json.loads(sys.argv[2]); from assistant.worker_process import main; main()"

Sink = Callable[[str, Any], None]  # (kind, payload): "piece" any number of times, then "done" or "error"


class Worker:
    """Handle on the process. `start` is implied by the first call. `factory` names what makes the parts in there,
    "module:function" of the settings; tests put fake parts in its place. Usable from any thread and event loop."""

    def __init__(self, settings: Settings, *, factory: str = PARTS) -> None:
        self._settings, self._factory = settings, factory
        self._lock = threading.Lock()
        self._process: _Process | None = None
        self._starts: deque[float] = deque()
        self._closed = False
        names = settings.encoders.names
        self.image_text, self.text = RemoteImageText(self), RemoteText(self)
        self._seeing = {domain: RemoteImageText(self, domain) for domain in names.seeing}
        self._reading = {domain: RemoteText(self, domain) for domain in names.reading}
        self._reranker = RemoteReranker(self) if names.reranker else None
        self._engine = RemoteEngine(self)

    @property
    def engine(self) -> RemoteEngine:
        """Raises `Misconfigured` when the settings name a served model."""
        if self._settings.engine.kind != "local":
            raise Misconfigured("The worker has no engine: [engine] kind is not local.")
        return self._engine

    @property
    def encoders(self) -> Encoders:
        """All of them, with what was fitted for them. Raises `Misconfigured`."""
        names = self._settings.encoders.names
        return Encoders(self.image_text, self.text, names.fitted(), self._seeing, self._reading, self._reranker, names)

    @property
    def pid(self) -> int | None:
        """Of the process, None while there is none."""
        process = self._process
        return process.pid if process and process.alive else None

    def start(self) -> None:
        self._running()

    def warm(self) -> None:
        """Loads everything the settings name, and waits for it. Raises what loading raises."""
        engine = [self.submit("engine.info")] if self._settings.engine.kind == "local" else []
        parts = [self.image_text, self.text, *self._seeing.values(), *self._reading.values()]
        reranker = [self.submit("reranker.identity")] if self._reranker else []
        for loading in [*engine, *(self.submit(f"{part.part}.dim") for part in parts), *reranker]:
            loading.result()

    def close(self) -> None:
        """Ends the process; calls in flight raise `WorkerDied`. Nothing can be asked afterwards."""
        with self._lock:
            self._closed = True
            process, self._process = self._process, None
        if process:
            process.close()

    def __enter__(self) -> "Worker":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, method: str, *arguments: Any) -> "Future[Any]":
        """The answer of one call, to come."""
        future: Future[Any] = Future()

        def settle(kind: str, payload: Any) -> None:
            if future.set_running_or_notify_cancel():  # from here on it can't be cancelled any more
                future.set_exception(payload) if kind == "error" else future.set_result(payload)

        self._running().ask(method, arguments, settle)
        return future

    def call(self, method: str, *arguments: Any) -> Any:
        return self.submit(method, *arguments).result()

    def ask(self, method: str, arguments: tuple[Any, ...], sink: Sink) -> Callable[[], None]:
        """Pieces and the end of a call go to `sink`, from another thread. Returns what cancels it."""
        process = self._running()
        number = process.ask(method, arguments, sink)
        return lambda: process.cancel(number)

    def _running(self) -> "_Process":
        with self._lock:
            if self._closed:
                raise WorkerDied("The worker was closed.")
            if self._process is None or not self._process.alive:
                now = time.monotonic()
                while self._starts and now - self._starts[0] > 60:
                    self._starts.popleft()
                if len(self._starts) > RESTARTS:
                    raise WorkerDied(
                        f"The worker died {len(self._starts)} times within a minute; see its output above. "
                        "Often the model is too large for this machine's memory."
                    )
                self._starts.append(now)
                self._process = _Process(self._settings, self._factory)
            return self._process


class _Process:
    """One life of the worker process."""

    def __init__(self, settings: Settings, factory: str) -> None:
        ours, theirs = socket.socketpair()
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._popen = subprocess.Popen(
            [sys.executable, "-P", "-c", _BOOT, str(theirs.fileno()), json.dumps([str(path) for path in sys.path])],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=2,  # what a library prints must not mix with what a command prints
            env={"OMP_NUM_THREADS": str(cores), **QUIET, **os.environ},
            start_new_session=True,  # Ctrl-C is for the parent, which then closes the pipe
        )
        theirs.close()
        self.pid = self._popen.pid
        self._connection = Connection(ours.detach())
        self._sending, self._lock = threading.Lock(), threading.Lock()
        self._pending: dict[int, Sink] = {}
        self._numbers = counter(1)
        self._closing = False
        self.alive = True
        self._send((settings, factory))
        self._reader = threading.Thread(target=self._read, name="worker-reader", daemon=True)
        self._reader.start()

    def ask(self, method: str, arguments: tuple[Any, ...], sink: Sink) -> int:
        number = next(self._numbers)
        with self._lock:
            if not self.alive:
                raise self._death()
            self._pending[number] = sink
        self._send((number, method, arguments))
        return number

    def cancel(self, number: int) -> None:
        with self._lock:
            waiting = self._pending.pop(number, None)
        if waiting:
            self._send((number, "cancel", ()))

    def close(self) -> None:
        self._closing = True
        self._hang_up()
        self._reader.join()

    def _hang_up(self) -> None:
        # Shutting the socket down ends the reader here and the process there, also where a plain close would wait.
        with suppress(OSError), socket.socket(fileno=os.dup(self._connection.fileno())) as pipe:
            pipe.shutdown(socket.SHUT_RDWR)

    def _bury(self) -> None:
        self._hang_up()
        try:
            self._popen.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()

    def _send(self, message: Any) -> None:
        # When it died, the reader notices and tells everybody who waits.
        with suppress(OSError), self._sending:
            self._connection.send(message)

    def _read(self) -> None:
        try:
            while True:
                number, kind, payload = self._connection.recv()
                with self._lock:
                    sink = self._pending.get(number) if kind == "piece" else self._pending.pop(number, None)
                if sink:
                    sink(kind, payload)
        except (EOFError, OSError):
            pass
        except Exception as error:  # what can't be read leaves nobody knowing whom it was for: all start anew
            log.error("The worker's message could not be handled (%s); it is stopped.", type(error).__name__)
        finally:
            self._bury()
            with self._lock:
                self.alive = False
                waiting, self._pending = self._pending, {}
            self._connection.close()
            for sink in waiting.values():
                sink("error", self._death())

    def _death(self) -> WorkerDied:
        if self._closing:
            return WorkerDied("The worker was closed.")
        code = self._popen.returncode
        if code == -9:
            how = "was killed; often the machine ran out of memory"
        else:
            how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}; see its output"
        return WorkerDied(f"The worker process {how}. Ask again: it is started anew.")
