//! Denying a member, and the end of that.

use super::{Membership, Status, get, owners, transition, wire};
use crate::{
    authority,
    context::Ctx,
    db::Tx,
    error::{Error, Result},
    events,
    ids::{MembershipId, OrganizationId},
    organizations, users,
};

/// Denies a member, who keeps roles and teams. Fails with `LAST_OWNER`.
pub async fn suspend(ctx: &Ctx, tx: &mut Tx, organization_id: OrganizationId, id: MembershipId) -> Result<Membership> {
    organizations::lock_for_change(ctx, tx, organization_id).await?;
    let before = get(tx, ctx.tenant_id, organization_id, id).await?;
    match before.status {
        Status::Active => {}
        Status::Suspended => return Ok(before),
        Status::PreProvisioned | Status::Invited | Status::Removed => {
            return Err(Error::illegal_transition("a membership", before.status.name(), "SUSPENDED"));
        }
    }
    owners::ensure_another(tx, &before).await?;
    let after = transition(ctx, tx, &before, Status::Suspended).await?;
    events::append(ctx, tx, vec![wire::suspended(&before, &after)]).await?;
    Ok(after)
}

/// Ends a suspension: the member resumes with the roles as they now are. Fails with `MEMBERSHIP_ENDED`, `LAST_OWNER`.
pub async fn reactivate(
    ctx: &Ctx,
    tx: &mut Tx,
    organization_id: OrganizationId,
    id: MembershipId,
) -> Result<Membership> {
    organizations::lock_for_change(ctx, tx, organization_id).await?;
    let before = get(tx, ctx.tenant_id, organization_id, id).await?;
    match before.status_at(ctx.now) {
        Status::Suspended => {}
        Status::Active => return Ok(before),
        Status::PreProvisioned | Status::Invited | Status::Removed => {
            return Err(Error::illegal_transition("a membership", before.status.name(), "ACTIVE"));
        }
    }
    before.ensure_not_over(ctx.now)?;
    users::hold(tx, ctx.tenant_id, before.user_id).await?; // may be an owner again
    let given: Vec<&str> = before.roles.0.iter().map(|assignment| assignment.role.as_str()).collect();
    authority::ensure_may_grant(ctx, tx, Some(organization_id), &given, &[]).await?;
    owners::ensure_lasting_with(tx, &before).await?;
    let after = transition(ctx, tx, &before, Status::Active).await?;
    events::append(ctx, tx, vec![wire::reactivated(&before, &after)]).await?;
    Ok(after)
}
