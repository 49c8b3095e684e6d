-- Budgets and quotas (chapter 60).

-- What an execution is under, and what its lease holds of it.
ALTER TABLE ff_exec_core ADD COLUMN limits TEXT;

-- A budget and what was used of it: one row, which every commit with reports writes once. due_at_ms is when it is reset, or when
-- somebody who waits may go on.
CREATE TABLE ff_budget_policy (
    budget_id         TEXT     NOT NULL PRIMARY KEY,
    partition_key     INTEGER  NOT NULL,
    scope_type        TEXT     NOT NULL,
    scope_id          TEXT     NOT NULL,
    version           INTEGER  NOT NULL DEFAULT 1,
    enforcement_mode  TEXT     NOT NULL,
    on_hard_limit     TEXT     NOT NULL,
    hard_limits       TEXT,
    soft_limits       TEXT,
    usage             TEXT,
    reserved          TEXT,
    breach_count      INTEGER  NOT NULL DEFAULT 0,
    soft_breach_count INTEGER  NOT NULL DEFAULT 0,
    last_breach_at_ms INTEGER,
    last_breach_dim   TEXT,
    reset_count       INTEGER  NOT NULL DEFAULT 0,
    reset_interval_ms INTEGER  NOT NULL DEFAULT 0,
    next_reset_at_ms  INTEGER,
    last_reset_at_ms  INTEGER,
    waiting           INTEGER  NOT NULL DEFAULT 0,
    wake_at_ms        INTEGER,
    created_at_ms     INTEGER  NOT NULL,
    updated_at_ms     INTEGER  NOT NULL,
    definition        BLOB,
    due_at_ms         INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX ff_budget_policy_due ON ff_budget_policy (due_at_ms, budget_id) WHERE due_at_ms IS NOT NULL;

CREATE VIEW ff_budget_usage AS
SELECT b.budget_id, u.key AS dimensions_key, u.value AS current_value, b.last_reset_at_ms, b.updated_at_ms
FROM ff_budget_policy b, json_each(b.usage) u;

-- Reports that were counted.
CREATE TABLE ff_budget_usage_dedup (
    budget_id     TEXT     NOT NULL,
    dedup_key     TEXT     NOT NULL,
    partition_key INTEGER  NOT NULL,
    version       INTEGER  NOT NULL DEFAULT 1,
    applied_at_ms INTEGER  NOT NULL,
    expires_at_ms INTEGER,
    PRIMARY KEY (budget_id, dedup_key)
) STRICT, WITHOUT ROWID;

CREATE INDEX ff_budget_usage_dedup_due ON ff_budget_usage_dedup (expires_at_ms, budget_id, dedup_key) WHERE expires_at_ms IS NOT NULL;

-- What an execution has consumed of a budget, in one of its periods. Removed with the execution.
CREATE TABLE ff_budget_usage_by_exec (
    partition_key INTEGER NOT NULL,
    execution_id  BLOB    NOT NULL,
    budget_id     TEXT    NOT NULL,
    version       INTEGER NOT NULL DEFAULT 1,
    period        INTEGER NOT NULL DEFAULT 0,
    spent         TEXT,
    drawn         TEXT,
    drawn_epoch   INTEGER NOT NULL DEFAULT 0,
    updated_at_ms INTEGER NOT NULL,
    PRIMARY KEY (partition_key, execution_id, budget_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE ff_quota_policy (
    quota_policy_id         TEXT    NOT NULL PRIMARY KEY,
    partition_key           INTEGER NOT NULL,
    scope_type              TEXT    NOT NULL,
    scope_id                TEXT    NOT NULL,
    version                 INTEGER NOT NULL DEFAULT 1,
    max_requests_per_window INTEGER NOT NULL,
    window_ms               INTEGER NOT NULL,
    window_kind             TEXT    NOT NULL,
    active_concurrency_cap  INTEGER NOT NULL,
    jitter_ms               INTEGER NOT NULL DEFAULT 0,
    created_at_ms           INTEGER NOT NULL,
    updated_at_ms           INTEGER NOT NULL,
    definition              BLOB
) STRICT, WITHOUT ROWID;

-- What runs, and what was begun within the window, under a key of a quota. due_at_ms is when somebody who waits may go on.
CREATE TABLE ff_quota_use (
    quota_policy_id    TEXT     NOT NULL,
    dimension          TEXT     NOT NULL,
    partition_key      INTEGER  NOT NULL,
    version            INTEGER  NOT NULL DEFAULT 1,
    active_concurrency INTEGER  NOT NULL DEFAULT 0,
    window_entries     TEXT,
    waiting            INTEGER  NOT NULL DEFAULT 0,
    updated_at_ms      INTEGER  NOT NULL,
    due_at_ms          INTEGER,
    PRIMARY KEY (quota_policy_id, dimension)
) STRICT, WITHOUT ROWID;

CREATE INDEX ff_quota_use_due ON ff_quota_use (due_at_ms, quota_policy_id, dimension) WHERE due_at_ms IS NOT NULL;

-- Executions that wait for a budget or a quota, in the order in which they go on.
CREATE TABLE ff_limit_parking (
    gate          TEXT    NOT NULL,
    place         TEXT    NOT NULL,
    partition_key INTEGER NOT NULL,
    execution_id  BLOB    NOT NULL,
    version       INTEGER NOT NULL DEFAULT 1,
    parked_at_ms  INTEGER NOT NULL,
    PRIMARY KEY (gate, place)
) STRICT, WITHOUT ROWID;

-- Budgets and quotas that are attached to a scope.
CREATE TABLE ff_limit_scope (
    scope_type TEXT    NOT NULL,
    scope_id   TEXT    NOT NULL,
    partition_key INTEGER NOT NULL,
    version    INTEGER NOT NULL DEFAULT 1,
    budget_ids TEXT,
    quota_ids  TEXT,
    PRIMARY KEY (scope_type, scope_id)
) STRICT, WITHOUT ROWID;
