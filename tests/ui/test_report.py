import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from assistant.events import Offer
from tests.ui.conftest import html, told
from tests.ui.serving import HOSTILE, FakeAssistant, png, serving
from ui import report_parts, report_state, strings

Page = Callable[..., AppTest]
TOKEN = "token-of-ann"


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    yield
    report_state._kept.clear()


@pytest.fixture
def api(assistant: FakeAssistant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """The API as its user Ann calls it, and the page does in her name."""
    with (
        serving(tmp_path / "home", assistant, token=TOKEN) as url,
        httpx.Client(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}) as client,
    ):
        monkeypatch.setenv("CONSULT_API_URL", url)
        monkeypatch.setenv("CONSULT_API_TOKEN", TOKEN)
        yield client


@pytest.fixture
def report(api: httpx.Client) -> str:
    return str(api.post("/v1/reports", json={"run": drafted(api, uploaded(api))}).raise_for_status().json()["id"])


@pytest.fixture
def desk() -> Page:
    """A new tab on the report desk, with this in its address."""

    def opened(**address: str) -> AppTest:
        tab = AppTest.from_string("from ui.page_report import report_page\nreport_page()", default_timeout=60)
        for name, value in address.items():
            tab.query_params[name] = value
        return tab.run()

    return opened


def uploaded(api: httpx.Client, seed: int = 0) -> str:
    return str(api.post("/v1/studies", files={"files": ("a.png", png(seed))}).raise_for_status().json()["id"])


def drafted(api: httpx.Client, study: str, **more: Any) -> str:
    run = api.post("/v1/runs", json={"task": "report", "study": study, **more}).raise_for_status().json()["id"]
    end = time.monotonic() + 60
    while api.get(f"/v1/runs/{run}").json()["status"] in ("queued", "running"):
        assert time.monotonic() < end
        time.sleep(0.02)
    return str(run)


def now(api: httpx.Client, report: str) -> dict[str, Any]:
    return dict(api.get(f"/v1/reports/{report}").json())


def words(report: dict[str, Any]) -> list[str]:
    return [said["text"] for said in report_parts.statements(report["draft"])]


def line(tab: AppTest, id_: str) -> Any:
    return next(area for area in tab.text_area if (area.key or "").startswith(f"text-{id_}-"))


def elsewhere(api: httpx.Client, report: str, **texts: str) -> None:
    """Somebody else saves first."""
    stored = now(api, report)
    sections = [
        {"name": s["name"], "statements": [
            {"id": t["id"], "text": texts.get(t["id"], t["text"])} for t in s["statements"]
        ]}
        for s in stored["draft"]["sections"]
    ]  # fmt: skip
    headers = {"If-Match": f'"{stored["version"]}"'}
    api.put(f"/v1/reports/{report}", json={"sections": sections}, headers=headers).raise_for_status()


def sign(tab: AppTest, name: str = "") -> AppTest:
    tab.button(key="accept_rest").click().run()
    tab.text_input(key="signer").set_value(name).run()
    return tab.button(key="sign").click().run()


def test_from_a_picture_to_a_draft_with_a_prior(desk: Page, api: httpx.Client, assistant: FakeAssistant) -> None:
    prior = uploaded(api, 1)
    tab = desk()
    tab.file_uploader(key="files").upload("a.png", png(), "image/png").run()
    tab.button(key="open_study").click().run()
    assert tab.selectbox(key="template").value == "chest"
    assert set(tab.selectbox(key="template").options) == set(strings.TEMPLATES.values())
    tab.text_area(key="indication").set_value("Pneumothorax?").run()
    tab.selectbox(key="prior").select(prior).run()
    tab.button(key="draft").click().run()
    (report,) = api.get("/v1/reports").json()["items"]
    assert dict(tab.query_params) == {"report": report["id"]}
    run = api.get(f"/v1/runs/{report['run']}").json()
    assert (run["prior"], run["request"]["indication"]) == (prior, "Pneumothorax?")
    assert len([image for image in tab.image if image.proto.imgs[0].alt.startswith("Picture 1")]) == 2


def test_what_has_to_be_known_stands_above_the_draft(desk: Page, report: str) -> None:
    tab = desk(report=report)
    shown = html(tab)
    assert shown.index("Alert: Pneumothorax: it may grow.") < shown.index("does not speak of the pneumothorax")
    assert shown.index("does not speak of the pneumothorax") < shown.index(">Technique<")
    assert strings.NO_PRIOR in shown
    assert 'href="#sentence-5"' in shown
    assert 'id="sentence-5"' in shown
    assert "Nobody has signed it" in shown
    assert strings.MISSING.format(what="bones") in shown
    assert [area.value for area in tab.text_area if area.key.startswith("text-")][-1] == HOSTILE
    assert "<script" not in shown


