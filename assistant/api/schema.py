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
)
