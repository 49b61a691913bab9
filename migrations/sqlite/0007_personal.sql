-- Users: where a suspended one stood before (nothing: active), and when the personal fields were emptied.
ALTER TABLE users ADD COLUMN suspended_from TEXT;
ALTER TABLE users ADD COLUMN erased_at INTEGER;

-- The personal data of events, apart from them: the log itself is never changed. What an event says of the user whom it
-- is about (subject_…), and of the user whose call made it (actor_…): fields of the envelope in protobuf, which are
-- appended to it when it is read. Empty with an id: erased.
CREATE TABLE events_personal (
    tenant_id BLOB NOT NULL,
    event_id BLOB NOT NULL,
    subject_id BLOB,
    subject_payload BLOB NOT NULL,
    actor_id BLOB,
    actor_payload BLOB NOT NULL,
    PRIMARY KEY (tenant_id, event_id)
) STRICT;
CREATE INDEX events_personal_by_subject ON events_personal (tenant_id, subject_id) WHERE subject_id IS NOT NULL;
CREATE INDEX events_personal_by_actor ON events_personal (tenant_id, actor_id) WHERE actor_id IS NOT NULL;

-- It is emptied, and nothing else.
CREATE TRIGGER events_personal_only_emptied BEFORE UPDATE ON events_personal
WHEN OLD.tenant_id <> NEW.tenant_id OR OLD.event_id <> NEW.event_id
    OR OLD.subject_id IS NOT NEW.subject_id OR OLD.actor_id IS NOT NEW.actor_id
    OR NEW.subject_payload NOT IN (OLD.subject_payload, X'') OR NEW.actor_payload NOT IN (OLD.actor_payload, X'')
BEGIN
    SELECT RAISE(ABORT, 'personal data of events is only emptied');
END;
CREATE TRIGGER events_personal_no_delete BEFORE DELETE ON events_personal
BEGIN
    SELECT RAISE(ABORT, 'personal data of events is only emptied');
END;
