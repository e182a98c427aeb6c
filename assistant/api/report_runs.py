"""What a report's run was asked, and what of it the checks must know when a person edits the report."""

import json
from typing import Any

from assistant.api.records import Records
from assistant.api.report_records import ReportRow
from assistant.reports.checks import Situation
from assistant.reports.checks.base import findings, impression
from assistant.reports.life import SIGNED
from assistant.reports.template import find_template
from assistant.requests import ReportRequest
from assistant.tasks.report import situation_of


def report_request(records: Records, body: dict[str, Any], **common: Any) -> ReportRequest:
    """`body` as stored: runs of an older version lack some fields. Raises `UnknownTemplate`."""
    template = find_template(body.get("template", "chest"), records.home)
    written = {name: body.get(name, "") for name in ("indication", "history", "prior_report")}
    return ReportRequest(template=template, **written, **common)


def situation_of_report(records: Records, report: ReportRow) -> Situation:
    """Raises `UnknownTemplate` when the report's template is gone: what it requires can't be checked then."""
    run = records.run(report.user, report.run)
    body = json.loads(run.body)
    study = records.load(report.user, report.study, pixels=False)
    before = study if run.prior or body.get("prior_case") else None  # that there is one is all that counts
    return situation_of(report_request(records, body, study=study, prior=before))


def signed_words(records: Records, user: str, study: str) -> str:
    """Findings and impression of a study's newest signed report; "" when there is none."""
    rows = [row for status in SIGNED for row in records.reports(user, status, study, None, 1)]
    if not rows:
        return ""
    newest = max(rows, key=lambda row: row.n)
    draft = records.version(newest, newest.version).draft
    told = {"Findings": findings(draft), "Impression": impression(draft)}
    return " ".join(f"{title}: {' '.join(one.text for one in said)}" for title, said in told.items() if said)
