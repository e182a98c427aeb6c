"""What an exporter is given, and the formats there are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from assistant.errors import Misconfigured
from assistant.identity import Identity
from assistant.reports.draft import Draft
from assistant.reports.life import SIGNED, Status
from assistant.reports.render import PRELIMINARY, markdown, pdf, text

Format = Literal["fhir", "sr", "pdf", "markdown", "text"]


@dataclass(frozen=True, slots=True, repr=False)
class Document:
    """One version of a report. `report` is its id (32 hex digits), `at` ISO 8601 in UTC, `name` the signer's or "",
    `modalities` the DICOM codes of the study's pictures, `identity` whose they are."""

    report: str
    version: int
    status: Status
    at: str
    name: str
    draft: Draft
    modalities: frozenset[str]
    identity: Identity

    @property
    def signed(self) -> bool:
        return self.status in SIGNED

    @property
    def standing(self) -> str:
        """Whether a person has signed it, and whether it was changed after that."""
        signed = f"Signed by {self.name}, {self.at}." if self.signed else PRELIMINARY
        return f"AMENDED. {signed}" if self.status == "amended" else signed


@dataclass(frozen=True, slots=True)
class Kind:
    media_type: str
    suffix: str
    write: Callable[[Document], bytes]


def export(document: Document, format_: Format) -> bytes:
    """The document in a format. Raises `BadInput` where the format can't hold it, `Misconfigured` when its library is
    not installed."""
    try:
        return FORMATS[format_].write(document)
    except ModuleNotFoundError as error:
        raise Misconfigured(
            f"A library for this export is missing ({error.name}): pip install 'consult[exchange]'."
        ) from None


def _fhir(document: Document) -> bytes:
    from assistant.exchange.fhir import diagnostic_report

    return diagnostic_report(document).model_dump_json(indent=2).encode()


def _sr(document: Document) -> bytes:
    from assistant.exchange.sr import structured_report

    return structured_report(document)


FORMATS: dict[Format, Kind] = {
    "fhir": Kind("application/fhir+json", "json", _fhir),
    "sr": Kind("application/dicom", "dcm", _sr),
    "pdf": Kind("application/pdf", "pdf", lambda d: pdf(d.draft, d.standing)),
    "markdown": Kind("text/markdown; charset=utf-8", "md", lambda d: markdown(d.draft, d.standing).encode()),
    "text": Kind("text/plain; charset=utf-8", "txt", lambda d: text(d.draft, d.standing).encode()),
}
