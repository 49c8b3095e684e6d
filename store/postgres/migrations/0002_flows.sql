-- Flows: chapter 20. All rows of a flow have its partition; their keys begin with its id, which says as much.

ALTER TABLE ff_exec_core ADD COLUMN awaits_upstream boolean DEFAULT false;

-- So far these were names without use: nothing has written a row.
DROP TABLE ff_flow_core, ff_edge, ff_edge_group, ff_cancel_backlog, ff_cancel_backlog_member;

-- The members of a flow, in the order of their ids.
DROP INDEX ff_exec_core_flow;
CREATE INDEX ff_exec_core_flow ON ff_exec_core (flow_id, execution_id, partition_key) WHERE flow_id IS NOT NULL;

-- Its counters move with every member that ends, and none of them is indexed: room for updates in the page (HOT).
CREATE TABLE ff_flow_core (
    partition_key     smallint NOT NULL,
    flow_id           uuid     NOT NULL PRIMARY KEY,
    graph_revision    bigint   NOT NULL DEFAULT 0,
    public_flow_state text     NOT NULL,
    created_at_ms     bigint   NOT NULL,
    terminal_at_ms    bigint,
    raw_fields        jsonb    NOT NULL DEFAULT '{}',
    version           bigint   NOT NULL DEFAULT 1,
    sealed            boolean  DEFAULT false,
    ended_count       integer  DEFAULT 0,
    bad_count         integer  DEFAULT 0,
    remove_at_ms      bigint
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);

CREATE INDEX ff_flow_core_due ON ff_flow_core (remove_at_ms, flow_id) WHERE remove_at_ms IS NOT NULL;

CREATE TABLE ff_edge (
    partition_key  smallint NOT NULL,
    flow_id        uuid     NOT NULL,
    edge_id        uuid     NOT NULL,
    upstream_eid   uuid     NOT NULL,
    downstream_eid uuid     NOT NULL,
    policy         jsonb    NOT NULL,
    policy_version integer  NOT NULL DEFAULT 0,
    version        bigint   NOT NULL DEFAULT 1,
    required       boolean  DEFAULT false,
    round          integer  DEFAULT 0,
    wave           integer  DEFAULT 0,
    PRIMARY KEY (flow_id, edge_id)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);

-- The edges from a member and to it, in the order of their ids.
CREATE INDEX ff_edge_upstream ON ff_edge (flow_id, upstream_eid, edge_id);
CREATE INDEX ff_edge_downstream ON ff_edge (flow_id, downstream_eid, edge_id);

CREATE TABLE ff_edge_group (
    partition_key                   smallint NOT NULL,
    flow_id                         uuid     NOT NULL,
    downstream_eid                  uuid     NOT NULL,
    policy                          jsonb    NOT NULL,
    k_target                        integer  NOT NULL DEFAULT 0,
    success_count                   integer  NOT NULL DEFAULT 0,
    fail_count                      integer  NOT NULL DEFAULT 0,
    skip_count                      integer  NOT NULL DEFAULT 0,
    running_count                   integer  NOT NULL DEFAULT 0,
    cancel_siblings_pending_flag    boolean  NOT NULL DEFAULT false,
    cancel_siblings_pending_members text[]   NOT NULL DEFAULT '{}', -- always empty: an errand knows how far it is
    group_state                     text     NOT NULL DEFAULT 'pending',
    satisfied_at_ms                 bigint,
    cancel_siblings_reason          text,
    version                         bigint   NOT NULL DEFAULT 1,
    total_count                     integer  DEFAULT 0,
    required_count                  integer  DEFAULT 0,
    required_success_count          integer  DEFAULT 0,
    round                           integer  DEFAULT 0,
    wave                            integer  DEFAULT 0,
    data_edge                       uuid,
    data_from                       uuid,
    PRIMARY KEY (flow_id, downstream_eid)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);

CREATE TABLE ff_errand (
    partition_key  smallint NOT NULL,
    flow_id        uuid     NOT NULL,
    execution_id   uuid     NOT NULL,
    kind           text     COLLATE "C" NOT NULL,
    version        bigint   NOT NULL DEFAULT 1,
    after_edge     uuid,
    enqueued_at_ms bigint,
    PRIMARY KEY (flow_id, execution_id, kind)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);