def test_evidence_and_region_of_a_sentence(desk: Page, report: str) -> None:
    tab = desk(report=report)
    assert "<mark>A pleural effusion blunts" in html(tab)
    before = tab.image[0].proto.imgs[0].url
    tab.button(key="region-s4").click().run()
    assert tab.image[0].proto.imgs[0].url != before
    tab.button(key="region-s4").click().run()
    assert tab.image[0].proto.imgs[0].url == before


def test_accept_edit_delete_add_and_save(desk: Page, api: httpx.Client, report: str) -> None:
    tab = desk(report=report)
    assert tab.button(key="save").disabled
    tab.button(key="accept-s1").click().run()
    line(tab, "s3").set_value("The lungs are well aerated.").run()
    assert "<del>clear.</del>" in html(tab)
    tab.button(key="delete-s6").click().run()
    tab.button(key="delete-s7").click().run()
    tab.button(key="undo-s7").click().run()
    tab.button(key="add-bones").click().run()
    new = next(area for area in tab.text_area if area.key.startswith("text-") and not area.value)
    new.set_value("No fracture.").run()
    assert strings.UNSEEN.format(count=4) in html(tab)
    tab.button(key="save").click().run()
    stored = now(api, report)
    assert (stored["version"], stored["status"]) == (2, "edited")
    changes = api.get(f"/v1/reports/{report}/versions/1..2").json()["changes"]
    kinds = {change["after"] or change["before"]: change["kind"] for change in changes}
    assert kinds["The lungs are well aerated."] == "changed"
    assert kinds["The heart is of normal size."] == "deleted"
    assert kinds["No fracture."] == "added"
    assert list(kinds.values()).count("kept") == 5
    assert strings.CHECKS_OF_DRAFT in [caption.value for caption in tab.caption]
    assert "<ins>well aerated.</ins>" in html(tab)  # the versions' difference
    assert strings.UNSEEN.format(count=4) in html(tab)  # what was accepted is so still


def test_a_reload_keeps_what_was_typed(desk: Page, api: httpx.Client, report: str) -> None:
    line(desk(report=report), "s3").set_value("Not yet saved.").run()
    again = desk(report=report)
    assert line(again, "s3").value == "Not yet saved."
    assert strings.UNSAVED in html(again)
    assert dict(again.query_params) == {"report": report}
    assert now(api, report)["version"] == 1


def test_when_somebody_saved_first_both_changes_stand(desk: Page, api: httpx.Client, report: str) -> None:
    tab = desk(report=report)
    line(tab, "s3").set_value("Mine.").run()
    line(tab, "s6").set_value("The heart is large.").run()
    elsewhere(api, report, s3="Theirs.", s5="No pneumothorax.")
    tab.button(key="save").click().run()
    assert strings.SAVED_FIRST.format(new=2, old=1) in html(tab)
    assert strings.THEIRS.format(text="Theirs.") in html(tab)
    assert [line(tab, id_).value for id_ in ("s3", "s5", "s6")] == ["Mine.", "No pneumothorax.", "The heart is large."]
    assert now(api, report)["version"] == 2
    tab.button(key="delete-s3").click().run()
    tab.button(key="theirs-s3").click().run()
    tab.button(key="save").click().run()
    stored = now(api, report)
    assert stored["version"] == 3
    assert {"Theirs.", "No pneumothorax.", "The heart is large."} <= set(words(stored))
    assert "Nothing you typed is lost" not in html(tab)


def test_signed_meanwhile_what_was_typed_becomes_an_amendment(desk: Page, api: httpx.Client, report: str) -> None:
    tab = desk(report=report)
    line(tab, "s3").set_value("Mine.").run()
    api.post(f"/v1/reports/{report}/sign", json={}, headers={"If-Match": '"1"'}).raise_for_status()
    tab.button(key="save").click().run()
    assert line(tab, "s3").value == "Mine."
    tab.text_input(key="reason").set_value("Seen too late.").run()
    tab.button(key="accept_rest").click().run()
    tab.button(key="sign").click().run()
    assert (now(api, report)["status"], words(now(api, report))[2]) == ("amended", "Mine.")


