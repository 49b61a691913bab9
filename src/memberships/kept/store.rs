//! SQL of what is kept of memberships.

use super::Kept;
use crate::{
    db::{Tx, args},
    error::Result,
    ids::{MembershipId, OrganizationId, TenantId},
};

/// Everybody but those who were invited: their invitations are taken back for good, so nobody could accept.
pub async fn keep(tx: &mut Tx, tenant: TenantId, organization: OrganizationId) -> Result<()> {
    // An owner counts as the owner floor counts them.
    let sql = "INSERT INTO memberships_kept (tenant_id, organization_id, id, status, counted_owner)
        SELECT m.tenant_id, m.organization_id, m.id, m.status, m.status = 'active' AND m.ends_at IS NULL
            AND u.status NOT IN ('suspended', 'removed') AND EXISTS (SELECT 1 FROM membership_roles r WHERE r.tenant_id = m.tenant_id
                AND r.organization_id = m.organization_id AND r.membership_id = m.id AND r.role = 'owner')
        FROM memberships m JOIN users u ON u.tenant_id = m.tenant_id AND u.id = m.user_id
        WHERE m.tenant_id = $1 AND m.organization_id = $2 AND m.status NOT IN ('removed', 'invited')";
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
    let sql = "SELECT id FROM memberships_kept WHERE tenant_id = $1 AND organization_id = $2 AND counted_owner LIMIT 1";
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
