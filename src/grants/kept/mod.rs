//! The grants of members that the deletion of an organization ended: kept until it is restored or purged.

mod store;

use super::{Grant, Principal, store as grants, wire};
use crate::{
    clock::Timestamp,
    context::Ctx,
    db::{FromRow, Tx},
    error::Result,
    events::Change,
    ids::{GrantId, MembershipId, OrganizationId, TenantId},
    memberships::Membership,
};

/// A grant of a member, as it was.
#[derive(Debug, FromRow)]
struct Kept {
    resource_type: String,
    resource_id: String,
    role: Option<String>,
    permission: Option<String>,
    ends_at: Option<Timestamp>,
}

/// Remembers every grant of a member of a locked organization.
pub async fn keep_all(tx: &mut Tx, tenant_id: TenantId, id: OrganizationId) -> Result<()> {
    store::keep(tx, tenant_id, id).await
}

/// Gives what a membership was granted to the one that is there in its stead: as far as it has not ended meanwhile, and
/// the role or permission is still there.
pub async fn restore_all(ctx: &Ctx, tx: &mut Tx, former: MembershipId, membership: &Membership) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    for Kept { resource_type, resource_id, role, permission, ends_at } in
        store::kept(tx, membership, former, ctx.now).await?
    {
        let principal = Principal::Membership(membership.id);
        let grant = Grant {
            tenant_id: membership.tenant_id,
            organization_id: membership.organization_id,
            id: GrantId::generate(),
            principal_kind: principal.kind().to_owned(),
            principal_id: principal.id(),
            resource_type,
            resource_id,
            role,
            permission,
            ends_at,
            created_at: ctx.now,
            updated_at: ctx.now,
        };
        grants::insert(tx, &grant, &principal).await?;
        changes.push(wire::created(&grant));
    }
    Ok(changes)
}

/// Forgets the grants that were kept.
pub async fn forget(tx: &mut Tx, tenant_id: TenantId, id: OrganizationId) -> Result<()> {
    store::forget(tx, tenant_id, id).await
}

/// Takes every grant of an organization out of the table.
pub async fn purge(tx: &mut Tx, tenant_id: TenantId, id: OrganizationId) -> Result<()> {
    store::purge(tx, tenant_id, id).await
}
