import errno
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage

from assistant.imaging import read_picture, read_study
from eval.phantoms.dicom import to_dicom
from eval.phantoms.phantom import make_phantom
from retrieval import cutting, ingest
from retrieval.cases import look_of, read_plain
from retrieval.cutting import cut
from retrieval.db import patient_hash, salt_of
from retrieval.encoders.bundle import Encoders
from retrieval.encoders.fake import FakeImageTextEncoder, FakeTextEncoder
from retrieval.errors import BadInput, Busy, Misconfigured, Unavailable
from retrieval.index import is_current, rebuild
from retrieval.ingest import Source, add_cases, add_documents, bundled_sources, find_sources
from retrieval.library import Library
from retrieval.readers import Draft, Span, read_document
from retrieval.retriever import Retriever
from retrieval.store.memory import MemoryStore
from retrieval.types import Filter, Leg, Query
from retrieval.weigh import Selection
from tests.retrieval.conftest import CHILD_ENV, WordEncoder, bag_of_words, picture
from tests.retrieval.pdfs import PICTURE, encrypted, pdf

CARD = "# Effusion\n\nFluid in the pleura.\n\n## Signs\n- Blunted angle.\n- Meniscus.\n\n### Late\nShift.\n\n## Empty\n"


def source(name: str, text: str) -> Source:
    return Source("/" + name, name, text.encode())


# Cutting


def test_sections_are_passages_with_their_heading_path() -> None:
    (draft,) = read_document(CARD.encode(), "effusion.md").drafts
    (spans,) = cut([draft])
    assert [(span.section, draft.text[span.start : span.end]) for span in spans] == [
        ("", "Fluid in the pleura."), ("Signs", "- Blunted angle.\n- Meniscus."), ("Signs / Late", "Shift."),
    ]  # fmt: skip


def test_a_heading_that_stands_inside_another_is_found_where_it_is() -> None:
    draft = Draft("T", "## A\nfirst\n# A\nsecond\n```\n# no heading\n```\n", None)
    (spans,) = cut([draft])
    assert [(s.section, draft.text[s.start : s.end]) for s in spans] == [
        ("A", "first"), ("A", "second\n```\n# no heading\n```"),
    ]  # fmt: skip


def test_a_heading_with_a_no_break_space() -> None:
    draft = Draft("T", "##\xa0Dose\nOne a day.\n##\u2003Late\nNone.", None)
    assert [(s.section, draft.text[s.start : s.end]) for s in cut([draft])[0]] == [
        ("Dose", "One a day."), ("Late", "None."),
    ]  # fmt: skip


def test_long_sections_are_cut_between_bullets() -> None:
    bullets = [f"- Bullet {n}: " + "word " * 30 + "end. Second sentence." for n in range(9)]
    draft = Draft("T", "\n".join(bullets), (Span(0, len("\n".join(bullets)), "S"),))
    (spans,) = cut([draft])
    assert len(spans) == 3
    assert [line for span in spans for line in draft.text[span.start : span.end].split("\n")] == bullets


def test_a_long_bullet_is_cut_between_sentences() -> None:
    sentences = [f"Sentence {n} " + "word " * 40 + "end." for n in range(6)]
    text = "- short\n- " + " ".join(sentences)
    (spans,) = cut([Draft("T", text, (Span(0, len(text)),))])
    assert all(text[span.start : span.end].endswith(("end.", "short")) for span in spans)


def test_pages_are_never_crossed() -> None:
    (draft,) = read_document(pdf(["One page.", "Another page."]), "g.pdf").drafts
    assert [(span.page, draft.text[span.start : span.end]) for span in cut([draft])[0]] == [
        (1, "One page."), (2, "Another page."),
    ]  # fmt: skip


LINES = st.one_of(
    st.sampled_from(
        ["", "# A", "## B", "### A", "```", "- bullet one. And two.", "#", "1. one", "A word. " * 60, "漢字" * 99]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), max_size=40),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(LINES, max_size=25))
def test_passages_partition_a_document(lines: list[str]) -> None:
    draft = Draft("T", "\n".join(lines), None)
    (spans,) = cut([draft])
    end = 0
    for span in spans:
        text = draft.text[span.start : span.end]
        assert end <= span.start < span.end
        assert text == text.strip() != ""
        assert len(text.split()) <= cutting.MAX_WORDS
        between = draft.text[end : span.start].strip()
        assert not between or all(line.startswith("#") or not line.strip() for line in between.split("\n"))
        end = span.end


