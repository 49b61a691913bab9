-- Domains that organizations claim or have proven. auto_join: the contract's message as JSON. next_check_at: when a sweep
-- looks at it: at a pending one's end, at a verified one's record.
CREATE TABLE domains (
    tenant_id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    id BLOB NOT NULL,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    challenge TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    verified_at INTEGER,
    checked_at INTEGER,
    missing_since INTEGER,
    next_check_at INTEGER,
    auto_join TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, organization_id, id),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations (tenant_id, id)
) STRICT;
CREATE UNIQUE INDEX domains_once ON domains (tenant_id, organization_id, name);
CREATE UNIQUE INDEX domains_held ON domains (tenant_id, name) WHERE status = 'verified';
CREATE INDEX domains_to_check ON domains (next_check_at) WHERE next_check_at IS NOT NULL;
