//! The end of a grant: by itself, with its principal, or with its resource.

use super::{Grant, Principal, not_found, store, wire};
use crate::{
    context::Ctx,
    db::Tx,
    error::Result,
    events::{self, Change},
    ids::{GrantId, OrganizationId, TenantId},
    memberships::Membership,
    organizations,
    resources::Resource,
    teams::Team,
};

/// Ends a grant.
pub async fn revoke(ctx: &Ctx, tx: &mut Tx, organization_id: OrganizationId, id: GrantId) -> Result<()> {
    organizations::lock_for_change(ctx, tx, organization_id).await?;
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

/// Ends the grants on an ending resource and on everything below it; no more than `limit` of them.
pub async fn revoke_all_of_resources(tx: &mut Tx, resource: &Resource, limit: usize) -> Result<Vec<Change>> {
    let mut ended = store::delete_all_on(tx, resource, limit).await?;
    ended.sort_by_key(|grant| grant.id);
    Ok(ended.iter().map(wire::revoked).collect())
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
