//! Deleting a resource, and what goes with it: grants on it, and with `cascade` everything below it.

use super::{ResourceRef, get, store, wire};
use crate::{
    context::Ctx,
    db::Tx,
    error::{Error, Reason, Result},
    events::{self, Change},
    grants,
    ids::OrganizationId,
    organizations,
};

/// How many resources and grants go in one transaction: each is an event, and the organization waits for them all.
const GONE_MAX: usize = 10_000;

/// How much is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deleted {
    /// So many resources.
    pub resources: usize,
    /// So many grants on them.
    pub grants: usize,
}

/// Deletes a resource. The first event is of the one that was asked for; what was below it follows from the deepest up.
pub async fn delete(
    ctx: &Ctx,
    tx: &mut Tx,
    organization_id: OrganizationId,
    reference: &ResourceRef,
    cascade: bool,
) -> Result<Deleted> {
    organizations::lock_for_change(ctx, tx, organization_id).await?;
    let resource = get(tx, ctx.tenant_id, organization_id, reference).await?;
    if !cascade && store::has_children(tx, &resource).await? {
        return Err(Error::new(Reason::ResourceHasChildren, "the resource has others below it: ask for cascade"));
    }
    let gone = store::subtree(tx, &resource, GONE_MAX + 1).await?;
    ensure_bounded(gone.len())?;
    let revoked = grants::revoke_all_of_resources(tx, &resource, GONE_MAX + 1 - gone.len()).await?;
    let deleted = Deleted { resources: gone.len(), grants: revoked.len() };
    ensure_bounded(deleted.resources + deleted.grants)?;
    store::delete_subtree(tx, &resource).await?;
    let below = gone.iter().filter(|it| **it != resource).map(wire::deleted);
    let mut changes = vec![wire::deleted(&resource)];
    changes.extend(revoked.into_iter().chain(below).map(Change::cascaded));
    events::append(ctx, tx, changes).await?;
    Ok(deleted)
}

fn ensure_bounded(gone: usize) -> Result<()> {
    if gone <= GONE_MAX {
        return Ok(());
    }
    let message = format!(
        "more than {GONE_MAX} resources and grants would go: delete some of what is below it, or revoke some of the grants, first"
    );
    Err(Error::new(Reason::LimitReached, message).with("limit", "resources_and_grants_deleted_at_once"))
}
