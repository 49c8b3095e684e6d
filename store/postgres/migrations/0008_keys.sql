-- What callers of the HTTP API present. Of a secret only its digest is kept.
CREATE TABLE ff_api_key (
    partition_key     smallint NOT NULL,
    version           bigint   NOT NULL DEFAULT 1,
    created_at_ms     bigint   NOT NULL,
    expires_at_ms     bigint,
    rotated_at_ms     bigint,
    previous_until_ms bigint,
    revoked_at_ms     bigint,
    key_id            text     COLLATE "C" NOT NULL PRIMARY KEY,
    name              text     NOT NULL,
    created_by        text     NOT NULL,
    revoked_by        text     NOT NULL,
    digest            bytea,
    previous_digest   bytea,
    roles             jsonb,
    namespaces        jsonb,
    lanes             jsonb
);
