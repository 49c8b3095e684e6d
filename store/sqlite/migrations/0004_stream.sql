-- Streams of attempts (chapter 50). What belongs to an execution is removed with it.

-- What is known of a stream without its frames.
CREATE TABLE ff_stream_meta (
    partition_key       INTEGER NOT NULL,
    execution_id        BLOB    NOT NULL,
    attempt_index       INTEGER NOT NULL,
    version             INTEGER NOT NULL DEFAULT 1,
    created_at_ms       INTEGER NOT NULL,
    frame_count         INTEGER NOT NULL DEFAULT 0,
    total_bytes         INTEGER NOT NULL DEFAULT 0,
    last_ts_ms          INTEGER NOT NULL DEFAULT 0,
    last_seq            INTEGER NOT NULL DEFAULT 0,
    durable_kept        INTEGER NOT NULL DEFAULT 0,
    summary_kept        INTEGER NOT NULL DEFAULT 0,
    live_kept           INTEGER NOT NULL DEFAULT 0,
    lease_epoch         INTEGER NOT NULL DEFAULT 0,
    last_producer_seq   INTEGER NOT NULL DEFAULT 0,
    ema_rate_uhz        INTEGER NOT NULL DEFAULT 0,
    last_append_ts_ms   INTEGER,
    maxlen_applied_last INTEGER NOT NULL DEFAULT 0,
    expires_at_ms       INTEGER,
    replay_count        INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (partition_key, execution_id, attempt_index)
) STRICT, WITHOUT ROWID;

CREATE INDEX ff_stream_meta_due ON ff_stream_meta (expires_at_ms, partition_key, execution_id, attempt_index)
    WHERE expires_at_ms IS NOT NULL;

-- What the patches of a stream have made. The document is kept as it was written: its numbers are exact.
CREATE TABLE ff_stream_summary (
    partition_key    INTEGER NOT NULL,
    execution_id     BLOB    NOT NULL,
    attempt_index    INTEGER NOT NULL,
    version          INTEGER NOT NULL DEFAULT 1,
    document_json    BLOB    NOT NULL,
    patch_count      INTEGER NOT NULL DEFAULT 0,
    first_applied_ms INTEGER NOT NULL,
    last_updated_ms  INTEGER NOT NULL,
    PRIMARY KEY (partition_key, execution_id, attempt_index)
) STRICT;

-- The frames of a stream, each mode a range of its own.
CREATE TABLE ff_stream_frame (
    partition_key   INTEGER NOT NULL,
    execution_id    BLOB    NOT NULL,
    attempt_index   INTEGER NOT NULL,
    mode            TEXT    NOT NULL,
    ts_ms           INTEGER NOT NULL,
    seq             INTEGER NOT NULL,
    kind            TEXT    NOT NULL,
    frame_type      TEXT    NOT NULL,
    payload         BLOB    NOT NULL,
    encoding        TEXT    NOT NULL,
    correlation_id  TEXT,
    summary_version INTEGER,
    produced_at_ms  INTEGER,
    PRIMARY KEY (partition_key, execution_id, attempt_index, mode, ts_ms, seq)
) STRICT, WITHOUT ROWID;
