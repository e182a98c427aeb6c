"""The pocket image–text encoder, from scratch: a small CLIP with a convolutional image tower that loads unchanged in
open_clip, and its domain prototypes.

Three losses. CLIP's with many positives (`losses.multi_positive`): many pictures of a batch share a finding, and a card
on it belongs to all of them. The same between pictures and pictures, by the share of labels in common, since a CLIP
tower finds pictures by pictures poorly unless an intra-modal term was learnt (Mistretta et al. 2025). And all that is
known of a picture, with a coarse map (`vision`), whose readers are thrown away: captions alone teach a small tower too
slowly.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune.pocket import captions
from finetune.pocket.captions import OTHER, STRANGE, Caption, Labels
from finetune.pocket.material import Card, case_text
from finetune.pocket.phantoms import PhantomSet
from finetune.pocket.pictures import DOMAIN_OF
from finetune.pocket.stage import device
from finetune.pocket.tokenizer import text_tokenizer
from finetune.pocket.vision import Batch, Pictures, readers, seeing_loss

SIDE, LENGTH, DIM = 160, 64, 128
TRUNK, WIDTH = "resnet10t", 512
SEEING_WEIGHT, ALIKE_WEIGHT = 2.0, 0.5
MEAN, STD = 0.5, 0.25


def build(texts: list[str], out: Path) -> tuple[Any, Any]:
    """An untrained open_clip model and its tokenizer; the configuration and tokenizer are written to `out`."""
    from open_clip import CLIP
    from open_clip.tokenizer import HFTokenizer

    out.mkdir(parents=True, exist_ok=True)
    tokenizer = text_tokenizer(texts, 2048, LENGTH)
    tokenizer.save_pretrained(out)
    vision = {
        "image_size": SIDE, "timm_model_name": TRUNK, "timm_model_pretrained": False, "timm_pool": "avg",
        "timm_proj": "linear",
    }  # fmt: skip
    text = {
        "context_length": LENGTH, "vocab_size": len(tokenizer), "width": 128, "heads": 4, "layers": 3,
        "hf_tokenizer_name": "pocket",  # any name: open_clip then reads the tokenizer that lies in the folder
        "pool_type": "argmax",
    }  # fmt: skip
    preprocess = {
        "mean": [MEAN] * 3, "std": [STD] * 3, "interpolation": "bicubic", "resize_mode": "longest", "fill_color": 0,
    }  # fmt: skip
    config = {"model_cfg": {"embed_dim": DIM, "vision_cfg": vision, "text_cfg": text}, "preprocess_cfg": preprocess}
    (out / "open_clip_config.json").write_text(json.dumps(config, indent=2) + "\n")
    return CLIP(embed_dim=DIM, vision_cfg=vision, text_cfg=text), HFTokenizer(str(out), context_length=LENGTH)


@dataclass
class Matcher:
    """The model, its tokenizer, what captions are drawn from, and the readers that are thrown away."""

    model: Any
    tokenizer: Any
    pictures: Pictures
    library: Sequence[Card]

    def __post_init__(self) -> None:
        side = SIDE // 32
        self.model.to(device())
        self.seers = readers(WIDTH, side * side, fine=1).to(device())
        # Cards on what no phantom shows belong to no picture: they only push.
        self.strangers = [c for c in self.library if c.finding is None and c.title != "Normal chest radiograph"]

    def look(self, pixels: Any) -> tuple[Any, Any]:
        """(n, 3, SIDE, SIDE) in 0..1 → embeddings (n, DIM), not of unit length, and tokens (n, cells, WIDTH)."""
        import torch

        visual = self.model.visual
        values = ((pixels - MEAN) / STD).contiguous(memory_format=torch.channels_last)
        seen = visual.trunk.forward_features(values)
        return visual.head(visual.trunk.forward_head(seen)).float(), seen.flatten(2).transpose(1, 2).float()

    def sees(self, pixels: Any) -> tuple[Any, Any]:
        told, mapped = self.seers(self.look(pixels)[1])
        return told, mapped

    def loss(self, batch: Batch) -> Any:
        """The three losses of one batch."""
        import torch
        from torch.nn.functional import normalize

        from finetune.losses import multi_positive

        labels = self.labels(batch)
        texts = [*self.captions(batch, labels), *self._pushing()]
        raw, tokens = self.look(batch.pixels)
        seen = normalize(raw, dim=1)
        read = self.model.encode_text(
            self.tokenizer([text.text for text in texts]).to(device()), normalize=True
        ).float()
        scale = self.model.logit_scale.exp().clamp(max=100)
        both = torch.from_numpy(captions.belongs(labels, texts)).to(device())
        scores = scale * seen @ read.T
        near = (scale * seen @ seen.T).masked_fill(torch.eye(len(labels), dtype=torch.bool, device=device()), -1e4)
        loss = multi_positive(scores, both) + SEEING_WEIGHT * seeing_loss(self.seers(tokens), batch)
        alike = torch.from_numpy(captions.alike(labels)).to(device())
        return loss + ALIKE_WEIGHT * multi_positive(near, alike) if alike.any() else loss

    def labels(self, batch: Batch) -> list[Labels]:
        facts, real = self.pictures.phantoms.facts, self.pictures.real
        found = []
        for n, (index, which) in enumerate(zip(batch.index, batch.real, strict=True)):
            if index >= 0:
                found.append(captions.labels_of_phantom(facts[index]))
            elif which >= 0 and real is not None:
                targets = batch.targets[n].cpu().numpy()
                found.append(captions.labels_of_real(real.sources[which], real.rows[which], targets))
            else:
                found.append(STRANGE)
        return found

    def captions(self, batch: Batch, labels: list[Labels]) -> list[Caption]:
        rng, facts = self.pictures.rng, self.pictures.phantoms.facts
        return [
            captions.phantom_caption(facts[index], self.library, rng)
            if index >= 0
            else Caption(OTHER, STRANGE)
            if own == STRANGE
            else captions.real_caption(own, rng)
            for index, own in zip(batch.index, labels, strict=True)
        ]

    def _pushing(self) -> list[Caption]:
        some = [self.strangers[i] for i in self.pictures.rng.integers(len(self.strangers), size=8)]
        return [Caption(f"{c.title}. {c.section}. {c.text[:200]}", frozenset(["nothing"])) for c in some]

    def encode(self, batches: list[Batch]) -> NDArray[np.float32]:
        """(n, DIM) unit vectors of the batches' pictures."""
        import torch
        from torch.nn.functional import normalize

        with torch.no_grad():
            seen = [normalize(self.look(batch.pixels)[0], dim=1) for batch in batches]
        return np.asarray(torch.cat(seen).cpu().numpy())


