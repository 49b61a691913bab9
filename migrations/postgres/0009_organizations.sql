-- Branding, feature flags, slugs that are held back, and what a deleted organization comes back with. The same columns
-- and names as for SQLite.

ALTER TABLE organizations ADD COLUMN branding JSONB NOT NULL DEFAULT '{}';
ALTER TABLE organizations ADD COLUMN feature_flags JSONB NOT NULL DEFAULT '{}';
-- deleted_from: the status that a restored one has again. purge_at: the end of its window; none where its deletion began
-- before there was one.
ALTER TABLE organizations ADD COLUMN deleted_from TEXT;
ALTER TABLE organizations ADD COLUMN purge_at BIGINT;
CREATE INDEX organizations_deleting ON organizations (purge_at) WHERE status = 'deleting';
-- A purged organization has no slug.
DROP INDEX organizations_by_slug;
CREATE UNIQUE INDEX organizations_by_slug ON organizations (tenant_id, slug) WHERE status <> 'purged';

-- Slugs that an organization had, held back for it.
CREATE TABLE slugs_held (
    tenant_id UUID NOT NULL REFERENCES tenants (id),
    slug TEXT COLLATE "C" NOT NULL,
    organization_id UUID NOT NULL,
    held_until BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, slug)
);
CREATE INDEX slugs_held_by_time ON slugs_held (held_until);
CREATE INDEX slugs_held_by_organization ON slugs_held (tenant_id, organization_id);

-- What the deletion of an organization took from its members, until it is restored or purged. No references: what is
-- deleted meanwhile does not come back.
CREATE TABLE memberships_kept (
    tenant_id UUID NOT NULL,
    organization_id UUID NOT NULL,
    id UUID NOT NULL,
    status TEXT NOT NULL,
    PRIMARY KEY (tenant_id, organization_id, id)
);
CREATE TABLE membership_roles_kept (
    tenant_id UUID NOT NULL,
    organization_id UUID NOT NULL,
    membership_id UUID NOT NULL,
    scope_id UUID NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    source TEXT NOT NULL,
    source_reference TEXT NOT NULL,
    PRIMARY KEY (tenant_id, organization_id, membership_id, role, source, source_reference)
);
CREATE TABLE team_members_kept (
    tenant_id UUID NOT NULL,
    organization_id UUID NOT NULL,
    team_id UUID NOT NULL,
    membership_id UUID NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, organization_id, membership_id, team_id)
);
-- principal_id: of a membership.
CREATE TABLE grants_kept (
    tenant_id UUID NOT NULL,
    organization_id UUID NOT NULL,
    id UUID NOT NULL,
    principal_id TEXT NOT NULL,
    resource_type TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    role TEXT COLLATE "C",
    scope_id UUID,
    permission TEXT COLLATE "C",
    ends_at BIGINT,
    PRIMARY KEY (tenant_id, organization_id, principal_id, id)
);
