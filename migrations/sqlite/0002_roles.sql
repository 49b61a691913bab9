-- Settings of roles, Roster's own permissions, and assignments per source and reference. The same columns and names as
-- for PostgreSQL. Tenants from before get what they miss from the service when it starts, with events.

-- role_priority: slugs of the tenant's roles, highest first; empty until the service has set it.
ALTER TABLE tenants ADD COLUMN role_mode TEXT NOT NULL DEFAULT 'union';
ALTER TABLE tenants ADD COLUMN default_role TEXT NOT NULL DEFAULT 'member';
ALTER TABLE tenants ADD COLUMN role_priority TEXT NOT NULL DEFAULT '[]';

-- default_role: '' where the tenant's is followed. role_priority: the organization's own roles, highest first.
ALTER TABLE organizations ADD COLUMN default_role TEXT NOT NULL DEFAULT '';
ALTER TABLE organizations ADD COLUMN role_priority TEXT NOT NULL DEFAULT '[]';
CREATE INDEX organizations_by_default_role ON organizations (tenant_id, default_role) WHERE default_role <> '';

ALTER TABLE permissions ADD COLUMN built_in INTEGER NOT NULL DEFAULT 0;

-- A key cannot be changed in place. source_reference: '' where the source has none.
CREATE TABLE membership_roles_anew (
    tenant_id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    membership_id BLOB NOT NULL,
    scope_id BLOB NOT NULL,
    role TEXT NOT NULL,
    source TEXT NOT NULL,
    source_reference TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, organization_id, membership_id, role, source, source_reference),
    FOREIGN KEY (tenant_id, organization_id, membership_id) REFERENCES memberships (tenant_id, organization_id, id),
    FOREIGN KEY (tenant_id, scope_id, role) REFERENCES roles (tenant_id, scope_id, slug)
) STRICT;
INSERT INTO membership_roles_anew (tenant_id, organization_id, membership_id, scope_id, role, source)
    SELECT tenant_id, organization_id, membership_id, scope_id, role, source FROM membership_roles;
DROP TABLE membership_roles;
ALTER TABLE membership_roles_anew RENAME TO membership_roles;
CREATE INDEX membership_roles_by_role ON membership_roles (tenant_id, scope_id, role, organization_id);
-- The owner floor counts these.
CREATE INDEX membership_roles_owners ON membership_roles (tenant_id, organization_id) WHERE role = 'owner';
