"""Where things are, in the space of texts: the projection of the image–text encoder's patches (`retrieval.encoders.
projection`), learnt from masks while the encoder itself stays as it is.

The map of a sentence, a softmax over the cells' cosines to it, shall be the mask of what it speaks of (cross-entropy).
Phantoms teach it, and real pictures of which all of a lesion is marked. The encoder looks at each picture once; what is
learnt over and over is one matrix.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.phantoms import FINDINGS
from eval.phantoms.findings import Finding
from eval.phantoms.phrases import TERMS, capital, phrase, sentence
from finetune.pocket.image_text import MEAN, STD
from finetune.pocket.stage import Stage, device
from finetune.pocket.targets import PLACES
from finetune.pocket.vision import Batch, Pictures
from retrieval.encoders import projection
from retrieval.encoders.openclip import OpenClipEncoder
from retrieval.encoders.projection import Projection, stacked

DRAWN = 1200  # pictures to learn from, no more than there are phantoms
LAYERS = 2  # of ResNet-10: 10 x 10 cells
IN_SIGHT = 0.05  # of the cell that it covers most: less of a finding was moved out of the picture
WORDS = {
    "brain tumor": "a brain tumour", "red blood cell": "red blood cells", "white blood cell": "white blood cells",
    "platelet": "platelets", "microaneurysm": "microaneurysms", "hard exudate": "hard exudates",
    "haemorrhage": "retinal haemorrhages", "soft exudate": "soft exudates",
}  # fmt: skip


@dataclass(frozen=True)
class Marked:
    """Sentences, unit vectors `texts` (n, dim), each true of the picture `which` (n,) of `cells` (pictures, rows,
    columns, channels), and how much of each cell is what it speaks of, `mask` (n, rows x columns) 0..1."""

    cells: Any
    texts: Any
    which: Any
    mask: Any


class Learner:
    """`module`: standardised channels to the text space, and the softmax's inverse temperature."""

    def __init__(self, folder: Path, pictures: Pictures, seed: int) -> None:
        import torch

        torch.manual_seed(seed)
        (folder / projection.FILE).unlink(missing_ok=True)  # of other weights, maybe
        self.folder, self.encoder, self.rng = folder, OpenClipEncoder(str(folder), device()), pictures.rng
        drawn = range(0, min(DRAWN, len(pictures.phantoms.facts)), 32)
        self.taught = self.marked((pictures.draw(32, other=0) for _ in drawn), pictures)
        seen = self.taught.cells[:256].float()
        self.centre, self.spread = seen.mean((0, 1, 2)), seen.std((0, 1, 2)).clamp(min=1e-3)
        self.module = torch.nn.Linear(len(self.centre), self.encoder.dim).to(device())
        self.module.register_parameter("heat", torch.nn.Parameter(torch.tensor(10.0, device=device())))

    def marked(self, batches: Iterable[Batch], pictures: Pictures) -> Marked:
        """What the encoder sees of these pictures, and a sentence on each place that is marked and in sight."""
        import torch
        from torch.nn.functional import adaptive_avg_pool2d

        cells, texts, which, masks, count = [], [], [], [], 0
        for batch in batches:
            with torch.no_grad():
                cells.append(stacked(self.encoder.maps((batch.pixels - MEAN) / STD, LAYERS)).half())
            for row, place in ((batch.marked > 0) & (batch.places.amax((2, 3)) > IN_SIGHT)).nonzero().tolist():
                if text := text_of(PLACES[place], int(batch.index[row]), pictures):
                    texts.append(text)
                    which.append(count + row)
                    masks.append(adaptive_avg_pool2d(batch.places[row, place][None], cells[-1].shape[1:3]).flatten())
            count += len(batch.pixels)
        read = torch.from_numpy(self.encoder.encode_texts(texts)).to(device())
        return Marked(torch.cat(cells), read, torch.tensor(which, device=device()), torch.stack(masks))

    def similar(self, told: Marked, some: Any) -> Any:
        """(n, rows x columns) cosines of some of the sentences to the cells of their pictures."""
        import torch
        from torch.nn.functional import normalize

        seen = (told.cells[told.which[some]].float() - self.centre) / self.spread
        return torch.einsum("nhwd,nd->nhw", normalize(self.module(seen).float(), dim=-1), told.texts[some]).flatten(1)

    def loss(self, batch: int) -> Any:
        import torch

        some = torch.from_numpy(self.rng.integers(len(self.taught.which), size=batch)).to(device())
        logs = (self.similar(self.taught, some) * self.module.heat).log_softmax(1)
        mask = self.taught.mask[some]
        return -(mask / mask.sum(1, keepdim=True) * logs).sum(1).mean()

    def judged(self, held: Marked) -> dict[str, float]:
        """How much of the hottest cell is the finding, in the mean over all sentences."""
        import torch

        with torch.no_grad():
            hottest = torch.cat([self.similar(held, n).argmax(1) for n in torch.arange(len(held.which)).split(64)])
        shares = held.mask.gather(1, hottest[:, None])
        return {"hottest cell": round(float(shares.mean()), 3)}

    def learn(self, stage: Stage, batch: int, held: Marked) -> None:
        """Writes the projection beside the encoder."""
        stage.run(lambda: self.loss(batch), lambda: self.judged(held))
        weight = self.module.weight.detach() / self.spread
        found = Projection(weight, self.module.bias.detach() - weight @ self.centre, LAYERS)
        projection.write(self.folder, found, self.folder / "open_clip_model.safetensors")


def text_of(place: str, index: int, pictures: Pictures) -> str | None:
    """In one of several wordings; `index` of the phantom, -1: a real picture. None for devices, and for a lateral view,
    which shows no side."""
    if index < 0:
        words = WORDS[place]
        there = "is" if words.startswith("a ") else "are"
        return str(pictures.rng.choice([f"There {there} {words}.", f"{capital(words)}."]))
    facts = pictures.phantoms.facts[index]
    if place not in FINDINGS or facts["view"] == "LATERAL":
        return None
    own = next(found for found in facts["findings"] if found["kind"] == place)
    finding = Finding(**{**own, "box": tuple(own["box"])})
    texts = [sentence(finding), f"{capital(phrase(finding))}.", f"There is {TERMS[finding.kind]}."]
    return texts[pictures.rng.choice(3, p=[0.6, 0.2, 0.2])]
