"""Which kind of image this is: the nearest of a few prototypes, or none of them.

The prototypes lie beside an encoder's weights as `domains.json`, in that encoder's space:

    {"temperature": 0.05,
     "domains": {"chest_xray": {"mean": [0.01, …], "threshold": 0.62}, …}}

`mean` is the domain's mean embedding (brought to unit length when read), `threshold` the cosine below which an image is
not of the domain, `temperature` how fast confidence grows beyond it. Known by measurement, not by the model's word.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import Misconfigured
from retrieval.types import Domain, Vector

FILE = "domains.json"


@dataclass(frozen=True, slots=True)
class Domains:
    """Prototypes of the known domains: `means` (n, dim) of unit length, `thresholds` (n,) cosines."""

    names: tuple[str, ...]
    means: NDArray[np.float32]
    thresholds: NDArray[np.float32]
    temperature: float

    @classmethod
    def load(cls, encoder_folder: Path) -> Self | None:
        """None when the encoder comes without prototypes: then no image is judged. Raises `Misconfigured`."""
        path = encoder_folder / FILE
        if not path.is_file():
            return None
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            rows = data["domains"]
            means = np.array([row["mean"] for row in rows.values()], dtype=np.float32)
            thresholds = np.array([row["threshold"] for row in rows.values()], dtype=np.float32)
            temperature = float(data["temperature"])
            lengths = np.linalg.norm(means, axis=1, keepdims=True)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise Misconfigured(f"{path} is not a file of domain prototypes; train or copy it again.") from error
        if not rows or temperature <= 0 or not np.isfinite(means).all() or not (lengths > 0).all():
            raise Misconfigured(f"{path} holds no usable domain prototypes; train or copy it again.")
        return cls(tuple(rows), means / lengths, thresholds, temperature)

    def identify(self, embedding: Vector) -> Domain:
        """The domain of one image from its embedding, (dim,) of unit length. Raises `Misconfigured` for another dim.

        Every domain stands by its cosine's margin over its threshold, "none of them" by 0; the largest wins, and
        confidence is its share of the softmax, so that an image at a threshold is told with no more than a half.
        """
        if embedding.shape != self.means.shape[1:]:
            raise Misconfigured(f"{FILE} belongs to another encoder: {self.means.shape[1]} numbers an image.")
        margins = (self.means @ embedding - self.thresholds) / self.temperature
        logits = np.append(margins, 0.0)
        shares = np.exp(logits - logits.max())
        shares /= shares.sum()
        best = int(margins.argmax())
        known = bool(margins[best] > 0)
        return Domain(self.names[best] if known else None, float(shares[best if known else -1]), self.names[best])