def test_sign_amend_and_take_it_along(desk: Page, api: httpx.Client, report: str) -> None:
    tab = desk(report=report)
    line(tab, "s7").set_value("Small left effusion.").run()
    tab = sign(tab, "Jane Doe")
    stored = now(api, report)
    assert (stored["status"], stored["version"], stored["name"]) == ("signed", 3, "Jane Doe")
    assert "Signed by Jane Doe" in html(tab)
    assert not [area for area in tab.text_area if area.key.startswith("text-")]

    for form, begins in (("fhir", b"{"), ("pdf", b"%PDF"), ("text", b"Chest radiograph")):
        tab.pills(key=f"form-{report}-3").set_value(form).run()
        assert len(tab.get("download_button")) == 1
        assert report_state.api().export(report, 3, form).startswith(begins)
    tab.pills(key=f"form-{report}-3").set_value("sr").run()
    assert "DICOM" in told(tab)  # a PNG has no study to stand in, and the reason is told in words
    assert not tab.get("download_button")

    tab.button(key="amend").click().run()
    line(tab, "s7").set_value("Moderate left effusion.").run()
    assert tab.button(key="sign").disabled
    tab.text_input(key="reason").set_value("Measured again.").run()
    tab.button(key="sign").click().run()
    stored = now(api, report)
    assert (stored["status"], stored["version"], stored["name"]) == ("amended", 4, "ann")
    assert "Measured again." in html(tab)


def test_an_amendment_can_be_left(desk: Page, api: httpx.Client, report: str) -> None:
    tab = sign(desk(report=report))
    tab.button(key="amend").click().run()
    line(tab, "s3").set_value("Mine.").run()
    tab.button(key="leave").click().run()
    assert "The lungs are clear." in html(tab)
    assert now(api, report)["status"] == "signed"


def test_the_worklist(desk: Page, api: httpx.Client, report: str) -> None:
    tab = desk()
    assert strings.WORK_LINE.format(status="Draft", version=1) in html(tab)
    tab.button(key=f"report-{report}").click().run()
    assert "Nobody has signed it" in html(tab)
    tab.button(key="worklist").click().run()
    assert not tab.query_params
    tab.pills(key="status").set_value("signed").run()
    assert strings.NO_REPORTS in [caption.value for caption in tab.caption]


def test_an_earlier_study_is_offered_as_a_prior(desk: Page, api: httpx.Client, assistant: FakeAssistant) -> None:
    assistant.priors = (Offer(id="c1", taken="2026-03-01", report="Small effusion.", image_sha256="ab" * 32),)
    tab = desk(report=api.post("/v1/reports", json={"run": drafted(api, uploaded(api))}).json()["id"])
    assert strings.PRIOR_OF.format(taken="2026-03-01") in html(tab)
    tab.button(key="beside-c1").click().run()
    assert "same patient" in html(tab)  # the picture's patient is not known here, so the server refuses


def test_consent(desk: Page, api: httpx.Client, report: str) -> None:
    tab = desk(report=report)
    tab.checkbox(key=f"consent-{report}").check().run()
    assert now(api, report)["consent"] is True


def test_a_server_without_names_says_why_nobody_signs(desk: Page, server: str) -> None:
    with httpx.Client(base_url=server) as api:
        made = api.post("/v1/reports", json={"run": drafted(api, uploaded(api))}).json()["id"]
    tab = desk(report=made)
    assert "Only a user with a name signs" in told(sign(tab))


def test_an_api_that_is_away_keeps_the_words(
    desk: Page, assistant: FakeAssistant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(tmp_path / "home", assistant) as url, httpx.Client(base_url=url) as api:
        monkeypatch.setenv("CONSULT_API_URL", url)
        tab = desk(report=api.post("/v1/reports", json={"run": drafted(api, uploaded(api))}).json()["id"])
        line(tab, "s3").set_value("Mine.").run()
    tab.button(key="save").click().run()
    assert strings.WORDS_KEPT in told(tab)
    assert line(tab, "s3").value == "Mine."


def test_an_address_of_somebody_elses(desk: Page, api: httpx.Client) -> None:
    assert strings.NO_SUCH_REPORT in html(desk(report="0" * 32))


def test_the_frame_lies_where_the_region_says() -> None:
    picture = io.BytesIO()
    Image.new("L", (100, 50)).save(picture, "PNG")
    framed = np.asarray(Image.open(io.BytesIO(report_parts.with_region(picture.getvalue(), (40, 20, 120, 60), 200))))
    rows, columns = np.nonzero(framed.any(axis=2))
    assert (columns.min(), rows.min(), columns.max(), rows.max()) == (20, 10, 59, 29)


def test_words_changed_escapes_and_tells_both_sides() -> None:
    assert report_parts.words_changed("A <b> c.", "A d c.") == "A <del>&lt;b&gt; </del><ins>d </ins>c."
    assert report_parts.words_changed("", "New.") == "<ins>New.</ins>"
