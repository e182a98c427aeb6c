"""Nothing is asked that the model learnt from, or that the library holds: patients and phantom seeds are compared
before an exam starts, pictures as they are made, and the first leak ends it."""

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from assistant.assistant import Assistant
from assistant.engines.card import pocket_folder
from assistant.requests import Request
from assistant.settings import Settings
from eval.exam.benchmark import Item
from eval.exam.library import phantoms_of
from eval.leaks import Indexed, Seeds, Seen, Trace, check, check_training, library_seen, trace
from eval.ledger import read_ledger
from retrieval.cases import find_manifest, picture_reader, read_manifest, read_picture_safely
from retrieval.db import patient_hash, salt_of
from retrieval.encoders.bundle import encoder_folder
from retrieval.errors import BadInput
from retrieval.library import Library


class Guard:
    """`notes`: whose training isn't known, so that nothing can be said of it."""

    def __init__(self, corpus: Seen, training: Sequence[Seen], notes: Sequence[str] = ()) -> None:
        self.corpus, self.training, self.notes = Indexed(corpus), [Indexed(one) for one in training], tuple(notes)

    @classmethod
    def over(cls, assistant: Assistant, settings: Settings, adapter: str | None = None) -> "Guard":
        """Over the library the assistant searches, and the ledgers beside its model, adapter and encoders."""
        encoders = settings.encoders
        folders = {
            f"the model {settings.engine.model}": _model_folder(settings),
            f"the image encoder {encoders.image_text}": encoder_folder(encoders.image_text, "image_text"),
            f"the text encoder {encoders.text}": encoder_folder(encoders.text, "text"),
        }
        if adapter:
            folders[f"the adapter {adapter}"] = settings.engine.adapters.get(adapter)
        ledgers = {who: read_ledger(folder) if folder else None for who, folder in folders.items()}
        unknown = [
            f"What {who} learnt from is not declared (no trained_on.json): only the library was checked for leaks."
            for who, ledger in ledgers.items()
            if ledger is None
        ]
        return cls(corpus_of(assistant.library), [ledger for ledger in ledgers.values() if ledger], unknown)

    def admit(self, items: Sequence[Item]) -> list[Item]:
        """The same items, with all their pictures checked as they are made. Raises `LeakFound`."""
        self._check([_trace(item) for item in items])
        return [self._guarded(item) for item in items]

    def _guarded(self, item: Item) -> Item:
        """Every field that makes a request makes a checked one: the other picture of a pair is shown, too."""
        return replace(item, **{field.name: self._checked(getattr(item, field.name), item) for field in fields(item)})

    def _checked(self, thing: Any, item: Item) -> Any:
        if type(thing) is tuple:
            return tuple(self._checked(part, item) for part in thing)
        if not callable(thing):
            return thing

        def make(*args: Any, **kwargs: Any) -> Any:
            made = thing(*args, **kwargs)
            if isinstance(made, Request):
                pictures = made.study.pictures + (made.prior.pictures if made.prior else ())
                shown = trace(item.id, [picture.pixels for picture in pictures], item.cluster or None, _seeds(item))
                self._check([shown])
            return made

        return make

    def _check(self, traces: Sequence[Trace]) -> None:
        check(Seen("this exam", tuple(traces)), [self.corpus], self.training)


def admit_training(manifest: Path, home: Path) -> int:
    """How many pictures a training manifest (as `consult cases add` reads it) holds, none of which could retrieve its
    own patient from the library in `home`. Raises `LeakFound`, and `BadInput` for a line that can't be read."""
    salt, read, traces = salt_of(home), picture_reader(), []
    for place, line in read_manifest(find_manifest(manifest)):
        if isinstance(line, BadInput):
            raise BadInput(f"{manifest}, {place}: {line}.")
        pixels, whose = read_picture_safely(read, line.picture, salt)
        traces.append(trace(place, [pixels], patient_hash(salt, line.patient) if line.patient else whose))
    with Library(home) as library:
        check_training(Seen("the training set", tuple(traces), salt.hex()), library_seen(library))
    return len(traces)


def _model_folder(settings: Settings) -> Path | None:
    """None for a served model, and for a name on a hub."""
    if settings.engine.kind != "local":
        return None
    folder = pocket_folder() if settings.engine.model == "pocket" else Path(settings.engine.model).expanduser()
    return folder if folder.is_dir() else None


def _trace(item: Item) -> Trace:
    return Trace(item.id, item.cluster or None, _seeds(item))


def _seeds(item: Item) -> tuple[Seeds, ...]:
    return tuple(Seeds(family, seed, seed) for family, seed in item.phantoms)


def corpus_of(library: Library) -> Seen:
    """The library's cases; phantoms among them by their seeds, as two phantoms look alike to a hash."""
    seen = library_seen(library)
    known = {case.id: phantoms_of(case) for case in library.cases()}
    return replace(seen, traces=tuple(replace(one, phantoms=known[one.id]) for one in seen.traces))
