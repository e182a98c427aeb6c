"""From a row to what the model reads and should say, by the tasks' own prompts: the text is the one the engine is sent
when it serves the same request with the same evidence (tested to the byte).

An answer is written in the lines the tasks ask for. A sentence that serving would withhold (a side where none is known,
a change without a prior) is not taught. What `cites` says is taught when, and only when, the passage was shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.checks import withhold
from assistant.engines.base import EngineInfo, Prompt
from assistant.engines.card import Card, harmless, prepared, read_card
from assistant.engines.chat import chat, rendered
from assistant.engines.local import context_of, image_cost, source_of
from assistant.events import EvidenceItem
from assistant.lines import Line as Sentence
from assistant.lines import parse
from assistant.prompting import composed
from assistant.reports.template import built_in
from assistant.requests import AskRequest, DiagnoseRequest, ReportRequest, Request, Turn
from assistant.tasks import task_of
from assistant.tasks.base import quoted
from eval.benchmarks.criteria import asked
from finetune.errors import Misconfigured
from finetune.sft_data import Row, study_of

GUIDELINE = "guideline"


@dataclass(frozen=True, slots=True)
class Sample:
    """`withheld`: sentences of the answer that are not taught; `dropped`: parts of the prompt that had no room."""

    prompt: Prompt
    answer: str
    withheld: int = 0
    dropped: tuple[str, ...] = ()


def request_of(row: Row, salt: bytes, max_answer: int) -> Request:
    """The request whose answer the row holds; its pictures are read from their files."""
    line = row.told
    study, prior = study_of(row.file, line, salt)
    common: dict[str, Any] = {"study": study, "prior": prior, "max_tokens": max_answer}
    if line.task == "report":
        common |= {"template": built_in(line.template), "prior_report": line.prior_report}
        return ReportRequest(indication=line.indication, **common)
    if line.task == "diagnose":
        common |= {"laboratory": line.laboratory, "candidates": tuple(line.candidates)}
        return DiagnoseRequest(history=line.history, **common)
    question = asked(line.history, line.criterion) if line.task == "criteria" else line.question
    return AskRequest(question=question, earlier=tuple(Turn(*turn) for turn in line.earlier), **common)


@dataclass(frozen=True, slots=True)
class Reader:
    """The model's side of a prompt, without its weights: processor, card, and what the rest must know of it."""

    name: str
    source: Path | str
    processor: Any
    card: Card
    info: EngineInfo
    ends: frozenset[str]  # tokens that end an answer

    @classmethod
    def open(cls, model: str) -> "Reader":
        """Raises `Misconfigured`."""
        from transformers import AutoConfig, AutoProcessor, GenerationConfig

        source = source_of(model)
        try:
            processor, config = AutoProcessor.from_pretrained(source), AutoConfig.from_pretrained(source)
            tokenizer = processor.tokenizer
        except Exception as error:  # whatever a damaged folder or an unknown name makes the library raise
            raise Misconfigured(f"{model} has no processor of pictures and text ({type(error).__name__}).") from None
        try:
            end = GenerationConfig.from_pretrained(source).eos_token_id
        except OSError:
            end = None
        ids = end if isinstance(end, list) else [end] if end is not None else [tokenizer.eos_token_id]
        card = read_card(source) if isinstance(source, Path) else Card()
        info = EngineInfo("local", model, "", context_of(config), image_cost(processor, card.picture))
        return cls(model, source, processor, card, info, frozenset(tokenizer.convert_ids_to_tokens(ids)))

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, as the engine counts them."""
        return [len(ids) for ids in self.processor.tokenizer(list(texts), add_special_tokens=False)["input_ids"]]

    def completion(self, prompt: Prompt, before: str, answer: str) -> str:
        """What the chat template puts behind `before` (the prompt as text) for this answer, up to a token that ends
        it. Raises `Misconfigured` for a template that changes the prompt when an answer follows."""
        conversation, _ = chat(prepared(prompt, self.card.picture))
        said = {"role": "assistant", "content": [{"type": "text", "text": answer}]}
        whole = str(self.processor.apply_chat_template([*conversation, said], tokenize=False))
        bos = self.processor.tokenizer.bos_token or ""
        at = before if whole.startswith(before) else before.removeprefix(bos)
        if not whole.startswith(at):
            raise Misconfigured(f"The chat template of {self.name} doesn't put an answer behind its prompt.")
        text = whole[len(at) :].rstrip()
        if not any(text.endswith(end) for end in self.ends):
            text += self.processor.tokenizer.eos_token
        return text


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes samples of rows. `evidence` by the id of a row's trace; nothing for those without."""

    reader: Reader
    evidence: Mapping[str, Sequence[EvidenceItem]]
    salt: bytes
    max_answer: int
    cite_image: bool = True

    def sample(self, row: Row) -> Sample:
        """Raises `BadInput` when a picture has gone, `TooLarge` when pictures and question don't fit."""
        request = request_of(row, self.salt, self.max_answer)
        draft = task_of(request).draft(request, self.evidence.get(row.trace.id, ()))
        sizes = self.reader.count([text for _, text, _ in draft.parts()])
        prompt, kept, dropped = composed(draft, request, sizes, self.reader.info)
        seen = [item for item in draft.evidence if f"evidence {item.number}" in kept]
        lines, withheld = answer_lines(row, self.cite_image)
        return Sample(prompt, harmless("\n".join([*lines, *_citing(row, seen)])), withheld, dropped)

    def example(self, row: Row) -> dict[str, Any]:
        """As trl's collator takes it: `prompt` and `completion` as whole text, and the pictures."""
        sample = self.sample(row)
        text, images = rendered(self.reader.processor, sample.prompt, self.reader.card.picture)
        return {
            "prompt": text,
            "completion": self.reader.completion(sample.prompt, text, sample.answer),
            "images": images,
        }


def answer_lines(row: Row, cite_image: bool = True) -> tuple[list[str], int]:
    """The answer's sentences as `[section] sentence [image]`, and how many were left out since serving would withhold
    them. A plain answer rests on the picture when `cite_image`; one that marks sources itself is left as it is."""
    plain = "[image]" not in row.told.said.lower() and row.told.task != "criteria"
    said = f"{row.told.said}." if row.told.task == "criteria" else row.told.said
    lines, withheld = [], 0
    for raw in said.splitlines():
        for sentence in parse(_capital(raw), row.told.sections):
            if withhold(sentence, row.situation):
                withheld += 1
            else:
                lines.append(_line(sentence, sentence.image or (plain and cite_image)))
    return lines, withheld


def _capital(raw: str) -> str:
    return raw if raw.startswith("[") else raw[:1].upper() + raw[1:]


def _line(sentence: Sentence, image: bool) -> str:
    return f"[{sentence.section}] {sentence.text}" + (" [image]" if image else "")


def _citing(row: Row, shown: Sequence[EvidenceItem]) -> list[str]:
    """What the passages that are shown say."""
    return [
        f"[{GUIDELINE}] {quoted(cite.says)} [{item.number}]"
        for cite in row.told.cites
        for item in shown
        if item.kind == "passage" and item.title == cite.document and cite.section in ("", item.section)
    ]
