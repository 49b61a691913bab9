-- Branding, feature flags, slugs that are held back, and what a deleted organization comes back with. The same columns
-- and names as for PostgreSQL.

ALTER TABLE organizations ADD COLUMN branding TEXT NOT NULL DEFAULT '{}';
ALTER TABLE organizations ADD COLUMN feature_flags TEXT NOT NULL DEFAULT '{}';
-- deleted_from: the status that a restored one has again. purge_at: the end of its window; none where its deletion began
-- before there was one.
ALTER TABLE organizations ADD COLUMN deleted_from TEXT;
ALTER TABLE organizations ADD COLUMN purge_at INTEGER;
CREATE INDEX organizations_deleting ON organizations (purge_at) WHERE status = 'deleting';
-- A purged organization has no slug.
DROP INDEX organizations_by_slug;
CREATE UNIQUE INDEX organizations_by_slug ON organizations (tenant_id, slug) WHERE status <> 'purged';

-- Slugs that an organization had, held back for it.
CREATE TABLE slugs_held (
    tenant_id BLOB NOT NULL REFERENCES tenants (id),
    slug TEXT NOT NULL,
    organization_id BLOB NOT NULL,
    held_until INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, slug)
) STRICT;
CREATE INDEX slugs_held_by_time ON slugs_held (held_until);
CREATE INDEX slugs_held_by_organization ON slugs_held (tenant_id, organization_id);

-- What the deletion of an organization took from its members, until it is restored or purged. No references: what is
-- deleted meanwhile does not come back.
CREATE TABLE memberships_kept (
    tenant_id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    id BLOB NOT NULL,
    status TEXT NOT NULL,
    PRIMARY KEY (tenant_id, organization_id, id)
) STRICT;
CREATE TABLE membership_roles_kept (
    tenant_id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    membership_id BLOB NOT NULL,
    scope_id BLOB NOT NULL,
    role TEXT NOT NULL,
    source TEXT NOT NULL,
    source_reference TEXT NOT NULL,
    PRIMARY KEY (tenant_id, organization_id, membership_id, role, source, source_reference)
) STRICT;
CREATE TABLE team_members_kept (
    tenant_id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    team_id BLOB NOT NULL,
    membership_id BLOB NOT NULL,
    role TEXT NOT NULL,
    PRIMARY KEY (tenant_id, organization_id, membership_id, team_id)
) STRICT;
-- principal_id: of a membership.
CREATE TABLE grants_kept (
    tenant_id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    id BLOB NOT NULL,
    principal_id TEXT NOT NULL,
    resource_type TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    role TEXT,
    scope_id BLOB,
    permission TEXT,
    ends_at INTEGER,
    PRIMARY KEY (tenant_id, organization_id, principal_id, id)
) STRICT;
