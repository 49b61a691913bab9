//! The owner floor: an organization that has had an active owner always keeps one.
//!
//! An owner is active where the membership and the user are. The count is taken under the organization's lock, and
//! whoever suspends or removes a user locks the organizations that they own: so no two changes can each rely on the
//! other's owner.

use super::{Membership, store};
use crate::{
    db::Tx,
    error::{Error, Reason, Result},
    events::Stream,
    ids::{OrganizationId, TenantId, UserId},
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
        ensure_locked(tx, owned.organization_id)?;
        ensure_another(tx, &owned).await.map_err(|error| error.with("organization_id", owned.organization_id))?;
    }
    Ok(())
}

/// Locks the organizations that a user is an owner of.
pub async fn lock_owned_by(tx: &mut Tx, tenant_id: TenantId, user_id: UserId) -> Result<()> {
    let owned = store::owned_by(tx, tenant_id, user_id).await?;
    lock_in_order(tx, tenant_id, owned.iter().map(|membership| membership.organization_id).collect()).await
}

/// Locks the organizations that a user is a member of.
pub async fn lock_all_of(tx: &mut Tx, tenant_id: TenantId, user_id: UserId) -> Result<()> {
    let present = store::list(tx, tenant_id, super::Of::User(user_id), None, None, i64::MAX).await?;
    lock_in_order(tx, tenant_id, present.iter().map(|membership| membership.organization_id).collect()).await
}

async fn lock_in_order(tx: &mut Tx, tenant_id: TenantId, mut ids: Vec<OrganizationId>) -> Result<()> {
    ids.sort();
    for id in ids {
        organizations::lock(tx, tenant_id, id).await?;
    }
    Ok(())
}

/// A membership that came about after the organizations were locked: the transaction is tried again.
pub(super) fn ensure_locked(tx: &Tx, id: OrganizationId) -> Result<()> {
    if tx.ledger.has_seen(Stream::Organization(id)) {
        return Ok(());
    }
    Err(Error::new(Reason::Conflict, "the user became a member of another organization meanwhile"))
}
