"""Text, Markdown and PDF of a draft."""

import io

from assistant.reports import render
from assistant.reports.draft import Draft, DraftSection, Statement, Superseded
from assistant.values import Citation

CITED = Citation(
    number=1, kind="passage", id="p", document_id="d", title="Effusion", section="Signs", start=3, end=9, quote="blunt"
)
DRAFT = Draft(
    template="chest",
    title="Chest radiograph",
    indication="Effusion ≥ 2 cm? Ωmega",
    sections=(
        DraftSection(name="lungs", title="Lungs", findings=True, statements=(
            Statement(id="s1", text="*No* <b>nodule</b>.", support="image"),
            Statement(id="s2", text="The angle is blunted.", support="cited", citations=(CITED,)),
        )),
        DraftSection(name="bones", title="Bones", findings=True),
        DraftSection(name="impression", title="Impression"),
    ),
    missing=("pneumothorax (Pleura)",),
    superseded=(Superseded(section="lungs", statement=Statement(id="s0", text="A nodule.", support="image")),),
)  # fmt: skip


def test_text_says_everything_of_the_draft() -> None:
    told = render.text(DRAFT)
    lines = told.splitlines()
    assert lines[:2] == ["Chest radiograph", render.PRELIMINARY]
    assert "Missing: pneumothorax (Pleura)." in lines
    assert "*No* <b>nodule</b>. [image] The angle is blunted. [1]" in lines
    assert "BONES" not in lines  # an organ nothing is said of
    assert lines[lines.index("IMPRESSION") + 1] == render.EMPTY
    assert '[1] Effusion, Signs, characters 3-9: "blunt"' in lines
    assert lines.index("A nodule.") > lines.index("REPLACED AFTER A CHECK")


def test_markdown_shows_what_was_written_and_marks_up_nothing() -> None:
    told = render.markdown(DRAFT)
    assert "\\*No\\* \\<b\\>nodule\\</b\\>. \\[image\\]" in told
    assert f"> {render.PRELIMINARY}" in told
    assert "## Lungs" in told


def test_pdf_can_be_read_again_and_says_what_it_could_not_show() -> None:
    import pypdf

    reader = pypdf.PdfReader(io.BytesIO(render.pdf(DRAFT)))
    told = " ".join(" ".join(page.extract_text() for page in reader.pages).split())
    assert "Effusion >= 2 cm? ?mega" in told
    assert render.PRELIMINARY in told
    assert "*No* <b>nodule</b>. [image]" in told
    assert render._UNSHOWN in told
