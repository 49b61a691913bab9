//! Emptying the personal fields of a user, wherever they are kept.

use super::{Status, User, delete, store, wire};
use crate::{
    context::Ctx,
    db::Tx,
    error::{Error, Reason, Result},
    events::{self, Change},
    idempotency,
    ids::{TenantId, UserId},
    invitations, memberships, organizations,
};

/// Empties the personal fields of a user for good; ids and history stay. Who is not removed yet is removed first, in the
/// same transaction. Fails with `LAST_OWNER` where an organization would lose its last active owner, with `LEGAL_HOLD`
/// where one is held that they were ever a member of.
pub async fn erase(ctx: &Ctx, tx: &mut Tx, id: UserId) -> Result<User> {
    let before = delete::lock(ctx, tx, id).await?;
    if before.erased_at.is_some() {
        return Ok(before);
    }
    ensure_not_held(tx, ctx.tenant_id, id).await?;
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

/// Fails where an organization is held that has, or had, something of the user.
async fn ensure_not_held(tx: &mut Tx, tenant_id: TenantId, id: UserId) -> Result<()> {
    events::base::lock(tx).await?; // nobody places a hold meanwhile
    if organizations::first_held(tx, tenant_id).await?.is_none() {
        return Ok(());
    }
    let mut organization_ids = memberships::ever_of(tx, tenant_id, id).await?;
    organization_ids.extend(invitations::organizations_of(tx, tenant_id, id).await?);
    for organization_id in organization_ids {
        if organizations::get(tx, tenant_id, organization_id).await?.legal_hold {
            let error = Error::new(Reason::LegalHold, "an organization that is held has something of the user");
            return Err(error.with("organization_id", organization_id));
        }
    }
    Ok(())
}
