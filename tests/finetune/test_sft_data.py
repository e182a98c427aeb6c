"""What goes into supervised tuning: wrong lines are told by place, and training reads what serving is sent."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from assistant.assistant import Assistant
from assistant.engines.base import Prompt
from assistant.engines.card import pocket_folder
from assistant.engines.chat import rendered
from assistant.engines.fake import FakeEngine
from assistant.engines.local import encoded
from assistant.events import EvidenceItem
from eval.errors import LeakFound
from eval.ledger import TrainingLedger, drawn, hashed_patients, write_ledger
from eval.phantoms import make_phantom
from finetune.configs import load_config
from finetune.errors import Misconfigured, Problem
from finetune.sft_config import Data, Retrieval, SftConfig
from finetune.sft_data import Row, read_rows
from finetune.sft_evidence import Lookup, assigned, kin_pictures, look_up
from finetune.sft_samples import Maker, Reader, request_of
from retrieval.cases import read_plain
from retrieval.encoders.bundle import Encoders
from retrieval.encoders.fake import FakeImageTextEncoder, FakeTextEncoder
from retrieval.ingest import add_cases
from retrieval.library import Library
from retrieval.retriever import Retriever
from retrieval.store.memory import MemoryStore
from retrieval.weigh import Selection
from tests.finetune.sft_parts import FIRST_SEED, write_lines, write_samples

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers' own deprecations
SALT = b"salt"
ASK = {"task": "ask", "question": "Is there an effusion?", "answer": "Yes, there is an effusion."}


def picture(folder: Path, name: str, seed: int) -> str:
    """All a little alike, so that the fake encoder finds them near one another."""
    common, own = (np.random.default_rng(n).integers(0, 255, (8, 8)) for n in (99, seed))
    coarse = (0.4 * common + 0.6 * own).astype(np.uint8)
    Image.fromarray(coarse).resize((96, 96), Image.Resampling.BICUBIC).save(folder / name)
    return name


def read(manifest: Path, salt: bytes = SALT, **told: Any) -> tuple[list[Row], list[Problem]]:
    problems: list[Problem] = []
    data = Data(manifests=(manifest,), **{"validation": 0.0, **told})
    return read_rows(data, salt, 0, problems.append), problems


@pytest.fixture
def reader() -> Reader:
    return Reader.open(str(pocket_folder()))


def test_everything_wrong_is_told_by_file_and_line(tmp_path: Path) -> None:
    good = {"image": picture(tmp_path, "a.png", 1), **ASK}
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    rows = [
        good,
        {**good, "image": "gone.png"},
        {**good, "answer": "  "},
        {**good, "colour": "red"},
        {**good, "task": "guess"},
        {**good, "task": "criteria", "criterion": "An effusion.", "answer": "perhaps"},
        {**good, "task": "report", "report": {"finding": "Clear."}},
        {**good, "answer": "[answer] As it says. [2]"},
        {**good, "image": "torn.png"},
        {**good, "split": "exam"},
    ]
    manifest = write_lines(tmp_path / "rows.jsonl", rows)
    manifest.write_text(manifest.read_text() + "{half\n")
    kept, problems = read(manifest)
    assert [row.line for row in kept] == [1]
    told = {problem.line: problem.what for problem in problems}
    words = {
        2: "not there", 3: "answer is empty", 4: "unknown key 'colour'", 5: "unknown task", 6: "unknown label",
        7: "unknown section 'finding'", 8: "cites by number", 9: "File", 10: "split", 11: "not a JSON object",
    }  # fmt: skip
    assert sorted(told) == sorted(words)
    for line, word in words.items():
        assert word.lower() in told[line].lower() or line == 9, told[line]
    assert {problem.file for problem in problems} == {manifest}


def test_a_patient_on_both_sides_is_told_by_number_and_by_picture(tmp_path: Path) -> None:
    one, two = picture(tmp_path, "a.png", 1), picture(tmp_path, "b.png", 2)
    Image.open(tmp_path / "a.png").resize((80, 80)).save(tmp_path / "copy.png")
    rows = [
        {**ASK, "image": one, "patient": "7", "split": "train"},
        {**ASK, "image": two, "patient": "7", "split": "val"},
        {**ASK, "image": "copy.png", "patient": "8", "split": "val"},
    ]
    _, problems = read(write_lines(tmp_path / "rows.jsonl", rows))
    assert [(problem.line, problem.what.partition(" is in")[0]) for problem in problems] == [
        (2, "its patient"),
        (3, "its near-duplicate picture"),
    ]
    assert all("rows.jsonl:1" in problem.what for problem in problems)


def test_a_patient_is_drawn_into_one_split(tmp_path: Path) -> None:
    rows = [{**ASK, "image": picture(tmp_path, f"{n}.png", n), "patient": str(n % 9)} for n in range(27)]
    kept, problems = read(write_lines(tmp_path / "rows.jsonl", rows), validation=0.4)
    sides = {patient: {row.split for row in kept if row.told.patient == patient} for patient in map(str, range(9))}
    assert not problems
    assert all(len(side) == 1 for side in sides.values())
    assert {split for side in sides.values() for split in side} == {"train", "val"}


def test_training_reads_the_bytes_that_serving_is_sent(tmp_path: Path, reader: Reader) -> None:
    """The whole way of a request on one side, the maker on the other; the same evidence, too long for the context."""
    encoders = Encoders(FakeImageTextEncoder(), FakeTextEncoder())
    library, store = Library(tmp_path / "home"), MemoryStore()
    for n in range(9):
        Image.fromarray(make_phantom(n, size=64).pixels).save(tmp_path / f"c{n}.png")
    cases = [{"image": f"c{n}.png", "report": f"Effusion number {n}. " * 40} for n in range(9)]
    add_cases(library, store, encoders, write_lines(tmp_path / "cases.jsonl", cases), read_plain)
    kept, _ = read(write_samples(tmp_path / "samples", 1))
    retriever, heard = Retriever(store, library, encoders), list[Prompt]()

    class Listening(FakeEngine):
        """Counts as the model does."""

        async def count(self, texts: Sequence[str]) -> list[int]:
            return reader.count(texts)

        def _admit(self, prompt: Prompt) -> int:
            heard.append(prompt)
            return 0

    engine = Listening(["[answer] Yes. [image]"], info=reader.info)
    for row in kept:
        request = request_of(row, SALT, 256)
        evidence = look_up(retriever, None, request)
        sample = Maker(reader, {row.trace.id: evidence}, SALT, 256).sample(row)

        async def serve(request: Any = request) -> None:
            async for _ in Assistant(engine, retriever).run(request):
                pass

        before = len(heard)
        asyncio.run(serve())
        first = heard[before]  # a draft that fails its checks is asked for once more
        side = reader.card.picture
        served, trained = rendered(reader.processor, first, side), rendered(reader.processor, sample.prompt, side)
        assert served[0] == trained[0]
        assert [image.tobytes() for image in served[1]] == [image.tobytes() for image in trained[1]]
        assert encoded(reader.processor, first, side)["input_ids"].shape[1] + 256 <= reader.info.context
    assert any("Case: " in str(prompt.messages[1].parts[0]) for prompt in heard)
    library.close()


def test_an_answer_is_lines_that_serving_would_release(tmp_path: Path, reader: Reader) -> None:
    common = {"image": picture(tmp_path, "a.png", 1)}
    cite = {"says": "Drain a large effusion.", "document": "Effusion", "section": "Next step"}
    rows = [
        {**common, **ASK, "answer": "yes, on the left. The heart is large.", "cites": [cite]},
        {**common, "task": "criteria", "criterion": "An effusion.", "answer": "met"},
    ]
    kept, _ = read(write_lines(tmp_path / "rows.jsonl", rows))
    item = {"number": 1, "kind": "passage", "id": "p", "text": "Drain it.", "scores": {}, "relevance": 1.0}
    passage = EvidenceItem.model_validate({**item, "title": "Effusion", "section": "Next step"})
    bare, with_it = (Maker(reader, {kept[0].trace.id: found}, SALT, 256) for found in ((), (passage,)))
    assert bare.sample(kept[0]).answer == "[answer] The heart is large. [image]"  # no side: none is known
    assert bare.sample(kept[0]).withheld == 1
    assert with_it.sample(kept[0]).answer.endswith("[image]\n[guideline] Drain a large effusion. [1]")
    assert bare.example(kept[1])["completion"] == "[answer] Met.<|im_end|>"


def test_evidence_never_shows_the_samples_own_patient(tmp_path: Path) -> None:
    """By number, by a copy under another number, and by what else that number has."""
    encoders = Encoders(FakeImageTextEncoder(), FakeTextEncoder())
    library, store = Library(tmp_path / "home"), MemoryStore()
    own, other = picture(tmp_path, "own.png", 1), picture(tmp_path, "other.png", 2)
    Image.open(tmp_path / "own.png").resize((80, 80)).save(tmp_path / "copy.png")
    cases = [
        {"image": own, "report": "Effusion, own.", "patient": "1"},
        {"image": "copy.png", "report": "Effusion, copied.", "patient": "2"},
        {"image": picture(tmp_path, "kin.png", 3), "report": "Effusion, kin.", "patient": "2"},
        {"image": other, "report": "Effusion, another.", "patient": "3"},
    ]
    add_cases(library, store, encoders, write_lines(tmp_path / "cases.jsonl", cases), read_plain)
    salt = (tmp_path / "home" / "salt").read_bytes()
    manifest = write_lines(tmp_path / "rows.jsonl", [{**ASK, "image": own, "patient": "1"}])
    kept, _ = read(manifest, salt)
    retriever = Retriever(store, library, encoders, Selection(floor=0.0, gamma=100.0, k_max=9))  # all that is found
    hidden = kin_pictures(kept, library, salt)[kept[0].trace.id]
    request = request_of(kept[0], salt, 256)
    assert "Effusion, copied." in {item.text for item in look_up(retriever, None, request)}  # what hiding is for
    assert [item.text for item in look_up(retriever, None, request, hidden)] == ["Effusion, another."]
    library.close()


def encoder(folder: Path, patients: list[str]) -> str:
    folder.mkdir()
    salt, hashes = hashed_patients(patients)
    write_ledger(folder, TrainingLedger((("training", drawn(range(1, 9), 8, "none")),), (), salt, hashes))
    return str(folder)


def test_an_encoder_is_not_asked_about_what_it_learnt(tmp_path: Path) -> None:
    rows = [{**ASK, "image": picture(tmp_path, f"{n}.png", n), "patient": str(n)} for n in range(4)]
    manifest = write_lines(tmp_path / "rows.jsonl", rows)
    first, second = encoder(tmp_path / "first", ["0", "1"]), encoder(tmp_path / "second", ["2", "3"])
    kept, _ = read(manifest)
    with pytest.raises(LeakFound, match=r"2 of 4 samples .*rows\.jsonl:1.*cross_fitted"):
        assigned(kept, Retrieval(image_text=first))
    apart = assigned(kept, Retrieval(cross_fitted=(first, second)))
    assert {name: [row.line for row in own] for name, own in apart.items()} == {first: [3, 4], second: [1, 2]}
    (tmp_path / "second" / "trained_on.json").unlink()
    with pytest.raises(Misconfigured, match=r"no trained_on\.json"):
        assigned(kept, Retrieval(cross_fitted=(first, second)))


def test_a_killed_lookup_goes_on_and_the_home_stays_as_it_is(tmp_path: Path) -> None:
    kept, _ = read(write_samples(tmp_path / "samples", 1))
    lookup = Lookup(Retrieval(share=1.0), tmp_path / "evidence", SALT, 0, 256)

    def killed(what: str, done: int, total: int) -> None:
        if what == "looking up evidence" and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lookup.find(kept, killed)
    (cache,) = (tmp_path / "evidence").glob("*.jsonl")
    before = cache.read_text()
    cache.write_text(before + '{"key": "half')
    found = lookup.find(kept)
    assert cache.read_text().startswith(before)
    assert len(before.splitlines()) == 3
    assert len(cache.read_text().splitlines()) == len(kept) == len(found)
    assert any(found.values())


def test_a_configuration_is_read_whole_or_refused(tmp_path: Path) -> None:
    for path in (Path(__file__).parents[2] / "finetune" / "recipes").glob("sft-*.yaml"):
        assert load_config(path, SftConfig).training.lr > 0
    path = tmp_path / "wrong.yaml"
    path.write_text("out: o\nmodel: pocket\nmethod: qlora\ndata: {manifests: [a], speed: 3}\ntraining: {lr: 0.1}\n")
    with pytest.raises(Misconfigured, match=r"training: .*steps or epochs.*; data\.speed: unknown key"):
        load_config(path, SftConfig)


def test_seeds_are_those_meant_for_training() -> None:
    from eval.ledger import TRAINING_SEEDS

    assert FIRST_SEED in TRAINING_SEEDS
    assert json.loads((pocket_folder() / "consult.json").read_text())["picture"]
