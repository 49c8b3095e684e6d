-- Keys that lists are ordered by, and texts that indexes compare often, are COLLATE "C": bytewise.

-- One row for each execution: its state, its place in the indexes, the open attempt and its lease. No column of it that
-- ever changes is indexed, so that updates stay in their page (HOT); fillfactor leaves room for them.
CREATE TABLE ff_exec_core (
    partition_key          smallint NOT NULL,
    priority               integer  NOT NULL DEFAULT 0,
    priority_boost         integer  NOT NULL DEFAULT 0,
    ready                  boolean  NOT NULL DEFAULT false,
    slot                   boolean  NOT NULL DEFAULT false,
    execution_id           uuid     NOT NULL,
    version                bigint   NOT NULL DEFAULT 1,
    created_at_ms          bigint   NOT NULL,
    lease_epoch            bigint   NOT NULL DEFAULT 0,
    route                  bigint   NOT NULL DEFAULT 0,
    attempt_index          integer  NOT NULL DEFAULT 0,
    total_attempt_count    integer  NOT NULL DEFAULT 0,
    retry_count            integer  NOT NULL DEFAULT 0,
    lease_reclaim_count    integer  NOT NULL DEFAULT 0,
    lane_id                text     COLLATE "C" NOT NULL,
    lifecycle_phase        text     NOT NULL,
    ownership_state        text     NOT NULL,
    eligibility_state      text     NOT NULL,
    attempt_state          text     NOT NULL,
    public_state           text     NOT NULL,
    required_capabilities  text[]   NOT NULL DEFAULT '{}',
    raw_fields             jsonb    NOT NULL DEFAULT '{}',
    due_at_ms              bigint,
    retain_until_ms        bigint,
    delay_until_ms         bigint,
    started_at_ms          bigint,
    terminal_at_ms         bigint,
    last_transition_at_ms  bigint,
    last_mutation_at_ms    bigint,
    attempt_started_at_ms  bigint,
    lease_acquired_at_ms   bigint,
    lease_renewed_at_ms    bigint,
    lease_expires_at_ms    bigint,
    progress_updated_at_ms bigint,
    progress_pct           integer,
    flow_id                uuid,
    attempt_id             uuid,
    lease_id               uuid,
    blocking_reason        text,
    blocking_detail        text,
    terminal_outcome       text,
    attempt_type           text,
    worker_id              text,
    worker_instance_id     text,
    namespace              text,
    execution_kind         text,
    creator_identity       text,
    payload_encoding       text,
    result_encoding        text,
    failure_reason         text,
    failure_category       text,
    cancellation_reason    text,
    cancelled_by           text,
    lease_revoke_reason    text,
    progress_message       text,
    deadline_at_ms         bigint,
    attempt_ends_at_ms     bigint,
    attempt_left_ms        bigint,
    tags                   jsonb,
    policy                 jsonb,
    payload                bytea,
    result                 bytea,
    progress_details       bytea,
    PRIMARY KEY (partition_key, execution_id)
) WITH (fillfactor = 40, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);

-- The two orders of lists. They grow at their end. All times are positive; the condition, which lists repeat, keeps a
-- planner that believes the table to be empty from looking executions up here by their key.
CREATE INDEX ff_exec_core_created ON ff_exec_core (created_at_ms, execution_id, partition_key) WHERE created_at_ms >= 0;
CREATE INDEX ff_exec_core_lane_created ON ff_exec_core (lane_id, created_at_ms, execution_id, partition_key)
    WHERE created_at_ms >= 0;

CREATE INDEX ff_exec_core_flow ON ff_exec_core (partition_key, flow_id) WHERE flow_id IS NOT NULL;

