//! The end of an organization: what its deletion left goes, when nobody restored it.

use super::{Organization, Retention, Status, lock, slugs, store, wire};
use crate::{
    clock::Timestamp,
    context::Ctx,
    db::Tx,
    domains,
    error::Result,
    events, grants,
    ids::{OrganizationId, TenantId},
    invitations, memberships, policies, resources, roles, teams,
};

/// The organization whose time is over, of whatever tenant; of several, the one for which it has been so the longest.
pub async fn next_to_purge(tx: &mut Tx, now: Timestamp) -> Result<Option<(TenantId, OrganizationId)>> {
    store::next_to_purge(tx, now).await
}

/// Takes everything of an organization out of the tables, unless it was restored or is held meanwhile, or is not due. One row stays:
/// that there was one, and how far its stream had come. Its slug is held back for a while longer.
pub async fn purge(ctx: &Ctx, tx: &mut Tx, id: OrganizationId, retention: Retention) -> Result<()> {
    let before = lock(ctx, tx, id).await?;
    if before.legal_hold
        || before.status != Status::Deleting
        || before.purge_at.is_some_and(|purge_at| ctx.now < purge_at)
    {
        return Ok(());
    }
    // What refers to others goes before them.
    invitations::purge(tx, ctx.tenant_id, id).await?;
    grants::purge(tx, ctx.tenant_id, id).await?;
    resources::purge(tx, ctx.tenant_id, id).await?;
    teams::purge(tx, ctx.tenant_id, id).await?;
    memberships::purge(tx, ctx.tenant_id, id).await?;
    policies::purge(tx, ctx.tenant_id, id).await?;
    domains::purge(tx, ctx.tenant_id, id).await?;
    roles::purge(tx, ctx.tenant_id, id).await?;
    slugs::hold(tx, &before, ctx.now.plus(retention.slug_hold)).await?;
    let after: Organization = store::purge(tx, &before, ctx.now).await?;
    events::append(ctx, tx, vec![wire::purged(&before, &after)]).await
}
