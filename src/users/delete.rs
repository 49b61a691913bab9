//! Removing a user, and with them every membership of theirs.

use super::{Status, User, not_found, store, wire};
use crate::{
    context::Ctx,
    db::Tx,
    error::Result,
    events::{self, Change},
    ids::UserId,
    invitations, memberships, organizations,
};

/// Removes a user for good; their identities become free. Fails with `LAST_OWNER` where an organization would lose its
/// last active owner.
pub async fn delete(ctx: &Ctx, tx: &mut Tx, id: UserId) -> Result<User> {
    let before = lock(ctx, tx, id).await?;
    if before.status == Status::Removed {
        return Ok(before);
    }
    let (after, changes) = remove(ctx, tx, &before).await?;
    events::append(ctx, tx, changes).await?;
    Ok(after)
}

/// A user, locked with every organization that keeps something of them.
pub(super) async fn lock(ctx: &Ctx, tx: &mut Tx, id: UserId) -> Result<User> {
    let mut organization_ids = memberships::organizations_of(tx, ctx.tenant_id, id).await?;
    organization_ids.extend(invitations::organizations_of(tx, ctx.tenant_id, id).await?);
    organizations::lock_all(ctx, tx, organization_ids).await?;
    store::lock(tx, ctx.tenant_id, id).await?.ok_or_else(not_found)
}

/// Removes a locked user; the changes are the caller's to append.
pub(super) async fn remove(ctx: &Ctx, tx: &mut Tx, before: &User) -> Result<(User, Vec<Change>)> {
    let id = before.id;
    memberships::ensure_owners_without(tx, ctx.tenant_id, id).await?;
    let ended = memberships::end_all_of_user(ctx, tx, id).await?;
    store::delete_identities_of(tx, ctx.tenant_id, id).await?;
    let after = store::set_status(tx, before, Status::Removed, ctx.now).await?;
    let mut changes = vec![wire::deleted(before, &after)];
    changes.extend(ended.into_iter().map(Change::cascaded));
    Ok((after, changes))
}
