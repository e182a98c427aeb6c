import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.errors import UnreadableDocument
from retrieval.readers.plain import decode, stated_title

GERMAN = "Bei Verdacht auf eine Lungenembolie wird zuerst die klinische Wahrscheinlichkeit geschätzt. Größe: 5 µm."
FRENCH = "Fièvre élevée"
CHINESE = "社区获得性肺炎患者入院后应尽快使用抗菌药物,并根据病情的严重程度选择治疗方案。\n胸部影像提示左下肺实变。"
JAPANESE = "市中肺炎の患者では、重症度を評価してから抗菌薬を選択する。\n胸部X線写真で浸潤影を確認する。"
RUSSIAN = "Пневмония у взрослых: лихорадка, кашель и одышка требуют срочного осмотра врачом."
KOREAN = "지역사회획득 폐렴 환자는 중증도를 평가한 뒤 항생제를 선택한다."


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (GERMAN, "latin-1"), (GERMAN, "cp1252"), (FRENCH, "cp1252"), (GERMAN, "utf-16"), (GERMAN, "utf-16-le"),
        (GERMAN, "utf-16-be"), (GERMAN, "utf-32"), (GERMAN, "utf-8-sig"), (CHINESE, "gb18030"), (CHINESE, "utf-8"),
        (CHINESE, "utf-16"), (CHINESE, "utf-16-le"), (CHINESE.replace("\n", ""), "utf-16-be"), (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"), (JAPANESE, "utf-16-be"), (RUSSIAN, "cp1251"), (KOREAN, "cp949"), (FRENCH, "utf-16"),
    ],
)  # fmt: skip
def test_the_encoding_is_found(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01\x02" * 50,
        b"\x7fELF\x02\x01\x01" + bytes(200),
        b"\x81\x8d\x8f\x90",
        random.Random(1).randbytes(300),
        random.Random(2).randbytes(9000),
        b"\x89PNG\r\n\x1a\n" + random.Random(3).randbytes(900),
        "\ufeff".encode("utf-16-le") + b"\x00\xd8\x00\xd8x",
    ],
)
def test_what_is_no_text(data: bytes) -> None:
    with pytest.raises(UnreadableDocument, match="save it as UTF-8"):
        decode(data)


@given(st.text(st.characters(categories=["L", "N", "P"]), min_size=1))
def test_utf8_comes_back(text: str) -> None:
    assert decode(text.encode()) == text


def test_titles_of_properties() -> None:
    assert stated_title(" Microsoft Word - A  guide\r\nto it.docx ") == "A guide to it"
    assert stated_title("Report 2.5") == "Report 2.5"
