"""`consult report`: the draft of one study, or of every study of a worklist."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from assistant.errors import BadInput
from assistant.options import Adapter, AsJson, MaxTokens, Prior, PriorCase, Seed, StandardDisplay

if TYPE_CHECKING:  # imported where they are used: `consult --help` answers at once
    from assistant.requests import ReportRequest
    from assistant.settings import Settings

Form = Literal["text", "markdown", "pdf"]


def report(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE...]", help="DICOM, NIfTI, PNG, JPEG or TIFF: all views.")
    ] = None,
    indication: Annotated[str, typer.Option("--indication", "-i", help="Why it was taken: this is answered.")] = "",
    history: Annotated[str, typer.Option(help="What is known of the patient.")] = "",
    template: Annotated[str, typer.Option(help="chest, brain_mr, fundus, free, or one of your own.")] = "chest",
    prior: Prior = None,
    prior_case: PriorCase = None,
    prior_report: Annotated[
        Path | None, typer.Option(help="A text file with the prior study's report; with --prior-case, the case's own.")
    ] = None,
    standard_display: StandardDisplay = False,
    form: Annotated[Form, typer.Option("--format", help="How the draft is written.")] = "text",
    out: Annotated[Path | None, typer.Option(help="Write it here; with --batch, a folder.")] = None,
    as_json: AsJson = False,
    overlays: Annotated[
        Path | None, typer.Option(help="A folder for pictures of where each finding is seen, with their coordinates.")
    ] = None,
    batch: Annotated[Path | None, typer.Option(help="A worklist: a CSV file, one study a line.")] = None,
    adapter: Adapter = None,
    seed: Seed = 0,
    max_tokens: MaxTokens = 512,
) -> None:
    """Draft the report of a study. The draft is preliminary until a person signs it."""
    from assistant.reports.worklist import Wanted, run_batch
    from assistant.settings import load_settings

    settings = load_settings()
    common: dict[str, Any] = {
        "standard_display": standard_display,
        "adapter": adapter,
        "seed": seed,
        "max_tokens": max_tokens,
    }
    if batch:
        if files or prior or prior_case or prior_report or indication or history:
            raise BadInput(
                "With --batch studies, priors and indications stand in the worklist, not on the command line."
            )
        if overlays:
            raise BadInput("--overlays is for one study: leave it out with --batch.")
        if out is None:
            raise BadInput("--batch needs --out, the folder the drafts are written to.")
        if asyncio.run(run_batch(settings, batch, out, template, common)):
            raise typer.Exit(1)
        return
    if not files:
        raise BadInput("Name the study's files, or a worklist by --batch.")
    if form == "pdf" and out is None and not as_json:
        raise BadInput("A PDF needs --out, the file it is written to.")
    wanted = Wanted(
        study=tuple(files), prior=tuple(prior or ()), prior_case=prior_case, prior_report=prior_report,
        indication=indication, history=history, template=template,
    )  # fmt: skip
    asyncio.run(_one(settings, wanted.request(settings, **common), form, out, as_json, overlays))


async def _one(
    settings: "Settings", request: "ReportRequest", form: Form, out: Path | None, as_json: bool, overlays: Path | None
) -> None:
    from assistant.api.results import joined
    from assistant.assistant import Assistant
    from assistant.overlay import marks_of, write_overlays
    from assistant.reports import render
    from assistant.reports.worklist import events_of

    assistant = Assistant.open(settings)
    try:
        events = await events_of(assistant, request)
    finally:
        await assistant.close()
    result = joined(events)
    if overlays:
        write_overlays(overlays, marks_of(events), request.study)
    if as_json:
        shown: str | bytes = result.model_dump_json(indent=2) + "\n"
    elif result.draft is None:
        raise BadInput(f"There is no draft. {result.reason}")
    else:
        shown = render.pdf(result.draft) if form == "pdf" else getattr(render, form)(result.draft)
    if out:
        out.write_bytes(shown.encode() if isinstance(shown, str) else shown)
    else:
        print(shown, end="")
