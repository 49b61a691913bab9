//! SQL of what is kept of memberships.

use super::Kept;
use crate::{
    db::{Tx, args},
    error::Result,
    ids::{MembershipId, OrganizationId, TenantId},
};

pub async fn keep(tx: &mut Tx, tenant: TenantId, organization: OrganizationId) -> Result<()> {
    let sql = "INSERT INTO memberships_kept (tenant_id, organization_id, id, status)
        SELECT tenant_id, organization_id, id, status FROM memberships
        WHERE tenant_id = $1 AND organization_id = $2 AND status <> 'removed'";
    tx.execute(sql, args![tenant, organization]).await?;
    let sql = "INSERT INTO membership_roles_kept
            (tenant_id, organization_id, membership_id, scope_id, role, source, source_reference)
        SELECT tenant_id, organization_id, membership_id, scope_id, role, source, source_reference
        FROM membership_roles WHERE tenant_id = $1 AND organization_id = $2";
    tx.execute(sql, args![tenant, organization]).await.map(drop)
}

/// By user, with those of the roles that there are.
pub async fn kept(tx: &mut Tx, tenant: TenantId, organization: OrganizationId) -> Result<Vec<Kept>> {
    let sql = "SELECT k.id, k.status, COALESCE((
            SELECT string_agg(r.role || ' ' || r.source || ' ' || r.source_reference, '\u{1f}')
            FROM membership_roles_kept r JOIN roles o
                ON o.tenant_id = r.tenant_id AND o.scope_id = r.scope_id AND o.slug = r.role
            WHERE r.tenant_id = k.tenant_id AND r.organization_id = k.organization_id AND r.membership_id = k.id
        ), '') AS roles
        FROM memberships_kept k
        JOIN memberships m ON m.tenant_id = k.tenant_id AND m.organization_id = k.organization_id AND m.id = k.id
        WHERE k.tenant_id = $1 AND k.organization_id = $2 ORDER BY m.user_id";
    tx.fetch_all(sql, args![tenant, organization]).await
}

/// Whether there was an active owner.
pub async fn had_owner(tx: &mut Tx, tenant: TenantId, organization: OrganizationId) -> Result<bool> {
    let sql = "SELECT k.id FROM memberships_kept k JOIN membership_roles_kept r
            ON r.tenant_id = k.tenant_id AND r.organization_id = k.organization_id AND r.membership_id = k.id
        WHERE k.tenant_id = $1 AND k.organization_id = $2 AND k.status = 'active' AND r.role = 'owner' LIMIT 1";
    let row: Option<(MembershipId,)> = tx.fetch_optional(sql, args![tenant, organization]).await?;
    Ok(row.is_some())
}

pub async fn forget(tx: &mut Tx, tenant: TenantId, organization: OrganizationId) -> Result<()> {
    let sql = "DELETE FROM memberships_kept WHERE tenant_id = $1 AND organization_id = $2";
    tx.execute(sql, args![tenant, organization]).await?;
    let sql = "DELETE FROM membership_roles_kept WHERE tenant_id = $1 AND organization_id = $2";
    tx.execute(sql, args![tenant, organization]).await.map(drop)
}

/// Deletes every membership of an organization.
pub async fn purge(tx: &mut Tx, tenant: TenantId, organization: OrganizationId) -> Result<()> {
    let sql = "DELETE FROM membership_roles WHERE tenant_id = $1 AND organization_id = $2";
    tx.execute(sql, args![tenant, organization]).await?;
    let sql = "DELETE FROM memberships WHERE tenant_id = $1 AND organization_id = $2";
    tx.execute(sql, args![tenant, organization]).await.map(drop)
}
