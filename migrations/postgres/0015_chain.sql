-- The log, by months, with a hash chain per stream. The tables of before become …_before; the service carries their rows
-- over when it starts, for what the new columns hold is computed from the events themselves.

ALTER TABLE events RENAME TO events_before;
ALTER TABLE events_before RENAME CONSTRAINT events_pkey TO events_before_pkey;
ALTER INDEX events_by_sequence RENAME TO events_before_by_sequence;
ALTER INDEX events_by_id RENAME TO events_before_by_id;
ALTER TABLE events_positions RENAME TO events_positions_before;
ALTER TABLE events_positions_before RENAME CONSTRAINT events_positions_pkey TO events_positions_before_pkey;
ALTER TABLE events_positions_before RENAME CONSTRAINT events_positions_row_id_key TO events_positions_before_row_id_key;
ALTER TABLE events_personal RENAME TO events_personal_before;
ALTER TABLE events_personal_before RENAME CONSTRAINT events_personal_pkey TO events_personal_before_pkey;
ALTER INDEX events_personal_by_subject RENAME TO events_personal_before_by_subject;
ALTER INDEX events_personal_by_actor RENAME TO events_personal_before_by_actor;

-- occurred_at is in every unique key, as PostgreSQL wants it of partitions; that (tenant, stream, sequence) and (tenant, id)
-- are unique without it follows from how they are drawn.
-- subject_…, actor_…: what the event is about and who made it, for filters. ended: the subject is no more.
-- leaf: SHA-256 of the event, as it enters the chain. subject_seal, actor_seal: salted hashes of what is somebody's, which
-- the leaf is made of, '' where nothing is; they stay when that is erased.
CREATE SEQUENCE events_row_id;
CREATE TABLE events (
    row_id BIGINT NOT NULL DEFAULT nextval('events_row_id'),
    tenant_id UUID NOT NULL,
    stream_id UUID NOT NULL,
    sequence BIGINT NOT NULL,
    id UUID NOT NULL,
    type TEXT COLLATE "C" NOT NULL,
    occurred_at BIGINT NOT NULL,
    subject_kind TEXT COLLATE "C" NOT NULL,
    subject_id TEXT COLLATE "C" NOT NULL,
    actor_kind TEXT COLLATE "C" NOT NULL,
    actor_id TEXT COLLATE "C" NOT NULL,
    ended BOOLEAN NOT NULL,
    payload BYTEA NOT NULL,
    leaf BYTEA NOT NULL,
    subject_seal BYTEA NOT NULL,
    actor_seal BYTEA NOT NULL,
    PRIMARY KEY (row_id, occurred_at)
) PARTITION BY RANGE (occurred_at);
CREATE UNIQUE INDEX events_by_sequence ON events (tenant_id, stream_id, sequence, occurred_at);
CREATE UNIQUE INDEX events_by_id ON events (tenant_id, id, occurred_at);
CREATE INDEX events_by_subject ON events (tenant_id, subject_id, row_id);
CREATE INDEX events_by_actor ON events (tenant_id, actor_id, row_id);

DROP TABLE events_pending; -- whatever has no position yet becomes pending again when it is carried over
CREATE TABLE events_pending (
    row_id BIGINT PRIMARY KEY,
    occurred_at BIGINT NOT NULL
);

-- hash: the stream's chain up to and with this event.
CREATE TABLE events_positions (
    position BIGINT NOT NULL,
    row_id BIGINT NOT NULL,
    occurred_at BIGINT NOT NULL,
    tenant_id UUID NOT NULL,
    stream_id UUID NOT NULL,
    sequence BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    PRIMARY KEY (position, occurred_at)
) PARTITION BY RANGE (occurred_at);
CREATE UNIQUE INDEX events_positions_by_row ON events_positions (row_id, occurred_at);
CREATE INDEX events_positions_by_tenant ON events_positions (tenant_id, position);
CREATE INDEX events_positions_by_stream ON events_positions (tenant_id, stream_id, position);
CREATE INDEX events_positions_by_time ON events_positions (occurred_at);

-- …_salt: what the seal was made with; emptied with what it seals, so that nobody can guess their way back.
CREATE TABLE events_personal (
    tenant_id UUID NOT NULL,
    event_id UUID NOT NULL,
    occurred_at BIGINT NOT NULL,
    subject_id UUID,
    subject_payload BYTEA NOT NULL,
    subject_salt BYTEA NOT NULL,
    actor_id UUID,
    actor_payload BYTEA NOT NULL,
    actor_salt BYTEA NOT NULL,
    PRIMARY KEY (tenant_id, event_id, occurred_at)
) PARTITION BY RANGE (occurred_at);
CREATE INDEX events_personal_by_subject ON events_personal (tenant_id, subject_id) WHERE subject_id IS NOT NULL;
CREATE INDEX events_personal_by_actor ON events_personal (tenant_id, actor_id) WHERE actor_id IS NOT NULL;

