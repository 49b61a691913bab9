-- Times are microseconds since the Unix epoch, UTC; ids are UUIDv7. The same columns and names as for PostgreSQL.

CREATE TABLE tenants (
    id BLOB PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    display_name TEXT NOT NULL,
    sequence INTEGER NOT NULL, -- of the tenant's own stream
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE api_keys (
    tenant_id BLOB NOT NULL REFERENCES tenants (id),
    id BLOB NOT NULL,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    hash BLOB NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    rotated_at INTEGER,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id)
) STRICT;
-- A key is looked up before its tenant is known.
CREATE UNIQUE INDEX api_keys_by_id ON api_keys (id);

CREATE TABLE users (
    tenant_id BLOB NOT NULL REFERENCES tenants (id),
    id BLOB NOT NULL,
    email TEXT NOT NULL,
    email_key TEXT NOT NULL,
    display_name TEXT NOT NULL,
    external_id TEXT,
    status TEXT NOT NULL,
    metadata TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE UNIQUE INDEX users_by_email ON users (tenant_id, email_key) WHERE status <> 'removed';
CREATE UNIQUE INDEX users_by_external_id ON users (tenant_id, external_id) WHERE status <> 'removed';
CREATE INDEX users_denied ON users (tenant_id, status, updated_at) WHERE status <> 'active';

CREATE TABLE permissions (
    tenant_id BLOB NOT NULL REFERENCES tenants (id),
    slug TEXT NOT NULL,
    description TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, slug)
) STRICT;

-- scope_id: the organization whose own role it is, or the tenant for a role of the tenant.
CREATE TABLE roles (
    tenant_id BLOB NOT NULL REFERENCES tenants (id),
    scope_id BLOB NOT NULL,
    slug TEXT NOT NULL,
    display_name TEXT NOT NULL,
    description TEXT NOT NULL,
    built_in INTEGER NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, scope_id, slug)
) STRICT;

-- catalogued: the permission again where it is a slug of the catalogue, nothing where it is a pattern. The reference
-- keeps a permission from being deleted while another transaction puts it into a role.
CREATE TABLE role_permissions (
    tenant_id BLOB NOT NULL,
    scope_id BLOB NOT NULL,
    role TEXT NOT NULL,
    permission TEXT NOT NULL,
    catalogued TEXT,
    PRIMARY KEY (tenant_id, scope_id, role, permission),
    FOREIGN KEY (tenant_id, scope_id, role) REFERENCES roles (tenant_id, scope_id, slug) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, catalogued) REFERENCES permissions (tenant_id, slug)
) STRICT;
CREATE INDEX role_permissions_by_permission ON role_permissions (tenant_id, catalogued);

CREATE TABLE organizations (
    tenant_id BLOB NOT NULL REFERENCES tenants (id),
    id BLOB NOT NULL,
    slug TEXT NOT NULL,
    display_name TEXT NOT NULL,
    external_id TEXT,
    status TEXT NOT NULL,
    metadata TEXT NOT NULL,
    sequence INTEGER NOT NULL, -- of its stream; drawn under the row's lock
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER,
    PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE UNIQUE INDEX organizations_by_slug ON organizations (tenant_id, slug);
CREATE UNIQUE INDEX organizations_by_external_id ON organizations (tenant_id, external_id);

CREATE TABLE memberships (
    tenant_id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    id BLOB NOT NULL,
    user_id BLOB NOT NULL,
    status TEXT NOT NULL,
    source TEXT NOT NULL,
    status_reason TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, organization_id, id),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations (tenant_id, id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id)
) STRICT;
CREATE UNIQUE INDEX memberships_once ON memberships (tenant_id, organization_id, user_id) WHERE status <> 'removed';
CREATE INDEX memberships_by_user ON memberships (tenant_id, user_id, id);

-- scope_id as in roles.
CREATE TABLE membership_roles (
    tenant_id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    membership_id BLOB NOT NULL,
    scope_id BLOB NOT NULL,
    role TEXT NOT NULL,
    source TEXT NOT NULL,
    PRIMARY KEY (tenant_id, organization_id, membership_id, role, source),
    FOREIGN KEY (tenant_id, organization_id, membership_id) REFERENCES memberships (tenant_id, organization_id, id),
    FOREIGN KEY (tenant_id, scope_id, role) REFERENCES roles (tenant_id, scope_id, slug)
) STRICT;
CREATE INDEX membership_roles_by_role ON membership_roles (tenant_id, scope_id, role, organization_id);
-- The owner floor counts these.
CREATE INDEX membership_roles_owners ON membership_roles (tenant_id, organization_id) WHERE role = 'owner';

