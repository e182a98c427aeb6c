"""The real vLLM on this machine's CPU, for as long as a block runs."""

import json
import os
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]
PYTHON = "VLLM_PYTHON"  # in the environment: a Python that has vLLM, when it isn't in .venv-vllm
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind", "PYTHONWARNINGS": "ignore",
}  # fmt: skip


def vllm_python() -> Path | None:
    """The Python of the environment that `make vllm-cpu` makes; None when there is none."""
    python = Path(os.environ.get(PYTHON, ROOT / ".venv-vllm" / "bin" / "python"))
    return python if python.is_file() else None


@contextmanager
def vllm_server(
    model: Path, *, name: str = "pocket", adapters: Mapping[str, Path] | None = None, wait_s: float = 240
) -> Iterator[str]:
    """The address of its API. `adapters`: served from the start, and others may be taken up while it runs; None: none
    at all. Raises `RuntimeError` with the end of its log when it doesn't come up."""
    python = vllm_python()
    if python is None:
        raise RuntimeError("There is no vLLM here; `make vllm-cpu` makes its environment.")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    context = json.loads((model / "config.json").read_text())["text_config"]["max_position_embeddings"]
    command = [
        str(python), "-m", "vllm.entrypoints.openai.api_server", "--model", str(model), "--served-model-name", name,
        "--host", "127.0.0.1", "--port", str(port), "--dtype", "float32", "--enforce-eager",
        "--max-model-len", str(min(1024, context)), "--max-num-seqs", "8",
        "--limit-mm-per-prompt", json.dumps({"image": 4, "video": 0}),
    ]  # fmt: skip
    if adapters is not None:
        modules = [f"{name}={folder}" for name, folder in adapters.items()]
        command += ["--enable-lora", "--max-lora-rank", "64", *(["--lora-modules", *modules] if modules else [])]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **ENVIRONMENT}
        )
        try:
            _wait(process, f"http://127.0.0.1:{port}/health", wait_s, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()  # it ends its own children
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: "subprocess.Popen[bytes]", health: str, wait_s: float, log: IO[str]) -> None:
    until = time.monotonic() + wait_s
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(health, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    log.seek(0)
    raise RuntimeError(f"vLLM didn't come up (exit code {process.poll()}). The end of its log:\n{log.read()[-4000:]}")
