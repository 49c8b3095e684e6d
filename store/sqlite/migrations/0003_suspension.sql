-- Waiting for signals, and durable steps (chapter 40). What belongs to an execution is removed with it.

-- What a suspended execution waits on, and until when.
ALTER TABLE ff_exec_core ADD COLUMN suspension_id      BLOB;
ALTER TABLE ff_exec_core ADD COLUMN waitpoint_id       BLOB;
ALTER TABLE ff_exec_core ADD COLUMN suspended_until_ms INTEGER;
ALTER TABLE ff_exec_core ADD COLUMN suspension_timeout TEXT;

-- The current suspension of an execution, or its last.
CREATE TABLE ff_suspension_current (
    partition_key                     INTEGER NOT NULL,
    execution_id                      BLOB    NOT NULL,
    version                           INTEGER NOT NULL DEFAULT 1,
    suspension_id                     BLOB,
    suspended_at_ms                   INTEGER,
    timeout_at_ms                     INTEGER,
    timeout_behavior                  TEXT,
    reason_code                       TEXT,
    condition                         TEXT,
    waitpoints                        TEXT,
    matched                           TEXT,
    attempt_index                     INTEGER NOT NULL DEFAULT 0,
    requested_by                      TEXT,
    resume_delay_ms                   INTEGER,
    continuation_metadata_pointer     TEXT,
    last_signal_at_ms                 INTEGER,
    closed_at_ms                      INTEGER,
    close_reason                      TEXT,
    closer_signal_id                  BLOB,
    trigger_type                      TEXT,
    actor                             TEXT,
    detail                            TEXT,
    signal_count                      INTEGER NOT NULL DEFAULT 0,
    last_hmac_validation_failed_at_ms INTEGER,
    PRIMARY KEY (partition_key, execution_id)
) STRICT, WITHOUT ROWID;

-- Places signals are sent to, also those that are closed. due_at_ms is when a pending one expires.
CREATE TABLE ff_waitpoint_pending (
    partition_key         INTEGER NOT NULL,
    execution_id          BLOB    NOT NULL,
    waitpoint_id          BLOB    NOT NULL,
    waitpoint_key         TEXT    NOT NULL,
    token                 TEXT    NOT NULL,
    token_kid             TEXT    NOT NULL,
    attempt_index         INTEGER NOT NULL DEFAULT 0,
    created_at_ms         INTEGER NOT NULL,
    version               INTEGER NOT NULL DEFAULT 1,
    state                 TEXT    NOT NULL DEFAULT 'pending',
    suspension_id         BLOB,
    required_signal_names TEXT,
    activated_at_ms       INTEGER,
    expires_at_ms         INTEGER,
    closed_at_ms          INTEGER,
    close_reason          TEXT,
    signal_count          INTEGER NOT NULL DEFAULT 0,
    matched_signal_count  INTEGER NOT NULL DEFAULT 0,
    last_signal_at_ms     INTEGER,
    signals               TEXT,
    due_at_ms             INTEGER,
    PRIMARY KEY (partition_key, execution_id, waitpoint_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX ff_waitpoint_pending_due ON ff_waitpoint_pending (due_at_ms, partition_key, execution_id, waitpoint_id)
    WHERE due_at_ms IS NOT NULL;

CREATE TABLE ff_signal (
    partition_key    INTEGER NOT NULL,
    execution_id     BLOB    NOT NULL,
    signal_id        BLOB    NOT NULL,
    waitpoint_id     BLOB,
    signal_name      TEXT    NOT NULL,
    signal_category  TEXT    NOT NULL,
    source_type      TEXT    NOT NULL,
    source_identity  TEXT    NOT NULL,
    correlation_id   TEXT,
    idempotency_key  TEXT,
    target_scope     TEXT    NOT NULL,
    created_at_ms    INTEGER NOT NULL,
    accepted_at_ms   INTEGER NOT NULL,
    observed_effect  TEXT    NOT NULL,
    payload          BLOB,
    payload_encoding TEXT    NOT NULL,
    version          INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (partition_key, execution_id, signal_id)
) STRICT;

-- Answers that a repeated call gets. scope is "suspend", or the waitpoint that was signalled.
CREATE TABLE ff_suspend_dedup (
    partition_key   INTEGER NOT NULL,
    execution_id    BLOB    NOT NULL,
    scope           TEXT    NOT NULL,
    idempotency_key TEXT    NOT NULL,
    version         INTEGER NOT NULL DEFAULT 1,
    body_hash       BLOB,
    outcome_json    BLOB,
    created_at_ms   INTEGER NOT NULL,
    expires_at_ms   INTEGER,
    PRIMARY KEY (partition_key, execution_id, scope, idempotency_key)
) STRICT, WITHOUT ROWID;

CREATE INDEX ff_suspend_dedup_due ON ff_suspend_dedup (expires_at_ms, partition_key, execution_id, scope, idempotency_key)
    WHERE expires_at_ms IS NOT NULL;

-- What steps of handlers came to.
CREATE TABLE ff_step (
    partition_key   INTEGER NOT NULL,
    execution_id    BLOB    NOT NULL,
    step_name       TEXT    NOT NULL,
    occurrence      TEXT    NOT NULL,
    version         INTEGER NOT NULL DEFAULT 1,
    step_position   INTEGER NOT NULL DEFAULT 0,
    result          BLOB,
    result_encoding TEXT,
    error           TEXT,
    error_category  TEXT,
    attempt_index   INTEGER NOT NULL DEFAULT 0,
    lease_epoch     INTEGER NOT NULL DEFAULT 0,
    retry_count     INTEGER NOT NULL DEFAULT 0,
    replay_count    INTEGER NOT NULL DEFAULT 0,
    recorded_at_ms  INTEGER NOT NULL,
    until_ms        INTEGER,
    PRIMARY KEY (partition_key, execution_id, step_name, occurrence)
) STRICT;
