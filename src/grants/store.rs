//! SQL of grants.

use super::{Filter, Grant, Principal, Set};
use crate::{
    db::{Tx, args},
    error::Result,
    ids::{GrantId, OrganizationId, TenantId},
    roles,
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
