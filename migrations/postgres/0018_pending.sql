-- What gives events their positions needs nothing of the log itself: all that it asks of an event waits with it, however
-- long the log is.
ALTER TABLE events_pending
    ADD COLUMN tenant_id UUID,
    ADD COLUMN stream_id UUID,
    ADD COLUMN sequence BIGINT,
    ADD COLUMN leaf BYTEA;
UPDATE events_pending AS p SET tenant_id = e.tenant_id, stream_id = e.stream_id, sequence = e.sequence, leaf = e.leaf
    FROM events AS e WHERE e.row_id = p.row_id AND e.occurred_at = p.occurred_at;
ALTER TABLE events_pending
    ALTER COLUMN tenant_id SET NOT NULL,
    ALTER COLUMN stream_id SET NOT NULL,
    ALTER COLUMN sequence SET NOT NULL,
    ALTER COLUMN leaf SET NOT NULL;

CREATE OR REPLACE FUNCTION events_append() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO events_pending (row_id, occurred_at, tenant_id, stream_id, sequence, leaf)
        VALUES (NEW.row_id, NEW.occurred_at, NEW.tenant_id, NEW.stream_id, NEW.sequence, NEW.leaf);
    RETURN NULL;
END $$;
