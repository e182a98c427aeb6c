"""Validation questions with what is relevant to each: the demonstration's, or a person's own from JSONL."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from assistant.study import Picture
from eval.benchmarks.common import SIZE, TRUTH_SIZE, picture_of
from eval.benchmarks.gold import CARD_OF, NORMAL_CARD, card_titles
from eval.benchmarks.phantom_items import LABEL_OF
from eval.benchmarks.retrieval import OPEN, labels_of, shared
from eval.exam.benchmark import Corpus
from eval.exam.library import bundled_documents, phantom_cases, phantoms_of
from eval.ledger import LEDGER, VALIDATION_SEEDS, read_ledger
from eval.phantoms import Phantom, make_phantom
from retrieval.cases import picture_reader
from retrieval.db import salt_of
from retrieval.encoders.bundle import encoder_folder
from retrieval.errors import BadInput
from retrieval.legs import TEXT_PASSAGE
from retrieval.library import Library
from retrieval.types import Case, Passage

CASES = 120
QUERIES = VALIDATION_SEEDS[100_000:]  # the encoders' own thresholds were set on the first
LIBRARY = VALIDATION_SEEDS[500_000:]
WAYS = (  # of asking about the subject of a card, in words of neither the training nor the exam
    "Give a short account of {t}.", "In a few words, {t}: what kind of disorder?", "Could this be {t}?",
    "Which complaints bring patients with {t} to a doctor?", "What would a person with {t} feel?",
    "Which imaging features point to {t}?", "On an x-ray, {t} appears how?", "Anything here that speaks for {t}?",
    "Which blood tests help with {t}?", "Laboratory values expected in {t}",
    "Once {t} has been found, what should be done?", "{t}: management after the diagnosis",
)  # fmt: skip
# Subjects of no bundled card; the exam's own are others.
STRANGERS = (
    "cataract", "meningitis", "varicose veins", "tonsillitis", "atopic eczema", "gallstones", "viral hepatitis",
    "endometriosis", "tinnitus", "osteoarthritis of the knee", "thyroid nodules", "rosacea", "bladder cancer",
    "a torn meniscus", "haemophilia", "a hip fracture", "pancreatitis", "migraine with aura", "epilepsy",
    "ovarian cysts", "a frozen shoulder", "keratoconus", "hypothyroidism", "an anal fissure",
    "carpal tunnel syndrome", "prostate cancer", "mesothelioma", "Parkinson's disease", "Crohn's disease",
    "an inguinal hernia", "a scaphoid fracture", "pericarditis",
)  # fmt: skip
EVERYDAY = (
    "How long does rice take to cook?", "What is the tallest mountain in Africa?", "How do I reset my password?",
    "When does the canteen open?", "Which train goes to the airport?", "Who painted the ceiling of that chapel?",
    "How many players are in a football team?", "What is the boiling point of ethanol?", "Translate good morning.",
    "Who holds the key to the storeroom?", "What does a litre of milk weigh?", "Is tomorrow a public holiday?",
    "Write a poem about autumn.", "Which river flows through Vienna?", "How is a bicycle tyre mended?",
    "What is the square root of two?", "Where can I park overnight?", "Recommend a film for the weekend.",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Question:
    """`relevant` names documents, "document / section", passages or cases; empty: nothing in the library is. `label` is
    what the answer is about, for reading it; `answer`: whether yes is right; None: not to be asked. `judged`: whether
    `relevant` is all that is relevant, so that what is found can be judged by it."""

    id: str
    text: str
    relevant: frozenset[str]
    picture: Callable[[], Picture] | None = None
    answer: bool | None = None
    label: str | None = None
    judged: bool = True


@dataclass(frozen=True, slots=True)
class Data:
    """A validation set. `sha256` (hex) is of what is asked and what is right. `learnt`: legs of encoders that learnt
    from its texts, whose scores on it say more than they will on any other; their curves stay as they are."""

    name: str
    questions: tuple[Question, ...]
    learnt: frozenset[str] = frozenset()

    @property
    def sha256(self) -> str:
        told = [[q.id, q.text, sorted(q.relevant), q.answer] for q in self.questions]
        return hashlib.sha256(json.dumps(told, ensure_ascii=False).encode()).hexdigest()


DEMONSTRATION = Corpus(f"validation-{CASES}", bundled_documents, partial(phantom_cases, n=CASES, first=LIBRARY.start))


def demonstration(library: Library, pictures: int, asked: int, learnt: frozenset[str] = frozenset()) -> Data:
    """Questions over the bundled cards, open ones about `pictures` phantoms, and `asked` closed ones to be answered.
    The library is one of `DEMONSTRATION`."""
    cases = {case.id: labels_of(_small(case)) for case in library.cases()}
    questions = [*_of_cards(), *_open(cases, QUERIES[:pictures]), *_closed(QUERIES[pictures : pictures + asked])]
    return Data("demonstration cards and phantoms", tuple(questions), learnt)


def learnt_from_cards(text: str) -> frozenset[str]:
    """The legs of a text encoder, as the settings call it, whose ledger says that it learnt from the bundled cards."""
    folder = encoder_folder(text, "text")
    ledger = folder / LEDGER if folder else None
    if ledger is None or not ledger.is_file() or read_ledger(ledger.parent) is None:
        return frozenset()
    sources = json.loads(ledger.read_text(encoding="utf-8")).get("sources", [])
    return frozenset([TEXT_PASSAGE] if any("guideline cards" in str(source) for source in sources) else [])


def _small(case: Case) -> Phantom:
    (seeds,) = phantoms_of(case)
    return make_phantom(seeds.first, size=TRUTH_SIZE, family=seeds.family)


def _of_cards() -> Iterator[Question]:
    """All of a card is relevant to a question about its subject: which section answers best is for the order to say,
    whether anything is worth reading for the floor."""
    for card, title in card_titles().items():
        for n, way in enumerate(WAYS):
            yield Question(f"{card}-{n}", way.format(t=title.lower()), frozenset([card]))
    for n, name in enumerate(STRANGERS):
        for m in (5 * n, 5 * n + 7):
            yield Question(f"{name}-{m}", WAYS[m % len(WAYS)].format(t=name), frozenset())
    yield from (Question(f"everyday-{n}", text, frozenset()) for n, text in enumerate(EVERYDAY))


def _open(cases: dict[str, frozenset[str]], seeds: Sequence[int]) -> Iterator[Question]:
    for seed in seeds:
        phantom = make_phantom(seed, size=TRUTH_SIZE)
        cards = [CARD_OF[finding.kind] for finding in phantom.findings] or [NORMAL_CARD]
        alike = [case for case, labels in cases.items() if shared(labels_of(phantom), labels)]
        yield Question(f"open-{seed}", OPEN, frozenset([*cards, *alike]), partial(_picture, seed))


def _closed(seeds: Sequence[int]) -> Iterator[Question]:
    """Yes and no are right in turn."""
    for n, seed in enumerate(seeds):
        phantom = make_phantom(seed, size=TRUTH_SIZE)
        asked = [q for q in phantom.questions if q.kind == "presence" and q.finding is not None]
        wanted = [q for q in asked if q.present is (n % 2 == 0)] or asked
        one = wanted[int(np.random.default_rng(seed).integers(len(wanted)))]
        assert one.finding is not None
        yield Question(
            f"closed-{seed}", one.text, frozenset(), partial(_picture, seed), bool(one.present), LABEL_OF[one.finding],
            judged=False,
        )  # fmt: skip


def _picture(seed: int) -> Picture:
    return picture_of(make_phantom(seed, size=SIZE))


def read(file: Path, home: Path) -> Data:
    """A person's own, a line: `question`, `relevant` (names), and where known `image` (a path below the file's folder)
    and `answer` (yes or no). Raises `BadInput` with the line that can't be used."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"--data {file} can't be read as UTF-8 text.") from error
    rows = [(n, line) for n, line in enumerate(lines, 1) if line.strip()]
    if not rows:
        raise BadInput(f"--data {file} holds no question.")
    return Data(file.name, tuple(_line(n, line, file.parent, home) for n, line in rows))


