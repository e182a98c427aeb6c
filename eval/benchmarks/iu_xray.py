"""IU X-ray (Demner-Fushman et al. 2016): drafting the report of a chest radiograph, in either of two layouts.

Open-i's own: `ecgen-radiology/*.xml` beside the PNG files (in the folder itself, `NLMCXR_png` or `images`); it has no
parts, and every study with a findings section and a picture is asked. R2Gen's (Chen et al. 2020): `annotation.json` and
`images/`, of which the test part is asked; findings alone are its reports.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

from assistant.requests import ReportRequest
from eval.benchmarks.folder import RADIOGRAPH, entries_of, file_in, loaded, sample, study
from eval.benchmarks.report import ReportDraft
from eval.exam.benchmark import Item
from retrieval.errors import BadInput


class IuXray(ReportDraft):
    name = "iu-xray"
    title = "IU X-ray (report drafts)"
    full, quick = 1_000_000, 0
    needs_data = "IU X-ray's folder (annotation.json and images, or ecgen-radiology and the PNG files)"

    def items(self, n: int, seed: int) -> Iterator[Item]:
        file = file_in(self.data, "annotation.json", "ecgen-radiology")
        return iter(sample(open_i(file) if file.is_dir() else r2gen(file), n, seed))


def r2gen(file: Path) -> Iterator[Item]:
    whole = loaded(file)
    for entry in entries_of(whole.get("test") if isinstance(whole, dict) else None, f"{file.name}, part test"):
        names = entry.maybe("image_path", list)
        if not names or not all(isinstance(name, str) for name in names):
            raise BadInput(f"{entry.place}, has no list 'image_path'.")
        yield item_of(entry.text("id"), entry.text("report"), [file.parent / "images" / name for name in names])


def open_i(folder: Path) -> Iterator[Item]:
    places = [folder.parent / name for name in ("NLMCXR_png", "images", ".")]
    for path in sorted(folder.rglob("*.xml")):
        try:
            root = ElementTree.parse(path).getroot()
        except ElementTree.ParseError as error:
            raise BadInput(f"{path.name}, line {error.position[0]}, is not XML.") from None
        sections = {node.get("Label", ""): (node.text or "").strip() for node in root.iter("AbstractText")}
        names = [f"{node.get('id')}.png" for node in root.iter("parentImage") if node.get("id")]
        pictures = [next((p / name for p in places if (p / name).is_file()), None) for name in names]
        there = [picture for picture in pictures if picture]
        if sections.get("FINDINGS") and there:
            report = " ".join(filter(None, (sections["FINDINGS"], sections.get("IMPRESSION"))))
            yield item_of(path.stem, report, there)


def item_of(name: str, report: str, pictures: Sequence[Path]) -> Item:
    """`name` is the study's: the set has one study a patient. Sides of its findings aren't known apart."""
    return Item(
        id=f"iu-xray-{name}",
        truth={"report": report, "sides": {}},
        request=partial(_request, tuple(pictures)),
        groups={"pictures": str(len(pictures))},
        cluster=f"iu-xray-{name}",
    )


def _request(pictures: tuple[Path, ...]) -> ReportRequest:
    return ReportRequest(study=study(pictures, RADIOGRAPH))
