"""Which kind of image this is: the nearest of a few prototypes, or none of them.

The prototypes lie beside an encoder's weights as `domains.json`, in that encoder's space:

    {"temperature": 0.05, "sure": 0.8, "encoder": "pocket-3f9a2c1b",
     "domains": {"chest_xray": {"mean": [0.01, …], "threshold": 0.62}, …}}

`mean` is the domain's mean embedding (brought to unit length when read), `threshold` the cosine below which an image is
not of the domain, `temperature` how fast confidence grows beyond it, `sure` the confidence from which on the other
domains need not be searched. Known by measurement, not by the model's word. `consult domains fit` writes such a file
into CONSULT_HOME for the encoder it names; it stands in place of the one beside the weights.
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
SURE = 0.8  # where the file says nothing: an image within 1.4 temperatures of a threshold, or of two domains, is unsure


@dataclass(frozen=True, slots=True)
class Domains:
    """Prototypes of the known domains: `means` (n, dim) of unit length, `thresholds` (n,) cosines. `encoder` is the
    identity of the one they are of; None: the one beside whose weights they lie."""

    names: tuple[str, ...]
    means: NDArray[np.float32]
    thresholds: NDArray[np.float32]
    temperature: float
    sure: float = SURE
    encoder: str | None = None

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """Of an encoder's folder, or of CONSULT_HOME. None without a file: then no image is judged. Raises
        `Misconfigured`."""
        path = folder / FILE
        if not path.is_file():
            return None
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            rows = data["domains"]
            means = np.array([row["mean"] for row in rows.values()], dtype=np.float32)
            thresholds = np.array([row["threshold"] for row in rows.values()], dtype=np.float32)
            temperature, sure, encoder = float(data["temperature"]), float(data.get("sure", SURE)), data.get("encoder")
            lengths = np.linalg.norm(means, axis=1, keepdims=True)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise Misconfigured(f"{path} is not a file of domain prototypes; train or copy it again.") from error
        if not rows or temperature <= 0 or not np.isfinite(means).all() or not (lengths > 0).all():
            raise Misconfigured(f"{path} holds no usable domain prototypes; train or copy it again.")
        return cls(tuple(rows), means / lengths, thresholds, temperature, sure, encoder)

    def check(self, encoder: str | None) -> None:
        """Raises `Misconfigured` when the prototypes are of another encoder than this one."""
        if self.encoder is not None and self.encoder != encoder:
            raise Misconfigured(
                f"The domains were fitted for the encoder {self.encoder}, this is {encoder}. Run `consult domains fit` "
                f"again, or remove {FILE} from CONSULT_HOME."
            )

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
        confidence = float(shares[best if known else -1])
        return Domain(
            self.names[best] if known else None, confidence, self.names[best], known and confidence >= self.sure
        )