# Documents


def test_added_unchanged_replaced_skipped(library: Library, store: MemoryStore, encoders: Encoders) -> None:
    phases: list[tuple[str, int, int]] = []
    both = [source("a.md", CARD), source("bad.pdf", "%PDF-nonsense")]
    report = add_documents(library, store, encoders, both, progress=lambda *step: phases.append(step))
    assert (report.added, report.skipped[0][0]) == (["a.md"], "bad.pdf")
    assert {phase for phase, _, _ in phases} == {
        "reading documents", "embedding texts (text)", "embedding texts (image_text)", "building the index",
    }  # fmt: skip
    first = report.generation
    assert first == store.generations()[-1]

    again = add_documents(library, store, encoders, both[:1])
    assert (again.unchanged, again.generation) == (["a.md"], None)

    seen = len(encoders.text.seen)  # type: ignore[attr-defined]
    changed = add_documents(library, store, encoders, [source("a.md", CARD.replace("Shift.", "No shift."))])
    assert changed.replaced == ["a.md"]
    assert [p.text for p in library.passages()][-1] == "No shift."
    assert len(encoders.text.seen) == seen + 1  # type: ignore[attr-defined]  # only what changed is embedded
    assert store.manifest is not None
    assert store.manifest.records == 3


def test_a_changed_file_that_cannot_be_read_keeps_its_old_version(
    library: Library, store: MemoryStore, encoders: Encoders
) -> None:
    add_documents(library, store, encoders, [source("a.md", CARD)])
    report = add_documents(library, store, encoders, [source("a.md", "---\n a: [\n---\n")])
    assert "earlier version stays" in report.skipped[0][1]
    assert library.counts()["passages"] == 3


