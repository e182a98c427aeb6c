"""Answers of engines, each written down before it is used: a build that was killed asks only for what it lacks, and the
same command gives the same pairs."""

import hashlib
import json
import os
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from assistant.engines.base import Engine, Prompt
from eval.exam.candidate import prompt_sha256


class Answers:
    """A file of lines {"key", "text"}; text None: the answer was cut off. A torn last line is dropped."""

    def __init__(self, path: Path) -> None:
        self.path, self.known = path, dict[str, str | None]()
        path.parent.mkdir(parents=True, exist_ok=True)
        raw = path.read_bytes() if path.is_file() else b""
        whole = raw[: raw.rfind(b"\n") + 1]
        for line in whole.splitlines():
            row = json.loads(line)
            self.known[row["key"]] = row["text"]
        if len(whole) < len(raw):
            os.truncate(path, len(whole))

    def add(self, key: str, text: str | None) -> None:
        with self.path.open("ab") as file:
            file.write(json.dumps({"key": key, "text": text}, ensure_ascii=False).encode() + b"\n")
        self.known[key] = text


class Speaker:
    """An engine that is asked once for each prompt. `asked` counts what it said now, not what was written down."""

    def __init__(self, engine: Engine, answers: Answers, adapter: str | None = None) -> None:
        self.engine, self.answers, self.adapter = engine, answers, adapter
        self.asked = 0

    async def __call__(self, prompt: Prompt) -> str | None:
        """The whole answer; None when it was cut off. Raises what `Engine.stream` raises."""
        prompt = replace(prompt, adapter=self.adapter)
        info = await self.engine.info()
        key = hashlib.sha256(f"{info.model} {info.model_hash} {prompt_sha256(prompt)}".encode()).hexdigest()[:32]
        if key not in self.answers.known:
            self.asked += 1
            self.answers.add(key, await self._heard(prompt))
        return self.answers.known[key]

    async def _heard(self, prompt: Prompt) -> str | None:
        said, cut = [], False
        async with aclosing(self.engine.stream(prompt)) as deltas:
            async for delta in deltas:
                said.append(delta.text)
                cut = cut or delta.cut
        return None if cut else "".join(said)
