//! A legal hold: everything of an organization is kept, whatever retention says.

use super::{Organization, Status, lock, store, wire};
use crate::{
    context::Ctx,
    db::Tx,
    error::{Error, Result},
    events,
    ids::{OrganizationId, TenantId},
};

/// Keeps everything of an organization, one that is being deleted too.
pub async fn place(ctx: &Ctx, tx: &mut Tx, id: OrganizationId) -> Result<Organization> {
    let before = lock(ctx, tx, id).await?;
    if before.status == Status::Purged {
        return Err(Error::illegal_transition("an organization", Status::Purged.name(), "HELD"));
    }
    if before.legal_hold {
        return Ok(before);
    }
    events::base::lock(tx).await?; // what is being hidden, or erased, is so before
    let after = store::set_legal_hold(tx, &before, true, ctx.now).await?;
    events::append(ctx, tx, vec![wire::legal_hold_placed(&before, &after)]).await?;
    Ok(after)
}

/// Ends that.
pub async fn release(ctx: &Ctx, tx: &mut Tx, id: OrganizationId) -> Result<Organization> {
    let before = lock(ctx, tx, id).await?;
    if !before.legal_hold {
        return Ok(before);
    }
    let after = store::set_legal_hold(tx, &before, false, ctx.now).await?;
    events::append(ctx, tx, vec![wire::legal_hold_released(&before, &after)]).await?;
    Ok(after)
}

/// Whether an organization is held, which it then stays until the transaction ends.
pub async fn is_held(tx: &mut Tx, tenant_id: TenantId, id: OrganizationId) -> Result<bool> {
    Ok(store::lock(tx, tenant_id, id).await?.is_some_and(|locked| locked.organization.legal_hold))
}

/// One of a tenant's organizations that are held, if any is.
pub async fn first_held(tx: &mut Tx, tenant_id: TenantId) -> Result<Option<OrganizationId>> {
    store::first_held(tx, tenant_id).await
}
