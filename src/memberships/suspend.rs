//! Denying a member, and the end of that.

use super::{Membership, Status, get, owners, store, wire};
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
        Status::Removed => return Err(Error::illegal_transition("a membership", "REMOVED", "SUSPENDED")),
    }
    owners::ensure_another(tx, &before).await?;
    let after = store::set_status(tx, &before, Status::Suspended, &ctx.reason, ctx.now).await?;
    events::append(ctx, tx, vec![wire::suspended(&before, &after)]).await?;
    Ok(after)
}

/// Ends a suspension: the member resumes with the roles as they now are.
pub async fn reactivate(
    ctx: &Ctx,
    tx: &mut Tx,
    organization_id: OrganizationId,
    id: MembershipId,
) -> Result<Membership> {
    organizations::lock_for_change(ctx, tx, organization_id).await?;
    let before = get(tx, ctx.tenant_id, organization_id, id).await?;
    match before.status {
        Status::Suspended => {}
        Status::Active => return Ok(before),
        Status::Removed => return Err(Error::illegal_transition("a membership", "REMOVED", "ACTIVE")),
    }
    users::hold(tx, ctx.tenant_id, before.user_id).await?; // may be an owner again
    let given: Vec<&str> = before.roles.0.iter().map(|assignment| assignment.role.as_str()).collect();
    authority::ensure_may_grant(ctx, tx, Some(organization_id), &given, &[]).await?;
    let after = store::set_status(tx, &before, Status::Active, &ctx.reason, ctx.now).await?;
    events::append(ctx, tx, vec![wire::reactivated(&before, &after)]).await?;
    Ok(after)
}
