-- Resources that applications registered, each with its parent. Types and ids sort by their bytes.
CREATE TABLE resources (
    tenant_id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    type TEXT NOT NULL,
    id TEXT NOT NULL,
    parent_type TEXT,
    parent_id TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, organization_id, type, id),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations (tenant_id, id),
    FOREIGN KEY (tenant_id, organization_id, parent_type, parent_id)
        REFERENCES resources (tenant_id, organization_id, type, id)
) STRICT;
-- What is below a resource, in the order in which it is listed. Only of those that have a parent: so no planner without
-- statistics takes it for the primary key, whose columns it has as well.
CREATE INDEX resources_by_parent ON resources (tenant_id, organization_id, parent_type, parent_id, type, id)
    WHERE parent_id IS NOT NULL;

-- The grants on a resource: to end them with it. A grant needs no registered resource, so there is no reference.
CREATE INDEX grants_by_resource ON grants (tenant_id, organization_id, resource_type, resource_id);
