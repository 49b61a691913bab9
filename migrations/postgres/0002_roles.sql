-- Settings of roles, Roster's own permissions, and assignments per source and reference. The same columns and names as
-- for SQLite. Tenants from before get what they miss from the service when it starts, with events.

-- role_priority: slugs of the tenant's roles, highest first; empty until the service has set it.
ALTER TABLE tenants
    ADD COLUMN role_mode TEXT NOT NULL DEFAULT 'union',
    ADD COLUMN default_role TEXT COLLATE "C" NOT NULL DEFAULT 'member',
    ADD COLUMN role_priority JSONB NOT NULL DEFAULT '[]';

-- default_role: '' where the tenant's is followed. role_priority: the organization's own roles, highest first.
ALTER TABLE organizations
    ADD COLUMN default_role TEXT COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN role_priority JSONB NOT NULL DEFAULT '[]';
CREATE INDEX organizations_by_default_role ON organizations (tenant_id, default_role) WHERE default_role <> '';

ALTER TABLE permissions ADD COLUMN built_in BOOLEAN NOT NULL DEFAULT FALSE;

-- source_reference: '' where the source has none.
ALTER TABLE membership_roles ADD COLUMN source_reference TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE membership_roles DROP CONSTRAINT membership_roles_pkey;
ALTER TABLE membership_roles
    ADD PRIMARY KEY (tenant_id, organization_id, membership_id, role, source, source_reference);
