-- Retention of the log: for how long a tenant keeps its events, what is kept of an organization in spite of that, and what
-- is left of what was dropped. This engine hides what PostgreSQL drops.

-- 0: for good.
ALTER TABLE tenants ADD COLUMN log_retention_days INTEGER NOT NULL DEFAULT 0;
ALTER TABLE organizations ADD COLUMN legal_hold INTEGER NOT NULL DEFAULT 0;
CREATE INDEX organizations_held ON organizations (tenant_id) WHERE legal_hold;

-- Events up to a stream's hidden_sequence are hidden. hidden_position: none of them has a position beyond this one.
-- hidden_before: all of them had occurred before this, in microseconds.
ALTER TABLE log_chains ADD COLUMN hidden_position INTEGER NOT NULL DEFAULT 0;
ALTER TABLE log_chains ADD COLUMN hidden_before INTEGER NOT NULL DEFAULT 0;
CREATE INDEX log_chains_hidden ON log_chains (tenant_id, hidden_position);
CREATE INDEX log_chains_hidden_before ON log_chains (tenant_id, hidden_before);

-- When something was hidden last, in microseconds, and the last position of all that is hidden. Whoever hides events, or
-- erases a person, holds the row.
CREATE TABLE log_retention (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    hidden_at INTEGER NOT NULL,
    hidden_position INTEGER NOT NULL
) STRICT;
INSERT INTO log_retention (id, hidden_at, hidden_position) VALUES (1, 0, 0);

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
