-- Streams of attempts (chapter 50). What belongs to an execution is removed with it.

-- What is known of a stream without its frames.
CREATE TABLE ff_stream_meta (
    partition_key       smallint NOT NULL,
    execution_id        uuid     NOT NULL,
    attempt_index       integer  NOT NULL,
    version             bigint   NOT NULL DEFAULT 1,
    created_at_ms       bigint   NOT NULL,
    frame_count         bigint   NOT NULL DEFAULT 0,
    total_bytes         bigint   NOT NULL DEFAULT 0,
    last_ts_ms          bigint   NOT NULL DEFAULT 0,
    last_seq            bigint   NOT NULL DEFAULT 0,
    durable_kept        integer  NOT NULL DEFAULT 0,
    summary_kept        integer  NOT NULL DEFAULT 0,
    live_kept           integer  NOT NULL DEFAULT 0,
    lease_epoch         bigint   NOT NULL DEFAULT 0,
    last_producer_seq   bigint   NOT NULL DEFAULT 0,
    ema_rate_uhz        bigint   NOT NULL DEFAULT 0,
    last_append_ts_ms   bigint,
    maxlen_applied_last integer  NOT NULL DEFAULT 0,
    expires_at_ms       bigint,
    replay_count        integer  NOT NULL DEFAULT 0,
    PRIMARY KEY (partition_key, execution_id, attempt_index)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);

CREATE INDEX ff_stream_meta_due ON ff_stream_meta (expires_at_ms, partition_key, execution_id, attempt_index)
    WHERE expires_at_ms IS NOT NULL;

-- What the patches of a stream have made. The document is kept as it was written: its numbers are exact.
CREATE TABLE ff_stream_summary (
    partition_key    smallint NOT NULL,
    execution_id     uuid     NOT NULL,
    attempt_index    integer  NOT NULL,
    version          bigint   NOT NULL DEFAULT 1,
    document_json    bytea    NOT NULL,
    patch_count      bigint   NOT NULL DEFAULT 0,
    first_applied_ms bigint   NOT NULL,
    last_updated_ms  bigint   NOT NULL,
    PRIMARY KEY (partition_key, execution_id, attempt_index)
);

-- The frames of a stream, each mode a range of its own.
CREATE TABLE ff_stream_frame (
    partition_key   smallint NOT NULL,
    execution_id    uuid     NOT NULL,
    attempt_index   integer  NOT NULL,
    mode            text     COLLATE "C" NOT NULL,
    ts_ms           bigint   NOT NULL,
    seq             bigint   NOT NULL,
    kind            text     NOT NULL,
    frame_type      text     NOT NULL,
    payload         bytea    NOT NULL,
    encoding        text     NOT NULL,
    correlation_id  text,
    summary_version bigint,
    produced_at_ms  bigint,
    PRIMARY KEY (partition_key, execution_id, attempt_index, mode, ts_ms, seq)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.2);
