"""VQA-RAD (Lau et al. 2018): questions of clinicians on radiographs, CT and MR, closed and open; the test part.

The folder, as published: `VQA_RAD Dataset Public.json` and `VQA_RAD Image Folder`.
"""

from collections.abc import Iterator
from pathlib import Path

from assistant.study import STANDARD_RADIOGRAPH, Orientation
from eval.benchmarks.folder import UNKNOWN, Look, entries, file_in
from eval.benchmarks.questions import MIXED, Asked, Questions, closed_kind

AXIAL = Orientation(right="L", down="P")
LOOKS = {  # by organ: all of the chest are radiographs, all of head and abdomen axial slices, hung as is usual
    "CHEST": Look("DX", orientation=STANDARD_RADIOGRAPH),
    "HEAD": Look(None, "AXIAL", AXIAL),
    "ABD": Look("CT", "AXIAL", AXIAL),
}


class VqaRad(Questions):
    name = "vqa-rad"
    title = "VQA-RAD (test part)"
    shown = MIXED
    needs_data = "VQA-RAD's folder (VQA_RAD Dataset Public.json and VQA_RAD Image Folder)"

    def asked(self, folder: Path) -> Iterator[Asked]:
        pictures = file_in(folder, "VQA_RAD Image Folder")
        for entry in entries(file_in(folder, "VQA_RAD Dataset Public.json")):
            phrase = entry.text("phrase_type").lower()
            if not phrase.startswith("test_"):
                continue
            # The published answer types hold stray blanks and capitals; numbers stand as numbers.
            closed = entry.text("answer_type").upper() == "CLOSED"
            answer, organ = entry.text("answer"), entry.text("image_organ").upper()
            yield Asked(
                id=f"vqa-rad-{entry.text('qid')}",
                question=entry.text("question"),
                answer=answer,
                pictures=(pictures / Path(entry.text("image_name")).name,),
                kind=closed_kind(answer) if closed else "open",
                look=LOOKS.get(organ, UNKNOWN),
                groups={"organ": organ.lower(), "wording": phrase.removeprefix("test_")},
            )
