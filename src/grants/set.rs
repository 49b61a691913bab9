//! Giving a principal a right on a resource.

use super::{Grant, Principal, Right, store, wire};
use crate::{
    authority,
    clock::Timestamp,
    context::Ctx,
    db::Tx,
    error::Result,
    events::{self, Change},
    ids::{GrantId, OrganizationId},
    memberships, organizations, permissions,
    resources::ResourceRef,
    roles, teams,
};

/// A grant to set.
#[derive(Debug, Clone)]
pub struct Set {
    /// Where.
    pub organization_id: OrganizationId,
    /// Who.
    pub principal: Principal,
    /// On what.
    pub resource: ResourceRef,
    /// What.
    pub right: Right,
    /// When it ends by itself.
    pub ends_at: Option<Timestamp>,
    /// Whether every other grant of the principal on the resource is revoked with it.
    pub replace: bool,
}

/// Sets a grant. Setting the same again changes nothing but its end.
pub async fn set(ctx: &Ctx, tx: &mut Tx, input: &Set) -> Result<Grant> {
    organizations::lock_for_change(ctx, tx, input.organization_id).await?;
    ensure_exist(ctx, tx, input).await?;
    ensure_may_give(ctx, tx, input).await?;
    let held = store::held(tx, ctx.tenant_id, input).await?;
    let (same, others): (Vec<Grant>, Vec<Grant>) = held.into_iter().partition(|grant| gives(grant, &input.right));
    let (grant, change) = match same.into_iter().next() {
        Some(before) => keep(ctx, tx, before, input.ends_at).await?,
        None => give(ctx, tx, input).await?,
    };
    let mut changes: Vec<Change> = change.into_iter().collect();
    if input.replace {
        for other in &others {
            store::delete(tx, other).await?;
            let revoked = wire::revoked(other);
            changes.push(if changes.is_empty() { revoked } else { revoked.cascaded() });
        }
    }
    events::append(ctx, tx, changes).await?;
    Ok(grant)
}

fn gives(grant: &Grant, right: &Right) -> bool {
    match right {
        Right::Role(slug) => grant.role.as_ref() == Some(slug),
        Right::Permission(slug) => grant.permission.as_ref() == Some(slug),
    }
}

/// A grant that is there already: only its end may change.
async fn keep(ctx: &Ctx, tx: &mut Tx, before: Grant, ends_at: Option<Timestamp>) -> Result<(Grant, Option<Change>)> {
    if before.ends_at == ends_at {
        return Ok((before, None));
    }
    let after = Grant { ends_at, updated_at: ctx.now, ..before.clone() };
    store::set_end(tx, &after).await?;
    let change = wire::updated(&before, &after);
    Ok((after, Some(change)))
}

async fn give(ctx: &Ctx, tx: &mut Tx, input: &Set) -> Result<(Grant, Option<Change>)> {
    let (role, permission) = match &input.right {
        Right::Role(slug) => (Some(slug.clone()), None),
        Right::Permission(slug) => (None, Some(slug.clone())),
    };
    let grant = Grant {
        tenant_id: ctx.tenant_id,
        organization_id: input.organization_id,
        id: GrantId::generate(),
        principal_kind: input.principal.kind().to_owned(),
        principal_id: input.principal.id(),
        resource_type: input.resource.kind.clone(),
        resource_id: input.resource.id.clone(),
        role,
        permission,
        ends_at: input.ends_at,
        created_at: ctx.now,
        updated_at: ctx.now,
    };
    store::insert(tx, &grant, &input.principal).await?;
    let change = wire::created(&grant);
    Ok((grant, Some(change)))
}

/// Fails with `MISSING_PERMISSION` where the caller lacks what the grant gives.
async fn ensure_may_give(ctx: &Ctx, tx: &mut Tx, input: &Set) -> Result<()> {
    let organization_id = Some(input.organization_id);
    match &input.right {
        Right::Role(slug) => authority::ensure_may_grant(ctx, tx, organization_id, &[slug], &[]).await,
        Right::Permission(slug) => authority::ensure_may_grant(ctx, tx, organization_id, &[], &[slug]).await,
    }
}

/// Whatever the grant names must be there.
async fn ensure_exist(ctx: &Ctx, tx: &mut Tx, input: &Set) -> Result<()> {
    let (tenant_id, organization_id) = (ctx.tenant_id, input.organization_id);
    match &input.principal {
        Principal::Membership(id) => {
            memberships::get_present(tx, tenant_id, organization_id, *id).await?;
        }
        Principal::Team(id) => {
            teams::get(tx, tenant_id, organization_id, *id).await?;
        }
        Principal::Role(slug) => {
            roles::ensure_exist(tx, tenant_id, organization_id, std::slice::from_ref(slug)).await?
        }
    }
    match &input.right {
        Right::Role(slug) => roles::ensure_exist(tx, tenant_id, organization_id, std::slice::from_ref(slug)).await,
        Right::Permission(slug) => permissions::ensure_known(tx, tenant_id, std::slice::from_ref(slug)).await,
    }
}
