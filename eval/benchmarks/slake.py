"""SLAKE (Liu et al. 2021): questions on CT, MR and chest radiographs, closed and open; English, official test part.

The folder, as published: `test.json` and `imgs/xmlab*/source.jpg`. Slices are of several sources that hang them
differently: no side is asked or stated of them.
"""

from collections.abc import Iterator
from pathlib import Path

from eval.benchmarks.folder import RADIOGRAPH, UNKNOWN, Look, entries, file_in
from eval.benchmarks.questions import MIXED, Asked, Questions, closed_kind
from retrieval.errors import BadInput

LOOKS = {"x-ray": RADIOGRAPH, "ct": Look("CT"), "mri": Look("MR")}


class Slake(Questions):
    name = "slake"
    title = "SLAKE (English, test part)"
    shown = MIXED
    needs_data = "SLAKE's folder (test.json and imgs)"

    def asked(self, folder: Path) -> Iterator[Asked]:
        pictures = file_in(folder, "imgs")
        for entry in entries(file_in(folder, "test.json")):
            if entry.text("q_lang").lower() != "en":
                continue
            answer, picture = entry.text("answer"), Path(entry.text("img_name"))
            if picture.is_absolute() or ".." in picture.parts:
                raise BadInput(f"{entry.place}, names a picture outside imgs.")
            yield Asked(
                id=f"slake-{entry.text('qid')}",
                question=entry.text("question"),
                answer=answer,
                pictures=(pictures / picture,),
                kind=closed_kind(answer) if entry.text("answer_type").upper() == "CLOSED" else "open",
                look=LOOKS.get(entry.text("modality").lower(), UNKNOWN),
                patient=picture.parts[0],
                groups={"content": entry.text("content_type").lower(), "modality": entry.text("modality")},
            )
