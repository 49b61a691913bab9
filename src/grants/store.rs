//! SQL of grants.

use super::{Filter, Grant, Principal, Set, given::Right};
use crate::{
    db::{Tx, args},
    error::Result,
    ids::{GrantId, OrganizationId, TenantId},
    resources::{Resource, ResourceRef},
    roles::{self, Role},
};

macro_rules! columns {
    () => {
        "tenant_id, organization_id, id, principal_kind, principal_id, resource_type, resource_id, role, permission,
        ends_at, created_at, updated_at"
    };
}

pub async fn insert(tx: &mut Tx, grant: &Grant, principal: &Principal) -> Result<()> {
    let sql = concat!(
        "INSERT INTO grants (",
        columns!(),
        ", principal_role, principal_scope_id, scope_id)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"
    );
    let Grant { tenant_id, organization_id, id, principal_kind, principal_id, role, permission, .. } = grant;
    let scope = |slug: &str| roles::scope(*tenant_id, *organization_id, slug);
    let values = args![
        *tenant_id,
        *organization_id,
        *id,
        principal_kind,
        principal_id,
        &grant.resource_type,
        &grant.resource_id,
        role.clone(),
        permission.clone(),
        grant.ends_at,
        grant.created_at,
        grant.updated_at,
        principal.role(),
        principal.role().map(scope),
        role.as_deref().map(scope)
    ];
    tx.execute(sql, values).await.map(drop)
}

pub async fn get(tx: &mut Tx, tenant: TenantId, organization: OrganizationId, id: GrantId) -> Result<Option<Grant>> {
    let sql = concat!("SELECT ", columns!(), " FROM grants WHERE tenant_id = $1 AND organization_id = $2 AND id = $3");
    tx.fetch_optional(sql, args![tenant, organization, id]).await
}

/// What the principal of a grant to be holds on its resource.
pub async fn held(tx: &mut Tx, tenant: TenantId, set: &Set) -> Result<Vec<Grant>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM grants WHERE tenant_id = $1 AND organization_id = $2 AND principal_kind = $3 AND principal_id = $4
            AND resource_type = $5 AND resource_id = $6 ORDER BY id"
    );
    let (principal, resource) = (&set.principal, &set.resource);
    let values = args![tenant, set.organization_id, principal.kind(), principal.id(), &resource.kind, &resource.id];
    tx.fetch_all(sql, values).await
}

pub async fn list(
    tx: &mut Tx,
    tenant: TenantId,
    organization: OrganizationId,
    filter: &Filter,
    after: Option<GrantId>,
    limit: i64,
) -> Result<Vec<Grant>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM grants WHERE tenant_id = $1 AND organization_id = $2 AND ($3 IS NULL OR id > $3)
            AND ($4 IS NULL OR principal_kind = $4 AND principal_id = $5)
            AND ($6 IS NULL OR resource_type = $6 AND resource_id = $7)
        ORDER BY id LIMIT $8"
    );
    let (principal, resource) = (filter.principal.as_ref(), filter.resource.as_ref());
    let values = args![
        tenant,
        organization,
        after,
        principal.map(Principal::kind),
        principal.map(Principal::id),
        resource.map(|resource| resource.kind.clone()),
        resource.map(|resource| resource.id.clone()),
        limit
    ];
    tx.fetch_all(sql, values).await
}

pub async fn set_end(tx: &mut Tx, grant: &Grant) -> Result<()> {
    let sql = "UPDATE grants SET ends_at = $4, updated_at = $5
        WHERE tenant_id = $1 AND organization_id = $2 AND id = $3";
    let Grant { tenant_id, organization_id, id, ends_at, updated_at, .. } = grant;
    tx.execute(sql, args![*tenant_id, *organization_id, *id, *ends_at, *updated_at]).await.map(drop)
}

/// Every grant that names a role as its principal or its right, in all organizations.
pub async fn with_role(tx: &mut Tx, role: &Role) -> Result<Vec<Grant>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM grants WHERE tenant_id = $1 AND (scope_id = $2 AND role = $3
            OR principal_scope_id = $2 AND principal_role = $3)
        ORDER BY organization_id, id"
    );
    tx.fetch_all(sql, args![role.tenant_id, role.scope_id, &role.slug]).await
}

/// Another grant that gives the same to the same on the same.
pub async fn same(tx: &mut Tx, grant: &Grant) -> Result<Option<Grant>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM grants WHERE tenant_id = $1 AND organization_id = $2 AND id <> $3
            AND principal_kind = $4 AND principal_id = $5 AND resource_type = $6 AND resource_id = $7
            AND COALESCE(role, '') = COALESCE($8, '') AND COALESCE(permission, '') = COALESCE($9, '')"
    );
    let Grant { tenant_id, organization_id, id, principal_kind, principal_id, resource_type, resource_id, .. } = grant;
    let (role, permission) = (grant.role.clone(), grant.permission.clone());
    let key = args![*tenant_id, *organization_id, *id, principal_kind, principal_id, resource_type, resource_id];
    tx.fetch_optional(sql, [key, args![role, permission]].concat()).await
}

