//! The owner floor: an organization that has had an active owner always keeps one.
//!
//! An owner is active where the membership and the user are. The count is taken under the organization's lock, and
//! whoever suspends or removes a user locks the organizations that they own: so no two changes can each rely on the
//! other's owner.

use super::{Membership, store};
use crate::{
    context::Ctx,
    db::Tx,
    error::{Error, Result},
    ids::{TenantId, UserId},
    organizations,
};

/// Fails with `LAST_OWNER` where this membership is the only active owner of its locked organization.
pub(super) async fn ensure_another(tx: &mut Tx, leaving: &Membership) -> Result<()> {
    let owners = store::active_owners(tx, leaving.tenant_id, leaving.organization_id).await?;
    if owners == [leaving.id] { Err(Error::last_owner()) } else { Ok(()) }
}

/// Fails with `LAST_OWNER` where an organization would be left without an active owner if this user were none.
pub async fn ensure_owners_without(tx: &mut Tx, tenant_id: TenantId, user_id: UserId) -> Result<()> {
    for owned in store::owned_by(tx, tenant_id, user_id).await? {
        organizations::ensure_locked(tx, owned.organization_id)?;
        ensure_another(tx, &owned).await.map_err(|error| error.with("organization_id", owned.organization_id))?;
    }
    Ok(())
}

/// Locks the organizations that a user is an owner of.
pub async fn lock_owned_by(ctx: &Ctx, tx: &mut Tx, user_id: UserId) -> Result<()> {
    let owned = store::owned_by(tx, ctx.tenant_id, user_id).await?;
    let ids = owned.iter().map(|membership| membership.organization_id).collect();
    organizations::lock_all(ctx, tx, ids).await.map(drop)
}

/// Locks the organizations that a user is a member of.
pub async fn lock_all_of(ctx: &Ctx, tx: &mut Tx, user_id: UserId) -> Result<()> {
    let present = store::list(tx, ctx.tenant_id, super::Of::User(user_id), None, None, i64::MAX).await?;
    let ids = present.iter().map(|membership| membership.organization_id).collect();
    organizations::lock_all(ctx, tx, ids).await.map(drop)
}
