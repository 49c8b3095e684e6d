-- Records, the two indexes and the event log. UUIDs are blobs of 16 bytes, times unix milliseconds, JSON and lists text.
-- Only keys and versions are NOT NULL: rows may be written by hand, and every other column has a reading for NULL.
-- No foreign keys: a record is guarded by its version.

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
    tags                   TEXT,
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
    delay_until_ms         INTEGER,
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

-- The claim order.
CREATE TABLE ff_ready (
    lane_id       TEXT    NOT NULL,
    route         INTEGER NOT NULL,
    priority      INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    execution_id  BLOB    NOT NULL,
    partition_key INTEGER NOT NULL,
    PRIMARY KEY (lane_id, route, priority DESC, created_at_ms, execution_id, partition_key)
) STRICT, WITHOUT ROWID;

-- The due times.
CREATE TABLE ff_due (
    due_at_ms     INTEGER NOT NULL,
    execution_id  BLOB    NOT NULL,
    partition_key INTEGER NOT NULL,
    PRIMARY KEY (due_at_ms, execution_id, partition_key)
) STRICT, WITHOUT ROWID;
