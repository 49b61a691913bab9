//! Emptying what memberships keep of a person.

use super::{store, wire};
use crate::{
    context::Ctx,
    db::Tx,
    error::Result,
    events::Change,
    ids::{OrganizationId, TenantId, UserId},
    organizations,
};

/// The organizations to lock before everything that a user has of memberships ends.
pub async fn organizations_of(tx: &mut Tx, tenant_id: TenantId, user_id: UserId) -> Result<Vec<OrganizationId>> {
    Ok(store::organizations_of(tx, tenant_id, user_id).await?.into_iter().map(|(id,)| id).collect())
}

/// The organizations that a user is or was a member of.
pub async fn ever_of(tx: &mut Tx, tenant_id: TenantId, user_id: UserId) -> Result<Vec<OrganizationId>> {
    Ok(store::ever_of(tx, tenant_id, user_id).await?.into_iter().map(|(id,)| id).collect())
}

/// Empties what is personal of every membership of a user; their organizations must be locked.
pub async fn erase_all_of_user(ctx: &Ctx, tx: &mut Tx, user_id: UserId) -> Result<Vec<Change>> {
    let mut erased = store::erase(tx, ctx.tenant_id, user_id, ctx.now).await?;
    erased.sort_by_key(|membership| membership.id);
    for membership in &erased {
        organizations::ensure_locked(tx, membership.organization_id)?;
    }
    Ok(erased.iter().map(wire::erased).collect())
}
