-- Records and the event log. UUIDs are blobs of 16 bytes, times unix milliseconds, JSON and lists text.
-- Only keys and versions are NOT NULL: rows may be written by hand, and every other column has a reading for NULL.
-- No foreign keys: a record is guarded by its version.

CREATE TABLE ff_schema (
    version INTEGER NOT NULL
) STRICT;

INSERT INTO ff_schema VALUES (0);

-- With a rowid, unlike the others: these rows are wide, and a WITHOUT ROWID table moves what exceeds a quarter of a page
-- to overflow pages. Every update of a row with a payload of 2 KiB took twice as long.
CREATE TABLE ff_exec_core (
    partition_key          INTEGER NOT NULL,
    execution_id           BLOB    NOT NULL,
    lane_id                TEXT,
    namespace              TEXT,
    execution_kind         TEXT,
    creator_identity       TEXT,
    payload                BLOB,
    payload_encoding       TEXT,
    required_capabilities  TEXT    DEFAULT '',
    route                  INTEGER DEFAULT 0,
    policy                 TEXT,
    created_at_ms          INTEGER,
    flow_id                BLOB,
    version                INTEGER NOT NULL DEFAULT 1,
    lifecycle_phase        TEXT,
    ownership_state        TEXT,
    eligibility_state      TEXT,
    blocking_reason        TEXT,
    terminal_outcome       TEXT,
    attempt_state          TEXT,
    public_state           TEXT,
    ready                  INTEGER DEFAULT 0,
    due_at_ms              INTEGER,
    priority               INTEGER DEFAULT 0,
    priority_boost         INTEGER DEFAULT 0,
    delay_until_ms         INTEGER,
    deadline_at_ms         INTEGER,
    attempt_ends_at_ms     INTEGER,
    attempt_left_ms        INTEGER,
    retain_until_ms        INTEGER,
    slot                   INTEGER DEFAULT 0,
    tags                   TEXT,
    blocking_detail        TEXT,
    started_at_ms          INTEGER,
    terminal_at_ms         INTEGER,
    last_transition_at_ms  INTEGER,
    last_mutation_at_ms    INTEGER,
    total_attempt_count    INTEGER DEFAULT 0,
    retry_count            INTEGER DEFAULT 0,
    lease_reclaim_count    INTEGER DEFAULT 0,
    attempt_index          INTEGER DEFAULT 0,
    attempt_id             BLOB,
    attempt_type           TEXT,
    attempt_started_at_ms  INTEGER,
    lease_epoch            INTEGER DEFAULT 0,
    lease_id               BLOB,
    worker_id              TEXT,
    worker_instance_id     TEXT,
    lease_acquired_at_ms   INTEGER,
    lease_renewed_at_ms    INTEGER,
    lease_expires_at_ms    INTEGER,
    result                 BLOB,
    result_encoding        TEXT,
    failure_reason         TEXT,
    failure_category       TEXT,
    cancellation_reason    TEXT,
    cancelled_by           TEXT,
    lease_revoke_reason    TEXT,
    progress_pct           INTEGER,
    progress_message       TEXT,
    progress_details       BLOB,
    progress_updated_at_ms INTEGER,
    raw_fields             TEXT    DEFAULT '{}',
    PRIMARY KEY (partition_key, execution_id)
) STRICT;

-- The four indexes of the store contract are indexes of the table: SQLite touches only those whose columns an update
-- sets, and they are right for rows written by hand, too. Queries repeat the conditions word for word.

-- The claim order.
CREATE INDEX ff_exec_core_ready
    ON ff_exec_core (lane_id, route, priority + priority_boost DESC, created_at_ms, execution_id, partition_key)
    WHERE ready = 1;

-- The due times.
CREATE INDEX ff_exec_core_due ON ff_exec_core (due_at_ms, execution_id, partition_key) WHERE due_at_ms IS NOT NULL;

-- Until when finished executions are kept.
CREATE INDEX ff_exec_core_retention ON ff_exec_core (retain_until_ms, execution_id, partition_key)
    WHERE retain_until_ms IS NOT NULL;

-- The slots of lanes that are taken.
CREATE INDEX ff_exec_core_slot ON ff_exec_core (lane_id) WHERE slot = 1;

-- For lists: newest first, of all lanes and of one.
CREATE INDEX ff_exec_core_created ON ff_exec_core (created_at_ms, execution_id, partition_key);
CREATE INDEX ff_exec_core_lane ON ff_exec_core (lane_id, created_at_ms, execution_id, partition_key);

-- Leases in order of expiry, and of which lane they are.
CREATE INDEX ff_exec_core_lease ON ff_exec_core (lease_expires_at_ms, execution_id, partition_key, lane_id)
    WHERE lease_expires_at_ms IS NOT NULL;

CREATE INDEX ff_exec_core_delayed ON ff_exec_core (lane_id) WHERE eligibility_state = 'not_eligible_until_time';

CREATE INDEX ff_exec_core_flow ON ff_exec_core (partition_key, flow_id) WHERE flow_id IS NOT NULL;

CREATE TABLE ff_attempt (
    partition_key       INTEGER NOT NULL,
    execution_id        BLOB    NOT NULL,
    attempt_index       INTEGER NOT NULL,
    lease_epoch         INTEGER DEFAULT 0,
    outcome             TEXT,
    worker_id           TEXT,
    worker_instance_id  TEXT,
    lease_expires_at_ms INTEGER,
    started_at_ms       INTEGER,
    terminal_at_ms      INTEGER,
    attempt_id          BLOB,
    attempt_type        TEXT,
    attempt_state       TEXT,
    failure_reason      TEXT,
    failure_category    TEXT,
    PRIMARY KEY (partition_key, execution_id, attempt_index)
) STRICT, WITHOUT ROWID;

