"""An adapter that a running vLLM takes up: `POST /v1/load_lora_adapter`, which it offers when it was started with
--enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True. The folder must be on the server's own disk under this path."""

from pathlib import Path
from typing import Any

from assistant.errors import Misconfigured


async def take_up(client: Any, host: str, name: str, folder: Path) -> None:
    """`client`: openai's, of the server. Raises `Misconfigured` when the server refuses, and what the client does when
    it can't be reached."""
    import openai

    body = {"lora_name": name, "lora_path": str(folder.resolve())}
    try:
        await client.post("/load_lora_adapter", cast_to=str, body=body)
    except openai.APIStatusError as error:
        if error.status_code >= 500:
            raise
        listed = await client.get("/models", cast_to=object)
        if name in {entry["id"] for entry in listed["data"]}:  # somebody else was first
            return
        raise Misconfigured(
            f"The server at {host} didn't take up the adapter {name!r} (HTTP {error.status_code}). Start vLLM with "
            "--enable-lora --max-lora-rank 64 and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, on a machine that sees "
            f"{body['lora_path']}."
        ) from None