/// Stores the roles that a grant names.
pub async fn set_roles(tx: &mut Tx, grant: &Grant) -> Result<()> {
    let sql = "UPDATE grants SET principal_id = $4, principal_role = $5, principal_scope_id = $6, role = $7,
            scope_id = $8, updated_at = $9
        WHERE tenant_id = $1 AND organization_id = $2 AND id = $3";
    let Grant { tenant_id, organization_id, id, principal_kind, principal_id, role, updated_at, .. } = grant;
    let scope = |slug: &str| roles::scope(*tenant_id, *organization_id, slug);
    let principal_role = (principal_kind == "role").then_some(principal_id.as_str());
    let values = args![
        *tenant_id,
        *organization_id,
        *id,
        principal_id,
        principal_role,
        principal_role.map(scope),
        role.clone(),
        role.as_deref().map(scope),
        *updated_at
    ];
    tx.execute(sql, values).await.map(drop)
}

/// What the grants of these teams give.
pub async fn given_to_teams(
    tx: &mut Tx,
    tenant: TenantId,
    organization: OrganizationId,
    ids: &[String],
) -> Result<Vec<Right>> {
    let sql = "SELECT DISTINCT role, permission FROM grants
        WHERE tenant_id = $1 AND organization_id = $2 AND principal_kind = 'team' AND principal_id = $3";
    let mut given = Vec::new();
    for id in ids {
        given.extend(tx.fetch_all::<Right>(sql, args![tenant, organization, id]).await?);
    }
    Ok(given)
}

/// What the grants on a resource, and on those above it, give.
pub async fn given_on(
    tx: &mut Tx,
    tenant: TenantId,
    organization: OrganizationId,
    on: &ResourceRef,
) -> Result<Vec<Right>> {
    let sql = "WITH RECURSIVE above (tenant_id, organization_id, type, id, parent_type, parent_id) AS (
            SELECT tenant_id, organization_id, type, id, parent_type, parent_id FROM resources
            WHERE tenant_id = $1 AND organization_id = $2 AND type = $3 AND id = $4
            UNION SELECT r.tenant_id, r.organization_id, r.type, r.id, r.parent_type, r.parent_id FROM above a
            JOIN resources r ON r.tenant_id = a.tenant_id AND r.organization_id = a.organization_id
                AND r.type = a.parent_type AND r.id = a.parent_id)
        SELECT DISTINCT g.role, g.permission FROM above a
        JOIN grants g ON g.tenant_id = a.tenant_id AND g.organization_id = a.organization_id
            AND g.resource_type = a.type AND g.resource_id = a.id";
    tx.fetch_all(sql, args![tenant, organization, &on.kind, &on.id]).await
}

pub async fn delete(tx: &mut Tx, grant: &Grant) -> Result<()> {
    let sql = "DELETE FROM grants WHERE tenant_id = $1 AND organization_id = $2 AND id = $3";
    tx.execute(sql, args![grant.tenant_id, grant.organization_id, grant.id]).await.map(drop)
}

pub async fn delete_all_of(
    tx: &mut Tx,
    tenant: TenantId,
    organization: OrganizationId,
    principal: &Principal,
) -> Result<Vec<Grant>> {
    let sql = concat!(
        "DELETE FROM grants WHERE tenant_id = $1 AND organization_id = $2 AND principal_kind = $3
            AND principal_id = $4 RETURNING ",
        columns!()
    );
    tx.fetch_all(sql, args![tenant, organization, principal.kind(), principal.id()]).await
}

/// Deletes the grants on a resource and on everything below it; no more than `limit` of them.
pub async fn delete_all_on(tx: &mut Tx, resource: &Resource, limit: usize) -> Result<Vec<Grant>> {
    let sql = concat!(
        "WITH RECURSIVE ending (tenant_id, organization_id, type, id) AS (
            SELECT tenant_id, organization_id, type, id FROM resources
            WHERE tenant_id = $1 AND organization_id = $2 AND type = $3 AND id = $4
            UNION ALL
            SELECT r.tenant_id, r.organization_id, r.type, r.id FROM ending e CROSS JOIN resources r
            WHERE r.tenant_id = e.tenant_id AND r.organization_id = e.organization_id
                AND r.parent_type = e.type AND r.parent_id = e.id
        )
        DELETE FROM grants WHERE (tenant_id, organization_id, id) IN (
            SELECT g.tenant_id, g.organization_id, g.id FROM ending e CROSS JOIN grants g
            WHERE g.tenant_id = e.tenant_id AND g.organization_id = e.organization_id
                AND g.resource_type = e.type AND g.resource_id = e.id
            LIMIT $5
        ) RETURNING ",
        columns!()
    );
    let Resource { tenant_id, organization_id, reference, .. } = resource;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    tx.fetch_all(sql, args![*tenant_id, *organization_id, &reference.kind, &reference.id, limit]).await
}
