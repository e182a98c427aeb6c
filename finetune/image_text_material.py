"""Picture–text pairs from their manifests to a run: checked, looked at, split by patient, rid of near-duplicates."""

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.leaks import Seeds
from eval.ledger import TrainingLedger, Use, joined, write_ledger
from finetune.checkpoints import write_whole
from finetune.duplicates import Dropped, near_hashes, near_vectors, told, whose
from finetune.encoder_config import EncoderConfig, Model, MultiPositive, SigLip
from finetune.errors import Problem, WrongData
from finetune.grouping import spread
from finetune.manifest import Pair, Split, assign_splits, check_apart, read_pairs
from finetune.material import Material, base_told
from finetune.pictures import SALT, Look, hashes_of, look_at, read_training_picture, reader
from retrieval.db import patient_hash
from retrieval.embed import Progress


@dataclass(frozen=True, slots=True)
class Seen:
    """A pair whose picture was read: what that looks like, its patient (hashed with `SALT`, None where neither line nor
    file names one), and its split."""

    pair: Pair
    look: Look
    patient: str | None
    split: Split


def image_text_material(config: EncoderConfig, work: Path, watch: Progress) -> Material:
    """Raises `WrongData` with all that is wrong, by file and line."""
    from finetune.image_text import ImageTextExamples, OpenClipLearner

    seen = read_seen(config, work, watch)
    used = [one for one in seen if one.split != "test"]
    kept, lines = without_duplicates(used, config, work, watch)
    train = [one.pair for one in kept if one.split == "train"]
    held = [one.pair for one in kept if one.split == "val"]
    shown = spread(held, config.training.validation_pairs)
    told_data = [*_counts(seen), *lines]
    if len(shown) < len(held):
        told_data.append(f"Recall is measured on {len(shown)} of {len(held)} validation pairs.")
    texts = list(dict.fromkeys(pair.text for pair in train))
    siglip = isinstance(config.loss, SigLip)
    learner = OpenClipLearner(config.model, texts, work / "architecture", siglip, config.training.seed)
    told_data += _of_model(config.model, learner, texts)
    labels_too = isinstance(config.loss, MultiPositive) and config.loss.positives == "labels"
    common = (learner.preprocess, learner.tokenizer, config.augment, labels_too)
    return Material(
        learner, ImageTextExamples(train, *common), ImageTextExamples(shown, *common), told_data, _digest(kept),
        lambda folder: write_ledger(folder, ledger(used, learner.before)),
    )  # fmt: skip


def read_seen(config: EncoderConfig, work: Path, watch: Progress) -> list[Seen]:
    """Every pair of the manifests with its side. Raises `WrongData`."""
    problems: list[Problem] = []
    labels = frozenset(config.data.labels) if config.data.labels is not None else None
    pairs = read_pairs(config.data.manifests, frozenset(config.data.ignore), labels, problems.append)
    named = [pair for pair in pairs if pair.picture != pair.file and pair.picture.is_file()]
    there = list(dict.fromkeys(pair.picture for pair in named))
    looks = look_at(there, work / "looks.jsonl", config.data.workers, watch)
    problems += [
        Problem(pair.file, pair.line, looks[pair.picture].wrong) for pair in named if looks[pair.picture].wrong
    ]
    patients = [
        patient_hash(SALT, pair.patient) if pair.patient else looks.get(pair.picture, Look()).whose for pair in pairs
    ]
    placed = [(pair.file, pair.line, who, pair.split) for pair, who in zip(pairs, patients, strict=True)]
    check_apart(placed, problems.append)
    if problems:
        raise WrongData(problems)
    units = [who or f"picture {looks[pair.picture].look}" for pair, who in zip(pairs, patients, strict=True)]
    sides = [pair.split for pair in pairs]
    splits = assign_splits(units, sides, config.data.validation, config.training.seed)
    rows = zip(pairs, patients, splits, strict=True)
    return [Seen(pair, looks[pair.picture], who, split) for pair, who, split in rows]


def without_duplicates(
    seen: Sequence[Seen], config: EncoderConfig, work: Path, watch: Progress
) -> tuple[list[Seen], list[str]]:
    """What remains, and what to tell. A picture is dropped with all its pairs; one picture with several texts is no
    duplicate. What was dropped for what is listed in `dropped.jsonl`."""
    one_each = list({one.pair.picture: one for one in seen}.values())
    protected = np.array([one.split == "val" for one in one_each], bool)
    dropped = find_duplicates(one_each, protected, config, watch)
    patients = [one.patient for one in one_each]
    gone = {one_each[one.dropped].pair.picture for one in dropped}
    rows = "".join(json.dumps(_row(one, one_each, patients)) + "\n" for one in dropped)
    write_whole(work / "dropped.jsonl", lambda draft: draft.write_text(rows, encoding="utf-8"))
    lines = told(dropped, patients, protected, int((~protected).sum()))
    if dropped:
        lines.append(f"  Each is listed in {work / 'dropped.jsonl'}.")
    return [one for one in seen if one.pair.picture not in gone], lines