def texts_of(data: PhantomSet, library: Sequence[Card]) -> list[str]:
    """What the tokenizer is learnt from."""
    texts = [case_text(facts) for facts in data.facts[:3000]]
    texts += [f"{card.title}. {card.section}. {card.text}" for card in library] * 5
    return texts + [OTHER, *captions.REAL_WORDS.values()] * 20


def domains(matcher: Matcher, phantoms: list[Batch], real: list[Batch]) -> dict[str, Any]:
    """Prototypes of the known kinds from training pictures; patients stay together (`retrieval.prototypes`)."""
    from retrieval.prototypes import fit_prototypes

    facts, reals = matcher.pictures.phantoms.facts, matcher.pictures.real
    names, groups = [], []
    for batch in (*phantoms, *real):
        for index, which in zip(batch.index, batch.real, strict=True):
            if index >= 0:
                names.append("chest_xray")
                groups.append(f"phantom {facts[index]['family']} {facts[index]['seed']}")
            elif reals is not None:
                source, row = reals.sources[which], reals.rows[which]
                names.append(DOMAIN_OF[source])
                groups.append(f"{source} {row.get('patient') or row['id']}")
    return fit_prototypes(matcher.encode([*phantoms, *real]), names, groups)


def calibrate(matcher: Matcher, batches: list[Batch]) -> dict[str, list[float]]:
    """[slope, intercept] of the logistic curves from cosine to relevance, classes weighted alike: does a card speak of
    a finding in the picture, does a case share a finding with it (or none, both)? On phantoms that taught nothing."""
    import torch
    from sklearn.linear_model import LogisticRegression

    library = [card for card in matcher.library if card.finding]
    labels = [label for batch in batches for label in matcher.labels(batch)]
    texts = [" ".join(f"{card.title} {card.section} {card.text}".split()[:60]) for card in library]
    seen = matcher.encode(batches)
    with torch.no_grad():
        read = matcher.model.encode_text(matcher.tokenizer(texts).to(device()), normalize=True).float().cpu().numpy()
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


def save(matcher: Matcher, out: Path) -> None:
    import torch
    from safetensors.torch import save_file

    state = matcher.model.state_dict()
    half = {k: (v.to(torch.float16) if v.is_floating_point() else v).contiguous() for k, v in state.items()}
    save_file(half, out / "open_clip_model.safetensors")
