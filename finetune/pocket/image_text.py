"""Trains the pocket image–text encoder: a small CLIP that loads unchanged in open_clip, and its domain prototypes.

The loss is CLIP's, S = exp(scale)·V̂T̂ᵀ, L = ½[CE(S, P) + CE(Sᵀ, P)] (Radford et al. 2021), with P spread over every
pair that truly belongs together: within a batch many phantoms share a finding, and a card on that finding belongs to
all of them. Pictures of other kinds carry one text of their own. A linear head on the image embedding learns findings
and sides beside it (binary cross-entropy) and is thrown away: captions alone teach a small tower too slowly.
Run: `python -m finetune.pocket.image_text --out retrieval/pocket/image_text`.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from eval.ledger import TRAINING_SEEDS, VALIDATION_SEEDS, TrainingLedger, drawn, write_ledger
from finetune.memory import keep_freed_memory
from finetune.pocket.language import CARD_FOLDER, PICTURE, schedule, targets
from finetune.pocket.outliers import outlier
from finetune.pocket.phantoms import PhantomSet, augmented, batches, phantom_set
from finetune.pocket.samples import FINDINGS, Card, cards, case_text
from finetune.pocket.tokenizer import text_tokenizer

SIDE, LENGTH, DIM = 112, 64, 128
VALIDATION = 600  # phantoms on which thresholds and calibration are set
HEAD = 4.0  # weight of the findings head beside the contrastive loss
OTHER = "an image of another kind, not a chest radiograph"
Labels = frozenset[str]
NORMAL: Labels = frozenset(["normal"])


@dataclass(frozen=True)
class Caption:
    """A text and what it is about. `exact`: it describes exactly these findings; else any picture with one of them."""

    text: str
    about: Labels
    exact: bool


def caption(facts: dict[str, Any], library: list[Card], rng: np.random.Generator) -> Caption:
    kinds = [finding["kind"] for finding in facts["findings"]]
    draw = rng.random()
    own = [card for card in library if card.finding in kinds]
    if not kinds:
        own = [card for card in library if card.title == "Normal chest radiograph"]
    if draw < 0.4 and own:
        card = own[rng.integers(len(own))]
        words = " ".join(f"{card.title}. {card.section}. {card.text}".split()[: rng.integers(3, 45)])
        return Caption(words, frozenset([card.finding] if card.finding else ["normal"]), False)
    about = frozenset(kinds or ["normal"])
    if draw < 0.7:
        return Caption(case_text(facts), about, True)
    if draw < 0.85 or not kinds:
        return Caption(facts["report"]["impression"], about, True)
    return Caption(" and ".join(FINDINGS[kind] for kind in kinds), about, True)


def belongs(pictures: list[Labels], texts: list[Caption]) -> NDArray[np.float32]:
    """P (pictures, texts): 1 where a text is true of a picture in every finding it names, 0 elsewhere."""
    rows = [
        [text.about == labels if text.exact else bool(text.about & labels) for text in texts] for labels in pictures
    ]
    return np.array(rows, np.float32)


def build(texts: list[str], out: Path) -> tuple[Any, Any]:
    """An untrained open_clip model and its tokenizer; the configuration and tokenizer are written to `out`."""
    from open_clip import CLIP
    from open_clip.tokenizer import HFTokenizer

    out.mkdir(parents=True, exist_ok=True)
    tokenizer = text_tokenizer(texts, 2048, LENGTH)
    tokenizer.save_pretrained(out)
    vision = {"image_size": SIDE, "patch_size": 14, "width": 192, "layers": 4, "head_width": 32}
    text = {
        "context_length": LENGTH, "vocab_size": len(tokenizer), "width": 128, "heads": 4, "layers": 3,
        "hf_tokenizer_name": "pocket",  # any name: open_clip then reads the tokenizer that lies in the folder
        "pool_type": "argmax",
    }  # fmt: skip
    preprocess = {
        "mean": [0.5] * 3, "std": [0.25] * 3, "interpolation": "bicubic", "resize_mode": "longest", "fill_color": 0,
    }  # fmt: skip
    config = {"model_cfg": {"embed_dim": DIM, "vision_cfg": vision, "text_cfg": text}, "preprocess_cfg": preprocess}
    (out / "open_clip_config.json").write_text(json.dumps(config, indent=2) + "\n")
    return CLIP(embed_dim=DIM, vision_cfg=vision, text_cfg=text), HFTokenizer(str(out), context_length=LENGTH)


def tensor(pictures: list[NDArray[np.uint8]]) -> Any:
    """What open_clip's preprocessing makes of square pictures: (n, 3, SIDE, SIDE), normalised."""
    import torch
    from PIL import Image

    rows = [
        np.asarray(Image.fromarray(p).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for p in pictures
    ]
    values = np.stack(rows).astype(np.float32).transpose(0, 3, 1, 2) / 255
    return torch.from_numpy(np.ascontiguousarray((values - 0.5) / 0.25))


def train(model: Any, tokenizer: Any, data: PhantomSet, steps: int, batch: int, seed: int) -> None:
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits, log_softmax, normalize

    rng, library = np.random.default_rng(seed), cards(CARD_FOLDER)
    indices = batches(len(data.facts), batch, rng)
    findings = torch.tensor([targets(facts) for facts in data.facts])
    head = torch.nn.Linear(DIM, findings.shape[1])
    parameters = [*model.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.05, betas=(0.9, 0.98))
    started, mean = time.time(), 0.0
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * schedule(step, steps)
        chosen = next(indices)
        pictures = [augmented(data.pixels[n], rng) for n in chosen]
        labels = [frozenset(f["kind"] for f in data.facts[n]["findings"]) or NORMAL for n in chosen]
        texts = [caption(data.facts[n], library, rng) for n in chosen]
        others = batch // 6
        pictures += [outlier(SIDE, rng) for _ in range(others)]
        labels += [frozenset(["other"])] * others
        texts += [Caption(OTHER, frozenset(["other"]), True)] * 2
        # Cards on what no phantom shows belong to no picture: they only push.
        strangers = [card for card in library if card.finding is None and card.title != "Normal chest radiograph"]
        for _ in range(8):
            card = strangers[rng.integers(len(strangers))]
            texts.append(Caption(f"{card.title}. {card.section}. {card.text[:200]}", frozenset(["nothing"]), True))
        target = torch.from_numpy(belongs(labels, texts))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            features = model.encode_image(tensor(pictures)).float()
            read = model.encode_text(tokenizer([text.text for text in texts]), normalize=True)
        scores = model.logit_scale.exp() * normalize(features, dim=1) @ read.float().T
        loss = HEAD * binary_cross_entropy_with_logits(head(features[:batch]), findings[chosen])
        for logits, wanted in ((scores, target), (scores.T, target.T)):
            rows = wanted.sum(1) > 0
            spread = wanted[rows] / wanted[rows].sum(1, keepdim=True)
            loss = loss - (spread * log_softmax(logits[rows], 1)).sum(1).mean() / 2
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        model.logit_scale.data.clamp_(0, 4.6)
        mean = loss.item() if step == 0 else 0.98 * mean + 0.02 * loss.item()
        if step % 25 == 0 or step == steps - 1:
            left = (time.time() - started) / (step + 1) * (steps - step - 1) / 60
            print(f"encoder {step + 1}/{steps} loss {mean:.4f}, {left:.1f} min left", flush=True)


def prototypes(model: Any, data: PhantomSet, seed: int) -> dict[str, Any]:
    """The chest radiograph's mean embedding, and as threshold the middle between the lowest percent of phantoms and
    the highest percent of other pictures; both fresh."""
    import torch

    rng = np.random.default_rng(seed)
    chests = tensor([augmented(pixels, rng) for pixels in data.pixels])
    others = tensor([outlier(SIDE, rng) for _ in range(1000)])
    with torch.no_grad():
        seen = model.encode_image(chests, normalize=True).float().numpy()
        other = model.encode_image(others, normalize=True).float().numpy()
    mean = seen.mean(0) / np.linalg.norm(seen.mean(0))
    low, high = float(np.quantile(seen @ mean, 0.01)), float(np.quantile(other @ mean, 0.99))
    print(f"chest radiographs: 1 % below cosine {low:.3f}; other pictures: 1 % above {high:.3f}")
    threshold = (low + max(high, 0.0)) / 2 if high < low else low
    entry = {"mean": [round(float(v), 6) for v in mean], "threshold": round(threshold, 4)}
    return {"temperature": 0.05, "domains": {"chest_xray": entry}}


def calibrate(model: Any, tokenizer: Any, data: PhantomSet, seed: int) -> dict[str, list[float]]:
    """[slope, intercept] of the logistic curves from cosine to relevance, classes weighted alike: does a card speak of
    a finding in the picture, does a case share a finding with it (or none, both)? On phantoms that taught nothing."""
    import torch
    from sklearn.linear_model import LogisticRegression

    rng, library = np.random.default_rng(seed), [card for card in cards(CARD_FOLDER) if card.finding]
    labels = [frozenset(f["kind"] for f in facts["findings"]) or NORMAL for facts in data.facts]
    texts = [" ".join(f"{card.title} {card.section} {card.text}".split()[:60]) for card in library]
    with torch.no_grad():
        pictures = tensor([augmented(pixels, rng) for pixels in data.pixels])
        seen = model.encode_image(pictures, normalize=True).float().numpy()
        read = model.encode_text(tokenizer(texts), normalize=True).float().numpy()
    pairs = np.triu_indices(len(labels), 1)
    shared = np.array([bool(labels[a] & labels[b]) for a, b in zip(*pairs, strict=True)])
    spoken = np.array([[card.finding in found for card in library] for found in labels])
    legs = {}
    for leg, cosines, true in (
        ("image→passage", (seen @ read.T).ravel(), spoken.ravel()),
        ("image→case", (seen @ seen.T)[pairs], shared),
    ):
        fit = LogisticRegression(C=1e6, class_weight="balanced").fit(cosines[:, None], true)
        print(f"{leg}: cosine {cosines[true].mean():.3f} where relevant, {cosines[~true].mean():.3f} elsewhere")
        legs[leg] = [round(float(fit.coef_[0, 0]), 4), round(float(fit.intercept_[0]), 4)]
    return legs


def main(
    out: Annotated[Path, typer.Option(help="where the encoder is written")],
    cache: Annotated[Path, typer.Option(help="where rendered phantoms are kept")] = Path("out/phantoms"),
    phantoms: Annotated[int, typer.Option(help="how many phantoms to learn from")] = 10000,
    steps: Annotated[int, typer.Option(help="training steps")] = 800,
    batch: Annotated[int, typer.Option(help="phantoms a step")] = 48,
    seed: Annotated[int, typer.Option()] = 1,
) -> None:
    """Train the pocket image–text encoder on phantoms."""
    import torch
    from safetensors.torch import save_file

    keep_freed_memory()
    torch.manual_seed(seed)
    data = phantom_set(cache, phantoms, seed=TRAINING_SEEDS.start, size=PICTURE)
    texts = [case_text(facts) for facts in data.facts[:3000]]
    texts += [f"{card.title}. {card.section}. {card.text}" for card in cards(CARD_FOLDER)] * 5 + [OTHER] * 50
    model, tokenizer = build(texts, out)
    train(model, tokenizer, data, steps, batch, seed)
    model.eval()
    fresh = phantom_set(cache, VALIDATION, seed=VALIDATION_SEEDS.start, size=PICTURE)
    (out / "domains.json").write_text(json.dumps(prototypes(model, fresh, seed)) + "\n")
    legs = json.dumps(calibrate(model, tokenizer, fresh, seed), ensure_ascii=False)
    (out / "calibration.json").write_text(legs + "\n")
    weights = {name: value.to(torch.float16).contiguous() for name, value in model.state_dict().items()}
    save_file(weights, out / "open_clip_model.safetensors")
    seen = TrainingLedger(
        (("training", drawn(TRAINING_SEEDS, phantoms)), ("validation", drawn(VALIDATION_SEEDS, VALIDATION))),
        ("the guideline cards", "drawn pictures of no real kind"),
    )
    write_ledger(out, seen)
    print(f"Written to {out}.")


if __name__ == "__main__":
    typer.run(main)
