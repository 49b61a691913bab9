//! Slugs that organizations gave up: each is held back for the one that had it, so that nobody is taken for it.
//!
//! That a slug is free is looked at after it was written: whoever gave it up, and holds it, has committed by then.

use super::{Organization, Retention, slug_taken, store};
use crate::{
    clock::Timestamp,
    context::Ctx,
    db::Tx,
    error::{Error, Reason, Result},
};

/// How many slugs are held back for one organization: it must not take the names of others by passing through them.
const HELD_MAX: i64 = 20;

/// Gives an organization the slug that was just stored for it. Fails with `SLUG_TAKEN` where it is held back for another.
pub async fn take(ctx: &Ctx, tx: &mut Tx, organization: &Organization) -> Result<()> {
    let Some(held) = store::held_slug(tx, ctx.tenant_id, &organization.slug).await? else { return Ok(()) };
    if held.organization_id != organization.id && held.held_until > ctx.now {
        return Err(slug_taken().with("held_until", held.held_until));
    }
    store::release_slug(tx, ctx.tenant_id, &organization.slug).await
}

/// Holds the slug back that an organization gives up. Fails with `LIMIT_REACHED`.
pub async fn give_up(ctx: &Ctx, tx: &mut Tx, organization: &Organization, retention: Retention) -> Result<()> {
    if store::count_held_slugs(tx, ctx.tenant_id, organization.id, ctx.now).await? >= HELD_MAX {
        let message = format!("{HELD_MAX} former slugs are held back for the organization: wait until some are free");
        return Err(Error::new(Reason::LimitReached, message).with("limit", "held_slugs"));
    }
    hold(tx, organization, ctx.now.plus(retention.slug_hold)).await
}

/// Holds the slug of an organization back until then.
pub async fn hold(tx: &mut Tx, organization: &Organization, until: Timestamp) -> Result<()> {
    store::hold_slug(tx, organization, until).await
}
