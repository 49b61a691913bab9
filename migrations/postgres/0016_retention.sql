-- Retention of the log: for how long a tenant keeps its events, what is kept of an organization in spite of that, and what
-- is left of what was dropped.

-- 0: for good.
ALTER TABLE tenants ADD COLUMN log_retention_days BIGINT NOT NULL DEFAULT 0;
ALTER TABLE organizations ADD COLUMN legal_hold BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX organizations_held ON organizations (tenant_id) WHERE legal_hold;

-- Events up to a stream's hidden_sequence are hidden, and gone with their month. hidden_position: none of them has a position beyond this one.
-- hidden_before: all of them had occurred before this, in microseconds.
ALTER TABLE log_chains ADD COLUMN hidden_position BIGINT NOT NULL DEFAULT 0;
ALTER TABLE log_chains ADD COLUMN hidden_before BIGINT NOT NULL DEFAULT 0;
CREATE INDEX log_chains_hidden ON log_chains (tenant_id, hidden_position);
CREATE INDEX log_chains_hidden_before ON log_chains (tenant_id, hidden_before);

-- When something was hidden last, in microseconds, and the last position of all that is hidden. Whoever hides events, or
-- erases a person, holds the row.
CREATE TABLE log_retention (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    hidden_at BIGINT NOT NULL,
    hidden_position BIGINT NOT NULL
);
INSERT INTO log_retention (id, hidden_at, hidden_position) VALUES (1, 0, 0);

-- Of each thing that there was where a stream was cut off, the last event before that: so the state can still be rebuilt.
-- What is somebody's is emptied as it is beside the log.
CREATE TABLE events_base (
    tenant_id UUID NOT NULL,
    stream_id UUID NOT NULL,
    subject_kind TEXT COLLATE "C" NOT NULL,
    subject_id TEXT COLLATE "C" NOT NULL,
    sequence BIGINT NOT NULL,
    position BIGINT NOT NULL,
    id UUID NOT NULL,
    payload BYTEA NOT NULL,
    person_id UUID,
    person_payload BYTEA,
    caller_id UUID,
    caller_payload BYTEA,
    PRIMARY KEY (tenant_id, stream_id, subject_kind, subject_id)
);
CREATE INDEX events_base_by_sequence ON events_base (tenant_id, stream_id, sequence);
CREATE INDEX events_base_by_position ON events_base (position);
CREATE INDEX events_base_by_person ON events_base (tenant_id, person_id) WHERE person_id IS NOT NULL;
CREATE INDEX events_base_by_caller ON events_base (tenant_id, caller_id) WHERE caller_id IS NOT NULL;

-- Drops the oldest month of the log, whole, where nobody needs it any more: it is over, every event up to its last one is
-- hidden, every topic has them, and whoever read before the last was hidden has come to an end. Months go in their order.
-- Answers whether one was dropped.
CREATE FUNCTION log_drop_month(now_micros BIGINT, sinks BIGINT) RETURNS BOOLEAN LANGUAGE plpgsql AS $$
DECLARE
    suffix TEXT;
    month_end BIGINT;
    last BIGINT;
    last_again BIGINT;
    is_needed BOOLEAN;
BEGIN
    SELECT substr(c.relname, 8) INTO suffix
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'events'::regclass AND c.relname ~ '^events_\d{4}_\d{2}$' ORDER BY c.relname LIMIT 1;
    month_end := EXTRACT(EPOCH FROM to_date(suffix, 'YYYY_MM') + INTERVAL '1 month') * 1000000;
    PERFORM 1 FROM log_retention WHERE hidden_at < now_micros - 60000000;
    IF NOT FOUND OR suffix IS NULL OR month_end > now_micros THEN
        RETURN FALSE;
    END IF;
    EXECUTE format('SELECT COALESCE(MAX(position), 0) FROM events_positions_%s', suffix) INTO last;
    SELECT EXISTS (
        SELECT 1 FROM events_positions p JOIN log_chains c ON c.stream_id = p.stream_id
        WHERE p.position <= last AND p.sequence > c.hidden_sequence) INTO is_needed;
    IF is_needed OR (SELECT COUNT(*) FROM relay_cursors) < sinks
        OR EXISTS (SELECT 1 FROM relay_cursors WHERE position < last) THEN
        RETURN FALSE;
    END IF;
    -- What was looked at stays so, unless more of that month comes or gets its number: from here on nobody numbers, and
    -- nobody writes into the month.
    PERFORM 1 FROM log_head WHERE id = 1 FOR UPDATE;
    EXECUTE format('ALTER TABLE events DETACH PARTITION events_%s', suffix);
    EXECUTE format('ALTER TABLE events_positions DETACH PARTITION events_positions_%s', suffix);
    EXECUTE format('ALTER TABLE events_personal DETACH PARTITION events_personal_%s', suffix);
    EXECUTE format('SELECT COALESCE(MAX(position), 0) FROM events_positions_%s', suffix) INTO last_again;
    IF last_again > last OR EXISTS (SELECT 1 FROM events_pending WHERE occurred_at < month_end) THEN
        RAISE EXCEPTION 'more events of % came while it was about to be dropped', suffix;
    END IF;
    UPDATE log_head SET dropped_position = GREATEST(dropped_position, last) WHERE id = 1;
    EXECUTE format('DROP TABLE events_%1$s, events_positions_%1$s, events_personal_%1$s', suffix);
    RETURN TRUE;
END $$;
