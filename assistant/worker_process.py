"""The worker's own side of the pipe. `worker.py` starts it; nothing else runs it.

Messages in: (number, "part.method", arguments) or (number, "cancel", ()). Messages out: (number, kind, payload) with
kind "piece", "done" or "error". An error that isn't Consult's own leaves only its type and place, since its words may
quote a prompt.
"""

import os
import queue
import signal
import sys
import threading
import traceback
from contextlib import closing
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

from assistant.errors import ConsultError, Unavailable
from assistant.settings import Settings

Job = tuple[int, str, tuple[Any, ...]]
_GENERATING = ("engine.generate", "engine.score")


class Parts:
    """What the worker runs; each is loaded when it is first asked for."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def engine(self) -> Any:
        from assistant.engines.local import LocalEngine

        told = self._settings.engine
        return LocalEngine(told.model, told.quantize, told.adapters)

    def image_text(self, domain: str = "") -> Any:
        from retrieval.encoders import load_image_text

        names = self._settings.encoders.names
        return load_image_text(names.seeing.get(domain, names.image_text))

    def text(self, domain: str = "") -> Any:
        from retrieval.encoders import load_text

        names = self._settings.encoders.names
        return load_text(names.reading.get(domain, names.text))

    def reranker(self) -> Any:
        from retrieval.encoders import load_reranker

        return load_reranker(self._settings.encoders.names.reranker or "")


class Server:
    """Two lanes: generations one after the other in one, everything quick in the other."""

    def __init__(self, connection: Connection, parts: Any) -> None:
        self._connection, self._parts = connection, parts
        self._sending, self._loading = threading.Lock(), threading.Lock()
        self._loaded: dict[str, Any] = {}
        self._cancelled: dict[int, threading.Event] = {}
        self._lanes: dict[bool, queue.SimpleQueue[Job]] = {True: queue.SimpleQueue(), False: queue.SimpleQueue()}

    def serve(self) -> None:
        """Until the parent closes its end."""
        for lane in self._lanes.values():
            threading.Thread(target=self._work, args=(lane,), daemon=True).start()
        while True:
            number, method, arguments = self._connection.recv()
            if method == "cancel":
                if event := self._cancelled.get(number):
                    event.set()
                continue
            self._cancelled[number] = threading.Event()
            self._lanes[method in _GENERATING].put((number, method, arguments))

    def _work(self, lane: "queue.SimpleQueue[Job]") -> None:
        while True:
            number, method, arguments = lane.get()
            try:
                if not self._cancelled[number].is_set():
                    self._send(number, "done", self._run(number, method, arguments))
            except ConsultError as error:
                self._send(number, "error", error)
            except Exception as error:
                self._send(number, "error", told(error, method))
            finally:
                del self._cancelled[number]

    def _run(self, number: int, method: str, arguments: tuple[Any, ...]) -> Any:
        name, _, attribute = method.partition(".")
        part = self._part(name)
        if attribute == "generate":
            cancelled = self._cancelled[number]
            with closing(part.generate(*arguments, cancelled)) as pieces:
                for piece in pieces:
                    if cancelled.is_set():
                        break
                    self._send(number, "piece", piece)
            return None
        value = getattr(part, attribute)
        return value(*arguments) if callable(value) else value

    def _part(self, name: str) -> Any:
        with self._loading:  # one at a time: torch and transformers don't like to be imported twice at once
            if name not in self._loaded:
                role, *domain = name.split("@", 1)
                self._loaded[name] = getattr(self._parts, role)(*domain)
            return self._loaded[name]

    def _send(self, number: int, kind: str, payload: Any) -> None:
        with self._sending:
            self._connection.send((number, kind, payload))


def told(error: Exception, method: str) -> Unavailable:
    """What the parent may know of an unexpected error."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{os.path.basename(last.filename)}:{last.lineno}"
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return Unavailable(f"The machine ran out of memory in {method}; use a smaller model or fewer pictures.")
    return Unavailable(f"{method} failed in the worker ({type(error).__name__} at {place}). Please report this.")


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Connection(int(sys.argv[1]))
    try:
        settings, factory = connection.recv()
        module, _, function = factory.partition(":")
        Server(connection, getattr(import_module(module), function)(settings)).serve()
    except (EOFError, OSError):
        pass  # the parent is gone
    os._exit(0)  # a generation under way must not keep the process
