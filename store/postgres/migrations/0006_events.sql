-- The place of an event is handed out after its transaction was given an id, so that a reader who knows the last place at
-- some instant and the id of a transaction begun after it knows which places no other transaction can still fill: those up
-- to it, once all transactions of smaller ids have ended. Rows need not keep the id for that.
ALTER TABLE ff_event DROP COLUMN xid;
ALTER TABLE ff_event ALTER COLUMN seq DROP IDENTITY;
CREATE SEQUENCE ff_event_place AS bigint OWNED BY ff_event.seq;
SELECT setval('ff_event_place', greatest(1, (SELECT max(seq) FROM ff_event)), EXISTS (SELECT 1 FROM ff_event));
ALTER TABLE ff_event ALTER COLUMN seq SET DEFAULT CASE WHEN pg_current_xact_id() IS NOT NULL THEN nextval('ff_event_place') END;

-- The last event of each family that was removed, so that who wants to go on before it is told.
CREATE TABLE ff_event_gone (
    family text   NOT NULL PRIMARY KEY,
    seq    bigint NOT NULL
);

-- Positions readers asked to have kept for them.
CREATE TABLE ff_event_cursor (
    name          text COLLATE "C" NOT NULL PRIMARY KEY,
    partition_key smallint NOT NULL,
    version       bigint   NOT NULL DEFAULT 1,
    family        text     NOT NULL,
    cursor        text     NOT NULL,
    updated_at_ms bigint   NOT NULL
);
