"""What a stranger does first: start the demonstration, ask about a sample study, follow every reference, stop."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[tuple[httpx.Client, subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "assistant.cli", "serve", "--demo", "--no-ui", "--port", "0"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}, cwd=tmp_path
    )
    try:
        assert process.stdout
        address = ""
        for line in process.stdout:
            if line.startswith("API"):
                address = line.split()[1].removesuffix("/docs")
            if line.startswith("Stop"):
                break
        with httpx.Client(base_url=address, timeout=120) as client:
            yield client, process
    finally:
        process.kill()
        process.communicate()


def test_from_sample_study_to_a_reference_that_opens(demo: tuple[httpx.Client, subprocess.Popen[str]]) -> None:
    client, process = demo
    for _ in range(120):
        if client.get("/ready").status_code == 200:
            break
        time.sleep(1)
    studies = client.get("/v1/studies").json()["items"]
    assert len(studies) == 6
    asked = {"task": "ask", "study": studies[0]["id"], "question": "Is there a pleural effusion?"}
    run = client.post("/v1/runs", json=asked, headers={"Idempotency-Key": "1"}).json()
    with client.stream("GET", f"/v1/runs/{run['id']}/events?after=0") as response:
        events = [json.loads(line[5:]) for line in response.iter_lines() if line.startswith("data:")]
    assert [event["event"] for event in events][:2] == ["quality", "retrieved"]
    assert events[-1]["status"] == "answered"
    assert events[-1]["identity"]["demonstration"]
    passages = [item for item in events[1]["evidence"] if item["kind"] == "passage"]
    assert passages
    cited = [citation for event in events for citation in event.get("citations", []) if citation["document_id"]]
    assert cited
    for reference, words in [(p, p["text"]) for p in passages] + [(c, c["quote"]) for c in cited]:
        document = client.get(f"/v1/knowledge/{reference['document_id']}").json()
        assert document["text"][reference["start"] : reference["end"]] == words
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
