-- Retention of the log: for how long a tenant keeps its events, what is kept of an organization in spite of that, and what
-- is left of what was dropped. This engine hides what PostgreSQL drops.

-- 0: for good.
ALTER TABLE tenants ADD COLUMN log_retention_days INTEGER NOT NULL DEFAULT 0;
ALTER TABLE organizations ADD COLUMN legal_hold INTEGER NOT NULL DEFAULT 0;
CREATE INDEX organizations_held ON organizations (tenant_id) WHERE legal_hold;

-- Events up to a stream's dropped_sequence are hidden. dropped_position: where that one stands in the whole log.
ALTER TABLE log_chains ADD COLUMN dropped_position INTEGER NOT NULL DEFAULT 0;
CREATE INDEX log_chains_dropped ON log_chains (tenant_id, dropped_position);

-- dropped_before: whatever was dropped of the stream had occurred before this, in microseconds.
ALTER TABLE log_chains ADD COLUMN dropped_before INTEGER NOT NULL DEFAULT 0;
CREATE INDEX log_chains_dropped_before ON log_chains (tenant_id, dropped_before);

-- When something was hidden last, in microseconds; whoever hides events holds the row.
CREATE TABLE log_retention (id INTEGER PRIMARY KEY CHECK (id = 1), retired_at INTEGER NOT NULL) STRICT;
INSERT INTO log_retention (id, retired_at) VALUES (1, 0);

-- Of each thing that there was where a stream was cut off, the last event before that: so the state can still be rebuilt.
-- What is somebody's is emptied as it is beside the log.
CREATE TABLE events_base (
    tenant_id BLOB NOT NULL,
    stream_id BLOB NOT NULL,
    subject_kind TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    position INTEGER NOT NULL,
    id BLOB NOT NULL,
    payload BLOB NOT NULL,
    person_id BLOB,
    person_payload BLOB,
    caller_id BLOB,
    caller_payload BLOB,
    PRIMARY KEY (tenant_id, stream_id, subject_kind, subject_id)
) STRICT;
CREATE INDEX events_base_by_sequence ON events_base (tenant_id, stream_id, sequence);
CREATE INDEX events_base_by_position ON events_base (position);
CREATE INDEX events_base_by_person ON events_base (tenant_id, person_id) WHERE person_id IS NOT NULL;
CREATE INDEX events_base_by_caller ON events_base (tenant_id, caller_id) WHERE caller_id IS NOT NULL;