CREATE TABLE teams (
    tenant_id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    id BLOB NOT NULL,
    parent_id BLOB,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, organization_id, id),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations (tenant_id, id),
    FOREIGN KEY (tenant_id, organization_id, parent_id) REFERENCES teams (tenant_id, organization_id, id)
) STRICT;
CREATE UNIQUE INDEX teams_by_name ON teams (tenant_id, organization_id, name);
CREATE INDEX teams_by_parent ON teams (tenant_id, organization_id, parent_id);

-- scope_id as in roles.
CREATE TABLE team_roles (
    tenant_id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    team_id BLOB NOT NULL,
    scope_id BLOB NOT NULL,
    role TEXT NOT NULL,
    PRIMARY KEY (tenant_id, organization_id, team_id, role),
    FOREIGN KEY (tenant_id, organization_id, team_id) REFERENCES teams (tenant_id, organization_id, id),
    FOREIGN KEY (tenant_id, scope_id, role) REFERENCES roles (tenant_id, scope_id, slug)
) STRICT;
CREATE INDEX team_roles_by_role ON team_roles (tenant_id, scope_id, role);

CREATE TABLE team_members (
    tenant_id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    team_id BLOB NOT NULL,
    membership_id BLOB NOT NULL,
    role TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, organization_id, team_id, membership_id),
    FOREIGN KEY (tenant_id, organization_id, team_id) REFERENCES teams (tenant_id, organization_id, id),
    FOREIGN KEY (tenant_id, organization_id, membership_id) REFERENCES memberships (tenant_id, organization_id, id)
) STRICT;
CREATE INDEX team_members_by_membership ON team_members (tenant_id, organization_id, membership_id);

-- A principal is a membership, a team or a role; a right is a role or a permission. The scopes as in roles.
CREATE TABLE grants (
    tenant_id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    id BLOB NOT NULL,
    principal_kind TEXT NOT NULL,
    principal_id TEXT NOT NULL,
    principal_role TEXT, -- principal_id again where it is a role
    principal_scope_id BLOB,
    resource_type TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    role TEXT,
    scope_id BLOB,
    permission TEXT,
    ends_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, organization_id, id),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations (tenant_id, id),
    FOREIGN KEY (tenant_id, principal_scope_id, principal_role) REFERENCES roles (tenant_id, scope_id, slug),
    FOREIGN KEY (tenant_id, scope_id, role) REFERENCES roles (tenant_id, scope_id, slug),
    FOREIGN KEY (tenant_id, permission) REFERENCES permissions (tenant_id, slug)
) STRICT;
CREATE UNIQUE INDEX grants_once ON grants (tenant_id, organization_id, principal_kind, principal_id, resource_type,
    resource_id, COALESCE(role, ''), COALESCE(permission, ''));
CREATE INDEX grants_by_role ON grants (tenant_id, scope_id, role);
CREATE INDEX grants_by_principal_role ON grants (tenant_id, principal_scope_id, principal_role);
CREATE INDEX grants_by_permission ON grants (tenant_id, permission);

-- The log. stream_id: the organization, or the tenant for its own stream. payload: the envelope in protobuf, without
-- position and stream epoch, which are appended to it when it is read.
CREATE TABLE events (
    row_id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id BLOB NOT NULL,
    stream_id BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    id BLOB NOT NULL,
    type TEXT NOT NULL,
    occurred_at INTEGER NOT NULL,
    payload BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX events_by_sequence ON events (tenant_id, stream_id, sequence);
CREATE UNIQUE INDEX events_by_id ON events (tenant_id, id);

-- Events that have no position yet. Nothing can append an event and forget this: the trigger does it.
CREATE TABLE events_pending (
    row_id INTEGER PRIMARY KEY
) STRICT;
CREATE TABLE events_positions (
    position INTEGER PRIMARY KEY,
    row_id INTEGER NOT NULL UNIQUE
) STRICT;

CREATE TRIGGER events_append AFTER INSERT ON events
BEGIN
    INSERT INTO events_pending (row_id) VALUES (NEW.row_id);
END;

CREATE TRIGGER events_no_update BEFORE UPDATE ON events
BEGIN
    SELECT RAISE(ABORT, 'the log is append-only');
END;
CREATE TRIGGER events_no_delete BEFORE DELETE ON events
BEGIN
    SELECT RAISE(ABORT, 'the log is append-only');
END;

-- One row: how far the log is numbered, by which leader, and which log it is.
CREATE TABLE log_head (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    position INTEGER NOT NULL,
    leader_epoch INTEGER NOT NULL,
    stream_epoch BLOB NOT NULL
) STRICT;

-- One row: who leads, until when by the database's clock.
CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

-- How far each sink (cluster/topic) has everything, by which leader.
CREATE TABLE relay_cursors (
    sink TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    leader_epoch INTEGER NOT NULL
) STRICT;
