"""Changes to the knowledge base, made by `consult knowledge …` in a process of its own, one at a time."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from assistant.errors import BadInput, Busy, ConsultError, Misconfigured, Unavailable

_BY_EXIT_CODE: dict[int, type[ConsultError]] = {2: BadInput, 3: Misconfigured, 4: Unavailable, 5: Busy}


class Keeper:
    def __init__(self, home: Path) -> None:
        self.home = home
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Raises `Busy` while somebody else is changing the knowledge base."""
        if self._lock.locked():
            raise Busy("The knowledge base is being changed. Try again when that is done.")
        async with self._lock:
            yield

    async def call(self, *arguments: str) -> Any:
        """What the command reports, from its JSON. Raises the command's own error: its exit code says which, the last
        line of its complaint says why."""
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "assistant.cli", "knowledge", *arguments, "--no-wait", "--json",
            env={**os.environ, "CONSULT_HOME": str(self.home), "NO_COLOR": "1", "COLUMNS": "4096"},
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            out, err = await child.communicate()
        finally:
            if child.returncode is None:  # the server stops; a generation half built is never published
                child.kill()
                await child.wait()
        code = child.returncode or 0
        if code in _BY_EXIT_CODE:
            raise _BY_EXIT_CODE[code](_reasons(out) or _last_line(err) or "The command gave no reason.")
        try:
            return json.loads(out)
        except ValueError:
            raise Unavailable(f"`consult knowledge` failed (exit code {code}). Run `consult doctor`.") from None


def _reasons(out: bytes) -> str:
    """Why files were skipped, when a report says so; without their names."""
    try:
        return " ".join(dict.fromkeys(str(why) for _, why in json.loads(out)["skipped"]))
    except (ValueError, KeyError, TypeError):
        return ""


def _last_line(text: bytes) -> str:
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else ""
