"""Forward migrations of the API's tables; a step that was released is never edited."""

STEPS = (
    """
    CREATE TABLE studies (
        n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, user TEXT NOT NULL, content TEXT NOT NULL,
        created TEXT NOT NULL, patient TEXT, warnings TEXT NOT NULL, UNIQUE (user, content)
    );
    CREATE TABLE pictures (
        study TEXT NOT NULL REFERENCES studies (id), number INTEGER NOT NULL, sha256 TEXT NOT NULL, meta TEXT NOT NULL,
        PRIMARY KEY (study, number)
    );
    CREATE INDEX pictures_sha256 ON pictures (sha256);
    CREATE TABLE identities (study TEXT PRIMARY KEY REFERENCES studies (id), identity TEXT NOT NULL);
    CREATE TABLE runs (
        n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, user TEXT NOT NULL, task TEXT NOT NULL,
        study TEXT NOT NULL REFERENCES studies (id), prior TEXT REFERENCES studies (id), question TEXT NOT NULL,
        body TEXT NOT NULL, earlier TEXT NOT NULL, after_run TEXT, status TEXT NOT NULL, created TEXT NOT NULL,
        finished TEXT
    );
    CREATE INDEX runs_study ON runs (study);
    CREATE TABLE events (
        run TEXT NOT NULL REFERENCES runs (id), seq INTEGER NOT NULL, event TEXT NOT NULL, data TEXT NOT NULL,
        at TEXT NOT NULL, PRIMARY KEY (run, seq)
    );
    CREATE TABLE idempotency (
        user TEXT NOT NULL, key TEXT NOT NULL, body_sha256 TEXT NOT NULL, run TEXT NOT NULL REFERENCES runs (id),
        PRIMARY KEY (user, key)
    );
    CREATE TABLE audit (at TEXT NOT NULL, user TEXT NOT NULL, action TEXT NOT NULL, object TEXT NOT NULL);
    """,
    """
    CREATE TABLE reports (
        n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, user TEXT NOT NULL,
        run TEXT NOT NULL UNIQUE REFERENCES runs (id), study TEXT NOT NULL REFERENCES studies (id),
        status TEXT NOT NULL, version INTEGER NOT NULL, consent INTEGER NOT NULL, created TEXT NOT NULL
    );
    CREATE INDEX reports_study ON reports (study);
    CREATE INDEX reports_user ON reports (user);
    CREATE TABLE report_versions (
        report TEXT NOT NULL REFERENCES reports (id), version INTEGER NOT NULL, status TEXT NOT NULL, author TEXT,
        name TEXT NOT NULL, reason TEXT NOT NULL, at TEXT NOT NULL, draft TEXT NOT NULL, PRIMARY KEY (report, version)
    );
    CREATE TABLE report_edits (
        report TEXT NOT NULL REFERENCES reports (id), version INTEGER NOT NULL, statement TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('kept', 'changed', 'deleted', 'added')), section TEXT NOT NULL,
        original TEXT, edited TEXT, PRIMARY KEY (report, version, statement)
    );
    CREATE VIEW consented_edits AS
        SELECT run, report, report_edits.version, statement, kind, section, original, edited
        FROM report_edits JOIN reports ON id = report AND report_edits.version = reports.version
        WHERE consent AND status IN ('signed', 'amended');
    """,
)
