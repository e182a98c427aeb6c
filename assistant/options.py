"""The options that commands about a study share, so that they read and mean the same everywhere."""

from pathlib import Path
from typing import Annotated

import typer

Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="DICOM, NIfTI, PNG, JPEG or TIFF.")]
Prior = Annotated[list[Path] | None, typer.Option(help="A file of a prior study; may be given again.")]
PriorCase = Annotated[
    str | None, typer.Option(help="Instead: id of a case of the library that is the same patient's prior study.")
]
StandardDisplay = Annotated[
    bool, typer.Option(help="PNG, JPEG and TIFF show the patient's right on the picture's left.")
]
Adapter = Annotated[str | None, typer.Option(help='A tuned adapter by its name; "base": the model as it is.')]
Seed = Annotated[int, typer.Option(min=0, help="Makes sampling repeatable.")]
MaxTokens = Annotated[int, typer.Option(min=1, help="At most this long an answer.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