-- The end of each stream's chain, and what retention has hidden of the stream: everything up to a sequence, and the chain
-- as it was there.
-- signed_sequence: up to here the last checkpoint covers the stream, or is it. unsigned_since: when the first event after that
-- happened.
CREATE TABLE log_chains (
    stream_id UUID PRIMARY KEY,
    tenant_id UUID NOT NULL,
    sequence BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    hidden_sequence BIGINT NOT NULL DEFAULT 0,
    hidden_hash BYTEA,
    signed_sequence BIGINT NOT NULL DEFAULT 0,
    unsigned_since BIGINT
);

CREATE INDEX log_chains_unsigned ON log_chains (unsigned_since) WHERE unsigned_since IS NOT NULL;

-- Everything up to here was dropped, or may have been.
ALTER TABLE log_head ADD COLUMN dropped_position BIGINT NOT NULL DEFAULT 0;

CREATE OR REPLACE FUNCTION events_append() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO events_pending (row_id, occurred_at) VALUES (NEW.row_id, NEW.occurred_at);
    RETURN NULL;
END $$;
CREATE TRIGGER events_append AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION events_append();
CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE ON events FOR EACH ROW EXECUTE FUNCTION events_append_only();
CREATE TRIGGER events_no_truncate BEFORE TRUNCATE ON events FOR EACH STATEMENT EXECUTE FUNCTION events_append_only();
CREATE TRIGGER events_positions_append_only BEFORE UPDATE OR DELETE ON events_positions
    FOR EACH ROW EXECUTE FUNCTION events_append_only();
CREATE TRIGGER events_positions_no_truncate BEFORE TRUNCATE ON events_positions
    FOR EACH STATEMENT EXECUTE FUNCTION events_append_only();

-- It is emptied, with its salt, and nothing else.
CREATE OR REPLACE FUNCTION events_personal_only_emptied() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.tenant_id = NEW.tenant_id AND OLD.event_id = NEW.event_id
        AND OLD.occurred_at = NEW.occurred_at
        AND OLD.subject_id IS NOT DISTINCT FROM NEW.subject_id AND OLD.actor_id IS NOT DISTINCT FROM NEW.actor_id
        AND (NEW.subject_payload, NEW.subject_salt) IN ((OLD.subject_payload, OLD.subject_salt), (''::BYTEA, ''::BYTEA))
        AND (NEW.actor_payload, NEW.actor_salt) IN ((OLD.actor_payload, OLD.actor_salt), (''::BYTEA, ''::BYTEA))
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'personal data of events is only emptied';
END $$;
CREATE TRIGGER events_personal_only_emptied BEFORE UPDATE OR DELETE ON events_personal
    FOR EACH ROW EXECUTE FUNCTION events_personal_only_emptied();
CREATE TRIGGER events_personal_no_truncate BEFORE TRUNCATE ON events_personal
    FOR EACH STATEMENT EXECUTE FUNCTION events_append_only();

-- What holds events whose month was not made: of clocks that are far off.
CREATE TABLE events_other PARTITION OF events DEFAULT;
CREATE TABLE events_positions_other PARTITION OF events_positions DEFAULT;
CREATE TABLE events_personal_other PARTITION OF events_personal DEFAULT;
CREATE TRIGGER events_personal_other_no_truncate BEFORE TRUNCATE ON events_personal_other
    FOR EACH STATEMENT EXECUTE FUNCTION events_append_only();

-- Makes the partitions of a month: events_2026_11, events_positions_2026_11, events_personal_2026_11. One that cannot be
-- made, for its events are in …_other already, is left out: they stay there.
CREATE FUNCTION log_make_month(month DATE) RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE
    parent TEXT;
    part TEXT;
    since BIGINT := EXTRACT(EPOCH FROM month) * 1000000;
    until BIGINT := EXTRACT(EPOCH FROM month + INTERVAL '1 month') * 1000000;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('roster log_make_month'));
    IF to_regclass('events_' || to_char(month, 'YYYY_MM')) IS NOT NULL THEN
        RETURN;
    END IF;
    FOREACH parent IN ARRAY ARRAY['events', 'events_positions', 'events_personal'] LOOP
        part := parent || '_' || to_char(month, 'YYYY_MM');
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', part, parent);
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)', parent, part, since, until);
        EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION events_append_only()',
            part || '_no_truncate', part);
        IF parent <> 'events_personal' THEN
            EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON %I FROM PUBLIC, CURRENT_USER', part);
        END IF;
    END LOOP;
EXCEPTION WHEN check_violation THEN
    RAISE WARNING 'the partitions of % cannot be made: it has events already', month;
END $$;

-- The months from the present one on, by the database's clock.
CREATE FUNCTION log_make_months(ahead INT) RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
    FOR n IN 0..ahead LOOP
        PERFORM log_make_month((date_trunc('month', now() AT TIME ZONE 'UTC') + n * INTERVAL '1 month')::DATE);
    END LOOP;
END $$;

REVOKE UPDATE, DELETE, TRUNCATE ON events, events_other, events_positions, events_positions_other
    FROM PUBLIC, CURRENT_USER;
SELECT log_make_months(2);
SELECT log_make_month(month) FROM (
    SELECT DISTINCT date_trunc('month', to_timestamp(occurred_at / 1000000) AT TIME ZONE 'UTC')::DATE AS month
    FROM events_before) AS months;
