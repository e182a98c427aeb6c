"""The encoders of an installation: two that read everything, and a domain's own where the settings name some.

A lane is one encoder in one role. What a lane reads gets that encoder's vector; what bears on any domain is read by
every lane of its kind, so that a search in one encoder's space finds all that it may find.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from retrieval.encoders.base import ImageTextEncoder, Reranker, TextEncoder, Vectors
from retrieval.encoders.folder import POCKET, identity, pocket, weights_in
from retrieval.errors import Misconfigured
from retrieval.fitted import from_json, merged
from retrieval.types import Fitted, VectorSpec

IMAGE, IMAGE_TEXT, TEXT = "image", "image_text", "text"  # roles: what was encoded, for which named vector
RERANKER = "reranker"
PAIR = "fitted.json"  # what was fitted for the two pocket encoders together
Part = Literal["image_text", "text"]
E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Lane:
    """`domain` None: the encoder of every domain that has none of its own, `except_for` them."""

    role: str
    encoder: Any  # ImageTextEncoder for pictures and image_text, TextEncoder for text
    domain: str | None = None
    except_for: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The role, for the manifest: "image", or "image@fundus"."""
        return named(self.role, self.domain)

    @property
    def identity(self) -> str:
        return str(self.encoder.identity)

    def encode(self, given: Sequence[Any]) -> Vectors:
        """(n, dim) of n pictures, or of n texts. Raises `Misconfigured` for vectors that can't be used."""
        methods = {IMAGE: "encode_images", IMAGE_TEXT: "encode_texts", TEXT: "encode_passages"}
        vectors = np.asarray(getattr(self.encoder, methods[self.role])(given), dtype=np.float32)
        if vectors.shape != (len(given), self.encoder.dim) or not np.isfinite(vectors).all():
            raise Misconfigured(
                f"The encoder {self.identity} made vectors that can't be used; its weights may be damaged."
            )
        return vectors

    def reads(self, domain: str | None) -> bool:
        """Whether what is of this domain (None: of any) gets this lane's vector."""
        return domain is None or (domain == self.domain if self.domain else domain not in self.except_for)


@dataclass(frozen=True, slots=True)
class Encoders:
    """`seeing` and `reading` are the domains' own encoders, by domain. Without `image_text` only words are searched."""

    image_text: ImageTextEncoder | None
    text: TextEncoder
    fitted: Fitted = field(default_factory=Fitted)
    seeing: Mapping[str, ImageTextEncoder] = field(default_factory=dict)
    reading: Mapping[str, TextEncoder] = field(default_factory=dict)
    reranker: Reranker | None = None
    names: "Names | None" = None  # as they were loaded, so that other processes can load the same
    processes: int = 1  # that embed in bulk

    def lanes(self) -> list[Lane]:
        seeing = [lane for role in (IMAGE, IMAGE_TEXT) for lane in _lanes(role, self.image_text, self.seeing)]
        seeing = [lane for lane in seeing if lane.role == IMAGE or lane.encoder.reads_text]
        return seeing + _lanes(TEXT, self.text, self.reading)

    def looks(self, domains: Sequence[str]) -> dict[str | None, ImageTextEncoder]:
        """Who looks at a picture when these domains are searched, all of them for (). None: the encoder of the rest."""
        return {} if self.image_text is None else _chosen(self.image_text, self.seeing, domains)

    def reads(self, domains: Sequence[str]) -> dict[str | None, TextEncoder]:
        """Who reads a question when these domains are searched, all of them for ()."""
        return _chosen(self.text, self.reading, domains)

    def specs(self) -> dict[str, VectorSpec]:
        """The named vectors of an index made with these, by role."""
        return {
            lane.name: VectorSpec(lane.identity, lane.encoder.dim, (lane.domain,) if lane.domain else ())
            for lane in self.lanes()
        }

    @property
    def identities(self) -> dict[str, str]:
        """Which encoders these are, by part: "image_text", "text", "text@fundus", "reranker"."""
        parts = {IMAGE: IMAGE_TEXT, TEXT: TEXT}
        lanes = [lane for lane in self.lanes() if lane.role in parts]
        reranker = {RERANKER: self.reranker.identity} if self.reranker else {}
        return {named(parts[lane.role], lane.domain): lane.identity for lane in lanes} | reranker


