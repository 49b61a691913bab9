-- Times are microseconds since the Unix epoch, UTC; ids are UUIDv7. The same columns and names as for SQLite.
-- Slugs sort by their bytes, whatever the database's language.

CREATE TABLE tenants (
    id UUID PRIMARY KEY,
    slug TEXT COLLATE "C" NOT NULL UNIQUE,
    display_name TEXT NOT NULL,
    sequence BIGINT NOT NULL, -- of the tenant's own stream
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE api_keys (
    tenant_id UUID NOT NULL REFERENCES tenants (id),
    id UUID NOT NULL,
    name TEXT NOT NULL,
    scopes JSONB NOT NULL,
    hash BYTEA NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    rotated_at BIGINT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
-- A key is looked up before its tenant is known.
CREATE UNIQUE INDEX api_keys_by_id ON api_keys (id);

CREATE TABLE users (
    tenant_id UUID NOT NULL REFERENCES tenants (id),
    id UUID NOT NULL,
    email TEXT NOT NULL,
    email_key TEXT NOT NULL,
    display_name TEXT NOT NULL,
    external_id TEXT,
    status TEXT NOT NULL,
    metadata JSONB NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX users_by_email ON users (tenant_id, email_key) WHERE status <> 'removed';
CREATE UNIQUE INDEX users_by_external_id ON users (tenant_id, external_id) WHERE status <> 'removed';
CREATE INDEX users_denied ON users (tenant_id, status, updated_at) WHERE status <> 'active';

CREATE TABLE permissions (
    tenant_id UUID NOT NULL REFERENCES tenants (id),
    slug TEXT COLLATE "C" NOT NULL,
    description TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, slug)
);

-- scope_id: the organization whose own role it is, or the tenant for a role of the tenant.
CREATE TABLE roles (
    tenant_id UUID NOT NULL REFERENCES tenants (id),
    scope_id UUID NOT NULL,
    slug TEXT COLLATE "C" NOT NULL,
    display_name TEXT NOT NULL,
    description TEXT NOT NULL,
    built_in BOOLEAN NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, scope_id, slug)
);

-- catalogued: the permission again where it is a slug of the catalogue, nothing where it is a pattern. The reference
-- keeps a permission from being deleted while another transaction puts it into a role.
CREATE TABLE role_permissions (
    tenant_id UUID NOT NULL,
    scope_id UUID NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    permission TEXT COLLATE "C" NOT NULL,
    catalogued TEXT COLLATE "C",
    PRIMARY KEY (tenant_id, scope_id, role, permission),
    FOREIGN KEY (tenant_id, scope_id, role) REFERENCES roles (tenant_id, scope_id, slug) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, catalogued) REFERENCES permissions (tenant_id, slug)
);
CREATE INDEX role_permissions_by_permission ON role_permissions (tenant_id, catalogued);

CREATE TABLE organizations (
    tenant_id UUID NOT NULL REFERENCES tenants (id),
    id UUID NOT NULL,
    slug TEXT COLLATE "C" NOT NULL,
    display_name TEXT NOT NULL,
    external_id TEXT,
    status TEXT NOT NULL,
    metadata JSONB NOT NULL,
    sequence BIGINT NOT NULL, -- of its stream; drawn under the row's lock
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX organizations_by_slug ON organizations (tenant_id, slug);
CREATE UNIQUE INDEX organizations_by_external_id ON organizations (tenant_id, external_id);

CREATE TABLE memberships (
    tenant_id UUID NOT NULL,
    organization_id UUID NOT NULL,
    id UUID NOT NULL,
    user_id UUID NOT NULL,
    status TEXT NOT NULL,
    source TEXT NOT NULL,
    status_reason TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, organization_id, id),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations (tenant_id, id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id)
);
CREATE UNIQUE INDEX memberships_once ON memberships (tenant_id, organization_id, user_id) WHERE status <> 'removed';
CREATE INDEX memberships_by_user ON memberships (tenant_id, user_id, id);

-- scope_id as in roles.
CREATE TABLE membership_roles (
    tenant_id UUID NOT NULL,
    organization_id UUID NOT NULL,
    membership_id UUID NOT NULL,
    scope_id UUID NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    source TEXT NOT NULL,
    PRIMARY KEY (tenant_id, organization_id, membership_id, role, source),
    FOREIGN KEY (tenant_id, organization_id, membership_id) REFERENCES memberships (tenant_id, organization_id, id),
    FOREIGN KEY (tenant_id, scope_id, role) REFERENCES roles (tenant_id, scope_id, slug)
);
CREATE INDEX membership_roles_by_role ON membership_roles (tenant_id, scope_id, role, organization_id);
-- The owner floor counts these.
CREATE INDEX membership_roles_owners ON membership_roles (tenant_id, organization_id) WHERE role = 'owner';

