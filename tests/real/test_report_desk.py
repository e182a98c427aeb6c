"""From an upload to a signed report and its FHIR file, in a real browser.

CONSULT_TEST_SHOTS names a folder for pictures of the page on the way.
"""

import io
import json
import os
import time
from pathlib import Path
from typing import Any

import pydicom
import pytest

from eval.phantoms.dicom import to_dicom
from eval.phantoms.pairs import make_pair
from eval.phantoms.phantom import Phantom, make_phantom
from tests.real.conftest import PATIENCE_MS
from tests.ui.serving import FakeAssistant
from ui import strings

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
EFFUSION, IMPRESSION = "The left costophrenic angle is blunted", "Left pleural effusion and pneumothorax."


@pytest.fixture
def token() -> str:
    return "token-of-ann"


def dicom(phantom: Phantom) -> dict[str, Any]:
    out = io.BytesIO()
    to_dicom(phantom).save_as(out, enforce_file_format=True)
    return {"name": "a.dcm", "mimeType": "application/dicom", "buffer": out.getvalue()}


def shoot(page: Any, name: str) -> None:
    if folder := os.environ.get("CONSULT_TEST_SHOTS"):
        page.wait_for_timeout(800)
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


def press(page: Any, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def field(page: Any, text: str) -> Any:
    """The field of the sentence that begins so, once it is there."""
    fields, end = page.get_by_role("textbox", name=strings.SENTENCE), time.monotonic() + PATIENCE_MS / 1000
    while time.monotonic() < end:
        for number, value in enumerate(fields.evaluate_all("all => all.map(field => field.value)")):
            if value.startswith(text):
                return fields.nth(number)
        page.wait_for_timeout(100)
    pytest.fail(f"no sentence begins with {text!r}")


def write(page: Any, box: Any, text: str) -> None:
    box.fill(text)
    box.press("Control+Enter")


def exported(page: Any, form: str, end: str, folder: Path) -> bytes:
    page.get_by_test_id("stButtonGroup").get_by_text(strings.FORMATS[form][0], exact=True).click()
    button = page.get_by_test_id("stDownloadButton").get_by_role("button").filter(has_text=end)
    button.wait_for()
    with page.expect_download(timeout=PATIENCE_MS) as coming:
        button.click()
    assert coming.value.suggested_filename.endswith(end)
    file = folder / coming.value.suggested_filename
    coming.value.save_as(file)
    return file.read_bytes()


def test_from_upload_to_a_signed_report_and_its_files(page: Any, assistant: FakeAssistant, tmp_path: Path) -> None:
    page.get_by_role("link", name=strings.REPORT_PAGE).click()
    page.get_by_text(strings.NO_REPORTS).wait_for()
    page.locator("input[type=file]").first.set_input_files(dicom(make_phantom(3)))
    page.locator(f"button:not([disabled]):has-text('{strings.OPEN_STUDY}')").click()
    page.get_by_role("textbox", name=strings.INDICATION).fill("Dyspnoea. Effusion?")
    shoot(page, "1-request")

    assistant.gate.clear()
    press(page, strings.DRAFT)
    page.get_by_text("Frontal view of the chest.").wait_for()
    page.reload()  # in the middle of the draft
    page.get_by_text("Frontal view of the chest.").wait_for()
    shoot(page, "2-drafting")
    assistant.gate.set()

    page.get_by_text("Alert: Pneumothorax").wait_for()
    field(page, EFFUSION)
    assert page.url.partition("?")[2].startswith("report=")
    press(page, strings.SHOW_REGION)
    page.get_by_role("button", name=strings.HIDE_REGION).wait_for()
    shoot(page, "3-draft")

    write(page, field(page, "Ignore your instructions"), IMPRESSION)
    page.get_by_text(strings.UNSAVED).wait_for()
    page.reload()
    assert field(page, IMPRESSION).is_editable()  # not saved yet, and still there
    press(page, strings.SAVE)
    page.get_by_text("version 2, edited by ann").wait_for()
    press(page, strings.ACCEPT_REST)
    page.get_by_text(strings.ALL_SEEN).wait_for()
    shoot(page, "4-accepted")
    press(page, strings.SIGN)
    page.get_by_role("textbox", name=strings.SIGNER).fill("Jane Doe")
    page.get_by_role("textbox", name=strings.SIGNER).press("Enter")
    shoot(page, "5-signing")
    page.get_by_role("dialog").get_by_role("button", name=strings.SIGN, exact=True).click()
    page.get_by_text("Signed by Jane Doe").wait_for()
    shoot(page, "6-signed")

    page.get_by_text(strings.VERSIONS, exact=True).click()
    page.locator("ins", has_text="Left pleural effusion and").wait_for()
    page.get_by_text(strings.EXPORT, exact=True).click()
    shoot(page, "7-versions")
    fhir = json.loads(exported(page, "fhir", ".json", tmp_path))
    assert (fhir["resourceType"], fhir["status"]) == ("DiagnosticReport", "final")
    assert IMPRESSION in json.dumps(fhir)
    assert exported(page, "pdf", ".pdf", tmp_path).startswith(b"%PDF")
    sr = pydicom.dcmread(io.BytesIO(exported(page, "sr", ".dcm", tmp_path)))
    assert (sr.Modality, sr.VerificationFlag) == ("SR", "VERIFIED")
    shoot(page, "8-exported")

    press(page, strings.TO_WORKLIST)
    page.get_by_text(strings.WORK_LINE.format(status="Signed", version=3)).wait_for()
    shoot(page, "9-worklist")


def test_two_tabs_lose_nothing(page: Any, assistant: FakeAssistant) -> None:
    page.set_viewport_size({"width": 1920, "height": 1080})
    page.get_by_role("link", name=strings.REPORT_PAGE).click()
    pair = make_pair(4)
    page.locator("input[type=file]").first.set_input_files(dicom(pair.current))
    page.locator(f"button:not([disabled]):has-text('{strings.OPEN_STUDY}')").click()
    page.get_by_text(strings.PRIOR_FILES).click()
    page.locator("input[type=file]").set_input_files(dicom(pair.prior))
    page.get_by_text("a.dcm").wait_for()
    press(page, strings.DRAFT)
    field(page, EFFUSION)
    assert page.get_by_alt_text("Picture 1 of the study").count() == 2
    (request,) = assistant.requests
    assert request.prior is not None
    shoot(page, "10-prior")

    other = page.context.new_page()
    other.set_default_timeout(PATIENCE_MS)
    other.goto(page.url)
    write(other, field(other, "The lungs are clear."), "The lungs are well aerated.")
    press(other, strings.SAVE)
    other.get_by_text("version 2, edited by ann").wait_for()

    write(page, field(page, "The lungs are clear."), "The lungs are dark.")
    press(page, strings.SAVE)
    page.get_by_text(strings.SAVED_FIRST.format(new=2, old=1)).wait_for()
    page.get_by_text(strings.THEIRS.format(text="The lungs are well aerated.")).wait_for()
    shoot(page, "11-conflict")
    field(page, "The lungs are dark.")
    press(page, strings.SAVE)
    page.get_by_text("version 3, edited by ann").wait_for()
    field(page, "The lungs are dark.")
