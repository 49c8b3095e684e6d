-- Budgets and quotas (chapter 60).

-- What an execution is under, and what its lease holds of it.
ALTER TABLE ff_exec_core ADD COLUMN limits jsonb;

-- A budget and what was used of it: one row, which every commit with reports writes once. due_at_ms is when it is reset, or when
-- somebody who waits may go on.
CREATE TABLE ff_budget_policy (
    budget_id         text     COLLATE "C" NOT NULL PRIMARY KEY,
    partition_key     smallint NOT NULL,
    scope_type        text     NOT NULL,
    scope_id          text     NOT NULL,
    version           bigint   NOT NULL DEFAULT 1,
    enforcement_mode  text     NOT NULL,
    on_hard_limit     text     NOT NULL,
    hard_limits       jsonb,
    soft_limits       jsonb,
    usage             jsonb,
    reserved          jsonb,
    breach_count      bigint   NOT NULL DEFAULT 0,
    soft_breach_count bigint   NOT NULL DEFAULT 0,
    last_breach_at_ms bigint,
    last_breach_dim   text,
    reset_count       bigint   NOT NULL DEFAULT 0,
    reset_interval_ms bigint   NOT NULL DEFAULT 0,
    next_reset_at_ms  bigint,
    last_reset_at_ms  bigint,
    waiting           bigint   NOT NULL DEFAULT 0,
    wake_at_ms        bigint,
    created_at_ms     bigint   NOT NULL,
    updated_at_ms     bigint   NOT NULL,
    definition        bytea,
    due_at_ms         bigint
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0.02);

CREATE INDEX ff_budget_policy_due ON ff_budget_policy (due_at_ms, budget_id) WHERE due_at_ms IS NOT NULL;

CREATE VIEW ff_budget_usage AS
SELECT b.budget_id, u.key AS dimensions_key, u.value::bigint AS current_value, b.last_reset_at_ms, b.updated_at_ms
FROM ff_budget_policy b CROSS JOIN LATERAL jsonb_each_text(b.usage) u;

-- Reports that were counted.
CREATE TABLE ff_budget_usage_dedup (
    budget_id     text     COLLATE "C" NOT NULL,
    dedup_key     text     COLLATE "C" NOT NULL,
    partition_key smallint NOT NULL,
    version       bigint   NOT NULL DEFAULT 1,
    applied_at_ms bigint   NOT NULL,
    expires_at_ms bigint,
    PRIMARY KEY (budget_id, dedup_key)
);

CREATE INDEX ff_budget_usage_dedup_due ON ff_budget_usage_dedup (expires_at_ms, budget_id, dedup_key) WHERE expires_at_ms IS NOT NULL;

-- What an execution has consumed of a budget, in one of its periods. Removed with the execution.
CREATE TABLE ff_budget_usage_by_exec (
    partition_key smallint NOT NULL,
    execution_id  uuid     NOT NULL,
    budget_id     text     COLLATE "C" NOT NULL,
    version       bigint   NOT NULL DEFAULT 1,
    period        bigint   NOT NULL DEFAULT 0,
    spent         jsonb,
    drawn         jsonb,
    drawn_epoch   bigint   NOT NULL DEFAULT 0,
    updated_at_ms bigint   NOT NULL,
    PRIMARY KEY (partition_key, execution_id, budget_id)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);

CREATE TABLE ff_quota_policy (
    quota_policy_id         text     COLLATE "C" NOT NULL PRIMARY KEY,
    partition_key           smallint NOT NULL,
    scope_type              text     NOT NULL,
    scope_id                text     NOT NULL,
    version                 bigint   NOT NULL DEFAULT 1,
    max_requests_per_window bigint   NOT NULL,
    window_ms               bigint   NOT NULL,
    window_kind             text     NOT NULL,
    active_concurrency_cap  bigint   NOT NULL,
    jitter_ms               bigint   NOT NULL DEFAULT 0,
    created_at_ms           bigint   NOT NULL,
    updated_at_ms           bigint   NOT NULL,
    definition              bytea
);

-- What runs, and what was begun within the window, under a key of a quota. due_at_ms is when somebody who waits may go on.
CREATE TABLE ff_quota_use (
    quota_policy_id    text     COLLATE "C" NOT NULL,
    dimension          text     COLLATE "C" NOT NULL,
    partition_key      smallint NOT NULL,
    version            bigint   NOT NULL DEFAULT 1,
    active_concurrency bigint   NOT NULL DEFAULT 0,
    window_entries     jsonb,
    waiting            bigint   NOT NULL DEFAULT 0,
    updated_at_ms      bigint   NOT NULL,
    due_at_ms          bigint,
    PRIMARY KEY (quota_policy_id, dimension)
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0.02);

CREATE INDEX ff_quota_use_due ON ff_quota_use (due_at_ms, quota_policy_id, dimension) WHERE due_at_ms IS NOT NULL;

-- Executions that wait for a budget or a quota, in the order in which they go on.
CREATE TABLE ff_limit_parking (
    gate          text     COLLATE "C" NOT NULL,
    place         text     COLLATE "C" NOT NULL,
    partition_key smallint NOT NULL,
    execution_id  uuid     NOT NULL,
    version       bigint   NOT NULL DEFAULT 1,
    parked_at_ms  bigint   NOT NULL,
    PRIMARY KEY (gate, place)
) WITH (autovacuum_vacuum_scale_factor = 0.02);

-- Budgets and quotas that are attached to a scope.
CREATE TABLE ff_limit_scope (
    scope_type text   COLLATE "C" NOT NULL,
    scope_id   text   COLLATE "C" NOT NULL,
    partition_key smallint NOT NULL,
    version    bigint NOT NULL DEFAULT 1,
    budget_ids jsonb,
    quota_ids  jsonb,
    PRIMARY KEY (scope_type, scope_id)
);
