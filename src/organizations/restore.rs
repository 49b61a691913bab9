//! Bringing back an organization that is being deleted.

use super::{Organization, Status, lock, store, wire};
use crate::{
    authority,
    context::Ctx,
    db::Tx,
    error::{Error, Reason, Result},
    events::{self, Change},
    ids::{OrganizationId, UserId},
    memberships, roles,
};

/// An organization to bring back.
#[derive(Debug, Clone)]
pub struct Restore {
    /// Which.
    pub id: OrganizationId,
    /// Who is an owner afterwards, whatever they were before.
    pub owner: Option<UserId>,
}

/// Brings back an organization that is being deleted, as it was, with new memberships for its members. Fails with
/// `RESTORE_WINDOW_OVER`, also where it was not purged yet; with `OWNER_NEEDED`, `MEMBER_NOT_ACTIVE`.
pub async fn restore(ctx: &Ctx, tx: &mut Tx, input: &Restore) -> Result<Organization> {
    let before = lock(ctx, tx, input.id).await?;
    match before.status {
        Status::Active | Status::Suspended => return Ok(before),
        Status::Deleting if before.purge_at.is_none_or(|purge_at| ctx.now < purge_at) => {}
        Status::Deleting | Status::Purged => {
            let message = "the time in which the organization could be restored is over";
            return Err(Error::new(Reason::RestoreWindowOver, message));
        }
    }
    if input.owner.is_some() {
        authority::ensure_may_grant(ctx, tx, Some(input.id), &[roles::OWNER], &[]).await?;
    }
    let after = store::end_deletion(tx, &before, before.deleted_from.unwrap_or(Status::Active), ctx.now).await?;
    let follows = memberships::restore_all(ctx, tx, &after, input.owner).await?;
    let mut changes = vec![wire::restored(&before, &after)];
    changes.extend(follows.into_iter().map(Change::cascaded));
    events::append(ctx, tx, changes).await?;
    Ok(after)
}