def named(role: str, domain: str | None) -> str:
    """A role or leg, told apart by the domain whose own encoder made it."""
    return f"{role}@{domain}" if domain else role


def _lanes(role: str, main: E | None, own: Mapping[str, E]) -> list[Lane]:
    if main is None:
        return []
    return [Lane(role, main, except_for=frozenset(own)), *(Lane(role, one, domain) for domain, one in own.items())]


def _chosen(main: E, own: Mapping[str, E], domains: Iterable[str]) -> dict[str | None, E]:
    wanted = tuple(domains)
    chosen: dict[str | None, E] = {domain: encoder for domain, encoder in own.items() if domain in wanted or not wanted}
    return chosen if wanted and set(wanted) <= set(own) else {None: main, **chosen}


@dataclass(frozen=True, slots=True)
class Names:
    """Encoders as the settings call them: "pocket", a folder, a hub name; `domains` by part and domain."""

    image_text: str = "pocket"
    text: str = "pocket"
    seeing: Mapping[str, str] = field(default_factory=dict)
    reading: Mapping[str, str] = field(default_factory=dict)
    reranker: str | None = None

    def fitted(self) -> Fitted:
        """What came with these encoders: a curve a leg, and for the two that ship all that `consult calibrate` fits.
        Raises `Misconfigured`."""
        legs = _legs_of(self.image_text, "image_text", None) | _legs_of(self.text, "text", None)
        for domain, name in self.seeing.items():
            legs |= _legs_of(name, "image_text", domain)
        for domain, name in self.reading.items():
            legs |= _legs_of(name, "text", domain)
        own = Fitted(legs=legs)
        others = self.seeing or self.reading or self.reranker
        if (self.image_text, self.text) == ("pocket", "pocket") and not others:
            called = {"image_text": "pocket", "text": "pocket-text"}
            identities = {part: identity(name, weights_in(pocket(part))) for part, name in called.items()}
            return merged(own, _read(POCKET / PAIR, from_json), identities)
        return own


def load(names: Names, processes: int = 1) -> Encoders:
    """The encoders that settings name, with what was fitted for them. Raises `Misconfigured`."""
    from retrieval.encoders import load_image_text, load_reranker, load_text

    return Encoders(
        load_image_text(names.image_text),
        load_text(names.text),
        names.fitted(),
        {domain: load_image_text(name) for domain, name in names.seeing.items()},
        {domain: load_text(name) for domain, name in names.reading.items()},
        load_reranker(names.reranker) if names.reranker else None,
        names,
        processes,
    )


def encoder_folder(name: str, part: Part) -> Path | None:
    """Where an encoder's own files lie (`calibration.json`, `domains.json`); None for a name on a hub."""
    folder = pocket(part) if name == "pocket" else Path(name.removeprefix("local-dir:")).expanduser()
    return folder if folder.is_dir() else None


def _legs_of(name: str, part: Part, domain: str | None) -> dict[str, tuple[float, float]]:
    """Of the legs this encoder has a part in, from `calibration.json` beside its weights: {"text→passage": [a, b]}."""
    folder = encoder_folder(name, part)
    legs = _read(folder / "calibration.json", _pairs) if folder else None
    return {named(leg, domain): pair for leg, pair in (legs or {}).items()}


def _pairs(data: Any) -> dict[str, tuple[float, float]]:
    return {leg: (float(a), float(b)) for leg, (a, b) in data.items()}


def _read(path: Path, as_what: Callable[[Any], E]) -> E | None:
    """None where the file isn't there. Raises `Misconfigured`."""
    if not path.is_file():
        return None
    try:
        return as_what(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Misconfigured(f"{path} is not a calibration (leg → [a, b]); calibrate again or remove it.") from error
