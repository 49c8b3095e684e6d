-- How many partitions the store was made for: one row, written by the first engine that opens it.
CREATE TABLE ff_partition_config (
    name                  text COLLATE "C" NOT NULL PRIMARY KEY DEFAULT 'partitions' CHECK (name = 'partitions'),
    partition_key         smallint NOT NULL DEFAULT 0,
    version               bigint   NOT NULL DEFAULT 1,
    num_flow_partitions   integer  NOT NULL,
    num_budget_partitions integer  NOT NULL,
    num_quota_partitions  integer  NOT NULL,
    set_at_ms             bigint   NOT NULL DEFAULT 0
);