def _line(number: int, line: str, folder: Path, home: Path) -> Question:
    wrong = BadInput(
        f"--data, line {number}: wanted a JSON object with question (text), relevant (a list of names, empty where "
        'nothing in the library is), and where known image (a path) and answer ("yes" or "no").'
    )
    try:
        row: Any = json.loads(line)
        text, relevant, image, answer = row["question"], row["relevant"], row.get("image"), row.get("answer")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise wrong from None
    names = isinstance(relevant, list) and all(isinstance(name, str) for name in relevant)
    said = {True: True, False: False, "yes": True, "no": False, None: None}
    if not isinstance(text, str) or not text.strip() or not names or answer not in said:
        raise wrong
    if image is not None and not (isinstance(image, str) and (folder / image).is_file()):
        raise BadInput(f"--data, line {number}: its image is not there.")
    picture = partial(_read_picture, folder / image, home) if image else None
    return Question(f"line {number}", text, frozenset(relevant), picture, said[answer])


def _read_picture(path: Path, home: Path) -> Picture:
    pixels, _ = picture_reader()(path, salt_of(home))
    return Picture(pixels)


def named(library: Library) -> dict[str, set[str]]:
    """What a validation set may call relevant → the ids of the passages and cases that it means."""
    ids: dict[str, set[str]] = {}
    files = {document.id: document.name for document in library.documents()}
    for passage in library.passages():
        for name in _names(passage, files[passage.document_id]):
            ids.setdefault(name, set()).add(passage.id)
    for case in library.cases():
        ids[case.id] = {case.id}
    return ids


def _names(passage: Passage, file: str) -> set[str]:
    documents = {passage.document, file, Path(file).name, passage.document_id}
    return {passage.id, *documents, *(f"{name} / {passage.section}" for name in documents)}


def meant(question: Question, ids: dict[str, set[str]]) -> set[str]:
    """Raises `BadInput` for a name that the library doesn't know."""
    if strangers := sorted(question.relevant - ids.keys()):
        raise BadInput(
            f"{question.id}: {strangers[0]!r} is no document, section, passage or case of the library that is searched;"
            " `consult knowledge list` shows what is there."
        )
    return _union(ids[name] for name in question.relevant)


def _union(sets: Iterable[set[str]]) -> set[str]:
    return set().union(*sets)
