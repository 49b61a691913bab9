//! Emptying what invitations keep of a person.

use super::{store, wire};
use crate::{
    context::Ctx,
    db::Tx,
    error::Result,
    events::Change,
    ids::{OrganizationId, TenantId, UserId},
    organizations,
};

/// The organizations whose invitations keep something of a person.
pub async fn organizations_of(tx: &mut Tx, tenant_id: TenantId, user_id: UserId) -> Result<Vec<OrganizationId>> {
    Ok(store::organizations_of(tx, tenant_id, user_id).await?.into_iter().map(|(id,)| id).collect())
}

/// Empties what invitations keep of a person, for good; their organizations must be locked. Ids and history stay.
pub async fn erase_all_of_user(ctx: &Ctx, tx: &mut Tx, user_id: UserId) -> Result<Vec<Change>> {
    let mut erased = store::erase(tx, ctx.tenant_id, user_id, ctx.now).await?;
    erased.sort_by_key(|invitation| invitation.id);
    for invitation in &erased {
        organizations::ensure_locked(tx, invitation.organization_id)?;
    }
    Ok(erased.iter().map(wire::erased).collect())
}
