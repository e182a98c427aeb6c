"""Adapters on tiny folders in the official layouts, and on the real data where there is any."""

from collections import Counter
from pathlib import Path

import pytest

from assistant.requests import ReportRequest
from assistant.study import STANDARD_RADIOGRAPH, Study
from eval.benchmarks.cxr_nih import CxrNih
from eval.benchmarks.iu_xray import IuXray
from eval.benchmarks.kinds import Kinds
from eval.benchmarks.medquad import MedQuad
from eval.benchmarks.neighbours import Neighbours
from eval.benchmarks.picture_sets import (
    Blood,
    BrainPlace,
    BrainTumour,
    Fundus,
    Hannover,
    MedPix,
    PictureSet,
    Ultrasound,
    WhiteCells,
)
from eval.benchmarks.picture_yes_no import BloodPlatelets, FundusReferable, NihAny
from eval.benchmarks.slake import Slake
from eval.benchmarks.vqa_rad import VqaRad
from eval.exam.benchmark import Benchmark, Item
from retrieval.errors import BadInput
from tests.eval.benchmarks.asking import figures_of, perfect, rows_of
from tests.eval.benchmarks.folders import shared, write_json, write_lines, write_picture

VQA_RAD = {
    "qid": 1, "phrase_type": "test_freeform", "image_name": "synpic1.jpg", "image_organ": "CHEST",
    "question": "Is there an effusion?", "question_type": "PRES", "answer": "Yes", "answer_type": "CLOSED ",
    "image_case_url": "https://example.org/1", "qid_linked_id": "x", "evaluation": "evaluated",
}  # fmt: skip
SLAKE = {
    "img_id": 1, "img_name": "xmlab1/source.jpg", "question": "What modality is it?", "answer": "X-Ray",
    "q_lang": "en", "location": "Lung", "modality": "X-Ray", "answer_type": "OPEN", "base_type": "vqa",
    "content_type": "Modality", "triple": ["vhead", "_", "_"], "qid": 1,
}  # fmt: skip


def items_of(benchmark: Benchmark) -> dict[str, Item]:
    return {item.id: item for item in benchmark.items(1000, 0)}


def study_of(item: Item) -> Study:
    return item.request().study


def vqa_rad(folder: Path) -> Path:
    for name in ("synpic1.jpg", "synpic2.jpg"):
        write_picture(folder / "VQA_RAD Image Folder" / name)
    rows = [
        VQA_RAD,
        VQA_RAD
        | {"qid": 2, "phrase_type": "test_para", "question": "Is it large?", "answer": "no ", "answer_type": "closed"},
        VQA_RAD | {"qid": "3", "image_organ": "ABD ", "answer": "right colon", "answer_type": "OPEN"},
        VQA_RAD | {"qid": 4, "image_name": "synpic2.jpg", "image_organ": "HEAD", "answer": 2, "answer_type": "OPEN"},
        VQA_RAD | {"qid": 5, "answer": "axial"},
        VQA_RAD | {"qid": 6, "phrase_type": "freeform"},
        VQA_RAD | {"qid": 7, "question": "What is dense?", "answer": "the left base", "answer_type": "OPEN"},
    ]
    write_json(folder / "VQA_RAD Dataset Public.json", rows)
    return folder


def test_vqa_rad_takes_the_test_part_and_reads_its_known_defects(tmp_path: Path) -> None:
    items = items_of(VqaRad(vqa_rad(tmp_path)))
    assert {name: (item.truth["kind"], item.truth["answer"]) for name, item in items.items()} == {
        "vqa-rad-1": ("yes/no", "Yes"), "vqa-rad-2": ("yes/no", "no"), "vqa-rad-3": ("open", "right colon"),
        "vqa-rad-4": ("open", "2"), "vqa-rad-5": ("closed", "axial"),
        "vqa-rad-7": ("open", "the left base"),
    }  # fmt: skip
    assert items["vqa-rad-2"].groups == {"kind": "yes/no", "organ": "chest", "wording": "para"}
    assert {item.cluster for item in items.values()} == {"synpic1.jpg", "synpic2.jpg"}
    assert study_of(items["vqa-rad-1"]).pictures[0].orientation == STANDARD_RADIOGRAPH
    assert [study_of(items[f"vqa-rad-{n}"]).pictures[0].modality for n in (1, 3, 4)] == ["DX", "CT", None]


