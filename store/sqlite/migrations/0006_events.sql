-- The last event of each family that was removed, so that who wants to go on before it is told.
CREATE TABLE ff_event_gone (
    family TEXT    NOT NULL PRIMARY KEY,
    seq    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Positions readers asked to have kept for them.
CREATE TABLE ff_event_cursor (
    name          TEXT    NOT NULL PRIMARY KEY,
    partition_key INTEGER NOT NULL,
    version       INTEGER NOT NULL DEFAULT 1,
    family        TEXT    NOT NULL,
    cursor        TEXT    NOT NULL,
    updated_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
