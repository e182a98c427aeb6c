from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from assistant.api.keeper import Keeper
from assistant.errors import BadInput
from tests.ui.conftest import html
from ui import strings

Page = Callable[..., AppTest]


@pytest.fixture
def knowledge(page: Page, server: str) -> AppTest:
    tab = AppTest.from_string(
        "from ui.page_knowledge import knowledge_page\nknowledge_page()", default_timeout=60
    )  # fmt: skip
    return tab.run()


def test_documents_with_their_source(knowledge: AppTest) -> None:
    shown = html(knowledge)
    assert "British Thoracic Society, Guideline for pleural disease, 2023 · edition 2023 · United Kingdom" in shown
    assert strings.DEMONSTRATION in shown
    assert knowledge.subheader[0].value == strings.DOCUMENTS.format(total=1)


def test_search_shows_relevance_and_the_score_of_each_leg(knowledge: AppTest) -> None:
    knowledge.text_input(key="search").set_value("signs of an effusion").run()
    shown = html(knowledge)
    assert strings.FOUND.format(count=2, considered=20) in [caption.value for caption in knowledge.caption]
    assert "Relevance 93 %" in shown
    assert '<td>bm25</td><td class="n">7.410</td>' in shown
    assert "<script" not in shown
    knowledge.text_input(key="search").set_value("nothing at all").run()
    assert strings.NOTHING_FOUND.format(considered=20) in [caption.value for caption in knowledge.caption]


def test_a_document_with_a_section_highlighted(knowledge: AppTest) -> None:
    assert "Next step" in html(knowledge.button(key="document-d1").click().run())
    dialog = AppTest.from_string("from ui.document_view import show_document\nshow_document('d1')").run(timeout=60)
    assert "<mark" not in html(dialog)
    dialog.selectbox[0].set_value("Next step").run(timeout=60)
    assert '<mark id="used">Sample a unilateral pleural effusion' in html(dialog)


def test_adding_reports_what_was_skipped(knowledge: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    report = {"added": ["a.md"], "replaced": [], "unchanged": [], "skipped": [["b.md", "The file is <empty>."]]}

    async def call(self: Keeper, *arguments: str) -> Any:
        return report

    monkeypatch.setattr(Keeper, "call", call)
    files = knowledge.file_uploader(key="new_documents")
    files.upload("a.md", b"# A", "text/markdown").upload("b.md", b"", "text/markdown").run()
    knowledge.button(key="add_documents").click().run()
    assert "Added: a.md" in html(knowledge)
    assert "Skipped: b.md: The file is &lt;empty&gt;." in html(knowledge)


def test_adding_that_is_refused(knowledge: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    async def call(self: Keeper, *arguments: str) -> Any:
        raise BadInput("There is no text in it.")

    monkeypatch.setattr(Keeper, "call", call)
    knowledge.file_uploader(key="new_documents").upload("a.md", b"", "text/markdown").run()
    knowledge.button(key="add_documents").click().run()
    assert "There is no text in it." in html(knowledge)
