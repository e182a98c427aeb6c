"""Trains the pocket text encoder for passages: one BERT layer and a mean, enough to know that words are related.

The loss is InfoNCE over the other passages of a batch (van den Oord et al. 2018) on question–passage pairs made from
titles, other names, sections and sentences: of the guideline cards and, where it is there, of MedQuAD (CC BY 4.0),
without the passages its test questions ask for. Beside the weights goes `calibration.json`: how a cosine becomes a
relevance, by logistic regression on pairs that were
held out (on the cards themselves without MedQuAD).
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.ledger import TrainingLedger, write_ledger
from finetune.pocket.material import CARD_FOLDER, cards
from finetune.pocket.stage import schedule
from finetune.pocket.tokenizer import text_tokenizer

LENGTH = 192
TEMPERATURE = 0.05
QUESTIONS = (
    "{title}", "{title} {section}", "What are the {section} of {title}?", "Is there {title}?", "{section}: {title}",
    "What does {title} look like?", "How is {title} recognised?", "What is known about the {section} in {title}?",
    "Does this picture show {title}?", "What next in {title}?", "Any sign of {title}?", "Tell me about {title}.",
)  # fmt: skip


@dataclass(frozen=True)
class Text:
    """A passage as ingestion encodes it, and the names its subject goes by."""

    names: tuple[str, ...]
    section: str
    text: str

    @property
    def passage(self) -> str:
        return "\n".join(filter(None, (self.names[0], self.section, self.text)))


def card_texts() -> list[Text]:
    import frontmatter

    aliases = {}
    for path in CARD_FOLDER.glob("*.md"):
        card = frontmatter.load(str(path))
        aliases[card.get("title")] = [*card.get("aliases", []), *card.get("terms", [])]
    return [Text((c.title, *aliases[c.title]), c.section, c.text) for c in cards(CARD_FOLDER)]


def medquad_texts(folder: Path) -> list[Text]:
    """Passages of MedQuAD but those that `questions.jsonl` beside it asks for: these measure, so they don't teach."""
    lines = (folder / "questions.jsonl").read_text().splitlines()
    asked = {name for line in lines for name in json.loads(line)["relevant_ids"]}
    rows = [json.loads(line) for line in (folder / "medquad.jsonl").read_text().splitlines()]
    return [Text((r["title"],), r["section"] or "", r["text"]) for r in rows if r["id"] not in asked]


def question(text: Text, rng: np.random.Generator) -> str:
    """A question this passage answers: from its title and section, or one of its own sentences."""
    if rng.random() < 0.3:
        sentences = [s for s in re.split(r"(?<=[.!?])\s+|\n", text.text) if len(s.split()) > 4]
        if sentences:
            return str(rng.choice(sentences)).lstrip("- ")
    name = text.names[rng.integers(len(text.names))].lower()
    return str(rng.choice(QUESTIONS)).format(title=name, section=text.section.lower() or "facts")


def build(texts: list[Text], seed: int) -> tuple[Any, Any]:
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)
    tokenizer = text_tokenizer([text.passage for text in texts], 8000, LENGTH)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=128, num_hidden_layers=1, num_attention_heads=4, intermediate_size=256,
        max_position_embeddings=LENGTH, type_vocab_size=1, pad_token_id=0,
    )  # fmt: skip
    return BertModel(config), tokenizer


def encode(model: Any, tokenizer: Any, texts: list[str]) -> Any:
    """(n, dim) unit vectors, the mean over tokens, as `retrieval.encoders.passages` pools them."""
    from torch.nn.functional import normalize

    inputs = tokenizer(texts, padding=True, truncation=True, max_length=LENGTH, return_tensors="pt")
    states = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).last_hidden_state.float()
    weight = inputs["attention_mask"].unsqueeze(-1).float()
    return normalize((states * weight).sum(1) / weight.sum(1), dim=1)


def _batches(n: int, size: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Endless batches of indices, every one seen once before any is seen again."""
    order = np.empty(0, np.int64)
    while True:
        if len(order) < size:
            order = np.concatenate([order, rng.permutation(n)])
        yield order[:size]
        order = order[size:]


def train(
    model: Any, tokenizer: Any, texts: list[Text], steps: int, batch: int, lr: float, rng: np.random.Generator
) -> None:
    import torch
    from torch.nn.functional import cross_entropy

    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.01)
    indices, mean = _batches(len(texts), batch, rng), 0.0
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = lr * schedule(step, steps)
        chosen = [texts[n] for n in next(indices)]
        asked = encode(model, tokenizer, [question(text, rng) for text in chosen])
        read = encode(model, tokenizer, [text.passage for text in chosen])
        scores = asked @ read.T / TEMPERATURE
        # Another section of the same subject is no wrong answer: it neither pulls nor pushes.
        same = torch.tensor([[a.names[0] == b.names[0] and a is not b for b in chosen] for a in chosen])
        scores = scores.masked_fill(same, -1e4)
        loss = cross_entropy(scores, torch.arange(len(chosen)))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        mean = loss.item() if step == 0 else 0.98 * mean + 0.02 * loss.item()
        if step % 50 == 0 or step == steps - 1:
            print(f"passages {step + 1}/{steps} loss {mean:.4f}", flush=True)


def calibrate(model: Any, tokenizer: Any, texts: list[Text], rng: np.random.Generator) -> dict[str, list[float]]:
    """[slope, intercept] of the logistic curve from cosine to the probability that a passage is on the subject asked
    about, by comparing each question with its own passage and with the nearest one of another subject."""
    import torch
    from sklearn.linear_model import LogisticRegression

    chosen = [texts[n] for n in rng.permutation(len(texts))[:600]]
    with torch.no_grad():
        asked = torch.cat([encode(model, tokenizer, [question(text, rng)]) for text in chosen]).numpy()
        read = torch.cat([encode(model, tokenizer, [text.passage]) for text in chosen]).numpy()
    scores = asked @ read.T
    own = scores.diagonal().copy()
    names = np.array([text.names[0] for text in chosen])
    scores[names[:, None] == names[None, :]] = -1
    cosines = np.concatenate([own, scores.max(1)])
    fit = LogisticRegression(C=1e6).fit(cosines[:, None], np.repeat([1, 0], len(chosen)))
    print(f"cosine of the own passage {own.mean():.3f}, of the nearest other {scores.max(1).mean():.3f}")
    return {"text→passage": [round(float(fit.coef_[0, 0]), 4), round(float(fit.intercept_[0]), 4)]}


def train_encoder(out: Path, medquad: Path | None, recipe: tuple[int, int, float], seed: int = 1) -> None:
    """Trains the encoder and writes it to `out`. `medquad`: a folder with medquad.jsonl and questions.jsonl; `recipe`:
    steps, pairs a step, peak learning rate."""
    import torch

    steps, batch, lr = recipe
    rng = np.random.default_rng(seed)
    own, foreign = card_texts(), medquad_texts(medquad) if medquad else []
    held = foreign[::10] or own
    model, tokenizer = build(own + foreign, seed)
    train(model, tokenizer, own * 4 + [text for n, text in enumerate(foreign) if n % 10], steps, batch, lr, rng)
    model.eval()
    out.mkdir(parents=True, exist_ok=True)
    legs = calibrate(model, tokenizer, held, rng)
    (out / "calibration.json").write_text(json.dumps(legs, ensure_ascii=False) + "\n")
    model.to(torch.float16).save_pretrained(out)
    tokenizer.save_pretrained(out)
    sources = ("questions about the guideline cards", *(["MedQuAD (NIH and CDC pages)"] if foreign else []))
    write_ledger(out, TrainingLedger(sources=sources))