def _row(one: Dropped, pictures: Sequence[Seen], patients: Sequence[str | None]) -> dict[str, Any]:
    dropped, kept = (f"{seen.pair.file}:{seen.pair.line}" for seen in (pictures[one.dropped], pictures[one.kept]))
    return {"dropped": dropped, "kept": kept, "by": one.by, "value": one.value, "patient": whose(one, patients)}


def find_duplicates(
    pictures: Sequence[Seen], protected: NDArray[np.bool_], config: EncoderConfig, watch: Progress
) -> list[Dropped]:
    """By hash first, then among the rest by embedding. Synthetic studies are left to the embedding: two of different
    seeds may lie within a copy's distance of each other by hash (`eval.leaks`)."""
    how, found = config.duplicates, []
    if how.bits is not None:
        real = np.array([n for n, one in enumerate(pictures) if one.pair.phantom is None], np.intp)
        hashes = hashes_of([pictures[n].look for n in real])
        found = _placed(near_hashes(hashes, protected[real], how.bits), real)
    if how.cosine is not None:
        gone = {one.dropped for one in found}
        rest = np.array([n for n in range(len(pictures)) if n not in gone], np.intp)
        vectors = _embedded([pictures[n].pair.picture for n in rest], how.encoder, watch)
        found += _placed(near_vectors(vectors, protected[rest], how.cosine), rest)
    return found


def _placed(found: Sequence[Dropped], places: NDArray[np.intp]) -> list[Dropped]:
    return [Dropped(int(places[one.dropped]), int(places[one.kept]), one.by, one.value) for one in found]


def _embedded(pictures: Sequence[Path], encoder: str, watch: Progress) -> NDArray[np.float32]:
    from retrieval.encoders import load_image_text
    from retrieval.encoders.batch import batches, joined

    model, parts = load_image_text(encoder), []
    for batch in batches(pictures):
        parts.append(model.encode_images([read_training_picture(path)[0] for path in batch]))
        watch("comparing the pictures", sum(map(len, parts)), len(pictures))
    return joined(parts, model.dim)


def ledger(seen: Sequence[Seen], before: TrainingLedger) -> TrainingLedger:
    """What a model learnt from, or was chosen on: duplicates that were left out count, as their copies were seen.
    `before`: the ledger of the model it was made from."""
    salt = bytes.fromhex(before.salt) or secrets.token_bytes(16)
    real = [one for one in seen if one.pair.phantom is None]
    patients = {_hashed(one, salt) for one in real} - {None}
    pictures = list({one.pair.picture: one.look for one in real}.values())
    sources = {one.pair.source for one in real} | ({"synthetic studies"} if len(real) < len(seen) else set())
    now = TrainingLedger(
        _phantoms(seen), tuple(sorted(sources - {""})), salt.hex(),
        tuple(sorted(str(patient) for patient in patients)), hashes_of(pictures),
    )  # fmt: skip
    return joined(before, now)


def _hashed(one: Seen, salt: bytes) -> str | None:
    """With the ledger's own salt; a patient whom only the file names is asked of the file once more."""
    if one.pair.patient:
        return patient_hash(salt, one.pair.patient)
    return reader()(one.pair.picture, salt)[1] if one.patient else None


def _phantoms(seen: Sequence[Seen]) -> tuple[tuple[Use, Seeds], ...]:
    """Runs of successive seeds of a family, by use."""
    uses: dict[Split, Use] = {"train": "training", "val": "validation"}
    spans: list[tuple[Use, Seeds]] = []
    known = {(uses[one.split], one.pair.phantom.family, one.pair.phantom.first) for one in seen if one.pair.phantom}
    for use, family, seed in sorted(known):
        last = spans[-1] if spans else None
        if last and (last[0], last[1].family, last[1].last + 1) == (use, family, seed):
            spans[-1] = (use, Seeds(family, last[1].first, seed))
        else:
            spans.append((use, Seeds(family, seed, seed)))
    return tuple(spans)


def _counts(seen: Sequence[Seen]) -> list[str]:
    lines = []
    for split, name in (("train", "training"), ("val", "validation"), ("test", "left out, split test")):
        rows = [one for one in seen if one.split == split]
        if rows:
            patients = len({one.patient for one in rows if one.patient})
            pictures = len({one.pair.picture for one in rows})
            lines.append(f"{name.capitalize()}: {len(rows)} pairs, {pictures} pictures, {patients} patients.")
    if unknown := sum(one.patient is None for one in seen):
        lines.append(f"{unknown} pairs name no patient: whether one is on both sides can't be seen there.")
    return lines


def _of_model(model: Model, learner: Any, texts: Sequence[str]) -> list[str]:
    lines = [line] if (line := base_told(model, learner.before)) else []
    if long := learner.reaching(texts):
        lines.append(f"{long} of {len(texts)} training texts fill all the model's tokens: what follows is cut.")
    return lines


def _digest(seen: Sequence[Seen]) -> str:
    """Of all that a run learns from: another when a text, a picture's look, a label or a side is another."""
    digest = hashlib.sha256()
    for one in seen:
        told = [one.pair.text, one.look.look, one.split, one.pair.group, one.pair.labels]
        digest.update(json.dumps(told, ensure_ascii=False).encode())
    return digest.hexdigest()
