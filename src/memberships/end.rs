//! The end of a membership, and what goes with it: places in teams, and grants.

use super::{Membership, Of, Status, get, owners, store, wire};
use crate::{
    context::Ctx,
    db::Tx,
    error::Result,
    events::{self, Change},
    grants,
    ids::{MembershipId, OrganizationId, UserId},
    organizations, teams,
};

/// Ends a membership for good. Fails with `LAST_OWNER`.
pub async fn remove(ctx: &Ctx, tx: &mut Tx, organization_id: OrganizationId, id: MembershipId) -> Result<Membership> {
    organizations::lock(ctx, tx, organization_id).await?;
    let before = get(tx, ctx.tenant_id, organization_id, id).await?;
    if before.status == Status::Removed {
        return Ok(before);
    }
    owners::ensure_another(tx, &before).await?;
    let (after, changes) = end(ctx, tx, &before).await?;
    events::append(ctx, tx, changes).await?;
    Ok(after)
}

/// Ends every membership of a user; their organizations must be locked.
pub async fn end_all_of_user(ctx: &Ctx, tx: &mut Tx, user_id: UserId) -> Result<Vec<Change>> {
    let present = store::list(tx, ctx.tenant_id, Of::User(user_id), None, None, i64::MAX).await?;
    for membership in &present {
        organizations::ensure_locked(tx, membership.organization_id)?;
    }
    end_all(ctx, tx, present).await
}

/// Ends every membership of a locked organization.
pub async fn end_all_of_organization(ctx: &Ctx, tx: &mut Tx, id: OrganizationId) -> Result<Vec<Change>> {
    let present = store::list(tx, ctx.tenant_id, Of::Organization(id), None, None, i64::MAX).await?;
    end_all(ctx, tx, present).await
}

async fn end_all(ctx: &Ctx, tx: &mut Tx, memberships: Vec<Membership>) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    for membership in memberships {
        let (_, ended) = end(ctx, tx, &membership).await?;
        changes.extend(ended);
    }
    Ok(changes)
}

/// Ends one membership; what goes with it follows from it.
async fn end(ctx: &Ctx, tx: &mut Tx, before: &Membership) -> Result<(Membership, Vec<Change>)> {
    let left = teams::leave_all(tx, before).await?;
    let revoked = grants::revoke_all_of_membership(tx, before).await?;
    store::revoke_all(tx, before).await?;
    let after = store::set_status(tx, before, Status::Removed, &ctx.reason, ctx.now).await?;
    let mut changes = vec![wire::removed(before, &after)];
    changes.extend(left.into_iter().chain(revoked).map(Change::cascaded));
    Ok((after, changes))
}
