//! SQL of what is kept of grants.

use super::Kept;
use crate::{
    clock::Timestamp,
    db::{Tx, args},
    error::Result,
    ids::{MembershipId, OrganizationId, TenantId},
    memberships::Membership,
};

pub async fn keep(tx: &mut Tx, tenant: TenantId, organization: OrganizationId) -> Result<()> {
    let sql = "INSERT INTO grants_kept (tenant_id, organization_id, id, principal_id, resource_type, resource_id, role,
            scope_id, permission, ends_at)
        SELECT tenant_id, organization_id, id, principal_id, resource_type, resource_id, role, scope_id, permission,
            ends_at
        FROM grants WHERE tenant_id = $1 AND organization_id = $2 AND principal_kind = 'membership'";
    tx.execute(sql, args![tenant, organization]).await.map(drop)
}

/// Those that have not ended, with a role or a permission that there is; oldest first.
pub async fn kept(tx: &mut Tx, membership: &Membership, former: MembershipId, now: Timestamp) -> Result<Vec<Kept>> {
    let sql = "SELECT k.resource_type, k.resource_id, k.role, k.permission, k.ends_at FROM grants_kept k
        WHERE k.tenant_id = $1 AND k.organization_id = $2 AND k.principal_id = $3
            AND (k.ends_at IS NULL OR k.ends_at > $4)
            AND (EXISTS (SELECT 1 FROM roles r
                    WHERE r.tenant_id = k.tenant_id AND r.scope_id = k.scope_id AND r.slug = k.role)
                OR EXISTS (SELECT 1 FROM permissions p WHERE p.tenant_id = k.tenant_id AND p.slug = k.permission))
        ORDER BY k.id";
    let Membership { tenant_id, organization_id, .. } = membership;
    tx.fetch_all(sql, args![*tenant_id, *organization_id, former.to_string(), now]).await
}

pub async fn forget(tx: &mut Tx, tenant: TenantId, organization: OrganizationId) -> Result<()> {
    let sql = "DELETE FROM grants_kept WHERE tenant_id = $1 AND organization_id = $2";
    tx.execute(sql, args![tenant, organization]).await.map(drop)
}

/// Deletes every grant of an organization.
pub async fn purge(tx: &mut Tx, tenant: TenantId, organization: OrganizationId) -> Result<()> {
    let sql = "DELETE FROM grants WHERE tenant_id = $1 AND organization_id = $2";
    tx.execute(sql, args![tenant, organization]).await.map(drop)
}
