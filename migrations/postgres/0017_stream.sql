-- Why nothing is published to a sink, if so: what was found in its topic speaks against it.
ALTER TABLE relay_cursors ADD COLUMN refused TEXT NOT NULL DEFAULT '';

-- The public halves of the keys that the log was signed with, and when a replica with each was last there.
CREATE TABLE audit_signers (
    verifier TEXT PRIMARY KEY,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL
);