-- Attempts that have ended, and those a replay has cleared. The open one is part of its ff_exec_core row.
CREATE TABLE ff_attempt (
    partition_key       smallint NOT NULL,
    attempt_index       integer  NOT NULL,
    execution_id        uuid     NOT NULL,
    lease_epoch         bigint   NOT NULL DEFAULT 0,
    started_at_ms       bigint,
    terminal_at_ms      bigint,
    lease_expires_at_ms bigint,
    attempt_id          uuid,
    attempt_type        text,
    attempt_state       text,
    outcome             text,
    worker_id           text,
    worker_instance_id  text,
    failure_reason      text,
    failure_category    text,
    usage               jsonb,
    policy              jsonb,
    raw_fields          jsonb    NOT NULL DEFAULT '{}',
    PRIMARY KEY (partition_key, execution_id, attempt_index)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);

-- Submissions remembered by their key.
CREATE TABLE ff_idempotency (
    namespace           text     COLLATE "C" NOT NULL,
    idempotency_key     text     COLLATE "C" NOT NULL,
    partition_key       smallint NOT NULL,
    execution_partition smallint NOT NULL,
    execution_id        uuid     NOT NULL,
    version             bigint   NOT NULL DEFAULT 1,
    expires_at_ms       bigint   NOT NULL,
    digest              bytea    NOT NULL,
    PRIMARY KEY (namespace, idempotency_key)
);

CREATE INDEX ff_idempotency_expiry ON ff_idempotency (expires_at_ms);

-- The distinct sets of required capabilities seen on each lane.
CREATE TABLE ff_route (
    lane_id       text     COLLATE "C" NOT NULL,
    route         bigint   NOT NULL,
    capabilities  text[]   NOT NULL DEFAULT '{}',
    partition_key smallint NOT NULL,
    PRIMARY KEY (lane_id, route)
);

-- The claim order: an entry for each execution that is ready. A primary key cannot run backwards, so the index that is
-- the order is only unique.
CREATE TABLE ff_ready (
    partition_key smallint NOT NULL,
    priority      integer  NOT NULL,
    route         bigint   NOT NULL,
    created_at_ms bigint   NOT NULL,
    execution_id  uuid     NOT NULL,
    lane_id       text     COLLATE "C" NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 100000, vacuum_index_cleanup = on,
    vacuum_truncate = off);

CREATE UNIQUE INDEX ff_ready_order
    ON ff_ready (lane_id, route, priority DESC, created_at_ms, execution_id, partition_key);

ALTER TABLE ff_ready REPLICA IDENTITY USING INDEX ff_ready_order;

-- When executions next need attention.
CREATE TABLE ff_due (
    partition_key smallint NOT NULL,
    due_at_ms     bigint   NOT NULL,
    execution_id  uuid     NOT NULL,
    PRIMARY KEY (due_at_ms, execution_id, partition_key)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 100000, vacuum_index_cleanup = on,
    vacuum_truncate = off);

-- Until when finished executions are kept. Entries come at the end and leave, much later, at the front.
CREATE TABLE ff_retention (
    partition_key   smallint NOT NULL,
    retain_until_ms bigint   NOT NULL,
    execution_id    uuid     NOT NULL,
    PRIMARY KEY (retain_until_ms, execution_id, partition_key)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 20000);

-- The slots of lanes with bounded concurrency that are taken.
CREATE TABLE ff_lane_slot (
    partition_key smallint NOT NULL,
    execution_id  uuid     NOT NULL,
    lane_id       text     COLLATE "C" NOT NULL,
    PRIMARY KEY (lane_id, execution_id, partition_key)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
    vacuum_index_cleanup = on, vacuum_truncate = off);

-- Leases that were found expired, of executions that were not claimed since. Those that run are found through ff_due.
CREATE TABLE ff_expired_lease (
    partition_key       smallint NOT NULL,
    lease_expires_at_ms bigint   NOT NULL,
    execution_id        uuid     NOT NULL,
    PRIMARY KEY (lease_expires_at_ms, execution_id, partition_key)
);

