//! SQL of what is kept of places in teams.

use super::Kept;
use crate::{
    db::{Tx, args},
    error::Result,
    ids::{MembershipId, OrganizationId, TenantId},
    memberships::Membership,
};

pub async fn keep(tx: &mut Tx, tenant: TenantId, organization: OrganizationId) -> Result<()> {
    let sql = "INSERT INTO team_members_kept (tenant_id, organization_id, team_id, membership_id, role)
        SELECT tenant_id, organization_id, team_id, membership_id, role FROM team_members
        WHERE tenant_id = $1 AND organization_id = $2";
    tx.execute(sql, args![tenant, organization]).await.map(drop)
}

pub async fn kept(tx: &mut Tx, membership: &Membership, former: MembershipId) -> Result<Vec<Kept>> {
    let sql = "SELECT team_id, role FROM team_members_kept
        WHERE tenant_id = $1 AND organization_id = $2 AND membership_id = $3 ORDER BY team_id";
    tx.fetch_all(sql, args![membership.tenant_id, membership.organization_id, former]).await
}

pub async fn forget(tx: &mut Tx, tenant: TenantId, organization: OrganizationId) -> Result<()> {
    let sql = "DELETE FROM team_members_kept WHERE tenant_id = $1 AND organization_id = $2";
    tx.execute(sql, args![tenant, organization]).await.map(drop)
}

/// Deletes every team of an organization.
pub async fn purge(tx: &mut Tx, tenant: TenantId, organization: OrganizationId) -> Result<()> {
    let sql = "DELETE FROM team_members WHERE tenant_id = $1 AND organization_id = $2";
    tx.execute(sql, args![tenant, organization]).await?;
    let sql = "DELETE FROM team_roles WHERE tenant_id = $1 AND organization_id = $2";
    tx.execute(sql, args![tenant, organization]).await?;
    let sql = "DELETE FROM teams WHERE tenant_id = $1 AND organization_id = $2";
    tx.execute(sql, args![tenant, organization]).await.map(drop)
}
