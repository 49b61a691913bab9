//! The beginning of an organization's end.

use super::{Organization, Retention, Status, lock, store, wire};
use crate::{context::Ctx, db::Tx, error::Result, events, events::Change, ids::OrganizationId, memberships};

/// Begins the end of an organization: it denies every Check, its memberships are removed, its records stay until it is
/// restored or purged. The owner floor is for organizations that go on, and does not stand in the way.
pub async fn delete(ctx: &Ctx, tx: &mut Tx, id: OrganizationId, retention: Retention) -> Result<Organization> {
    let before = lock(ctx, tx, id).await?;
    if matches!(before.status, Status::Deleting | Status::Purged) {
        return Ok(before);
    }
    let ended = memberships::end_all_of_organization(ctx, tx, id).await?;
    let after = store::begin_deletion(tx, &before, ctx.now, ctx.now.plus(retention.restore)).await?;
    let mut changes = vec![wire::deleted(&before, &after)];
    changes.extend(ended.into_iter().map(Change::cascaded));
    events::append(ctx, tx, changes).await?;
    Ok(after)
}
