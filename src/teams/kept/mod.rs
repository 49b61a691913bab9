//! The places in teams that the deletion of an organization ended: kept until it is restored or purged.

mod store;

use super::{TeamMember, TeamMemberRole, store as teams, wire};
use crate::{
    context::Ctx,
    db::{FromRow, Tx},
    error::Result,
    events::Change,
    ids::{MembershipId, OrganizationId, TeamId, TenantId},
    memberships::Membership,
};

/// A place in a team, as it was.
#[derive(Debug, FromRow)]
struct Kept {
    team_id: TeamId,
    role: TeamMemberRole,
}

/// Remembers every place in a team of a locked organization.
pub async fn keep_places(tx: &mut Tx, tenant_id: TenantId, id: OrganizationId) -> Result<()> {
    store::keep(tx, tenant_id, id).await
}

/// Gives the places that a membership had to the one that is there in its stead.
pub async fn restore_places(
    ctx: &Ctx,
    tx: &mut Tx,
    former: MembershipId,
    membership: &Membership,
) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    for Kept { team_id, role } in store::kept(tx, membership, former).await? {
        let member = TeamMember {
            tenant_id: membership.tenant_id,
            organization_id: membership.organization_id,
            team_id,
            membership_id: membership.id,
            role,
            created_at: ctx.now,
            updated_at: ctx.now,
        };
        teams::insert_member(tx, &member).await?;
        changes.push(wire::member_added(&member));
    }
    Ok(changes)
}

/// Forgets the places that were kept.
pub async fn forget_places(tx: &mut Tx, tenant_id: TenantId, id: OrganizationId) -> Result<()> {
    store::forget(tx, tenant_id, id).await
}

/// Takes every team of an organization out of the tables.
pub async fn purge(tx: &mut Tx, tenant_id: TenantId, id: OrganizationId) -> Result<()> {
    store::purge(tx, tenant_id, id).await
}
