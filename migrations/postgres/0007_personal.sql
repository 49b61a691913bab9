-- Users: where a suspended one stood before (nothing: active), and when the personal fields were emptied.
ALTER TABLE users ADD COLUMN suspended_from TEXT;
ALTER TABLE users ADD COLUMN erased_at BIGINT;

-- The personal data of events, apart from them: the log itself is never changed. What an event says of the user whom it
-- is about (subject_…), and of the user whose call made it (actor_…): fields of the envelope in protobuf, which are
-- appended to it when it is read. Empty with an id: erased.
CREATE TABLE events_personal (
    tenant_id UUID NOT NULL,
    event_id UUID NOT NULL,
    subject_id UUID,
    subject_payload BYTEA NOT NULL,
    actor_id UUID,
    actor_payload BYTEA NOT NULL,
    PRIMARY KEY (tenant_id, event_id)
);
CREATE INDEX events_personal_by_subject ON events_personal (tenant_id, subject_id) WHERE subject_id IS NOT NULL;
CREATE INDEX events_personal_by_actor ON events_personal (tenant_id, actor_id) WHERE actor_id IS NOT NULL;

-- It is emptied, and nothing else.
CREATE FUNCTION events_personal_only_emptied() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.tenant_id = NEW.tenant_id AND OLD.event_id = NEW.event_id
        AND OLD.subject_id IS NOT DISTINCT FROM NEW.subject_id AND OLD.actor_id IS NOT DISTINCT FROM NEW.actor_id
        AND NEW.subject_payload IN (OLD.subject_payload, ''::BYTEA)
        AND NEW.actor_payload IN (OLD.actor_payload, ''::BYTEA)
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'personal data of events is only emptied';
END $$;
CREATE TRIGGER events_personal_only_emptied BEFORE UPDATE OR DELETE ON events_personal
    FOR EACH ROW EXECUTE FUNCTION events_personal_only_emptied();
CREATE TRIGGER events_personal_no_truncate BEFORE TRUNCATE ON events_personal
    FOR EACH STATEMENT EXECUTE FUNCTION events_append_only();
