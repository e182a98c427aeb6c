"""Rerankers through transformers: a cross-encoder with one output, which reads question and passage in one sequence."""

from collections.abc import Sequence

from retrieval.encoders.base import Scores
from retrieval.encoders.batch import by_length
from retrieval.encoders.folder import identity, located, weights_in
from retrieval.encoders.transformer import OURS, loading, longest, model_of, refuse_missing
from retrieval.errors import Misconfigured


class CrossEncoder:
    """`name`: a folder or a hub name ("org/model"): BGE rerankers, MS MARCO and MedCPT cross-encoders and their kin.
    Raises `Misconfigured` when it can't be loaded or has not exactly one output."""

    def __init__(self, name: str, device: str = "cpu") -> None:
        import torch
        from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

        folder, called = located(name, "reranker")
        what = f"the reranker {called}"
        with loading(what, "CONSULT_ENCODERS__RERANKER"):
            if (labels := AutoConfig.from_pretrained(folder, **OURS).num_labels) != 1:
                raise Misconfigured(f"{what} has {labels} labels: a classifier, where a reranker gives one score")
            self._model, missing = model_of(AutoModelForSequenceClassification, folder, device)
            refuse_missing(what, missing)
            self._tokenizer = AutoTokenizer.from_pretrained(folder, **OURS)
        self._torch, self._device = torch, device
        self._length = longest(self._tokenizer, self._model, self._model.config)
        self.identity = identity(called, weights_in(folder))

    def score(self, question: str, passages: Sequence[str]) -> Scores:
        """(n,) logits of n passages. The passage is cut to what fits; the question only beyond half of the length."""
        asked = self._cut(question)
        return by_length(passages, lambda batch: self._logits(asked, batch))

    def _cut(self, question: str) -> str:
        ends = self._tokenizer(question, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
        room = self._length // 2
        return question if len(ends) <= room else question[: ends[room - 1][1]]

    def _logits(self, question: str, passages: list[str]) -> Scores:
        inputs = self._tokenizer(
            [question] * len(passages), passages, padding=True, truncation="only_second", max_length=self._length,
            return_tensors="pt",
        )  # fmt: skip
        with self._torch.inference_mode():
            logits: Scores = self._model(**inputs.to(self._device)).logits[:, 0].float().cpu().numpy()
        return logits
