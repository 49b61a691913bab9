//! The beginning of an organization's end.

use super::{Organization, Status, lock, store, wire};
use crate::{context::Ctx, db::Tx, error::Result, events, events::Change, ids::OrganizationId, memberships};

/// Begins the end of an organization: it denies every Check, its memberships are removed, its records stay. The owner
/// floor is for organizations that go on, and does not stand in the way.
pub async fn delete(ctx: &Ctx, tx: &mut Tx, id: OrganizationId) -> Result<Organization> {
    let before = lock(ctx, tx, id).await?;
    if before.status == Status::Deleting {
        return Ok(before);
    }
    let ended = memberships::end_all_of_organization(ctx, tx, id).await?;
    let after = store::set_status(tx, &before, Status::Deleting, ctx.now).await?;
    let mut changes = vec![wire::deleted(&before, &after)];
    changes.extend(ended.into_iter().map(Change::cascaded));
    events::append(ctx, tx, changes).await?;
    Ok(after)
}
