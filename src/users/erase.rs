//! Emptying the personal fields of a user, wherever they are kept.

use super::{Status, User, delete, store, wire};
use crate::{
    context::Ctx,
    db::Tx,
    error::Result,
    events::{self, Change},
    idempotency,
    ids::UserId,
    invitations, memberships,
};

/// Empties the personal fields of a user for good; ids and history stay. Who is not removed yet is removed first, in the
/// same transaction. Fails with `LAST_OWNER` where an organization would lose its last active owner.
pub async fn erase(ctx: &Ctx, tx: &mut Tx, id: UserId) -> Result<User> {
    let before = delete::lock(ctx, tx, id).await?;
    if before.erased_at.is_some() {
        return Ok(before);
    }
    let (removed, mut changes) = match before.status {
        Status::Removed => (before.clone(), Vec::new()),
        _ => delete::remove(ctx, tx, &before).await?,
    };
    idempotency::forget_answers(tx, ctx.tenant_id, id).await?;
    store::delete_former_emails(tx, ctx.tenant_id, id).await?;
    let after = store::erase(tx, &removed, ctx.now).await?;
    changes.push(wire::erased(&after));
    let memberships = memberships::erase_all_of_user(ctx, tx, id).await?;
    let invitations = invitations::erase_all_of_user(ctx, tx, id).await?;
    changes.extend(memberships.into_iter().chain(invitations).map(Change::cascaded));
    events::append(ctx, tx, changes).await?;
    events::erase_person(tx, ctx.tenant_id, id).await?;
    Ok(after)
}
