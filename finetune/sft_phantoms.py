"""Samples for `consult train sft` from synthetic studies, to try a recipe without a patient's picture.

Run: `consult phantom studies --n 200 --seed 1900000`, then
`python -m finetune.sft_phantoms studies > studies/samples.jsonl`.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eval.benchmarks.diagnosis import story
from eval.phantoms import make_phantom
from eval.phantoms.criteria import criteria, diagnosis
from eval.phantoms.organs import organs

QUESTIONS = 4  # of a study


def samples(truth: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Lines of one study of studies.jsonl: some questions, its report, a differential, and one criterion of each list.
    Frontal studies hang with the patient's right on the picture's left."""
    names = ("patient", "seed", "family", "source", "view")
    common = {
        **{name: truth[name] for name in names}, "image": truth["file"], "modality": "DX", "standard_display": True,
    }  # fmt: skip
    for question in truth["questions"][:QUESTIONS]:
        yield {**common, "task": "ask", "question": question["text"], "answer": question["answer"]}
    phantom = make_phantom(truth["seed"], family=truth["family"], size=64)
    told = organs(phantom.findings, phantom.devices, truth["view"], phantom.fault)
    yield {**common, "task": "report", "report": {name: text for name, text in told.items() if text}}
    heard, candidates = story(phantom)
    likely = [f"[diagnosis] {name.capitalize()} is likely. [image]" for name in diagnosis(phantom)]
    none = "[diagnosis] No abnormality is seen. [image]"
    common["history"] = heard
    yield {**common, "task": "diagnose", "candidates": list(candidates), "answer": likely or none}
    for lines in criteria(phantom, heard).values():
        yield {**common, "task": "criteria", "criterion": lines[0].text, "answer": lines[0].state}


def main(folder: Path) -> None:
    """Prints the samples of a folder that `consult phantom` wrote."""
    for line in (folder / "studies.jsonl").read_text(encoding="utf-8").splitlines():
        for sample in samples(json.loads(line)):
            print(json.dumps(sample, ensure_ascii=False))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
