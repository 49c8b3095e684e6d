-- What callers of the HTTP API present. Of a secret only its digest is kept.
CREATE TABLE ff_api_key (
    key_id            TEXT    NOT NULL PRIMARY KEY,
    partition_key     INTEGER NOT NULL,
    version           INTEGER NOT NULL DEFAULT 1,
    name              TEXT    NOT NULL,
    digest            BLOB,
    roles             TEXT,
    namespaces        TEXT,
    lanes             TEXT,
    created_at_ms     INTEGER NOT NULL,
    created_by        TEXT    NOT NULL,
    expires_at_ms     INTEGER,
    rotated_at_ms     INTEGER,
    previous_digest   BLOB,
    previous_until_ms INTEGER,
    revoked_at_ms     INTEGER,
    revoked_by        TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
