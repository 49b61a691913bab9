//! The end of a grant: by itself, or with its principal.

use super::{Grant, Principal, not_found, store, wire};
use crate::{
    context::Ctx,
    db::Tx,
    error::Result,
    events::{self, Change},
    ids::{GrantId, OrganizationId, TenantId},
    memberships::Membership,
    organizations,
    teams::Team,
};

/// Ends a grant.
pub async fn revoke(ctx: &Ctx, tx: &mut Tx, organization_id: OrganizationId, id: GrantId) -> Result<()> {
    organizations::lock_for_change(tx, ctx.tenant_id, organization_id).await?;
    let grant = store::get(tx, ctx.tenant_id, organization_id, id).await?.ok_or_else(not_found)?;
    store::delete(tx, &grant).await?;
    events::append(ctx, tx, vec![wire::revoked(&grant)]).await
}

/// Ends the grants of an ending membership.
pub async fn revoke_all_of_membership(tx: &mut Tx, membership: &Membership) -> Result<Vec<Change>> {
    let principal = Principal::Membership(membership.id);
    revoke_all_of(tx, membership.tenant_id, membership.organization_id, &principal).await
}

/// Ends the grants of an ending team.
pub async fn revoke_all_of_team(tx: &mut Tx, team: &Team) -> Result<Vec<Change>> {
    revoke_all_of(tx, team.tenant_id, team.organization_id, &Principal::Team(team.id)).await
}

async fn revoke_all_of(
    tx: &mut Tx,
    tenant_id: TenantId,
    organization_id: OrganizationId,
    principal: &Principal,
) -> Result<Vec<Change>> {
    let ended: Vec<Grant> = store::delete_all_of(tx, tenant_id, organization_id, principal).await?;
    Ok(ended.iter().map(wire::revoked).collect())
}
