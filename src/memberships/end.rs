//! The end of a membership, and what goes with it: places in teams, and grants.

use super::{Filter, Membership, Of, Status, Whose, get, kept, owners, store, transition, whose, wire};
use crate::{
    context::Ctx,
    db::Tx,
    error::Result,
    events::{self, Change},
    grants,
    ids::{MembershipId, OrganizationId, UserId},
    invitations, organizations, teams,
};

/// Why a member who says nothing left, as people read it.
const LEFT: &str = "left";

/// Ends a membership for good. Fails with `LAST_OWNER`.
pub async fn remove(ctx: &Ctx, tx: &mut Tx, organization_id: OrganizationId, id: MembershipId) -> Result<Membership> {
    organizations::lock(ctx, tx, organization_id).await?;
    let before = get(tx, ctx.tenant_id, organization_id, id).await?;
    finish(ctx, tx, before).await
}

/// A member leaves. Fails with `LAST_OWNER`.
pub async fn leave(ctx: &Ctx, tx: &mut Tx, which: Whose) -> Result<Membership> {
    whose(ctx, tx, which).await?; // strangers wait for no lock
    organizations::lock(ctx, tx, which.organization_id).await?;
    let before = whose(ctx, tx, which).await?;
    let reason = if ctx.reason.is_empty() { LEFT.to_owned() } else { ctx.reason.clone() };
    finish(&Ctx { reason, ..ctx.clone() }, tx, before).await
}

/// Ends one membership of a locked organization, unless it is over.
async fn finish(ctx: &Ctx, tx: &mut Tx, before: Membership) -> Result<Membership> {
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
    let present = store::list(tx, ctx.tenant_id, Of::User(user_id), Filter::default(), None, i64::MAX).await?;
    for membership in &present {
        organizations::ensure_locked(tx, membership.organization_id)?;
    }
    end_all(ctx, tx, present).await
}

/// Ends every membership of a locked organization, and remembers what they were.
pub async fn end_all_of_organization(ctx: &Ctx, tx: &mut Tx, id: OrganizationId) -> Result<Vec<Change>> {
    kept::keep_all(tx, ctx.tenant_id, id).await?;
    let present = store::list(tx, ctx.tenant_id, Of::Organization(id), Filter::default(), None, i64::MAX).await?;
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
    let after = transition(ctx, tx, before, Status::Removed).await?;
    let mut changes = vec![wire::removed(before, &after)];
    changes.extend(left.into_iter().chain(revoked).map(Change::cascaded));
    if before.status == Status::Invited {
        changes.extend(invitations::revoked_with(ctx, tx, before).await?);
    }
    Ok((after, changes))
}

/// Ends a membership that nobody has taken up; its organization is locked. The changes are the caller's to append.
pub async fn end_pending(ctx: &Ctx, tx: &mut Tx, before: &Membership) -> Result<Vec<Change>> {
    end(ctx, tx, before).await.map(|(_, changes)| changes)
}