def test_a_file_that_cannot_be_cut_stops_no_other(
    library: Library, store: MemoryStore, encoders: Encoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails_for_bad(drafts: Sequence[Draft]) -> list[list[Span]]:
        drafts[0].text.index("Fluid")  # ValueError: substring not found
        return cut(drafts)

    monkeypatch.setattr(ingest, "cut", fails_for_bad)
    report = add_documents(library, store, encoders, [source("bad.md", "# B\nText"), source("a.md", CARD)])
    assert report.added == ["a.md"]
    assert [name for name, _ in report.skipped] == ["bad.md"]


def test_a_domain_for_files_that_name_none(library: Library, store: MemoryStore, encoders: Encoders) -> None:
    named = source("b.md", "---\ndomain: fundus\n---\n# B\nText")
    add_documents(library, store, encoders, [source("a.md", "# A\nText"), named], domain="chest_xray")
    assert [p.domain for p in library.passages()] == ["chest_xray", "fundus"]
    assert store.manifest is not None
    assert store.manifest.domains == ("chest_xray", "fundus")


def test_other_encoders_embed_anew_and_the_old_vectors_stay(
    library: Library, store: MemoryStore, encoders: Encoders
) -> None:
    add_documents(library, store, encoders, [source("a.md", CARD)])
    others = Encoders(encoders.image_text, WordEncoder("reading-2"))
    assert not is_current(library, store, others)
    rebuild(library, store, others)
    assert len(others.text.seen) == 3  # type: ignore[attr-defined]
    assert is_current(library, store, others)
    back = Encoders(WordEncoder("seeing-1"), WordEncoder("reading-1"))
    rebuild(library, store, back)
    assert back.text.seen == back.image_text.seen == []  # type: ignore[attr-defined]


def test_what_encoders_read(library: Library, store: MemoryStore, encoders: Encoders) -> None:
    add_documents(library, store, encoders, [source("a.md", "# Effusion\n\n## Signs\n" + "word " * 100)])
    assert encoders.text.seen == ["Effusion\nSigns\n" + ("word " * 100).strip()]  # type: ignore[attr-defined]
    assert encoders.image_text.seen[0].split() == ["Effusion", "Signs", *["word"] * 58]  # type: ignore[attr-defined]


def test_other_names_are_found_by_their_words(library: Library, store: MemoryStore, encoders: Encoders) -> None:
    text = "---\ntitle: Effusion\naliases: [hydrothorax]\n---\nFluid."
    add_documents(library, store, encoders, [source("a.md", text)])
    assert len(store.search([Leg("bm25", "bm25", "hydrothorax", "passage")], Filter())) == 1


def test_removing(library: Library, store: MemoryStore, encoders: Encoders) -> None:
    add_documents(library, store, encoders, [source("a.md", CARD), source("b.md", "# B\nText")])
    assert ingest.remove(library, store, encoders, library.files()[0].id) == 1
    assert store.manifest is not None
    assert store.manifest.records == 1


def test_old_generations_go(library: Library, store: MemoryStore, encoders: Encoders) -> None:
    for number in range(4):
        add_documents(library, store, encoders, [source(f"{number}.md", "# A\nText")])
    assert len(store.generations()) == 2


def test_an_encoder_gone_wrong_is_told(library: Library, store: MemoryStore) -> None:
    class Broken(WordEncoder):
        def encode_texts(self, texts: object) -> np.ndarray:
            return np.full((1, self.dim), np.nan, np.float32)

        encode_passages = encode_texts

    with pytest.raises(Misconfigured, match="damaged"):
        add_documents(library, store, Encoders(WordEncoder("s"), Broken("r")), [source("a.md", "# A\nText")])
    assert store.manifest is None


def test_files_below_folders(tmp_path: Path) -> None:
    for name in ("guides/a.md", "guides/b/c.txt", "guides/.git/x.md", "guides/.hidden.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    found = find_sources([tmp_path / "guides", tmp_path / "guides/a.md"])
    assert sorted(s.name for s in found) == ["a.md", "guides/b/c.txt"]
    assert [s.path for s in found] == [str(tmp_path / "guides/a.md"), str(tmp_path / "guides/b/c.txt")]
    with pytest.raises(BadInput, match="not there"):
        find_sources([tmp_path / "nothing"])


def test_whatever_lies_in_a_folder_is_told_and_stops_nothing(
    tmp_path: Path, library: Library, store: MemoryStore, encoders: Encoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "guides"
    (folder / "scans").mkdir(parents=True)
    (folder / "good.md").write_text(CARD)
    (folder / os.fsdecode(b"M\xfcller.md")).write_text("# Effusion\n\nSeen.")
    (folder / "corrupt.pdf").write_bytes(b"%PDF-1.7\nnothing")
    (folder / "scans" / "scan.pdf").write_bytes(pdf([""], drawn={0: PICTURE}))
    (folder / "locked.pdf").write_bytes(encrypted(pdf(["Words"]), "secret"))
    (folder / "scripts.html").write_text("<script>x()</script>")
    (folder / "sheet.docx").write_bytes(b"PK\x05\x06" + bytes(18))  # an empty zip
    (folder / "noise.txt").write_bytes(bytes(range(256)) * 9)
    with (folder / "huge.pdf").open("wb") as huge:
        huge.truncate(200 * 1024 * 1024)  # takes no place on disk
    (folder / "loop.md").symlink_to("loop.md")
    (folder / "round").symlink_to(folder)
    (folder / "gone.md").write_text("x")
    os.mkfifo(folder / "pipe.md")
    closed = folder / "closed.md"
    closed.write_text("x")
    really_open = Path.open

    def refusing(path: Path, *args: Any, **kwargs: Any) -> Any:  # root may open everything
        if path == closed:
            raise PermissionError(errno.EACCES, "Permission denied")
        return really_open(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refusing)
    found = find_sources([folder])
    (folder / "gone.md").unlink()
    report = add_documents(library, store, encoders, found)
    assert report.added == ["guides/M\\xfcller.md", "guides/good.md"]
    assert {name.removeprefix("guides/"): why for name, why in report.skipped} == {
        "corrupt.pdf": "The PDF is damaged and can't be read.",
        "scans/scan.pdf": "The PDF holds no text: a scan? Run it through text recognition (OCR) first.",
        "locked.pdf": "The PDF is encrypted; save it without a password.",
        "scripts.html": "The file holds no text.",
        "sheet.docx": "This is no Word document, whatever its name says; save it as .docx or PDF.",
        "noise.txt": "The file is not text, or in an unknown encoding; save it as UTF-8.",
        "huge.pdf": "The file is larger than 64 MB; split it.",
        "loop.md": "It can't be opened (Too many levels of symbolic links).",
        "round": "Links to folders aren't followed.",
        "gone.md": "It can't be opened (No such file or directory).",
        "pipe.md": "This is no file but a device, socket or pipe.",
        "closed.md": "It can't be opened (Permission denied).",
    }  # fmt: skip
    assert {passage.document for passage in library.passages()} == {"Effusion"}


def test_an_empty_folder_is_told(tmp_path: Path, library: Library, store: MemoryStore, encoders: Encoders) -> None:
    (tmp_path / "empty" / "inside").mkdir(parents=True)
    (tmp_path / "a.md").write_text(CARD)
    report = add_documents(library, store, encoders, find_sources([tmp_path / "empty", tmp_path / "a.md"]))
    assert (report.added, report.skipped) == (["a.md"], [("empty", "The folder holds no files.")])


def test_a_folder_that_may_not_be_opened_is_told(
    tmp_path: Path, library: Library, store: MemoryStore, encoders: Encoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "guides" / "closed").mkdir(parents=True)
    (tmp_path / "guides" / "a.md").write_text(CARD)
    really_scan = os.scandir

    def refusing(path: str) -> Any:
        if Path(path).name == "closed":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return really_scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    report = add_documents(library, store, encoders, find_sources([tmp_path / "guides"]))
    assert report.added == ["guides/a.md"]
    assert report.skipped == [("guides/closed", "It can't be opened (Permission denied).")]


def test_a_table_is_cut_between_rows() -> None:
    rows = [f"| Drug {n}. Take | {'word ' * 20}. Then |" for n in range(12)]
    text = "Doses.\n\n" + "\n".join(rows)
    (spans,) = cut([Draft("T", text, (Span(0, len(text)),))])
    assert len(spans) > 2
    assert [line for span in spans for line in text[span.start : span.end].split("\n") if line[:1] == "|"] == rows


def test_bundled_cards_are_one_passage_a_section(library: Library, store: MemoryStore, encoders: Encoders) -> None:
    report = add_documents(library, store, encoders, bundled_sources())
    assert len(report.added) >= 12
    assert report.skipped == []
    passages = list(library.passages())
    assert {p.section for p in passages} == {"", "Radiological findings", "Symptoms", "Laboratory", "Next step"}
    assert len(passages) == 5 * len(report.added)
    assert all(p.source and p.domain and p.edition for p in passages)


# Editions


def edition(year: int, text: str = "Aspirate a large pneumothorax.") -> Source:
    head = f"title: Pneumothorax\nedition: {year}\njurisdiction: UK\nsource: BTS, Guideline, {year}"
    return source(f"{year}.md", f"---\n{head}\n---\n# Pneumothorax\n\n{text} ({year})")


def found(library: Library, store: MemoryStore, encoders: Encoders, all_editions: bool = False) -> dict[str, str]:
    retriever = Retriever(store, library, encoders, Selection(floor=0, k_max=9, gamma=9))
    evidence = retriever.retrieve(Query("aspirate a large pneumothorax", all_editions=all_editions))
    return {item.content.edition: item.content.superseded_by for item in evidence.items}  # type: ignore[union-attr]


def test_a_newer_edition_supersedes_the_older_until_it_is_removed(
    library: Library, store: MemoryStore, encoders: Encoders
) -> None:
    add_documents(library, store, encoders, [edition(2010)])
    assert found(library, store, encoders) == {"2010": ""}
    report = add_documents(library, store, encoders, [edition(2023), edition(2003)])
    assert sorted(report.superseded) == [("2003.md", "2023.md"), ("2010.md", "2023.md")]
    assert found(library, store, encoders) == {"2023": ""}
    by = "Pneumothorax, edition 2023"
    assert found(library, store, encoders, True) == {"2023": "", "2010": by, "2003": by}
    again = add_documents(library, store, encoders, [edition(2010)])
    assert (again.superseded, again.generation) == ([], None)
    assert {file.name: file.superseded for file in library.files()} == {"2010.md": 1, "2003.md": 1, "2023.md": 0}

    (newest,) = (file.id for file in library.files() if file.edition == "2023")
    ingest.remove(library, store, encoders, newest)
    assert found(library, store, encoders) == {"2010": ""}


def test_what_cannot_be_put_in_order_is_told_and_stands(
    library: Library, store: MemoryStore, encoders: Encoders
) -> None:
    undated = source("x.md", "---\nsource: BTS, Guideline\njurisdiction: UK\n---\n# Pneumothorax\n\nAspirate.")
    report = add_documents(library, store, encoders, [edition(2010), undated])
    assert report.superseded == []
    assert "2010.md, x.md" in report.undecided[0]


# Cases


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, subject in enumerate(["effusion", "nodule"]):
        PillowImage.fromarray(picture(subject, number)).save(tmp_path / f"{number}.png")
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    rows = [
        {"file": "0.png", "report": {"findings": "Effusion.", "impression": "Effusion."}, "findings": ["effusion"],
         "patient": "4711"},
        {"image": "1.png", "report": "Nodule.", "labels": [{"name": "nodule"}], "domain": "fundus"},
        {"image": "broken.png", "report": "x"},
        {"image": "gone.png", "report": "x"},
        {"image": "0.png"},
        {"report": "x"},
    ]  # fmt: skip
    (tmp_path / "studies.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n{broken")
    return tmp_path


def test_case_folders(folder: Path, library: Library, store: MemoryStore, encoders: Encoders) -> None:
    manifest = folder / "studies.jsonl"
    report = add_cases(library, store, encoders, manifest, read_plain, domain="chest_xray")
    assert report.added == ["line 1", "line 2"]
    assert [place for place, _ in report.skipped] == [f"line {n}" for n in range(3, 8)]
    assert not any("png" in why for _, why in report.skipped if "PNG" not in why)  # a file name may name a patient
    first, second = library.cases()
    assert first.report == "Findings: Effusion.\nImpression: Effusion."
    assert (first.labels, first.domain, second.domain) == (("effusion",), "chest_xray", "fundus")
    assert first.patient is not None
    assert "4711" not in first.patient
    np.testing.assert_array_equal(library.picture(first.sha256), picture("effusion", 0))
    hits = store.search([Leg("image→case", "seeing-1", bag_of_words(["nodule"])[0], "case")], Filter())
    assert max(hits, key=lambda hit: hit.scores["image→case"]).id == second.id
    assert add_cases(library, store, encoders, manifest, read_plain, domain="chest_xray").unchanged == [
        "line 1",
        "line 2",
    ]


def studies(folder: Path, *rows: object, name: str = "studies.jsonl") -> Path:
    (folder / name).write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return folder / name


FIRST, SECOND = {"image": "0.png", "report": "Effusion."}, {"image": "1.png", "report": "Nodule."}


def test_a_line_that_left_the_manifest_takes_its_case_along(
    folder: Path, library: Library, store: MemoryStore, encoders: Encoders
) -> None:
    add_cases(library, store, encoders, studies(folder, FIRST, SECOND), read_plain)
    first, second = library.cases()
    report = add_cases(library, store, encoders, studies(folder, SECOND), read_plain)
    assert (report.removed, report.unchanged) == ([first.id], ["line 1"])
    assert library.cases() == [second]
    assert [path.name for path in (library.home / "blobs").iterdir()] == [second.sha256]
    assert store.manifest is not None
    assert store.manifest.records == 1
    assert add_cases(library, store, encoders, studies(folder, SECOND), read_plain).generation is None


def test_a_case_stays_while_any_manifest_names_it(
    folder: Path, library: Library, store: MemoryStore, encoders: Encoders
) -> None:
    add_cases(library, store, encoders, studies(folder, FIRST, SECOND), read_plain)
    add_cases(library, store, encoders, studies(folder, FIRST, name="other.jsonl"), read_plain)
    assert add_cases(library, store, encoders, studies(folder, SECOND), read_plain).removed == []
    other = studies(folder, SECOND, name="other.jsonl")
    assert len(add_cases(library, store, encoders, other, read_plain).removed) == 1
    assert [case.report for case in library.cases()] == ["Nodule."]


def test_a_line_that_cannot_be_read_this_time_keeps_its_case(
    folder: Path, library: Library, store: MemoryStore, encoders: Encoders
) -> None:
    manifest = studies(folder, FIRST, SECOND)
    add_cases(library, store, encoders, manifest, read_plain)
    (folder / "0.png").rename(folder / "away.png")
    report = add_cases(library, store, encoders, manifest, read_plain)
    assert (report.removed, report.skipped) == ([], [("line 1", "its picture is not there; its earlier version stays")])
    report = add_cases(library, store, encoders, studies(folder, "{broken", SECOND), read_plain)
    assert report.removed == []
    assert report.skipped[-1] == ("studies.jsonl", "1 cases may have left it; mend its bad lines to know")
    report = add_cases(library, store, encoders, studies(folder, {"image": "0.png"}, SECOND), read_plain)
    assert report.removed == []
    with pytest.raises(BadInput, match="holds 2 that it named"):
        add_cases(library, store, encoders, studies(folder), read_plain)
    assert len(library.cases()) == 2


def test_another_picture_in_the_same_place_replaces_the_case(
    folder: Path, library: Library, store: MemoryStore, encoders: Encoders
) -> None:
    manifest = studies(folder, FIRST)
    add_cases(library, store, encoders, manifest, read_plain)
    (old,) = library.cases()
    (folder / "1.png").rename(folder / "0.png")
    report = add_cases(library, store, encoders, manifest, read_plain)
    assert (report.added, report.removed) == (["line 1"], [old.id])
    assert len(library.cases()) == 1


def test_removing_a_manifests_cases_on_purpose(
    folder: Path, library: Library, store: MemoryStore, encoders: Encoders
) -> None:
    manifest = studies(folder, FIRST, SECOND)
    add_cases(library, store, encoders, manifest, read_plain)
    assert ingest.remove(library, store, encoders, str(manifest)) == 2
    assert library.counts()["cases"] == 0


def test_when_it_was_taken_and_what_it_looks_like(
    folder: Path, library: Library, store: MemoryStore, encoders: Encoders
) -> None:
    rows = {**FIRST, "date": "2023-05-14"}, {**SECOND, "day": 12}
    add_cases(library, store, encoders, studies(folder, *rows), read_plain)
    first, second = library.cases()
    assert (first.taken, second.taken) == ("2023-05-14", "000000012")
    assert (len(first.look), first.look) == (64, look_of(picture("effusion", 0)))
    assert first.look != second.look


def test_cases_from_csv(folder: Path, library: Library, store: MemoryStore, encoders: Encoders) -> None:
    (folder / "m.csv").write_text('image,report,labels\n1.png,"Nodule, left.",nodule; mass\n')
    assert add_cases(library, store, encoders, folder / "m.csv", read_plain).added == ["line 2"]
    assert library.cases()[0].labels == ("nodule", "mass")


def test_a_files_own_patient_is_known(tmp_path: Path, library: Library, store: MemoryStore) -> None:
    salt = salt_of(library.home)
    for seed in (1, 2):
        to_dicom(make_phantom(seed, size=64)).save_as(tmp_path / f"{seed}.dcm", enforce_file_format=True)
    rows = [{"image": "1.dcm", "report": "Effusion."}, {"image": "2.dcm", "report": "Nodule.", "patient": "other"}]
    (tmp_path / "cases.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    encoders = Encoders(FakeImageTextEncoder(), FakeTextEncoder())
    add_cases(library, store, encoders, tmp_path / "cases.jsonl", read_picture)
    own, other = library.cases()
    assert (own.patient, other.patient) == (patient_hash(salt, "PHANTOM-1"), patient_hash(salt, "other"))

    study, _ = read_study([tmp_path / "1.dcm"], salt=salt)
    retriever = Retriever(store, library, encoders)
    looked = retriever.look([study.pictures[0].pixels])
    assert own in [item.content for item in retriever.retrieve(Query("", embeddings=looked)).items]
    mine = retriever.retrieve(Query("", embeddings=looked, patient=study.patient))
    assert own not in [item.content for item in mine.items]


# What goes wrong


def test_one_ingestion_at_a_time(library: Library, store: MemoryStore, encoders: Encoders) -> None:
    with ingest.exclusive(library.home), pytest.raises(Busy, match="Another ingestion"):
        add_documents(library, store, encoders, [source("a.md", CARD)])
    assert add_documents(library, store, encoders, [source("a.md", CARD)]).added == ["a.md"]


def test_what_goes_wrong_in_an_ingestion_is_not_blamed_on_the_home(
    library: Library, store: MemoryStore, encoders: Encoders
) -> None:
    def closed(phase: str, done: int, total: int) -> None:
        raise BrokenPipeError  # nobody reads the progress any more

    with pytest.raises(BrokenPipeError):
        add_documents(library, store, encoders, [source("a.md", CARD)], progress=closed)


def test_a_second_ingestion_waits_for_its_turn(library: Library, store: MemoryStore, encoders: Encoders) -> None:
    waits, reports = threading.Event(), []

    def second() -> None:
        reports.append(add_documents(library, store, encoders, [source("a.md", CARD)], waiting=waits.set))

    thread = threading.Thread(target=second)
    with ingest.exclusive(library.home):
        thread.start()
        assert waits.wait(30)
        assert library.counts()["files"] == 0
    thread.join(30)
    assert reports[0].added == ["a.md"]


def test_a_full_disk_leaves_the_old_generation(library: Library, encoders: Encoders) -> None:
    class FullStore(MemoryStore):
        full = False

        def publish(self, records: object, manifest: object) -> str:
            if self.full:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().publish(records, manifest)  # type: ignore[arg-type]

    store = FullStore()
    old = add_documents(library, store, encoders, [source("a.md", CARD)]).generation
    store.full = True
    with pytest.raises(Unavailable, match="disk is full"):
        add_documents(library, store, encoders, [source("b.md", "# B\nText")])
    assert store.generations() == [old]
    store.full = False
    report = add_documents(library, store, encoders, [source("b.md", "# B\nText")])
    assert report.unchanged == ["b.md"]  # it was stored; only the index was missing
    assert report.generation is not None


CHILD = """
import sys, time
from pathlib import Path
from retrieval import embed, library as library_module
from retrieval.encoders.bundle import Encoders
from retrieval.ingest import add_documents, find_sources
from retrieval.library import Library
from retrieval.store.edge import EdgeStore
from tests.retrieval.conftest import WordEncoder

home, docs, moment = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]

def tell(line):
    print(line, flush=True)
    if line == moment:
        print("now", flush=True)
        time.sleep(100)

now, calls = library_module._now, []
def inside_a_transaction():
    calls.append(1)
    tell(f"inside {len(calls)}")
    return now()
library_module._now = inside_a_transaction
embed.TEXT_BATCH = 4

encoders = Encoders(WordEncoder("seeing-1"), WordEncoder("reading-1"))
with Library(home) as library:
    add_documents(library, EdgeStore(home), encoders, find_sources([docs]), progress=lambda p, d, t: tell(f"{p} {d}"))
"""


@pytest.mark.parametrize(
    ("moment", "stored"),
    [
        ("inside 3", 2),
        ("embedding texts (text) 8", 10),
        ("building the index 13", 10),
    ],
)
def test_killed_at_any_moment(moment: str, stored: int, home: Path, tmp_path: Path, encoders: Encoders) -> None:
    from retrieval.store.edge import EdgeStore

    docs = tmp_path / "docs"
    docs.mkdir()
    for number in range(10):
        (docs / f"{number:02}.md").write_text(f"# Subject{number}\nText about subject{number}.")
    with Library(home) as library:
        store = EdgeStore(home)
        old = add_documents(library, store, encoders, [source("old.md", CARD)]).generation

        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(home), str(docs), moment],
            stdout=subprocess.PIPE,
            text=True,
            env=CHILD_ENV,
        )
        with child:
            assert child.stdout is not None
            came = any(line.strip() == "now" for line in child.stdout)
            child.send_signal(signal.SIGKILL)
        assert came

        assert library.counts()["files"] == stored + 1  # what was acknowledged, and nothing of what wasn't
        assert store.manifest is not None
        assert store.manifest.records == 3
        assert [g for g in store.generations() if g == old] == [old]
        assert store.search([Leg("bm25", "bm25", "meniscus", "passage")], Filter())

        cached = len(library.cached("reading-1", "text"))
        fresh = Encoders(WordEncoder("seeing-1"), WordEncoder("reading-1"))
        report = add_documents(library, store, fresh, find_sources([docs]))
        assert (len(report.unchanged), len(report.added)) == (stored, 10 - stored)
        assert len(fresh.text.seen) == 13 - cached  # type: ignore[attr-defined]
        assert store.manifest.records == 13
        assert is_current(library, store, fresh)
        store.close()