-- What is set for lanes that were used or set up.
CREATE TABLE ff_lane_registry (
    partition_key    smallint NOT NULL,
    weight           integer  NOT NULL DEFAULT 1,
    version          bigint   NOT NULL DEFAULT 1,
    registered_at_ms bigint   NOT NULL,
    updated_at_ms    bigint   NOT NULL,
    max_concurrency  integer  NOT NULL DEFAULT 0,
    lane_id          text     COLLATE "C" PRIMARY KEY,
    state            text     NOT NULL DEFAULT 'active',
    registered_by    text     NOT NULL
) WITH (fillfactor = 50);

-- Worker instances that have registered, and when they count as dead.
CREATE TABLE ff_worker_registry (
    partition_key      smallint NOT NULL,
    version            bigint   NOT NULL DEFAULT 1,
    liveness_ttl_ms    bigint   NOT NULL,
    registered_at_ms   bigint   NOT NULL,
    last_heartbeat_ms  bigint   NOT NULL,
    expires_at_ms      bigint,
    namespace          text     COLLATE "C" NOT NULL,
    worker_instance_id text     COLLATE "C" NOT NULL,
    worker_id          text     NOT NULL,
    capabilities_csv   text     NOT NULL DEFAULT '',
    lanes              jsonb,
    PRIMARY KEY (namespace, worker_instance_id)
) WITH (fillfactor = 50);

-- The condition keeps planners from looking instances up here by their key.
CREATE INDEX ff_worker_registry_expiry ON ff_worker_registry (expires_at_ms, namespace, worker_instance_id)
    WHERE expires_at_ms IS NOT NULL;

-- The secrets that sign what leaves the engine and comes back.
CREATE TABLE ff_waitpoint_hmac (
    partition_key smallint NOT NULL,
    active        boolean  NOT NULL DEFAULT true,
    version       bigint   NOT NULL DEFAULT 1,
    rotated_at_ms bigint   NOT NULL,
    expires_at_ms bigint,
    kid           text     COLLATE "C" PRIMARY KEY,
    secret        bytea    NOT NULL
);

CREATE INDEX ff_waitpoint_hmac_expiry ON ff_waitpoint_hmac (expires_at_ms, kid) WHERE expires_at_ms IS NOT NULL;

-- The log of all families. seq orders the rows of one execution; over several, rows become visible out of that order,
-- and a reader that keeps a cursor takes only rows whose xid is below the oldest transaction still running.
CREATE TABLE ff_event (
    seq                bigint   GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid                xid8     NOT NULL DEFAULT pg_current_xact_id(),
    occurred_at_ms     bigint   NOT NULL,
    partition_key      smallint NOT NULL,
    attempt_index      integer  NOT NULL DEFAULT 0,
    execution_id       uuid     NOT NULL,
    family             text     NOT NULL,
    event_type         text     NOT NULL,
    lease_epoch        bigint,
    lease_id           uuid,
    attempt_id         uuid,
    flow_id            uuid,
    namespace          text,
    instance_tag       text,
    worker_id          text,
    worker_instance_id text,
    reason             text,
    details            jsonb
) WITH (autovacuum_vacuum_insert_scale_factor = 0.5, autovacuum_analyze_scale_factor = 0.2);

-- Operator events are few and looked up by hand.
CREATE INDEX ff_event_operator ON ff_event ((execution_id::text)) WHERE family = 'operator';

-- A cancel and a revocation are seen in the lease and completion feeds; this one has never carried them, though the log
-- keeps who did it.
CREATE VIEW ff_operator_event AS
SELECT seq AS event_id, execution_id::text AS execution_id, event_type, details, occurred_at_ms,
    partition_key::integer AS partition_key, namespace, instance_tag
FROM ff_event WHERE family = 'operator' AND event_type NOT IN ('cancelled', 'lease_revoked');