CREATE INDEX ff_errand_due ON ff_errand (enqueued_at_ms, flow_id, execution_id, kind) WHERE enqueued_at_ms IS NOT NULL;

CREATE TABLE ff_cancel_backlog (
    partition_key       smallint NOT NULL,
    flow_id             uuid     NOT NULL PRIMARY KEY,
    requested_at_ms     bigint   NOT NULL DEFAULT 0,
    requester           text     NOT NULL DEFAULT '',
    reason              text     NOT NULL DEFAULT '',
    grace_until_ms      bigint,
    cancellation_policy text     NOT NULL DEFAULT 'cancel_all',
    status              text     NOT NULL DEFAULT 'pending',
    version             bigint   NOT NULL DEFAULT 1,
    cancelled_by        text,
    spreading           boolean  DEFAULT false,
    after_execution     uuid,
    acked               boolean  DEFAULT false,
    outstanding         integer  DEFAULT 0,
    due_at_ms           bigint
);

CREATE INDEX ff_cancel_backlog_due ON ff_cancel_backlog (due_at_ms, flow_id) WHERE due_at_ms IS NOT NULL;

-- The id of the member is its full text, {fp:N}:uuid.
CREATE TABLE ff_cancel_backlog_member (
    partition_key smallint NOT NULL,
    flow_id       uuid     NOT NULL,
    execution_id  text     COLLATE "C" NOT NULL,
    version       bigint   NOT NULL DEFAULT 1,
    PRIMARY KEY (flow_id, execution_id)
);

-- The groups whose unfinished upstreams are still to be cancelled.
CREATE VIEW ff_pending_cancel_groups AS
SELECT partition_key, flow_id, execution_id AS downstream_eid, enqueued_at_ms
FROM ff_errand WHERE kind = 'cancel_siblings';

-- Members by public state, and what follows for the flow (chapter 20.14), as of now. Some states have two names.
CREATE VIEW ff_flow_summary AS
SELECT partition_key, flow_id, total_members, total_members::integer AS sampled_members,
    members_completed, members_failed, members_cancelled, members_expired, members_skipped, members_active,
    members_suspended, members_waiting, members_delayed, members_rate_limited, members_waiting_children,
    CASE
        WHEN members_completed + members_failed + members_cancelled + members_expired + members_skipped = total_members
            THEN CASE WHEN members_failed + members_cancelled + members_expired > 0 THEN 'failed' ELSE 'completed' END
        WHEN members_active > 0 THEN 'running'
        WHEN members_suspended + members_delayed + members_rate_limited + members_waiting_children > 0 THEN 'blocked'
        ELSE 'open'
    END AS public_flow_state,
    (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS last_summary_update_at
FROM (
    SELECT partition_key, flow_id, count(*) AS total_members,
        (count(*) FILTER (WHERE public_state IN ('completed', 'success')))::integer AS members_completed,
        (count(*) FILTER (WHERE public_state = 'failed'))::integer AS members_failed,
        (count(*) FILTER (WHERE public_state = 'cancelled'))::integer AS members_cancelled,
        (count(*) FILTER (WHERE public_state = 'expired'))::integer AS members_expired,
        (count(*) FILTER (WHERE public_state = 'skipped'))::integer AS members_skipped,
        (count(*) FILTER (WHERE public_state IN ('active', 'running')))::integer AS members_active,
        (count(*) FILTER (WHERE public_state = 'suspended'))::integer AS members_suspended,
        (count(*) FILTER (WHERE public_state = 'waiting'))::integer AS members_waiting,
        (count(*) FILTER (WHERE public_state = 'delayed'))::integer AS members_delayed,
        (count(*) FILTER (WHERE public_state = 'rate_limited'))::integer AS members_rate_limited,
        (count(*) FILTER (WHERE public_state = 'waiting_children'))::integer AS members_waiting_children
    FROM ff_exec_core WHERE flow_id IS NOT NULL
    GROUP BY flow_id, partition_key
) counted;
