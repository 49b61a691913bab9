//! The roles of a membership.

use super::{Assignments, Membership, Source, get_present, owners, store, wire};
use crate::{
    context::Ctx,
    db::Tx,
    error::{Error, Reason, Result},
    events,
    ids::{MembershipId, OrganizationId},
    organizations, roles, users,
};

/// Assigns a role. Assigning it again changes nothing.
pub async fn assign_role(
    ctx: &Ctx,
    tx: &mut Tx,
    organization_id: OrganizationId,
    id: MembershipId,
    role: &str,
) -> Result<Membership> {
    let before = lock(ctx, tx, organization_id, id, &[role.to_owned()]).await?;
    if before.roles.contain(role) {
        return Ok(before);
    }
    hold_future_owner(tx, &before, role).await?;
    store::assign(tx, &before, role, Source::Api).await?;
    let after = touched(ctx, tx, &before).await?;
    events::append(ctx, tx, vec![wire::role_assigned(&before, &after)]).await?;
    Ok(after)
}

/// Takes a role. Taking one that is not assigned changes nothing. Fails with `LAST_ROLE`, `LAST_OWNER`.
pub async fn revoke_role(
    ctx: &Ctx,
    tx: &mut Tx,
    organization_id: OrganizationId,
    id: MembershipId,
    role: &str,
) -> Result<Membership> {
    let before = lock(ctx, tx, organization_id, id, &[role.to_owned()]).await?;
    if !before.roles.contain(role) {
        return Ok(before);
    }
    if role == roles::OWNER {
        owners::ensure_another(tx, &before).await?;
    }
    if before.roles.0.iter().all(|(slug, _)| slug == role) {
        return Err(Error::new(Reason::LastRole, "every membership has at least one role: assign another first"));
    }
    store::revoke(tx, &before, role).await?;
    let after = touched(ctx, tx, &before).await?;
    events::append(ctx, tx, vec![wire::role_revoked(&before, &after)]).await?;
    Ok(after)
}

/// Gives a membership exactly these roles. Fails with `LAST_OWNER`.
pub async fn set_roles(
    ctx: &Ctx,
    tx: &mut Tx,
    organization_id: OrganizationId,
    id: MembershipId,
    slugs: &[String],
) -> Result<Membership> {
    let before = lock(ctx, tx, organization_id, id, slugs).await?;
    let wanted = Assignments(slugs.iter().map(|slug| (slug.clone(), Source::Api)).collect());
    if before.roles == wanted {
        return Ok(before);
    }
    if before.roles.contain(roles::OWNER) && !wanted.contain(roles::OWNER) {
        owners::ensure_another(tx, &before).await?;
    }
    for role in slugs.iter().filter(|role| !before.roles.contain(role)) {
        hold_future_owner(tx, &before, role).await?;
        store::assign(tx, &before, role, Source::Api).await?;
    }
    for (role, _) in before.roles.0.iter().filter(|(role, _)| !wanted.contain(role)) {
        store::revoke(tx, &before, role).await?;
    }
    let after = touched(ctx, tx, &before).await?;
    events::append(ctx, tx, vec![wire::roles_changed(&before, &after)]).await?;
    Ok(after)
}

async fn lock(
    ctx: &Ctx,
    tx: &mut Tx,
    organization_id: OrganizationId,
    id: MembershipId,
    slugs: &[String],
) -> Result<Membership> {
    organizations::lock_for_change(tx, ctx.tenant_id, organization_id).await?;
    let membership = get_present(tx, ctx.tenant_id, organization_id, id).await?;
    roles::ensure_exist(tx, ctx.tenant_id, organization_id, slugs).await?;
    Ok(membership)
}

/// Who becomes an owner is not suspended or removed meanwhile, without the owner floor hearing of it.
async fn hold_future_owner(tx: &mut Tx, membership: &Membership, role: &str) -> Result<()> {
    if role == roles::OWNER {
        users::hold(tx, membership.tenant_id, membership.user_id).await?;
    }
    Ok(())
}

async fn touched(ctx: &Ctx, tx: &mut Tx, membership: &Membership) -> Result<Membership> {
    store::touch(tx, membership, ctx.now).await
}
