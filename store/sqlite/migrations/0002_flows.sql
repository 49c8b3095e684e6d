-- Flows: chapter 20. All rows of a flow have its partition; their keys begin with its id, which says as much.

ALTER TABLE ff_exec_core ADD COLUMN awaits_upstream INTEGER DEFAULT 0;

-- The members of a flow, in the order of their ids.
DROP INDEX ff_exec_core_flow;
CREATE INDEX ff_exec_core_flow ON ff_exec_core (flow_id, execution_id, partition_key) WHERE flow_id IS NOT NULL;

CREATE TABLE ff_flow_core (
    flow_id           BLOB    NOT NULL PRIMARY KEY,
    partition_key     INTEGER NOT NULL,
    graph_revision    INTEGER NOT NULL DEFAULT 0,
    public_flow_state TEXT    NOT NULL,
    created_at_ms     INTEGER NOT NULL,
    terminal_at_ms    INTEGER,
    raw_fields        TEXT    NOT NULL DEFAULT '{}',
    version           INTEGER NOT NULL DEFAULT 1,
    sealed            INTEGER DEFAULT 0,
    ended_count       INTEGER DEFAULT 0,
    bad_count         INTEGER DEFAULT 0,
    remove_at_ms      INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX ff_flow_core_due ON ff_flow_core (remove_at_ms, flow_id) WHERE remove_at_ms IS NOT NULL;

CREATE TABLE ff_edge (
    flow_id        BLOB    NOT NULL,
    edge_id        BLOB    NOT NULL,
    partition_key  INTEGER NOT NULL,
    upstream_eid   BLOB    NOT NULL,
    downstream_eid BLOB    NOT NULL,
    policy         TEXT    NOT NULL,
    policy_version INTEGER NOT NULL DEFAULT 0,
    version        INTEGER NOT NULL DEFAULT 1,
    required       INTEGER DEFAULT 0,
    round          INTEGER DEFAULT 0,
    wave           INTEGER DEFAULT 0,
    PRIMARY KEY (flow_id, edge_id)
) STRICT, WITHOUT ROWID;

-- The edges from a member and to it, in the order of their ids.
CREATE INDEX ff_edge_upstream ON ff_edge (flow_id, upstream_eid, edge_id);
CREATE INDEX ff_edge_downstream ON ff_edge (flow_id, downstream_eid, edge_id);

CREATE TABLE ff_edge_group (
    flow_id                         BLOB    NOT NULL,
    downstream_eid                  BLOB    NOT NULL,
    partition_key                   INTEGER NOT NULL,
    policy                          TEXT    NOT NULL,
    k_target                        INTEGER NOT NULL DEFAULT 0,
    success_count                   INTEGER NOT NULL DEFAULT 0,
    fail_count                      INTEGER NOT NULL DEFAULT 0,
    skip_count                      INTEGER NOT NULL DEFAULT 0,
    running_count                   INTEGER NOT NULL DEFAULT 0,
    cancel_siblings_pending_flag    INTEGER NOT NULL DEFAULT 0,
    cancel_siblings_pending_members TEXT    NOT NULL DEFAULT '', -- always empty: an errand knows how far it is
    group_state                     TEXT    NOT NULL DEFAULT 'pending',
    satisfied_at_ms                 INTEGER,
    cancel_siblings_reason          TEXT,
    version                         INTEGER NOT NULL DEFAULT 1,
    total_count                     INTEGER DEFAULT 0,
    required_count                  INTEGER DEFAULT 0,
    required_success_count          INTEGER DEFAULT 0,
    round                           INTEGER DEFAULT 0,
    wave                            INTEGER DEFAULT 0,
    data_edge                       BLOB,
    data_from                       BLOB,
    PRIMARY KEY (flow_id, downstream_eid)
) STRICT, WITHOUT ROWID;

CREATE TABLE ff_errand (
    flow_id        BLOB    NOT NULL,
    execution_id   BLOB    NOT NULL,
    kind           TEXT    NOT NULL,
    partition_key  INTEGER NOT NULL,
    version        INTEGER NOT NULL DEFAULT 1,
    after_edge     BLOB,
    enqueued_at_ms INTEGER,
    PRIMARY KEY (flow_id, execution_id, kind)
) STRICT, WITHOUT ROWID;

CREATE INDEX ff_errand_due ON ff_errand (enqueued_at_ms, flow_id, execution_id, kind) WHERE enqueued_at_ms IS NOT NULL;

CREATE TABLE ff_cancel_backlog (
    flow_id             BLOB    NOT NULL PRIMARY KEY,
    partition_key       INTEGER NOT NULL,
    requested_at_ms     INTEGER NOT NULL,
    requester           TEXT    NOT NULL DEFAULT '',
    reason              TEXT    NOT NULL DEFAULT '',
    grace_until_ms      INTEGER,
    cancellation_policy TEXT    NOT NULL,
    status              TEXT    NOT NULL DEFAULT 'pending',
    version             INTEGER NOT NULL DEFAULT 1,
    cancelled_by        TEXT,
    spreading           INTEGER DEFAULT 0,
    after_execution     BLOB,
    acked               INTEGER DEFAULT 0,
    outstanding         INTEGER DEFAULT 0,
    due_at_ms           INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX ff_cancel_backlog_due ON ff_cancel_backlog (due_at_ms, flow_id) WHERE due_at_ms IS NOT NULL;

-- The id of the member is its full text, {fp:N}:uuid.
CREATE TABLE ff_cancel_backlog_member (
    flow_id       BLOB    NOT NULL,
    execution_id  TEXT    NOT NULL,
    partition_key INTEGER NOT NULL,
    version       INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (flow_id, execution_id)
) STRICT, WITHOUT ROWID;

-- The groups whose unfinished upstreams are still to be cancelled.
CREATE VIEW ff_pending_cancel_groups AS
SELECT partition_key, flow_id, execution_id AS downstream_eid, enqueued_at_ms
FROM ff_errand WHERE kind = 'cancel_siblings';

-- Members by public state, and what follows for the flow (chapter 20.14), as of now. Some states have two names.
CREATE VIEW ff_flow_summary AS
SELECT partition_key, flow_id, total_members, total_members AS sampled_members,
    members_completed, members_failed, members_cancelled, members_expired, members_skipped, members_active,
    members_suspended, members_waiting, members_delayed, members_rate_limited, members_waiting_children,
    CASE
        WHEN members_completed + members_failed + members_cancelled + members_expired + members_skipped = total_members
            THEN CASE WHEN members_failed + members_cancelled + members_expired > 0 THEN 'failed' ELSE 'completed' END
        WHEN members_active > 0 THEN 'running'
        WHEN members_suspended + members_delayed + members_rate_limited + members_waiting_children > 0 THEN 'blocked'
        ELSE 'open'
    END AS public_flow_state,
    CAST(unixepoch('subsec') * 1000 AS INTEGER) AS last_summary_update_at
FROM (
    SELECT partition_key, flow_id, count(*) AS total_members,
        count(*) FILTER (WHERE public_state IN ('completed', 'success')) AS members_completed,
        count(*) FILTER (WHERE public_state = 'failed') AS members_failed,
        count(*) FILTER (WHERE public_state = 'cancelled') AS members_cancelled,
        count(*) FILTER (WHERE public_state = 'expired') AS members_expired,
        count(*) FILTER (WHERE public_state = 'skipped') AS members_skipped,
        count(*) FILTER (WHERE public_state IN ('active', 'running')) AS members_active,
        count(*) FILTER (WHERE public_state = 'suspended') AS members_suspended,
        count(*) FILTER (WHERE public_state = 'waiting') AS members_waiting,
        count(*) FILTER (WHERE public_state = 'delayed') AS members_delayed,
        count(*) FILTER (WHERE public_state = 'rate_limited') AS members_rate_limited,
        count(*) FILTER (WHERE public_state = 'waiting_children') AS members_waiting_children
    FROM ff_exec_core INDEXED BY ff_exec_core_flow WHERE flow_id IS NOT NULL
    GROUP BY flow_id, partition_key
);
