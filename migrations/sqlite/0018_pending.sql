-- What gives events their positions needs nothing of the log itself: all that it asks of an event waits with it, however
-- long the log is.
DROP TRIGGER events_append;
ALTER TABLE events_pending RENAME TO events_pending_before;
CREATE TABLE events_pending (
    row_id INTEGER PRIMARY KEY,
    occurred_at INTEGER NOT NULL,
    tenant_id BLOB NOT NULL,
    stream_id BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    leaf BLOB NOT NULL
) STRICT;
INSERT INTO events_pending (row_id, occurred_at, tenant_id, stream_id, sequence, leaf)
    SELECT e.row_id, e.occurred_at, e.tenant_id, e.stream_id, e.sequence, e.leaf
    FROM events_pending_before p JOIN events e ON e.row_id = p.row_id;
DROP TABLE events_pending_before;

CREATE TRIGGER events_append AFTER INSERT ON events
BEGIN
    INSERT INTO events_pending (row_id, occurred_at, tenant_id, stream_id, sequence, leaf)
        VALUES (NEW.row_id, NEW.occurred_at, NEW.tenant_id, NEW.stream_id, NEW.sequence, NEW.leaf);
END;
