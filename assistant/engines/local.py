"""A model in this process, through transformers. Lives in the worker: it is synchronous and blocks for seconds.

One generation at a time. The same prompt and seed give the same answer.
"""

import logging
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np

from assistant.engines.base import Delta, EngineInfo, Message, Prompt
from assistant.engines.card import MAX_SIDE, Card, pocket_folder, read_card, weights_hash
from assistant.engines.chat import rendered
from assistant.engines.decoding import PieceWise, Watch
from assistant.errors import EngineDown, Misconfigured, NotFound, TooLarge
from assistant.study import Picture

CONTEXT = 4096  # of a model whose configuration doesn't say


class LocalEngine:
    """`model`: "pocket", a folder, or a hub name. `quantize`: "nf4" loads four-bit weights through bitsandbytes.
    `adapters`: name → folder of a peft adapter, loaded when first asked for. Raises `Misconfigured`."""

    def __init__(self, model: str, quantize: str = "none", adapters: Mapping[str, Path] | None = None) -> None:
        import torch

        self._name, self._adapters = model, dict(adapters or {})
        source = source_of(model)
        self._card = read_card(source) if isinstance(source, Path) else Card()
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._processor, self._model = _load(str(source), quantize, self._device)
        self._tokenizer = deepcopy(self._processor.tokenizer)  # `count` may run beside a generation
        self._loaded: set[str] = set()
        self._busy = threading.Lock()
        self._info = self._describe(source)

    def info(self) -> EngineInfo:
        return self._info

    def generate(self, prompt: Prompt, cancelled: threading.Event) -> Iterator[Delta]:
        """Pieces of the answer; stops at the next token once `cancelled` is set. Raises as `Engine.stream` does."""
        if prompt.schema is not None:
            raise Misconfigured("The local engine can't keep an answer to a schema; use vLLM ([engine] kind = http).")
        with self._busy:
            self._choose(prompt.adapter)
            inputs = self._inputs(prompt)
            start = inputs["input_ids"].shape[1]
            longest = min(prompt.sampling.max_tokens, self._info.context - start)
            text = PieceWise(self._processor.tokenizer, prompt.sampling.stop)
            ends, tokens, cut = self._ends(), 0, False
            for token, logprob in self._tokens(inputs, prompt, longest, cancelled, text):
                tokens += 1
                delta = text.end() if token in ends else text.add(token, logprob)
                if delta is not None:
                    yield delta
                if text.stopped:
                    break
                cut = tokens == longest and token not in ends
            if rest := text.end():
                yield rest
            usage = {"prompt_tokens": start, "completion_tokens": tokens}
            yield Delta(usage=usage, cut=cut and not text.stopped)

    def score(self, prompt: Prompt, completions: Sequence[str]) -> list[float]:
        with self._busy:
            self._choose(prompt.adapter)
            inputs = self._inputs(prompt)
            return [self._score(inputs, text) for text in completions]

    def count(self, texts: Sequence[str]) -> list[int]:
        return (
            [len(ids) for ids in self._tokenizer(list(texts), add_special_tokens=False)["input_ids"]] if texts else []
        )

    def close(self) -> None:
        self._model = self._processor = None

    def _describe(self, source: Path | str) -> EngineInfo:
        return EngineInfo(
            engine="local",
            model=self._name,
            model_hash=(weights_hash(source) if isinstance(source, Path) else None)
            or str(getattr(self._model.config, "_commit_hash", None) or "unknown"),
            context=context_of(self._model.config),
            image_tokens=image_cost(self._processor, self._card.picture),
            capabilities=frozenset({"logprobs", "score", "adapters"}),
            domains=self._card.domains,
            demonstration=self._card.demonstration,
        )

    def _encode(self, prompt: Prompt) -> Any:
        return encoded(self._processor, prompt, self._card.picture)

    def _inputs(self, prompt: Prompt) -> Any:
        inputs = self._encode(prompt)
        needed = inputs["input_ids"].shape[1]
        if needed >= self._info.context:
            raise TooLarge(f"The prompt needs {needed} tokens; the model reads {self._info.context} with its answer.")
        return inputs.to(self._device)

    def _ends(self) -> set[int]:
        end = self._model.generation_config.eos_token_id
        return set(end) if isinstance(end, list) else {end}

    def _tokens(
        self, inputs: Any, prompt: Prompt, longest: int, cancelled: threading.Event, text: PieceWise
    ) -> Iterator[tuple[int, float]]:
        """(token, log-probability) as the model makes them, in a thread of its own; closing ends it."""
        import torch

        out: queue.SimpleQueue[tuple[int, float] | BaseException | None] = queue.SimpleQueue()
        left = threading.Event()
        sampling = prompt.sampling
        drawn = {"do_sample": True, "temperature": sampling.temperature} if sampling.temperature > 0 else {}
        watch = Watch(out, lambda: left.is_set() or cancelled.is_set() or text.stopped)

        def run() -> None:
            try:
                torch.manual_seed(sampling.seed)
                with torch.inference_mode():
                    self._model.generate(
                        **inputs, max_new_tokens=longest, streamer=watch, logits_processor=[watch.look],
                        stopping_criteria=[watch.stop], **(drawn or {"do_sample": False}),
                    )  # fmt: skip
                out.put(None)
            except BaseException as error:  # handed to the reader, who raises it
                out.put(error)

        thread = threading.Thread(target=run, name="generate", daemon=True)
        thread.start()
        try:
            while (item := out.get()) is not None:
                if isinstance(item, BaseException):
                    raise _told(item)
                yield item
        finally:
            left.set()
            thread.join()

    def _score(self, inputs: Any, completion: str) -> float:
        import torch

        ids = self._processor.tokenizer(completion, add_special_tokens=False, return_tensors="pt")["input_ids"]
        start, extra = inputs["input_ids"].shape[1], ids.shape[1]
        if extra == 0:
            return 0.0
        if start + extra > self._info.context:
            raise TooLarge(f"Prompt and answer need {start + extra} tokens; the model reads {self._info.context}.")
        longer = dict(inputs)
        # Whatever says something of each token grows by it: attended to, and text rather than picture.
        for name, value in inputs.items():
            if value.shape == inputs["input_ids"].shape:
                fill = torch.ones_like if name == "attention_mask" else torch.zeros_like
                tail = ids.to(value.device) if name == "input_ids" else fill(ids).to(value.device, value.dtype)
                longer[name] = torch.cat([value, tail], dim=1)
        with torch.inference_mode():
            logits = self._model(**longer, use_cache=False, logits_to_keep=extra + 1).logits[0, :-1].float()
        chosen = logits.log_softmax(-1).gather(1, ids[0].to(logits.device).unsqueeze(1))
        return float(chosen.sum())

    def _choose(self, adapter: str | None) -> None:
        if adapter is None:
            if self._loaded:
                self._model.disable_adapters()
            return
        if adapter not in self._adapters:
            raise NotFound(f"No adapter is called {adapter!r}; `consult adapters load` takes one in.")
        if adapter not in self._loaded:
            folder = self._adapters[adapter]
            # peft imports it, and it warns of kernels for four-bit layers, which nobody asked for.
            logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
            try:
                self._model.load_adapter(str(folder), adapter_name=adapter)
            except (OSError, ValueError, RuntimeError, KeyError) as error:
                raise Misconfigured(
                    f"The adapter {adapter!r} in {folder} doesn't load on this model ({type(error).__name__}); "
                    "it must be a peft adapter made for it."
                ) from None
            self._loaded.add(adapter)
        self._model.enable_adapters()
        self._model.set_adapter(adapter)


