"""The worker process, with fake parts in it: calls, cancelling, dying, leaving."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from assistant.engines.base import Message, Prompt
from assistant.errors import Misconfigured, Unavailable, WorkerDied
from assistant.settings import EncoderSettings, EngineSettings, Settings
from assistant.worker import RESTARTS, Worker

PARTS = "tests.assistant.worker_parts:Parts"
ROOT = Path(__file__).parents[2]


def ask(question: str) -> Prompt:
    return Prompt((Message("user", (question,)),))


async def answer(worker: Worker, question: str = "?") -> str:
    return "".join([delta.text async for delta in worker.engine.stream(ask(question))])


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    with Worker(Settings(home=tmp_path), factory=PARTS) as worker:
        yield worker


def gone(pid: int, within_s: float = 10) -> bool:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.02)
    return False


def test_the_engine_answers_through_the_pipe(worker: Worker) -> None:
    async def run() -> None:
        deltas = [delta async for delta in worker.engine.stream(ask("?"))]
        assert [delta.text for delta in deltas] == ["0 ", "1 ", "2 ", "3 ", "4 ", ""]
        assert deltas[0].logprobs == (-0.5,)
        assert deltas[-1].usage == {"prompt_tokens": 1, "completion_tokens": 4}
        assert (await worker.engine.info()).model == "parts"
        assert await worker.engine.count(["abc", ""]) == [3, 0]
        assert await worker.engine.score(ask("?"), ["ab", "a"]) == [-2, -1]

    asyncio.run(run())


def test_encoders_answer_and_their_identity_is_asked_once(worker: Worker) -> None:
    images = [np.full((4, 4), 3, np.uint8), np.full((2, 2, 3), 7, np.uint8)]
    assert worker.image_text.encode_images(images).tolist() == [[3, 1], [7, 1]]
    assert worker.image_text.encode_texts(["abc"]).dtype == np.float32
    assert worker.text.encode_queries(["abc"]).tolist() == worker.text.encode_passages(["xyz"]).tolist() == [[3, 0]]
    assert worker.text.encode_queries([]).shape == (0, 2)
    assert (worker.text.dim, worker.text.identity, worker.text.identity) == (2, "parts-1", "parts-1")


def test_leaving_a_stream_stops_the_generation(worker: Worker) -> None:
    async def run() -> None:
        stream = worker.engine.stream(ask("for ever"))
        await anext(stream)
        await stream.aclose()
        async with asyncio.timeout(5):
            assert await answer(worker) == "0 1 2 3 4 "
        task = asyncio.create_task(answer(worker, "for ever"))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(5):
            await worker.engine.score(ask("?"), ["a"])  # waits in the engine's lane
        assert 0 < (await worker.engine.count(["stopped after"]))[0] < 100

    asyncio.run(run())


def test_a_question_taken_back_before_its_turn_is_never_asked(worker: Worker) -> None:
    async def run() -> None:
        first = worker.engine.stream(ask("for ever"))
        await anext(first)
        waiting = [asyncio.create_task(answer(worker, "for ever")) for _ in range(3)]
        await asyncio.sleep(0.05)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await first.aclose()
        async with asyncio.timeout(5):
            assert await answer(worker) == "0 1 2 3 4 "

    asyncio.run(run())


def test_encoders_are_served_while_the_engine_speaks(worker: Worker) -> None:
    async def run() -> None:
        stream = worker.engine.stream(ask("for ever"))
        await anext(stream)
        async with asyncio.timeout(5):
            for _ in range(20):
                await asyncio.to_thread(worker.text.encode_queries, ["abc"])
        assert (await anext(stream)).text
        await stream.aclose()

    asyncio.run(run())


def test_streams_take_turns(worker: Worker) -> None:
    async def run() -> list[str]:
        return await asyncio.gather(*(answer(worker) for _ in range(4)))

    assert asyncio.run(run()) == ["0 1 2 3 4 "] * 4


def test_errors_of_loading_come_back_as_they_are(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, encoders=EncoderSettings(text="missing"))
    with Worker(settings, factory=PARTS) as worker:
        for _ in range(2):
            with pytest.raises(Misconfigured, match="text encoder is not there"):
                worker.text.encode_queries(["a"])
        with pytest.raises(Misconfigured):
            worker.warm()
        assert worker.image_text.dim == 2


def test_an_unexpected_error_leaves_its_type_but_not_its_words(worker: Worker) -> None:
    with pytest.raises(Unavailable, match=r"ValueError at worker_parts\.py") as caught:
        asyncio.run(answer(worker, "fail"))
    assert "Miller" not in str(caught.value)
    with pytest.raises(Unavailable, match="memory"):
        asyncio.run(answer(worker, "exhaust"))
    assert asyncio.run(answer(worker)) == "0 1 2 3 4 "


@pytest.mark.parametrize(("end", "why"), [("die", "memory"), ("leave", "code 3")])
def test_dying_ends_every_call_and_the_next_one_starts_again(worker: Worker, end: str, why: str) -> None:
    async def run() -> None:
        first = worker.pid
        stream = worker.engine.stream(ask("for ever"))
        await anext(stream)
        fatal = asyncio.create_task(answer(worker, end))
        await asyncio.sleep(0.05)
        await stream.aclose()  # now it is the fatal one's turn
        with pytest.raises(WorkerDied, match=why):
            await fatal
        assert worker.pid is None
        assert await answer(worker) == "0 1 2 3 4 "
        assert worker.pid not in (None, first)

    asyncio.run(run())


def test_a_kill_reaches_streams_and_waiting_calls(worker: Worker) -> None:
    async def run() -> None:
        stream = worker.engine.stream(ask("for ever"))
        await anext(stream)
        waiting = asyncio.create_task(worker.engine.score(ask("?"), ["a"]))
        await asyncio.sleep(0.05)
        assert worker.pid
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(WorkerDied, match="started anew"):
            async for _ in stream:
                pass
        with pytest.raises(WorkerDied):
            await waiting

    asyncio.run(run())
    assert worker.text.dim == 2


def test_what_cannot_be_read_ends_every_call_and_the_next_one_starts_again(worker: Worker) -> None:
    async def run() -> None:
        stream = worker.engine.stream(ask("for ever"))
        await anext(stream)
        with pytest.raises(WorkerDied):
            await asyncio.to_thread(worker.call, "text.unreadable")
        with pytest.raises(WorkerDied):
            async for _ in stream:
                pass

    asyncio.run(run())
    assert worker.text.dim == 2


def test_a_call_taken_back_as_its_answer_comes_harms_nobody(worker: Worker) -> None:
    future = worker.submit("text.slow")
    future.done = lambda: False  # type: ignore[method-assign]  # taken back just after this was asked
    assert future.cancel()
    assert worker.call("text.slow") == "slow"


def test_it_is_not_started_again_for_ever(worker: Worker) -> None:
    for _ in range(RESTARTS + 1):
        with pytest.raises(WorkerDied, match="started anew"):
            asyncio.run(answer(worker, "die"))
    with pytest.raises(WorkerDied, match="within a minute"):
        asyncio.run(answer(worker))


def test_closing_ends_the_process_and_what_waits(tmp_path: Path) -> None:
    worker = Worker(Settings(home=tmp_path), factory=PARTS)
    worker.start()
    pid = worker.pid

    async def run() -> None:
        stream = worker.engine.stream(ask("for ever"))
        await anext(stream)
        await asyncio.to_thread(worker.close)
        with pytest.raises(WorkerDied, match="closed"):
            async for _ in stream:
                pass
        with pytest.raises(WorkerDied, match="closed"):
            await answer(worker)

    asyncio.run(run())
    assert pid
    assert gone(pid)
    worker.close()


def test_a_served_model_has_no_engine_here(tmp_path: Path) -> None:
    with (
        Worker(Settings(home=tmp_path, engine=EngineSettings(kind="http")), factory=PARTS) as worker,
        pytest.raises(Misconfigured, match="engine"),
    ):
        _ = worker.engine


PARENT = f"""
import asyncio, signal, sys, time
from assistant.settings import Settings
from assistant.worker import Worker
from tests.assistant.test_worker import ask
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts what runs in its background without it
worker = Worker(Settings(home="."), factory="{PARTS}")
async def run():
    async for _ in worker.engine.stream(ask("for ever")):
        print(worker.pid, flush=True)
asyncio.run(run())
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_it_leaves_with_its_parent(how: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        assert parent.stderr
        pid = int(parent.stdout.readline())
        parent.send_signal(how)
        assert gone(pid)
        parent.wait(10)
        assert "worker_process" not in parent.stderr.read()  # no traceback of the worker's


def test_nothing_it_prints_mixes_with_the_output() -> None:
    script = PARENT.replace("for ever", "?").replace("print(worker.pid, flush=True)", "pass") + "worker.close()\n"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")
    assert "a library that prints" in done.stderr
