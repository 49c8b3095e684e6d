-- Waiting for signals, and durable steps (chapter 40). What belongs to an execution is removed with it.

-- What a suspended execution waits on, and until when.
ALTER TABLE ff_exec_core
    ADD COLUMN suspension_id      uuid,
    ADD COLUMN waitpoint_id       uuid,
    ADD COLUMN suspended_until_ms bigint,
    ADD COLUMN suspension_timeout text;

-- The current suspension of an execution, or its last.
CREATE TABLE ff_suspension_current (
    partition_key                     smallint NOT NULL,
    execution_id                      uuid     NOT NULL,
    version                           bigint   NOT NULL DEFAULT 1,
    suspension_id                     uuid,
    suspended_at_ms                   bigint,
    timeout_at_ms                     bigint,
    timeout_behavior                  text,
    reason_code                       text,
    condition                         jsonb,
    waitpoints                        jsonb,
    matched                           jsonb,
    attempt_index                     integer  NOT NULL DEFAULT 0,
    requested_by                      text,
    resume_delay_ms                   bigint,
    continuation_metadata_pointer     text,
    last_signal_at_ms                 bigint,
    closed_at_ms                      bigint,
    close_reason                      text,
    closer_signal_id                  uuid,
    trigger_type                      text,
    actor                             text,
    detail                            text,
    signal_count                      integer  NOT NULL DEFAULT 0,
    last_hmac_validation_failed_at_ms bigint,
    PRIMARY KEY (partition_key, execution_id)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);

-- Places signals are sent to, also those that are closed. due_at_ms is when a pending one expires.
CREATE TABLE ff_waitpoint_pending (
    partition_key         smallint NOT NULL,
    execution_id          uuid     NOT NULL,
    waitpoint_id          uuid     NOT NULL,
    waitpoint_key         text     NOT NULL,
    token                 text     NOT NULL,
    token_kid             text     NOT NULL,
    attempt_index         integer  NOT NULL DEFAULT 0,
    created_at_ms         bigint   NOT NULL,
    version               bigint   NOT NULL DEFAULT 1,
    state                 text     NOT NULL DEFAULT 'pending',
    suspension_id         uuid,
    required_signal_names jsonb,
    activated_at_ms       bigint,
    expires_at_ms         bigint,
    closed_at_ms          bigint,
    close_reason          text,
    signal_count          integer  NOT NULL DEFAULT 0,
    matched_signal_count  integer  NOT NULL DEFAULT 0,
    last_signal_at_ms     bigint,
    signals               jsonb,
    due_at_ms             bigint,
    PRIMARY KEY (partition_key, execution_id, waitpoint_id)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);

CREATE INDEX ff_waitpoint_pending_due ON ff_waitpoint_pending (due_at_ms, partition_key, execution_id, waitpoint_id)
    WHERE due_at_ms IS NOT NULL;

CREATE TABLE ff_signal (
    partition_key    smallint NOT NULL,
    execution_id     uuid     NOT NULL,
    signal_id        uuid     NOT NULL,
    waitpoint_id     uuid,
    signal_name      text     NOT NULL,
    signal_category  text     NOT NULL,
    source_type      text     NOT NULL,
    source_identity  text     NOT NULL,
    correlation_id   text,
    idempotency_key  text,
    target_scope     text     NOT NULL,
    created_at_ms    bigint   NOT NULL,
    accepted_at_ms   bigint   NOT NULL,
    observed_effect  text     NOT NULL,
    payload          bytea,
    payload_encoding text     NOT NULL,
    version          bigint   NOT NULL DEFAULT 1,
    PRIMARY KEY (partition_key, execution_id, signal_id)
);

-- Answers that a repeated call gets. scope is "suspend", or the waitpoint that was signalled.
CREATE TABLE ff_suspend_dedup (
    partition_key   smallint NOT NULL,
    execution_id    uuid     NOT NULL,
    scope           text     COLLATE "C" NOT NULL,
    idempotency_key text     COLLATE "C" NOT NULL,
    version         bigint   NOT NULL DEFAULT 1,
    body_hash       bytea,
    outcome_json    bytea,
    created_at_ms   bigint   NOT NULL,
    expires_at_ms   bigint,
    PRIMARY KEY (partition_key, execution_id, scope, idempotency_key)
);

CREATE INDEX ff_suspend_dedup_due ON ff_suspend_dedup (expires_at_ms, partition_key, execution_id, scope, idempotency_key)
    WHERE expires_at_ms IS NOT NULL;

-- What steps of handlers came to.
CREATE TABLE ff_step (
    partition_key   smallint NOT NULL,
    execution_id    uuid     NOT NULL,
    step_name       text     COLLATE "C" NOT NULL,
    occurrence      text     COLLATE "C" NOT NULL,
    version         bigint   NOT NULL DEFAULT 1,
    step_position   integer  NOT NULL DEFAULT 0,
    result          bytea,
    result_encoding text,
    error           text,
    error_category  text,
    attempt_index   integer  NOT NULL DEFAULT 0,
    lease_epoch     bigint   NOT NULL DEFAULT 0,
    retry_count     integer  NOT NULL DEFAULT 0,
    replay_count    integer  NOT NULL DEFAULT 0,
    recorded_at_ms  bigint   NOT NULL,
    until_ms        bigint,
    PRIMARY KEY (partition_key, execution_id, step_name, occurrence)
);
