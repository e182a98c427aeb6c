"""Reports as stored: every version whole, and what became of each of the model's sentences in each of them.

Invariants: a version is never changed once it is written; the next one is written only on top of the one its author
saw. `report_edits` compares each version with version 1, the model's own; the view `consented_edits` is what tuning may
read of it: signed reports whose users agreed.
"""

import sqlite3
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from assistant.api.study_records import StudyRecords, audit_row, now
from assistant.errors import NotFound, StaleVersion
from assistant.reports.draft import Draft
from assistant.reports.life import Change, Kind, Status

_ACTIONS: dict[Status, str] = {
    "draft": "report.create", "edited": "report.edit", "signed": "report.sign", "amended": "report.amend"
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReportRow:
    n: int  # counts up; what pages are cut by
    id: str
    user: str
    run: str
    study: str
    status: Status
    version: int  # the newest
    consent: bool
    created: str


@dataclass(frozen=True, slots=True)
class VersionRow:
    """`author` is the user, None for the model's draft; `name` the signer's, as printed; `reason` an amendment's."""

    version: int
    status: Status
    author: str | None
    name: str
    reason: str
    at: str
    draft: Draft


@dataclass(frozen=True, slots=True)
class ConsentedEdit:
    """One sentence for preference tuning: the prompt is that of `run`; `original` None: the person added it, `edited`
    None: the person deleted it."""

    run: str
    report: str
    version: int
    statement: str
    kind: Kind
    section: str
    original: str | None
    edited: str | None


class ReportRecords(StudyRecords):
    """Methods block for a disk write at most: call them from a worker thread. Safe for use by several threads."""

    def add_report(self, user: str, run: str, study: str, draft: Draft) -> tuple[ReportRow, bool]:
        """Version 1 of the report that belongs to a run; says whether it's new."""
        new = uuid.uuid4().hex
        with self._write() as db:
            cursor = db.execute(
                "INSERT INTO reports (id, user, run, study, status, version, consent, created)"
                " VALUES (?, ?, ?, ?, 'draft', 1, 0, ?) ON CONFLICT (run) DO NOTHING",
                (new, user, run, study, now()),
            )
            if cursor.rowcount:
                _insert_version(db, user, new, VersionRow(1, "draft", None, "", "", now(), draft))
            (id_,) = db.execute("SELECT id FROM reports WHERE run = ?", (run,)).fetchone()
        return self.report(user, id_), id_ == new

    def report(self, user: str, id_: str) -> ReportRow:
        with self._read() as db:
            return _report(db, user, id_)

    def reports(
        self, user: str, status: Status | None, study: str | None, before: int | None, limit: int
    ) -> list[ReportRow]:
        """Newest first."""
        wanted = {"user": user} | {name: value for name, value in (("status", status), ("study", study)) if value}
        where = " AND ".join(f"{name} = ?" for name in wanted)  # an index serves only what is named
        with self._read() as db:
            rows = db.execute(
                f"SELECT * FROM reports WHERE {where} AND n < ? ORDER BY n DESC LIMIT ?",
                (*wanted.values(), before or 2**62, limit),
            ).fetchall()
        return [_row(row) for row in rows]

    def version(self, report: ReportRow, version: int) -> VersionRow:
        with self._read() as db:
            row = db.execute(
                "SELECT * FROM report_versions WHERE report = ? AND version = ?", (report.id, version)
            ).fetchone()
        if row is None:
            raise NotFound("There is no such version of the report.")
        return _version(row)

    def versions(self, report: ReportRow) -> list[VersionRow]:
        with self._read() as db:
            rows = db.execute("SELECT * FROM report_versions WHERE report = ? ORDER BY version", (report.id,))
            return [_version(row) for row in rows]

    def add_version(self, user: str, id_: str, version: VersionRow, changes: Sequence[Change]) -> ReportRow:
        """Writes `version` on top of the one before it; `changes` compare it with version 1.
        Raises `StaleVersion` when that one isn't the newest any more."""
        with self._write() as db:
            check_version(_report(db, user, id_), version.version - 1)
            _insert_version(db, user, id_, version)
            db.execute(
                "UPDATE reports SET status = ?, version = ? WHERE id = ?", (version.status, version.version, id_)
            )
            db.executemany(
                "INSERT INTO report_edits VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(id_, version.version, c.statement, c.kind, c.section, c.before, c.after) for c in changes],
            )
        return self.report(user, id_)

    def set_consent(self, user: str, id_: str, consent: bool) -> ReportRow:
        with self._write() as db:
            _report(db, user, id_)
            db.execute("UPDATE reports SET consent = ? WHERE id = ?", (consent, id_))
            audit_row(db, user, "report.consent" if consent else "report.no-consent", id_)
        return self.report(user, id_)

    def consented_edits(self) -> list[ConsentedEdit]:
        """Of all users, for tuning: newest versions of signed reports with consent, in the order of the reports."""
        with self._read() as db:
            rows = db.execute("SELECT * FROM consented_edits ORDER BY report, statement").fetchall()
        return [ConsentedEdit(**dict(row)) for row in rows]


def check_version(report: ReportRow, expected: int) -> None:
    if report.version != expected:
        raise StaleVersion(
            f"The report has changed since version {expected}: it is at version {report.version} now. Read it again."
        )


def _insert_version(db: sqlite3.Connection, user: str, report: str, row: VersionRow) -> None:
    db.execute(
        "INSERT INTO report_versions VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (report, row.version, row.status, row.author, row.name, row.reason, row.at, row.draft.model_dump_json()),
    )
    audit_row(db, user, _ACTIONS[row.status], report)


def _report(db: sqlite3.Connection, user: str, id_: str) -> ReportRow:
    row = db.execute("SELECT * FROM reports WHERE id = ? AND user = ?", (id_, user)).fetchone()
    if row is None:
        raise NotFound("There is no such report.")
    return _row(row)


def _row(row: sqlite3.Row) -> ReportRow:
    fields: dict[str, Any] = dict(row)
    return ReportRow(**{**fields, "consent": bool(fields["consent"])})


def _version(row: sqlite3.Row) -> VersionRow:
    fields: dict[str, Any] = dict(row)
    del fields["report"]
    return VersionRow(**{**fields, "draft": Draft.model_validate_json(fields["draft"])})
