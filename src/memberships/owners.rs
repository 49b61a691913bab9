//! The owner floor: an organization that has had an active owner always keeps one.
//!
//! An owner is active where the membership is, and the user is not suspended, as in Check. One whose membership has an end does not count: it will be
//! over by itself, and must not leave the organization without one then. The count is taken under the organization's lock, and
//! whoever suspends or removes a user locks the organizations that they own: so no two changes can each rely on the
//! other's owner.

use super::{Membership, store};
use crate::{
    clock::Timestamp,
    context::Ctx,
    db::Tx,
    error::{Error, Reason, Result},
    ids::{OrganizationId, TenantId, UserId},
    organizations, roles,
};

/// Fails with `LAST_OWNER` where this membership is the only active owner of its locked organization.
pub(super) async fn ensure_another(tx: &mut Tx, leaving: &Membership) -> Result<()> {
    let owners = store::active_owners(tx, leaving.tenant_id, leaving.organization_id).await?;
    if owners == [leaving.id] { Err(Error::last_owner()) } else { Ok(()) }
}

/// Fails with `LAST_OWNER` where somebody is about to be an active owner of a locked organization until this time, and
/// nobody is one for good.
pub(super) async fn ensure_lasting(
    tx: &mut Tx,
    tenant_id: TenantId,
    organization_id: OrganizationId,
    ends_at: Option<Timestamp>,
) -> Result<()> {
    if ends_at.is_some() && store::active_owners(tx, tenant_id, organization_id).await?.is_empty() {
        let message = "the organization would lose its last active owner when the membership's end time is reached";
        return Err(Error::new(Reason::LastOwner, message));
    }
    Ok(())
}

/// [`ensure_lasting`], of a membership that is about to be active with the roles that it has.
pub(super) async fn ensure_lasting_with(tx: &mut Tx, membership: &Membership) -> Result<()> {
    if !membership.roles.contain(roles::OWNER) {
        return Ok(());
    }
    let Membership { tenant_id, organization_id, ends_at, .. } = membership;
    ensure_lasting(tx, *tenant_id, *organization_id, *ends_at).await
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