CREATE TABLE teams (
    tenant_id UUID NOT NULL,
    organization_id UUID NOT NULL,
    id UUID NOT NULL,
    parent_id UUID,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, organization_id, id),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations (tenant_id, id),
    FOREIGN KEY (tenant_id, organization_id, parent_id) REFERENCES teams (tenant_id, organization_id, id)
);
CREATE UNIQUE INDEX teams_by_name ON teams (tenant_id, organization_id, name);
CREATE INDEX teams_by_parent ON teams (tenant_id, organization_id, parent_id);

-- scope_id as in roles.
CREATE TABLE team_roles (
    tenant_id UUID NOT NULL,
    organization_id UUID NOT NULL,
    team_id UUID NOT NULL,
    scope_id UUID NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, organization_id, team_id, role),
    FOREIGN KEY (tenant_id, organization_id, team_id) REFERENCES teams (tenant_id, organization_id, id),
    FOREIGN KEY (tenant_id, scope_id, role) REFERENCES roles (tenant_id, scope_id, slug)
);
CREATE INDEX team_roles_by_role ON team_roles (tenant_id, scope_id, role);

CREATE TABLE team_members (
    tenant_id UUID NOT NULL,
    organization_id UUID NOT NULL,
    team_id UUID NOT NULL,
    membership_id UUID NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, organization_id, team_id, membership_id),
    FOREIGN KEY (tenant_id, organization_id, team_id) REFERENCES teams (tenant_id, organization_id, id),
    FOREIGN KEY (tenant_id, organization_id, membership_id) REFERENCES memberships (tenant_id, organization_id, id)
);
CREATE INDEX team_members_by_membership ON team_members (tenant_id, organization_id, membership_id);

-- A principal is a membership, a team or a role; a right is a role or a permission. The scopes as in roles.
CREATE TABLE grants (
    tenant_id UUID NOT NULL,
    organization_id UUID NOT NULL,
    id UUID NOT NULL,
    principal_kind TEXT NOT NULL,
    principal_id TEXT NOT NULL,
    principal_role TEXT COLLATE "C", -- principal_id again where it is a role
    principal_scope_id UUID,
    resource_type TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    role TEXT COLLATE "C",
    scope_id UUID,
    permission TEXT COLLATE "C",
    ends_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, organization_id, id),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations (tenant_id, id),
    FOREIGN KEY (tenant_id, principal_scope_id, principal_role) REFERENCES roles (tenant_id, scope_id, slug),
    FOREIGN KEY (tenant_id, scope_id, role) REFERENCES roles (tenant_id, scope_id, slug),
    FOREIGN KEY (tenant_id, permission) REFERENCES permissions (tenant_id, slug)
);
CREATE UNIQUE INDEX grants_once ON grants (tenant_id, organization_id, principal_kind, principal_id, resource_type,
    resource_id, COALESCE(role, ''), COALESCE(permission, ''));
CREATE INDEX grants_by_role ON grants (tenant_id, scope_id, role);
CREATE INDEX grants_by_principal_role ON grants (tenant_id, principal_scope_id, principal_role);
CREATE INDEX grants_by_permission ON grants (tenant_id, permission);

-- The log. stream_id: the organization, or the tenant for its own stream. payload: the envelope in protobuf, without
-- position and stream epoch, which are appended to it when it is read.
CREATE TABLE events (
    row_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id UUID NOT NULL,
    stream_id UUID NOT NULL,
    sequence BIGINT NOT NULL,
    id UUID NOT NULL,
    type TEXT NOT NULL,
    occurred_at BIGINT NOT NULL,
    payload BYTEA NOT NULL
);
CREATE UNIQUE INDEX events_by_sequence ON events (tenant_id, stream_id, sequence);
CREATE UNIQUE INDEX events_by_id ON events (tenant_id, id);

-- Events that have no position yet. Nothing can append an event and forget this: the trigger does it.
CREATE TABLE events_pending (
    row_id BIGINT PRIMARY KEY
);
CREATE TABLE events_positions (
    position BIGINT PRIMARY KEY,
    row_id BIGINT NOT NULL UNIQUE
);

CREATE FUNCTION events_append() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO events_pending (row_id) VALUES (NEW.row_id);
    RETURN NULL;
END $$;
CREATE TRIGGER events_append AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION events_append();

CREATE FUNCTION events_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the log is append-only';
END $$;
CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE ON events FOR EACH ROW EXECUTE FUNCTION events_append_only();
CREATE TRIGGER events_no_truncate BEFORE TRUNCATE ON events FOR EACH STATEMENT EXECUTE FUNCTION events_append_only();
REVOKE UPDATE, DELETE, TRUNCATE ON events FROM PUBLIC, CURRENT_USER;

-- One row: how far the log is numbered, by which leader, and which log it is.
CREATE TABLE log_head (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    position BIGINT NOT NULL,
    leader_epoch BIGINT NOT NULL,
    stream_epoch UUID NOT NULL
);

-- One row: who leads, until when by the database's clock.
CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- How far each sink (cluster/topic) has everything, by which leader.
CREATE TABLE relay_cursors (
    sink TEXT PRIMARY KEY,
    position BIGINT NOT NULL,
    leader_epoch BIGINT NOT NULL
);
