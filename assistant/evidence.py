"""The library's evidence as readers of an answer see it."""

from assistant.events import EvidenceItem, Offer, SourceQuote
from retrieval.types import Case, Item, Passage, Statement


def shown(item: Item) -> EvidenceItem:
    """A passage with its place in its document, or a case with its picture."""
    content = item.content
    scores = {leg: round(score, 6) for leg, score in item.scores.items()}
    if isinstance(content, Passage):
        return EvidenceItem(
            number=item.number, kind="passage", id=content.id, title=content.document, section=content.section,
            text=content.text, document_id=content.document_id, start=content.start, end=content.end,
            page=content.page, source=content.source, edition=content.edition, jurisdiction=content.jurisdiction,
            dated=content.dated, newer=content.newer, superseded_by=content.superseded_by,
            condensed_by=content.condensed_by, sources=tuple(map(_quote, content.rests_on)),
            scores=scores, relevance=item.relevance,
        )  # fmt: skip
    before = item.earlier
    return EvidenceItem(
        number=item.number, kind="case", id=content.id, text=content.report, start=0, end=len(content.report),
        title="Similar pair of studies (another patient)" if before else "Similar case (another patient)",
        source=content.source, image_sha256=content.sha256, labels=content.labels,
        earlier=before.report if before else "", earlier_sha256=before.sha256 if before else None,
        scores=scores, relevance=item.relevance,
    )  # fmt: skip


def offered(case: Case) -> Offer:
    return Offer(id=case.id, taken=case.taken, report=case.report, image_sha256=case.sha256)


def _quote(said: Statement) -> SourceQuote:
    return SourceQuote(
        start=said.start, end=said.end, id=said.passage, document=said.document, section=said.section, quote=said.quote
    )
