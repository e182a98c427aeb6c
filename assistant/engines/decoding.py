"""From a model's tokens to pieces of text that will not change any more."""

import queue
from collections.abc import Callable, Sequence
from typing import Any

from assistant.engines.base import Delta


class Watch:
    """Stands in a generation as streamer, as logits processor and as stopping criterion, and passes each token on
    with the log-probability the model gave it before temperature."""

    def __init__(self, out: "queue.SimpleQueue[Any]", stop: Callable[[], bool]) -> None:
        self._out, self._stop = out, stop
        self._rows: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._prompt_seen = False

    def look(self, input_ids: Any, scores: Any) -> Any:
        self._rows.put(scores[0].float().log_softmax(-1))
        return scores

    def put(self, tokens: Any) -> None:
        if not self._prompt_seen:  # the first call repeats the prompt
            self._prompt_seen = True
            return
        for token in tokens.flatten().tolist():
            self._out.put((token, float(self._rows.get_nowait()[token])))

    def end(self) -> None: ...

    def stop(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        import torch

        return torch.full((input_ids.shape[0],), bool(self._stop()), device=input_ids.device)


class PieceWise:
    """Tokens in, text out, as soon as it is certain: not half a character, and nothing that may begin a stop string."""

    def __init__(self, tokenizer: Any, stop: Sequence[str]) -> None:
        self._tokenizer, self._stop = tokenizer, tuple(s for s in stop if s)
        self._tokens: list[int] = []
        self._logprobs: list[float] = []
        self._sent = 0
        self.stopped = False

    def add(self, token: int, logprob: float) -> Delta | None:
        if self.stopped:
            return None
        self._tokens.append(token)
        self._logprobs.append(logprob)
        text = self._decoded()
        at = min((found for s in self._stop if (found := text.find(s)) >= 0), default=-1)
        if at >= 0:
            self.stopped = True
            return self._send(text[:at])
        return None if text.endswith("\ufffd") else self._send(text[: len(text) - self._held(text)])

    def end(self) -> Delta | None:
        """What was held back, now that nothing follows."""
        return None if self.stopped else self._send(self._decoded())

    def _decoded(self) -> str:
        return str(self._tokenizer.decode(self._tokens, skip_special_tokens=True))

    def _held(self, text: str) -> int:
        lengths = range(max(map(len, self._stop), default=1) - 1, 0, -1)
        return next((n for n in lengths if any(s.startswith(text[-n:]) for s in self._stop)), 0)

    def _send(self, text: str) -> Delta | None:
        piece = text[self._sent :]
        if not piece and not self.stopped:
            return None
        self._sent, logprobs, self._logprobs = len(text), tuple(self._logprobs), []
        return Delta(piece, logprobs) if piece or logprobs else None
