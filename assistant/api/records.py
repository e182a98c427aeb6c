"""What the API remembers of runs. With `ReportRecords` and `StudyRecords`, the tables of the room "api" in consult.db.

Invariants: every row belongs to a user, and whatever is looked up for a user is theirs or `NotFound`. An event is
stored before anybody is told of it; after a run's last event nothing is added.
"""

import uuid
from dataclasses import dataclass

from assistant.api.report_records import ReportRecords
from assistant.api.shapes import ENDED, Status
from assistant.api.study_records import audit_row, now
from assistant.errors import NotFound
from assistant.events import Done, Event, Failed

INTERRUPTED = Failed(type="interrupted", message="The server stopped while this run was under way. Start it again.")


@dataclass(frozen=True, slots=True)
class RunRow:
    n: int
    id: str
    user: str
    task: str
    study: str
    prior: str | None
    question: str
    body: str  # JSON, as validated
    earlier: str  # JSON: [[question, answer], …] that the sender brought along
    after_run: str | None
    status: Status
    created: str
    finished: str | None


@dataclass(frozen=True, slots=True)
class Stored:
    """An event as stored: `seq` counts from 1 within its run, `data` is its JSON."""

    seq: int
    event: str
    data: str


class Records(ReportRecords):
    """Methods block for a disk write at most: call them from a worker thread. Safe for use by several threads."""

    def replay(self, user: str, key: str) -> tuple[RunRow, str] | None:
        """The run made under an idempotency key, and the hash of the body that made it."""
        with self._read() as db:
            row = db.execute("SELECT * FROM idempotency WHERE user = ? AND key = ?", (user, key)).fetchone()
        return (self.run(user, row["run"]), row["body_sha256"]) if row else None

    def add_run(
        self, user: str, *, task: str, study: str, prior: str | None, question: str, body: str, earlier: str,
        after_run: str | None, key: str | None, body_sha256: str,
    ) -> RunRow:  # fmt: skip
        new = uuid.uuid4().hex
        with self._write() as db:
            db.execute(
                "INSERT INTO runs (id, user, task, study, prior, question, body, earlier, after_run, status, created)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', ?)",
                (new, user, task, study, prior, question, body, earlier, after_run, now()),
            )
            if key is not None:
                db.execute("INSERT INTO idempotency VALUES (?, ?, ?, ?)", (user, key, body_sha256, new))
            audit_row(db, user, "run.create", new)
        return self.run(user, new)

    def run(self, user: str, id_: str) -> RunRow:
        with self._read() as db:
            row = db.execute("SELECT * FROM runs WHERE id = ? AND user = ?", (id_, user)).fetchone()
        if row is None:
            raise NotFound("There is no such run.")
        return RunRow(**dict(row))

    def runs(self, user: str, study: str | None, before: int | None, limit: int) -> list[RunRow]:
        """Newest first."""
        with self._read() as db:
            rows = db.execute(
                "SELECT * FROM runs WHERE user = ? AND (? IS NULL OR study = ?) AND n < ? ORDER BY n DESC LIMIT ?",
                (user, study, study, before or 2**62, limit),
            ).fetchall()
        return [RunRow(**dict(row)) for row in rows]

    def conversation(self, run: RunRow) -> list[RunRow]:
        """The runs before this one in its chain, oldest first."""
        chain: list[RunRow] = []
        while run.after_run is not None:
            try:
                run = self.run(run.user, run.after_run)
            except NotFound:
                break
            chain.append(run)
        return chain[::-1]

    def start_run(self, id_: str) -> None:
        with self._write() as db:
            db.execute("UPDATE runs SET status = 'running' WHERE id = ? AND status = 'queued'", (id_,))

    def append(self, run: str, event: Event) -> int | None:
        """Stores the next event and returns its number; None, and nothing stored, when the run has ended or is gone.
        The last event ends the run in the same transaction."""
        with self._write() as db:
            row = db.execute("SELECT status FROM runs WHERE id = ?", (run,)).fetchone()
            if row is None or row["status"] in ENDED:
                return None
            (seq,) = db.execute("SELECT 1 + coalesce(max(seq), 0) FROM events WHERE run = ?", (run,)).fetchone()
            db.execute(
                "INSERT INTO events VALUES (?, ?, ?, ?, ?)", (run, seq, event.event, event.model_dump_json(), now())
            )
            if isinstance(event, Done | Failed):
                status = event.status if isinstance(event, Done) else "failed"
                db.execute("UPDATE runs SET status = ?, finished = ? WHERE id = ?", (status, now(), run))
        return int(seq)

    def events(self, run: str, after: int = 0) -> list[Stored]:
        with self._read() as db:
            rows = db.execute(
                "SELECT seq, event, data FROM events WHERE run = ? AND seq > ? ORDER BY seq", (run, after)
            )
            return [Stored(**dict(row)) for row in rows]

    def interrupt_all(self) -> int:
        """At start-up: runs that a killed process left behind get an end. Returns how many there were."""
        with self._read() as db:
            left = [row["id"] for row in db.execute("SELECT id FROM runs WHERE status IN ('queued', 'running')")]
        return sum(self.append(run, INTERRUPTED) is not None for run in left)
