-- scope_id: the organization whose own policy it is, or the tenant for a policy of the tenant.
CREATE TABLE policies (
    tenant_id UUID NOT NULL REFERENCES tenants (id),
    scope_id UUID NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    description TEXT NOT NULL,
    text TEXT NOT NULL,
    effect TEXT NOT NULL, -- as its text says
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, scope_id, name)
);

-- The permissions that a policy names. The reference keeps a permission from being deleted while another transaction
-- puts a policy that names it.
CREATE TABLE policy_permissions (
    tenant_id UUID NOT NULL,
    scope_id UUID NOT NULL,
    policy TEXT COLLATE "C" NOT NULL,
    permission TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, scope_id, policy, permission),
    FOREIGN KEY (tenant_id, scope_id, policy) REFERENCES policies (tenant_id, scope_id, name) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, permission) REFERENCES permissions (tenant_id, slug)
);
CREATE INDEX policy_permissions_by_permission ON policy_permissions (tenant_id, permission);