CREATE TABLE ff_idempotency (
    namespace           TEXT    NOT NULL,
    idempotency_key     TEXT    NOT NULL,
    partition_key       INTEGER,
    version             INTEGER NOT NULL DEFAULT 1,
    execution_partition INTEGER,
    execution_id        BLOB,
    digest              BLOB,
    expires_at_ms       INTEGER,
    PRIMARY KEY (namespace, idempotency_key)
) STRICT, WITHOUT ROWID;

CREATE INDEX ff_idempotency_expiry ON ff_idempotency (expires_at_ms);

CREATE TABLE ff_route (
    lane_id       TEXT    NOT NULL,
    route         INTEGER NOT NULL,
    capabilities  TEXT,
    partition_key INTEGER,
    PRIMARY KEY (lane_id, route)
) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT: a number is never given twice, also after the newest events were deleted. Readers follow it.
CREATE TABLE ff_event (
    seq                INTEGER PRIMARY KEY AUTOINCREMENT,
    family             TEXT,
    event_type         TEXT,
    partition_key      INTEGER,
    execution_id       BLOB,
    flow_id            BLOB,
    namespace          TEXT,
    instance_tag       TEXT,
    occurred_at_ms     INTEGER,
    lease_id           BLOB,
    lease_epoch        INTEGER,
    attempt_id         BLOB,
    attempt_index      INTEGER,
    worker_id          TEXT,
    worker_instance_id TEXT,
    reason             TEXT,
    details            TEXT
) STRICT;

-- The keyed families. Their keys are in the order of lists: text compares bytewise.
CREATE TABLE ff_lane_registry (
    lane_id          TEXT    NOT NULL PRIMARY KEY,
    partition_key    INTEGER,
    version          INTEGER NOT NULL DEFAULT 1,
    state            TEXT,
    weight           INTEGER DEFAULT 1,
    max_concurrency  INTEGER DEFAULT 0,
    registered_at_ms INTEGER,
    registered_by    TEXT,
    updated_at_ms    INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE ff_worker_registry (
    namespace          TEXT    NOT NULL,
    worker_instance_id TEXT    NOT NULL,
    partition_key      INTEGER,
    version            INTEGER NOT NULL DEFAULT 1,
    worker_id          TEXT,
    lanes              TEXT,
    capabilities_csv   TEXT    DEFAULT '',
    liveness_ttl_ms    INTEGER,
    registered_at_ms   INTEGER,
    last_heartbeat_ms  INTEGER,
    expires_at_ms      INTEGER,
    PRIMARY KEY (namespace, worker_instance_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX ff_worker_registry_due ON ff_worker_registry (expires_at_ms, namespace, worker_instance_id)
    WHERE expires_at_ms IS NOT NULL;

CREATE TABLE ff_waitpoint_hmac (
    kid           TEXT    NOT NULL PRIMARY KEY,
    partition_key INTEGER,
    version       INTEGER NOT NULL DEFAULT 1,
    secret        BLOB,
    active        INTEGER DEFAULT 0,
    rotated_at_ms INTEGER,
    expires_at_ms INTEGER
) STRICT, WITHOUT ROWID;

-- The four feeds of the log, as on PostgreSQL: ids that are text there are text here, too.
CREATE VIEW ff_event_text AS
SELECT *, lower(substr(hex(execution_id), 1, 8) || '-' || substr(hex(execution_id), 9, 4) || '-' || substr(hex(execution_id), 13, 4) || '-' ||
        substr(hex(execution_id), 17, 4) || '-' || substr(hex(execution_id), 21)) AS execution_text,
    CASE WHEN lease_id IS NOT NULL THEN
        lower(substr(hex(lease_id), 1, 8) || '-' || substr(hex(lease_id), 9, 4) || '-' || substr(hex(lease_id), 13, 4) || '-' ||
        substr(hex(lease_id), 17, 4) || '-' || substr(hex(lease_id), 21)) END AS lease_text
FROM ff_event;

-- A cancel and a revocation are seen in the lease and completion feeds; this one has never carried them, though the log
-- keeps who did it.
CREATE VIEW ff_operator_event AS
SELECT seq AS event_id, execution_text AS execution_id, event_type, details, occurred_at_ms,
    partition_key, namespace, instance_tag
FROM ff_event_text WHERE family = 'operator' AND event_type NOT IN ('cancelled', 'lease_revoked');

-- A completion that names a lease is its release, too.
CREATE VIEW ff_lease_event AS
SELECT seq AS event_id, execution_text AS execution_id, lease_text AS lease_id,
    CASE family WHEN 'lease' THEN event_type ELSE 'released' END AS event_type, occurred_at_ms,
    partition_key, namespace, instance_tag
FROM ff_event_text WHERE family = 'lease' OR family = 'completion' AND lease_id IS NOT NULL;

CREATE VIEW ff_completion_event AS
SELECT partition_key, seq AS event_id, execution_id, flow_id, event_type AS outcome, namespace, instance_tag,
    occurred_at_ms, occurred_at_ms AS committed_at_ms, NULL AS dispatched_at_ms
FROM ff_event WHERE family = 'completion';

CREATE VIEW ff_signal_event AS
SELECT seq AS event_id, execution_text AS execution_id, details ->> 'signal_id' AS signal_id,
    details ->> 'waitpoint_id' AS waitpoint_id, details ->> 'source_identity' AS source_identity,
    occurred_at_ms AS delivered_at_ms, partition_key, namespace, instance_tag
FROM ff_event_text WHERE family = 'signal';
