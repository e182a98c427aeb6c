import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from assistant.api.results import joined
from assistant.errors import BadInput
from assistant.events import Done, Drafted, Event, Identity, Retrieved, Sentence
from assistant.reports.drafting import make_draft
from assistant.requests import ReportRequest, Request
from assistant.settings import Settings
from eval import examples

WHO = Identity(model="fake", model_hash="", engine="fake", demonstration=True)


class Drafter:
    def __init__(self) -> None:
        self.requests: list[ReportRequest] = []

    async def run(self, request: Request) -> AsyncGenerator[Event, None]:
        assert isinstance(request, ReportRequest)
        self.requests.append(request)
        said = [Sentence(index=0, section="impression", text="Larger effusion.", support="image")]
        yield Drafted(draft=make_draft(request.template, said).model_copy(update={"identity": WHO}))
        yield Done(status="answered", answer="", identity=WHO, timings={})


def test_an_example_has_pictures_draft_and_a_preliminary_fhir_report(own_home: Path, tmp_path: Path) -> None:
    chest, fundus, brain = examples.examples(tmp_path, None, None)
    drafter, out = Drafter(), tmp_path / "out"
    out.mkdir()
    asyncio.run(examples._write(Settings(home=own_home), drafter, chest, out))  # type: ignore[arg-type]
    assert sorted(path.name for path in out.iterdir()) == sorted(examples.FILES)
    fhir = json.loads((out / "fhir.json").read_text())
    assert (fhir["resourceType"], fhir["status"], fhir["issued"][:10]) == (
        "DiagnosticReport",
        "preliminary",
        "2026-01-01",
    )
    shown = (out / "README.md").read_text()
    assert "Larger effusion." in shown
    assert "larger than on the prior study" in shown  # the truth
    (request,) = drafter.requests
    assert request.prior is not None
    assert "stands in for a real picture" in fundus.origin
    assert "stands in for a real picture" in brain.origin


def test_where_there_is_no_draft_it_says_why() -> None:
    example = examples.Example("x", "X", "A drawing.", Path("x.png"), "fundus", "?")
    note = "Nothing relevant was found."
    events: list[Any] = [
        Retrieved(evidence=(), considered=3, note=note),
        Done(status="abstained", reason="It is unlike anything known.", answer="", identity=WHO, timings={}),
    ]
    shown = examples.page(example, joined(events))
    assert "## No draft\n\nIt is unlike anything known." in shown
    assert note in shown
    assert "fhir" not in shown


def test_pictures_of_files_do_not_land_in_the_docs(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--out"):
        examples.main(examples.DOCS, fundus_file=tmp_path / "a.png")
