"""The library's tables: forward migrations, one step a version. A released step is never edited; add another."""

ROOM = "library"
STEPS = (
    """
    CREATE TABLE files (
        id TEXT PRIMARY KEY, path TEXT NOT NULL UNIQUE, name TEXT NOT NULL, sha256 TEXT NOT NULL,
        made_by TEXT NOT NULL, added TEXT NOT NULL
    );
    CREATE TABLE documents (
        id TEXT PRIMARY KEY, file TEXT NOT NULL REFERENCES files ON DELETE CASCADE, position INTEGER NOT NULL,
        title TEXT NOT NULL, name TEXT NOT NULL, text TEXT NOT NULL, meta TEXT NOT NULL
    );
    CREATE INDEX documents_file ON documents (file, position);
    CREATE TABLE passages (
        id TEXT PRIMARY KEY, document TEXT NOT NULL REFERENCES documents ON DELETE CASCADE, position INTEGER NOT NULL,
        section TEXT NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL, page INTEGER, text TEXT NOT NULL
    );
    CREATE INDEX passages_document ON passages (document, position);
    CREATE TABLE cases (
        id TEXT PRIMARY KEY, sha256 TEXT NOT NULL, report TEXT NOT NULL, domain TEXT, patient TEXT,
        labels TEXT NOT NULL, source TEXT NOT NULL, added TEXT NOT NULL
    );
    CREATE TABLE embeddings (
        identity TEXT NOT NULL, role TEXT NOT NULL, content TEXT NOT NULL, vector BLOB NOT NULL
    );
    CREATE UNIQUE INDEX embeddings_of ON embeddings (identity, role, content);
    CREATE TABLE state (key TEXT PRIMARY KEY, value INTEGER NOT NULL);
    INSERT INTO state VALUES ('revision', 0), ('indexed', -1);
    """,
    # Files and cases know what they were added with, so that what is gone from there disappears: a case the lines of
    # manifests that name it, each line by a salted hash of the picture it names. A document knows the edition that
    # supersedes it; a case its place among the patient's studies and what its picture looks like.
    """
    ALTER TABLE files ADD COLUMN folder TEXT NOT NULL DEFAULT '';
    ALTER TABLE documents ADD COLUMN newer TEXT REFERENCES documents ON DELETE SET NULL;
    CREATE INDEX documents_newer ON documents (newer);
    ALTER TABLE cases ADD COLUMN taken TEXT NOT NULL DEFAULT '';
    ALTER TABLE cases ADD COLUMN look TEXT NOT NULL DEFAULT '';
    CREATE INDEX cases_patient ON cases (patient, taken);
    CREATE TABLE named (
        manifest TEXT NOT NULL, line TEXT NOT NULL, "case" TEXT NOT NULL REFERENCES cases ON DELETE CASCADE,
        PRIMARY KEY (manifest, line, "case")
    );
    CREATE INDEX named_case ON named ("case");
    CREATE TABLE statements (
        document TEXT NOT NULL REFERENCES documents ON DELETE CASCADE, start INTEGER NOT NULL, "end" INTEGER NOT NULL,
        passage TEXT NOT NULL, quote TEXT NOT NULL
    );
    CREATE INDEX statements_document ON statements (document, start);
    CREATE TABLE fitted (key TEXT PRIMARY KEY, value TEXT NOT NULL, made TEXT NOT NULL);
    """,
)
