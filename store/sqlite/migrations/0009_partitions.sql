-- How many partitions the store was made for: one row, written by the first engine that opens it.
CREATE TABLE ff_partition_config (
    name                  TEXT    NOT NULL PRIMARY KEY DEFAULT 'partitions' CHECK (name = 'partitions'),
    partition_key         INTEGER NOT NULL DEFAULT 0,
    version               INTEGER NOT NULL DEFAULT 1,
    num_flow_partitions   INTEGER NOT NULL,
    num_budget_partitions INTEGER NOT NULL,
    num_quota_partitions  INTEGER NOT NULL,
    set_at_ms             INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
