"""The library's evidence as readers of an answer see it."""

from assistant.events import EvidenceItem
from retrieval.types import Item, Passage


def shown(item: Item) -> EvidenceItem:
    """A passage with its place in its document, or a case with its picture."""
    content = item.content
    scores = {leg: round(score, 6) for leg, score in item.scores.items()}
    if isinstance(content, Passage):
        return EvidenceItem(
            number=item.number, kind="passage", id=content.id, title=content.document, section=content.section,
            text=content.text, document_id=content.document_id, start=content.start, end=content.end,
            page=content.page, source=content.source, edition=content.edition, jurisdiction=content.jurisdiction,
            scores=scores, relevance=item.relevance,
        )  # fmt: skip
    return EvidenceItem(
        number=item.number, kind="case", id=content.id, title="Similar case (another patient)", text=content.report,
        start=0, end=len(content.report), source=content.source, image_sha256=content.sha256,
        scores=scores, relevance=item.relevance,
    )  # fmt: skip