-- A completion that names a lease is its release, too.
CREATE VIEW ff_lease_event AS
SELECT seq AS event_id, execution_id::text AS execution_id, lease_id::text AS lease_id,
    CASE family WHEN 'lease' THEN event_type ELSE 'released' END AS event_type, occurred_at_ms,
    partition_key::integer AS partition_key, namespace, instance_tag
FROM ff_event WHERE family = 'lease' OR family = 'completion' AND lease_id IS NOT NULL;

CREATE VIEW ff_completion_event AS
SELECT partition_key, seq AS event_id, execution_id, flow_id, event_type AS outcome, namespace, instance_tag,
    occurred_at_ms, occurred_at_ms AS committed_at_ms, NULL::bigint AS dispatched_at_ms
FROM ff_event WHERE family = 'completion';

CREATE VIEW ff_signal_event AS
SELECT seq AS event_id, execution_id::text AS execution_id, details ->> 'signal_id' AS signal_id,
    details ->> 'waitpoint_id' AS waitpoint_id, details ->> 'source_identity' AS source_identity,
    occurred_at_ms AS delivered_at_ms, partition_key::integer AS partition_key, namespace, instance_tag
FROM ff_event WHERE family = 'signal';

CREATE VIEW ff_worker_registry_event AS
SELECT partition_key, namespace, worker_instance_id, occurred_at_ms AS event_at_ms, event_type AS event_kind, reason
FROM ff_event WHERE family = 'worker';

CREATE TABLE ff_flow_core (
    partition_key     smallint NOT NULL,
    flow_id           uuid     NOT NULL,
    graph_revision    bigint   NOT NULL DEFAULT 0,
    public_flow_state text     NOT NULL,
    created_at_ms     bigint   NOT NULL,
    terminal_at_ms    bigint,
    raw_fields        jsonb    NOT NULL DEFAULT '{}',
    PRIMARY KEY (partition_key, flow_id)
);

CREATE TABLE ff_edge (
    partition_key  smallint NOT NULL,
    flow_id        uuid     NOT NULL,
    edge_id        uuid     NOT NULL,
    upstream_eid   uuid     NOT NULL,
    downstream_eid uuid     NOT NULL,
    policy         jsonb    NOT NULL,
    policy_version integer  NOT NULL DEFAULT 0,
    PRIMARY KEY (partition_key, flow_id, edge_id)
);

CREATE INDEX ff_edge_downstream ON ff_edge (partition_key, flow_id, downstream_eid);
CREATE INDEX ff_edge_upstream ON ff_edge (partition_key, flow_id, upstream_eid);

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
    cancel_siblings_pending_members text[]   NOT NULL DEFAULT '{}',
    group_state                     text     NOT NULL DEFAULT 'pending',
    satisfied_at_ms                 bigint,
    cancel_siblings_reason          text,
    PRIMARY KEY (partition_key, flow_id, downstream_eid)
);

CREATE TABLE ff_cancel_backlog (
    partition_key       smallint NOT NULL,
    flow_id             uuid     NOT NULL,
    requested_at_ms     bigint   NOT NULL DEFAULT 0,
    requester           text     NOT NULL DEFAULT '',
    reason              text     NOT NULL DEFAULT '',
    grace_until_ms      bigint,
    cancellation_policy text     NOT NULL DEFAULT 'cancel_all',
    status              text     NOT NULL DEFAULT 'pending',
    PRIMARY KEY (partition_key, flow_id)
);

-- execution_id is the full text form of the id, {fp:N}:uuid.
CREATE TABLE ff_cancel_backlog_member (
    partition_key smallint NOT NULL,
    flow_id       uuid     NOT NULL,
    execution_id  text     NOT NULL,
    PRIMARY KEY (partition_key, flow_id, execution_id)
);

-- A write that must reach n rows and reached others fails here and takes its transaction with it.
CREATE FUNCTION ff_guard(written bigint, wanted bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF written <> wanted THEN
        RAISE EXCEPTION 'wrote % of % rows', written, wanted USING ERRCODE = 'FF409';
    END IF;
END
$$;