def encoded(processor: Any, prompt: Prompt, side: int | None) -> Any:
    """The prompt as the model's inputs, a batch of one."""
    text, pictures = rendered(processor, prompt, side)
    return processor(text=[text], images=pictures or None, return_tensors="pt", add_special_tokens=False)


def image_cost(processor: Any, side: int | None) -> int:
    """Tokens of one picture, of the largest one shown where they differ."""
    black = Picture(np.zeros((side or MAX_SIDE,) * 2, np.uint8))
    with_it, without = (
        len(encoded(processor, Prompt((Message("user", parts),)), side)["input_ids"][0]) for parts in ((black,), ())
    )
    return with_it - without


def context_of(config: Any) -> int:
    """Tokens that a model of this configuration reads, its answer among them."""
    return int(getattr(config.get_text_config(), "max_position_embeddings", None) or CONTEXT)


def source_of(model: str) -> Path | str:
    """The folder of a model as the settings name it, or its name on the hub. Raises `Misconfigured`."""
    if model == "pocket":
        folder = pocket_folder()
        if not (folder / "config.json").is_file():
            raise Misconfigured(
                "The pocket model isn't there; reinstall the package or train it: `consult train pocket`."
            )
        return folder
    folder = Path(model).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise Misconfigured(f"{folder} holds no config.json, so it is no model folder ([engine] model).")
        return folder
    if folder.is_absolute() or model.startswith((".", "~")) or model.count("/") > 1:
        raise Misconfigured(f"The model folder {model} is not there; mend [engine] model in consult.toml.")
    return model


def _load(source: str, quantize: str, device: str) -> tuple[Any, Any]:
    """Processor and model. Half precision on a GPU; a CPU computes faster and more exactly in float32."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor, BitsAndBytesConfig
    from transformers.utils import logging

    logging.disable_progress_bar()
    options: dict[str, Any] = {"dtype": torch.bfloat16 if device == "cuda" else torch.float32}
    if quantize == "nf4":
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=options["dtype"]
        )
        options["device_map"] = {"": device}
    try:
        processor = AutoProcessor.from_pretrained(source)
        model = AutoModelForImageTextToText.from_pretrained(source, **options)
    except ImportError as error:
        raise Misconfigured(f"A library is missing for this model: {error}. `pip install consult[models]`.") from None
    except Exception as error:  # whatever a damaged folder or an unknown name makes the libraries raise
        raise Misconfigured(
            f"The model {source} doesn't load as a vision-language model ({type(error).__name__}: "
            f"{str(error).splitlines()[0][:200] if str(error) else ''})."
        ) from None
    return processor, (model if quantize == "nf4" else model.to(device)).eval()


def _told(error: BaseException) -> BaseException:
    import torch

    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return EngineDown("The model ran out of memory; use a smaller one, quantize = nf4, or fewer pictures.")
    return error