@pytest.mark.anyio
async def test_a_perfect_reader_is_perfect_on_vqa_rad(tmp_path: Path) -> None:
    benchmark = VqaRad(vqa_rad(tmp_path))
    items = [item for item in benchmark.items(1000, 0) if item.id in ("vqa-rad-1", "vqa-rad-2", "vqa-rad-7")]
    said = [(item.request(), f"[answer] {item.truth['answer']}. [image]") for item in items]
    figures = figures_of(benchmark, await rows_of(benchmark, items, perfect(said), tmp_path))
    assert set(figures.values()) == {1.0}


def test_slake_takes_english_questions(tmp_path: Path) -> None:
    write_picture(tmp_path / "imgs" / "xmlab1" / "source.jpg")
    rows = [
        SLAKE,
        SLAKE | {"qid": 2, "q_lang": "zh"},
        SLAKE | {"qid": 3, "question": "Is it CT?", "answer": "No", "answer_type": "CLOSED", "modality": "CT"},
    ]
    write_json(tmp_path / "test.json", rows)
    items = items_of(Slake(tmp_path))
    assert {name: item.truth["kind"] for name, item in items.items()} == {"slake-1": "open", "slake-3": "yes/no"}
    assert items["slake-1"].groups == {"kind": "open", "content": "modality", "modality": "X-Ray"}
    assert items["slake-1"].cluster == "xmlab1"
    assert study_of(items["slake-1"]).pictures[0].shows_sides
    assert not study_of(items["slake-3"]).pictures[0].shows_sides


def test_slake_stays_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "imgs").mkdir()
    write_json(tmp_path / "test.json", [SLAKE | {"img_name": "../secret.jpg"}])
    with pytest.raises(BadInput, match=r"^test.json, entry 1, names a picture outside imgs"):
        items_of(Slake(tmp_path))


def iu_r2gen(folder: Path) -> Path:
    for n in (0, 1):
        write_picture(folder / "images" / "CXR1_1_IM-0001" / f"{n}.png", n)
    names = [f"CXR1_1_IM-0001/{n}.png" for n in (0, 1)]
    study = {"id": "CXR1_1_IM-0001", "report": "the heart is normal in size .", "image_path": names, "split": "test"}
    write_json(folder / "annotation.json", {"train": [study | {"id": "other"}], "val": [], "test": [study]})
    return folder


def iu_open_i(folder: Path) -> Path:
    (folder / "ecgen-radiology").mkdir()
    for number, text in ((1, "The heart is normal."), (2, ""), (3, "No picture.")):
        (folder / "ecgen-radiology" / f"{number}.xml").write_text(
            f'<eCitation><MedlineCitation><Article><Abstract><AbstractText Label="COMPARISON">None.</AbstractText>'
            f'<AbstractText Label="FINDINGS">{text}</AbstractText>'
            f'<AbstractText Label="IMPRESSION">Normal chest.</AbstractText></Abstract></Article></MedlineCitation>'
            f'<parentImage id="CXR{number}_1_IM-1"/><parentImage id="CXR{number}_1_IM-2"/></eCitation>'
        )
    for number, view in ((1, 1), (1, 2), (2, 1)):
        write_picture(folder / "NLMCXR_png" / f"CXR{number}_1_IM-{view}.png", view)
    return folder


def test_iu_xray_as_r2gen_hands_it_on(tmp_path: Path) -> None:
    items = items_of(IuXray(iu_r2gen(tmp_path)))
    assert list(items) == ["iu-xray-CXR1_1_IM-0001"]
    item = items["iu-xray-CXR1_1_IM-0001"]
    assert item.truth["report"] == "the heart is normal in size ."
    assert isinstance(item.request(), ReportRequest)
    assert len(study_of(item).pictures) == 2


def test_iu_xray_as_open_i_publishes_it(tmp_path: Path) -> None:
    items = items_of(IuXray(iu_open_i(tmp_path)))
    assert {name: item.truth["report"] for name, item in items.items()} == {
        "iu-xray-1": "The heart is normal. Normal chest."
    }
    assert len(study_of(items["iu-xray-1"]).pictures) == 2


