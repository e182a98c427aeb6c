from assistant.evidence import shown
from retrieval.types import Item, Passage
from ui import html_parts

OLD = Passage(
    "p", "d", "Pneumothorax", "Signs", "A line.", 0, 7, source="BTS", edition="2010", dated="2010-05", newer="e",
    superseded_by="Pneumothorax, edition 2023",
)  # fmt: skip


def test_a_superseded_passage_says_by_which() -> None:
    item = shown(Item(1, OLD, {"bm25": 2.0}, 0.9))
    assert (item.dated, item.newer, item.superseded_by) == ("2010-05", "e", "Pneumothorax, edition 2023")
    card = html_parts.card(item.model_dump(), ())
    assert "BTS · edition 2010 · 2010-05 · superseded by Pneumothorax, edition 2023" in card
    answer = {"sentences": [], "citations": [{"number": 1}], "evidence": [item.model_dump()], "identity": None}
    copied = html_parts.with_references({"question": "", "result": answer})
    assert "[1] Pneumothorax, Signs, BTS, edition 2010, superseded by Pneumothorax, edition 2023" in copied
