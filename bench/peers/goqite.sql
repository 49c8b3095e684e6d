-- The table goqite asks its users to make, with the columns, trigger and index that its documentation names.
CREATE TABLE goqite (
    id       TEXT    PRIMARY KEY DEFAULT ('m_' || lower(hex(randomblob(16)))),
    created  TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
    updated  TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
    queue    TEXT    NOT NULL,
    body     BLOB    NOT NULL,
    timeout  TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
    received INTEGER NOT NULL DEFAULT 0,
    priority INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TRIGGER goqite_updated AFTER UPDATE ON goqite
BEGIN
    UPDATE goqite SET updated = strftime('%Y-%m-%dT%H:%M:%fZ') WHERE id = old.id;
END;

CREATE INDEX goqite_order ON goqite (queue, priority DESC, created);
