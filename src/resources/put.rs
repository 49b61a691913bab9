//! Registering a resource, or moving it.

use super::{Resource, ResourceRef, store, tree, wire};
use crate::{authority, context::Ctx, db::Tx, error::Result, events, grants, ids::OrganizationId, organizations};

/// A resource, and where it shall stand.
#[derive(Debug, Clone)]
pub struct Put {
    /// Where.
    pub organization_id: OrganizationId,
    /// Which.
    pub reference: ResourceRef,
    /// The resource above it.
    pub parent: Option<ResourceRef>,
}

/// Registers a resource, or moves it with everything below it. Putting it where it is changes nothing. Fails with
/// `RESOURCE_NOT_FOUND` (the parent), `RESOURCE_CYCLE`, `RESOURCE_TOO_DEEP`, `MISSING_PERMISSION`.
pub async fn put(ctx: &Ctx, tx: &mut Tx, input: &Put) -> Result<Resource> {
    let Put { organization_id, reference, parent } = input;
    organizations::lock_for_change(ctx, tx, *organization_id).await?;
    let before = store::get(tx, ctx.tenant_id, *organization_id, reference).await?;
    if let Some(before) = &before
        && before.parent() == *parent
    {
        return Ok(before.clone());
    }
    let (parent_type, parent_id) = parent.clone().map(|parent| (parent.kind, parent.id)).unzip();
    let after = Resource {
        tenant_id: ctx.tenant_id,
        organization_id: *organization_id,
        reference: reference.clone(),
        parent_type,
        parent_id,
        created_at: before.as_ref().map_or(ctx.now, |before| before.created_at),
        updated_at: ctx.now,
    };
    tree::ensure_fits(tx, before.as_ref(), &after).await?;
    if let Some(parent) = parent {
        ensure_may_give(ctx, tx, *organization_id, parent).await?;
    }
    let change = match before {
        Some(before) => {
            store::set_parent(tx, &after).await?;
            wire::moved(&before, &after)
        }
        None => {
            store::insert(tx, &after).await?;
            wire::created(&after)
        }
    };
    events::append(ctx, tx, vec![change]).await?;
    Ok(after)
}

/// What is granted above a resource counts on it from now on: whoever puts it there gives that.
async fn ensure_may_give(ctx: &Ctx, tx: &mut Tx, organization_id: OrganizationId, parent: &ResourceRef) -> Result<()> {
    if authority::gives_everything(ctx) {
        return Ok(());
    }
    let given = grants::given_on(tx, ctx.tenant_id, organization_id, parent).await?;
    let roles: Vec<&str> = given.iter().filter_map(|right| right.role.as_deref()).collect();
    let permissions: Vec<&str> = given.iter().filter_map(|right| right.permission.as_deref()).collect();
    authority::ensure_may_grant(ctx, tx, Some(organization_id), &roles, &permissions).await
}
