-- A hash chain per stream, and what filters ask for. The tables of before become …_before; the service carries their rows
-- over when it starts, for what the new columns hold is computed from the events themselves.

ALTER TABLE events RENAME TO events_before;
ALTER TABLE events_positions RENAME TO events_positions_before;
ALTER TABLE events_personal RENAME TO events_personal_before;
DROP INDEX events_by_sequence;
DROP INDEX events_by_id;
DROP INDEX events_personal_by_subject;
DROP INDEX events_personal_by_actor;
DROP TRIGGER events_append;
DROP TRIGGER events_no_update;
DROP TRIGGER events_no_delete;
DROP TRIGGER events_personal_only_emptied;
DROP TRIGGER events_personal_no_delete;

-- subject_…, actor_…: what the event is about and who made it, for filters. ended: the subject is no more.
-- leaf: SHA-256 of the event, as it enters the chain. subject_seal, actor_seal: salted hashes of what is somebody's, which
-- the leaf is made of, '' where nothing is; they stay when that is erased.
CREATE TABLE events (
    row_id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id BLOB NOT NULL,
    stream_id BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    id BLOB NOT NULL,
    type TEXT NOT NULL,
    occurred_at INTEGER NOT NULL,
    subject_kind TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    ended INTEGER NOT NULL,
    payload BLOB NOT NULL,
    leaf BLOB NOT NULL,
    subject_seal BLOB NOT NULL,
    actor_seal BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX events_by_sequence ON events (tenant_id, stream_id, sequence);
CREATE UNIQUE INDEX events_by_id ON events (tenant_id, id);
CREATE INDEX events_by_subject ON events (tenant_id, subject_id, row_id);
CREATE INDEX events_by_actor ON events (tenant_id, actor_id, row_id);

DROP TABLE events_pending; -- whatever has no position yet becomes pending again when it is carried over
CREATE TABLE events_pending (
    row_id INTEGER PRIMARY KEY,
    occurred_at INTEGER NOT NULL
) STRICT;

-- hash: the stream's chain up to and with this event.
CREATE TABLE events_positions (
    position INTEGER PRIMARY KEY,
    row_id INTEGER NOT NULL UNIQUE,
    occurred_at INTEGER NOT NULL,
    tenant_id BLOB NOT NULL,
    stream_id BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    hash BLOB NOT NULL
) STRICT;
CREATE INDEX events_positions_by_tenant ON events_positions (tenant_id, position);
CREATE INDEX events_positions_by_stream ON events_positions (tenant_id, stream_id, position);
CREATE INDEX events_positions_by_time ON events_positions (occurred_at);

-- …_salt: what the seal was made with; emptied with what it seals, so that nobody can guess their way back.
CREATE TABLE events_personal (
    tenant_id BLOB NOT NULL,
    event_id BLOB NOT NULL,
    occurred_at INTEGER NOT NULL,
    subject_id BLOB,
    subject_payload BLOB NOT NULL,
    subject_salt BLOB NOT NULL,
    actor_id BLOB,
    actor_payload BLOB NOT NULL,
    actor_salt BLOB NOT NULL,
    PRIMARY KEY (tenant_id, event_id)
) STRICT;
CREATE INDEX events_personal_by_subject ON events_personal (tenant_id, subject_id) WHERE subject_id IS NOT NULL;
CREATE INDEX events_personal_by_actor ON events_personal (tenant_id, actor_id) WHERE actor_id IS NOT NULL;

-- The end of each stream's chain, and what retention has hidden of the stream: everything up to a sequence, and the chain
-- as it was there.
-- signed_sequence: up to here the last checkpoint covers the stream, or is it. unsigned_since: when the first event after that
-- happened.
CREATE TABLE log_chains (
    stream_id BLOB PRIMARY KEY,
    tenant_id BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    hash BLOB NOT NULL,
    hidden_sequence INTEGER NOT NULL DEFAULT 0,
    hidden_hash BLOB,
    signed_sequence INTEGER NOT NULL DEFAULT 0,
    unsigned_since INTEGER
) STRICT;

CREATE INDEX log_chains_unsigned ON log_chains (unsigned_since) WHERE unsigned_since IS NOT NULL;

-- Everything up to here was dropped, or may have been.
ALTER TABLE log_head ADD COLUMN dropped_position INTEGER NOT NULL DEFAULT 0;

CREATE TRIGGER events_append AFTER INSERT ON events
BEGIN
    INSERT INTO events_pending (row_id, occurred_at) VALUES (NEW.row_id, NEW.occurred_at);
END;

CREATE TRIGGER events_no_update BEFORE UPDATE ON events
BEGIN
    SELECT RAISE(ABORT, 'the log is append-only');
END;
CREATE TRIGGER events_no_delete BEFORE DELETE ON events
BEGIN
    SELECT RAISE(ABORT, 'the log is append-only');
END;
CREATE TRIGGER events_positions_no_update BEFORE UPDATE ON events_positions
BEGIN
    SELECT RAISE(ABORT, 'the log is append-only');
END;
CREATE TRIGGER events_positions_no_delete BEFORE DELETE ON events_positions
BEGIN
    SELECT RAISE(ABORT, 'the log is append-only');
END;

-- It is emptied, with its salt, and nothing else.
CREATE TRIGGER events_personal_only_emptied BEFORE UPDATE ON events_personal
WHEN OLD.tenant_id <> NEW.tenant_id OR OLD.event_id <> NEW.event_id OR OLD.occurred_at <> NEW.occurred_at
    OR OLD.subject_id IS NOT NEW.subject_id OR OLD.actor_id IS NOT NEW.actor_id
    OR NOT (NEW.subject_payload = OLD.subject_payload AND NEW.subject_salt = OLD.subject_salt
        OR NEW.subject_payload = X'' AND NEW.subject_salt = X'')
    OR NOT (NEW.actor_payload = OLD.actor_payload AND NEW.actor_salt = OLD.actor_salt
        OR NEW.actor_payload = X'' AND NEW.actor_salt = X'')
BEGIN
    SELECT RAISE(ABORT, 'personal data of events is only emptied');
END;
CREATE TRIGGER events_personal_no_delete BEFORE DELETE ON events_personal
BEGIN
    SELECT RAISE(ABORT, 'personal data of events is only emptied');
END;
