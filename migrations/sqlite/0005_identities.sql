-- Accounts of identity providers, each linked to one user of a tenant. The end of a user ends them.
CREATE TABLE user_identities (
    tenant_id BLOB NOT NULL,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, issuer, subject),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id)
) STRICT;
CREATE INDEX user_identities_by_user ON user_identities (tenant_id, user_id);
