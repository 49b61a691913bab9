//! Denying a user everywhere, and the end of that.

use super::{Status, User, not_found, store, wire};
use crate::{
    context::Ctx,
    db::Tx,
    error::{Error, Result},
    events::{self, Change},
    ids::UserId,
    memberships,
};

/// Denies a user everywhere at once. Fails with `LAST_OWNER` where an organization would lose its last active owner.
pub async fn suspend(ctx: &Ctx, tx: &mut Tx, id: UserId) -> Result<User> {
    memberships::lock_owned_by(ctx, tx, id).await?;
    let before = store::lock(tx, ctx.tenant_id, id).await?.ok_or_else(not_found)?;
    match before.status {
        Status::Active | Status::Invited | Status::PreProvisioned => {}
        Status::Suspended => return Ok(before),
        Status::Removed => return Err(Error::illegal_transition("a user", "REMOVED", "SUSPENDED")),
    }
    memberships::ensure_owners_without(tx, ctx.tenant_id, id).await?;
    let after = store::set_status(tx, &before, Status::Suspended, ctx.now).await?;
    events::append(ctx, tx, vec![wire::suspended(&before, &after)]).await?;
    Ok(after)
}

/// Ends a suspension: the user stands again where they stood before it. So one who never came does not become active.
pub async fn reactivate(ctx: &Ctx, tx: &mut Tx, id: UserId) -> Result<User> {
    let before = store::lock(tx, ctx.tenant_id, id).await?.ok_or_else(not_found)?;
    match before.status {
        Status::Suspended => {}
        Status::Active => return Ok(before),
        Status::Invited | Status::PreProvisioned | Status::Removed => {
            return Err(Error::illegal_transition("a user", before.status.name(), "ACTIVE"));
        }
    }
    let status = before.suspended_from.unwrap_or(Status::Active);
    let after = store::set_status(tx, &before, status, ctx.now).await?;
    events::append(ctx, tx, vec![wire::reactivated(&before, &after)]).await?;
    Ok(after)
}

/// A user who was invited or put here came. The user is locked; the change, if any, is the caller's to append.
pub async fn activate(ctx: &Ctx, tx: &mut Tx, user: &User) -> Result<Option<Change>> {
    match user.status {
        Status::Invited | Status::PreProvisioned => {
            let after = store::set_status(tx, user, Status::Active, ctx.now).await?;
            Ok(Some(wire::activated(user, &after)))
        }
        Status::Active => Ok(None),
        Status::Suspended => Err(Error::illegal_transition("a user", "SUSPENDED", "ACTIVE")),
        Status::Removed => Err(not_found()),
    }
}
