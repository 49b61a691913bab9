-- Domains that organizations claim or have proven. auto_join: the contract's message as JSON. next_check_at: when a sweep
-- looks at it: at a pending one's end, at a verified one's record.
CREATE TABLE domains (
    tenant_id UUID NOT NULL,
    organization_id UUID NOT NULL,
    id UUID NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    status TEXT NOT NULL,
    challenge TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    verified_at BIGINT,
    checked_at BIGINT,
    missing_since BIGINT,
    next_check_at BIGINT,
    auto_join JSONB NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, organization_id, id),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations (tenant_id, id)
);
CREATE UNIQUE INDEX domains_once ON domains (tenant_id, organization_id, name);
CREATE UNIQUE INDEX domains_held ON domains (tenant_id, name) WHERE status = 'verified';
CREATE INDEX domains_to_check ON domains (next_check_at) WHERE next_check_at IS NOT NULL;
