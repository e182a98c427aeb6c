"""A run as it grows: what the API tells of it, and each coming event folded in.

Invariant: a run read in the middle and followed to its end is equal to the same run read at its end (its status apart).
"""

import asyncio
from collections.abc import AsyncGenerator, Generator
from typing import Any

Json = dict[str, Any]
UNDER_WAY = ("queued", "running")


def fold(result: Json, event: Json) -> None:
    """Adds an event to a run's `result`, as the API itself joins them."""
    match event["event"]:
        case "quality":
            result["quality"] = event
        case "retrieved":
            result.update(evidence=event["evidence"], considered=event["considered"], note=event["note"])
            result["priors"] = event.get("priors", [])  # an older server offers none
        case "sentence":
            result["sentences"].append(event)
            result["answer"] = f"{result['answer']} {event['text']}".lstrip()
            result["citations"] += [c for c in event["citations"] if c not in result["citations"]]
        case "finding":
            result["findings"].append(event)
        case "drafted":
            result["draft"] = event["draft"]
        case "done":
            names = ("answer", "reason", "cut", "warnings", "dropped", "identity", "timings")
            result.update({name: event[name] for name in names})
        case "failed":
            result["error"] = {"type": event["type"], "message": event["message"]}


def ticking(events: AsyncGenerator[Json, None], every: float) -> Generator[Json | None, None, None]:
    """The events, and None whenever `every` seconds have passed without one: moments at which the caller can be
    interrupted. Closing it closes the connection at once."""
    with asyncio.Runner() as runner:
        coming: asyncio.Task[Json | None] | None = None

        async def step() -> tuple[bool, Json | None]:
            nonlocal coming
            coming = coming or asyncio.ensure_future(anext(events, None))
            done, _ = await asyncio.wait({coming}, timeout=every)
            if not done:
                return True, None
            event, coming = coming.result(), None
            return event is not None, event

        while True:
            goes_on, event = runner.run(step())
            if not goes_on:
                return
            yield event