@pytest.mark.anyio
async def test_a_copied_report_scores_one_on_iu_xray(tmp_path: Path) -> None:
    benchmark = IuXray(iu_open_i(tmp_path))
    items = list(benchmark.items(1000, 0))
    asked = [(items[0].request(), "[findings] The heart is normal. [image]\n[impression] Normal chest. [image]")]
    figures = figures_of(benchmark, await rows_of(benchmark, items, perfect(asked), tmp_path))
    assert figures["BLEU-4"] == figures["ROUGE-L"] == figures["length ratio"] == figures["answered"] == 1


@pytest.mark.parametrize(
    ("text", "place"),
    [('{"test": [{"id": "secret", "report": "x"}]}', "entry 1, has no list 'image_path'"), ("[1]", "is not a list")],
)
def test_iu_xray_tells_what_is_wrong(text: str, place: str, tmp_path: Path) -> None:
    (tmp_path / "annotation.json").write_text(text)
    with pytest.raises(BadInput, match=f"^annotation.json, part test.*{place}") as error:
        items_of(IuXray(tmp_path))
    assert "secret" not in str(error.value)


def test_open_i_tells_a_broken_file(tmp_path: Path) -> None:
    (tmp_path / "ecgen-radiology").mkdir()
    (tmp_path / "ecgen-radiology" / "1.xml").write_text("<eCitation>\n<secret</eCitation>")
    with pytest.raises(BadInput, match=r"^1.xml, line 2, is not XML") as error:
        items_of(IuXray(tmp_path))
    assert "secret" not in str(error.value)


def nih_rows() -> list[dict[str, object]]:
    labels = [["effusion"], [], ["effusion", "mass"], [], ["unheard of"]]
    return [
        {"id": f"f{n}", "image": f"images/f{n}.png", "patient": f"p{n}", "labels": own, "view": "PA", "sex": "F"}
        for n, own in enumerate(labels)
    ]


def test_nih_asks_for_a_finding_where_it_is_and_where_it_is_not(tmp_path: Path) -> None:
    write_lines(tmp_path / "studies.jsonl", nih_rows())
    for n in range(5):
        write_picture(tmp_path / "images" / f"f{n}.png", n)
    items = list(CxrNih(tmp_path).items(1000, 0))
    assert Counter(item.truth["answer"] for item in items) == {True: 2, False: 2}
    assert len({item.id.partition("-")[0] for item in items}) == 4
    for there, absent in zip(items[::2], items[1::2], strict=True):
        assert there.truth["finding"] == absent.truth["finding"]
        assert there.cluster != absent.cluster
        shown, other = there.request().study, there.other().study
        assert other.pictures[0].sha256 == absent.request().study.pictures[0].sha256 != shown.pictures[0].sha256
    assert items[0].groups == {"finding": items[0].truth["finding"], "sex": "F", "view": "PA"}


def test_nih_as_published_takes_the_test_list(tmp_path: Path) -> None:
    head = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position\n"
    rows = ["1.png,Pleural_Thickening|Mass,0,1,60,M,PA", "2.png,No Finding,0,2,50,F,PA", "3.png,Mass,0,3,40,F,PA"]
    (tmp_path / "Data_Entry_2017.csv").write_text(head + "\n".join(rows))
    assert len(list(CxrNih(tmp_path).items(1000, 0))) == 2
    (tmp_path / "test_list.txt").write_text("1.png\n2.png\n")
    items = list(CxrNih(tmp_path).items(1000, 0))
    assert [(item.id, item.truth["answer"]) for item in items] == [("1.png-mass", True), ("2.png-mass", False)]


LINE = {"id": "1", "image": "images/1.png", "patient": "p1", "age": 61, "sex": "M"}
KNOWN: list[tuple[type[PictureSet], dict[str, object], str, str]] = [
    (Fundus, {"grade": {"dr": 2, "dme": 1}}, "moderate non-proliferative", "The grade is moderate non-proliferative."),
    (Fundus, {"grade": {"dr": 4}}, "proliferative", "It is proliferative."),
    (Blood, {"grade": {"red_blood_cells": 18}}, "18", "There are 18 red blood cells."),
    (WhiteCells, {"grade": {"white_blood_cells": 1}}, "1", "There is 1 white blood cell."),
    (BrainPlace, {"extra": {"location": "upper left"}}, "left half of the picture", "In the left half of the picture."),
    (BrainPlace, {"extra": {"location": "upper centre"}}, "upper half of the picture", "Upper half of the picture."),
    (BrainTumour, {"labels": ["pituitary"]}, "pituitary tumour", "It is a pituitary tumour."),
    (BrainTumour, {"labels": []}, "no tumour", "There is no tumour."),
    (Ultrasound, {"labels": ["malignant breast lesion"]}, "malignant", "The lesion is malignant."),
    (Hannover, {"view": "AP"}, "AP", "This is an AP film."),
    (MedPix, {"report": {"history": "Cough.", "diagnosis": "Lung abscess"}}, "Lung abscess", "Lung abscess."),
]


