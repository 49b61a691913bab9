//! Denying every Check in an organization, and the end of that.

use super::{Organization, Status, lock, store, wire};
use crate::{
    context::Ctx,
    db::Tx,
    error::{Error, Result},
    events,
    ids::OrganizationId,
};

/// Denies every Check in an organization.
pub async fn suspend(ctx: &Ctx, tx: &mut Tx, id: OrganizationId) -> Result<Organization> {
    let before = lock(ctx, tx, id).await?;
    match before.status {
        Status::Active => {}
        Status::Suspended => return Ok(before),
        from @ (Status::Deleting | Status::Purged) => {
            return Err(Error::illegal_transition("an organization", from.name(), "SUSPENDED"));
        }
    }
    let after = store::set_status(tx, &before, Status::Suspended, ctx.now).await?;
    events::append(ctx, tx, vec![wire::suspended(&before, &after)]).await?;
    Ok(after)
}

/// Ends a suspension.
pub async fn reactivate(ctx: &Ctx, tx: &mut Tx, id: OrganizationId) -> Result<Organization> {
    let before = lock(ctx, tx, id).await?;
    match before.status {
        Status::Suspended => {}
        Status::Active => return Ok(before),
        from @ (Status::Deleting | Status::Purged) => {
            return Err(Error::illegal_transition("an organization", from.name(), "ACTIVE"));
        }
    }
    let after = store::set_status(tx, &before, Status::Active, ctx.now).await?;
    events::append(ctx, tx, vec![wire::reactivated(&before, &after)]).await?;
    Ok(after)
}
