-- scope_id: the organization whose own policy it is, or the tenant for a policy of the tenant.
CREATE TABLE policies (
    tenant_id BLOB NOT NULL REFERENCES tenants (id),
    scope_id BLOB NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    text TEXT NOT NULL,
    effect TEXT NOT NULL, -- as its text says
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, scope_id, name)
) STRICT;

-- The permissions that a policy names. The reference keeps a permission from being deleted while another transaction
-- puts a policy that names it.
CREATE TABLE policy_permissions (
    tenant_id BLOB NOT NULL,
    scope_id BLOB NOT NULL,
    policy TEXT NOT NULL,
    permission TEXT NOT NULL,
    PRIMARY KEY (tenant_id, scope_id, policy, permission),
    FOREIGN KEY (tenant_id, scope_id, policy) REFERENCES policies (tenant_id, scope_id, name) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, permission) REFERENCES permissions (tenant_id, slug)
) STRICT;
CREATE INDEX policy_permissions_by_permission ON policy_permissions (tenant_id, permission);