@pytest.mark.parametrize(("made", "known", "truth", "said"), KNOWN, ids=lambda value: getattr(value, "name", None))
@pytest.mark.anyio
async def test_picture_sets(
    made: type[PictureSet], known: dict[str, object], truth: str, said: str, tmp_path: Path
) -> None:
    write_lines(tmp_path / "studies.jsonl", [LINE | known, LINE | {"id": "2"}])
    write_picture(tmp_path / "images" / "1.png")
    benchmark = made(tmp_path)
    items = list(benchmark.items(1000, 0))
    assert [item.id for item in items] == ["1"]  # what isn't known isn't asked
    assert items[0].truth["answer"] == truth
    assert items[0].cluster == "p1"
    rows = await rows_of(benchmark, items, perfect([(items[0].request(), f"[answer] {said} [image]")]), tmp_path)
    best = 0 if benchmark.headline == "off by" else 1
    assert figures_of(benchmark, rows)[benchmark.headline] == best
    rows = await rows_of(benchmark, items, lambda prompt: "", tmp_path / "abstains")
    assert figures_of(benchmark, rows)["answered"] == 0


def test_a_projection_is_not_told_to_who_is_asked_for_it(tmp_path: Path) -> None:
    write_lines(tmp_path / "studies.jsonl", [LINE | {"view": "PA"}])
    write_picture(tmp_path / "images" / "1.png")
    assert study_of(next(Hannover(tmp_path).items(1, 0))).pictures[0].view is None


def test_a_line_of_another_shape_is_told(tmp_path: Path) -> None:
    write_lines(tmp_path / "studies.jsonl", [LINE | {"grade": "secret"}])
    with pytest.raises(BadInput, match=r"^studies.jsonl, line 1, has a 'grade' that is no dict") as error:
        list(Fundus(tmp_path).items(1, 0))
    assert "secret" not in str(error.value)


def test_of_lines_with_a_split_the_held_out_ones_are_asked(tmp_path: Path) -> None:
    lines = [LINE | {"id": str(n), "grade": {"dr": 1}, "split": split} for n, split in enumerate(("train", "val"))]
    write_lines(tmp_path / "studies.jsonl", lines)
    assert list(items_of(Fundus(tmp_path))) == ["1"]
    rows = [row | {"split": "train" if n > 1 else "val"} for n, row in enumerate(nih_rows())]
    write_lines(tmp_path / "studies.jsonl", rows)
    assert {item.id.partition("-")[0] for item in CxrNih(tmp_path).items(1000, 0)} == {"f0", "f1"}


REAL: list[tuple[type[Benchmark], str, int]] = [
    (CxrNih, "open/cxr_nih", 40), (NihAny, "open/cxr_nih", 97), (Hannover, "open/cxr_hannover", 11),
    (BrainPlace, "open/brain_mri", 20), (Fundus, "open/fundus", 40), (FundusReferable, "open/fundus", 40),
    (Blood, "open/blood", 87), (BloodPlatelets, "open/blood", 87), (WhiteCells, "open/blood", 87),
    (Ultrasound, "research/ultrasound", 51), (BrainTumour, "research/brain_tumour", 100),
    (MedPix, "research/medpix", 180), (MedQuad, "open/text", 400), (Neighbours, "open/cxr_nih", 97),
    (Kinds, "open", 250),
]  # fmt: skip


@pytest.mark.parametrize(("made", "part", "at_least"), REAL, ids=lambda value: getattr(value, "name", None))
def test_real_data(made: type[Benchmark], part: str, at_least: int) -> None:
    benchmark = made(shared(part))
    items = list(benchmark.items(1_000_000, 0))
    assert len(items) >= at_least
    assert len({item.id for item in items}) == len(items)
    for item in items[:2]:
        assert all(picture.pixels.size for picture in study_of(item).pictures)
