-- Resources that applications registered, each with its parent. Types and ids sort by their bytes.
CREATE TABLE resources (
    tenant_id UUID NOT NULL,
    organization_id UUID NOT NULL,
    type TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    parent_type TEXT COLLATE "C",
    parent_id TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, organization_id, type, id),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations (tenant_id, id),
    FOREIGN KEY (tenant_id, organization_id, parent_type, parent_id)
        REFERENCES resources (tenant_id, organization_id, type, id)
);
-- What is below a resource, in the order in which it is listed. Only of those that have a parent: so no planner without
-- statistics takes it for the primary key, whose columns it has as well.
CREATE INDEX resources_by_parent ON resources (tenant_id, organization_id, parent_type, parent_id, type, id)
    WHERE parent_id IS NOT NULL;
-- Most resources may have one and the same parent, and then few others have any child: plans are to be made for those.
ALTER TABLE resources ALTER COLUMN parent_id SET (n_distinct = -0.5);

-- The grants on a resource: to end them with it. A grant needs no registered resource, so there is no reference.
-- An index serves comparisons of its own collation alone: the one that resources have.
ALTER TABLE grants
    ALTER COLUMN resource_type TYPE TEXT COLLATE "C",
    ALTER COLUMN resource_id TYPE TEXT COLLATE "C";
CREATE INDEX grants_by_resource ON grants (tenant_id, organization_id, resource_type, resource_id);
