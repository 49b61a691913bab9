//! The roles of a membership.

use super::{Assignment, Assignments, Membership, Origin, Status, get_present, owners, store, wire};
use crate::{
    authority,
    context::Ctx,
    db::Tx,
    error::{Error, Reason, Result},
    events,
    ids::{MembershipId, OrganizationId},
    organizations, roles, users,
};

/// Assigns a role. Assigning it again from the same origin changes nothing.
pub async fn assign_role(
    ctx: &Ctx,
    tx: &mut Tx,
    organization_id: OrganizationId,
    id: MembershipId,
    assignment: &Assignment,
) -> Result<Membership> {
    let role = &assignment.role;
    let before = lock(ctx, tx, organization_id, id, std::slice::from_ref(role)).await?;
    if before.roles.0.contains(assignment) {
        return Ok(before);
    }
    authority::ensure_may_grant(ctx, tx, Some(organization_id), &[role], &[]).await?;
    admit_owner(tx, &before, role).await?;
    store::assign(tx, vec![(&before, assignment)]).await?;
    let after = touched(ctx, tx, &before).await?;
    events::append(ctx, tx, vec![wire::role_assigned(&before, &after)]).await?;
    Ok(after)
}

/// Takes a role, as it came from one origin. Taking one that did not changes nothing. Fails with `LAST_ROLE`,
/// `LAST_OWNER`.
pub async fn revoke_role(
    ctx: &Ctx,
    tx: &mut Tx,
    organization_id: OrganizationId,
    id: MembershipId,
    assignment: &Assignment,
) -> Result<Membership> {
    let before = lock(ctx, tx, organization_id, id, std::slice::from_ref(&assignment.role)).await?;
    let mut wanted = before.roles.clone();
    wanted.0.retain(|held| held != assignment);
    if wanted == before.roles {
        return Ok(before);
    }
    ensure_bearable(tx, &before, &wanted).await?;
    store::revoke(tx, &before, assignment).await?;
    let after = touched(ctx, tx, &before).await?;
    events::append(ctx, tx, vec![wire::role_revoked(&before, &after)]).await?;
    Ok(after)
}

/// Gives a membership exactly these roles from one origin; what came from others stays. Fails with `LAST_ROLE`,
/// `LAST_OWNER`.
pub async fn set_roles(
    ctx: &Ctx,
    tx: &mut Tx,
    organization_id: OrganizationId,
    id: MembershipId,
    slugs: &[String],
    origin: &Origin,
) -> Result<Membership> {
    let before = lock(ctx, tx, organization_id, id, slugs).await?;
    let mut wanted = Assignments::of(slugs, origin);
    wanted.0.extend(before.roles.0.iter().filter(|held| held.origin != *origin).cloned());
    wanted.0.sort();
    if before.roles == wanted {
        return Ok(before);
    }
    ensure_bearable(tx, &before, &wanted).await?;
    let (held, wanted) = (&before.roles.0, &wanted.0);
    let added: Vec<_> = wanted.iter().filter(|assignment| !held.contains(assignment)).collect();
    let given: Vec<_> = added.iter().map(|assignment| assignment.role.as_str()).collect();
    authority::ensure_may_grant(ctx, tx, Some(organization_id), &given, &[]).await?;
    for assignment in added {
        admit_owner(tx, &before, &assignment.role).await?;
        store::assign(tx, vec![(&before, assignment)]).await?;
    }
    for assignment in held.iter().filter(|assignment| !wanted.contains(assignment)) {
        store::revoke(tx, &before, assignment).await?;
    }
    let after = touched(ctx, tx, &before).await?;
    events::append(ctx, tx, vec![wire::roles_changed(&before, &after)]).await?;
    Ok(after)
}

/// Whatever other roles it has: a membership keeps one, and the organization an owner.
async fn ensure_bearable(tx: &mut Tx, before: &Membership, wanted: &Assignments) -> Result<()> {
    if before.roles.contain(roles::OWNER) && !wanted.contain(roles::OWNER) {
        owners::ensure_another(tx, before).await?;
    }
    if wanted.0.is_empty() {
        return Err(Error::new(Reason::LastRole, "every membership has at least one role: assign another first"));
    }
    Ok(())
}

async fn lock(
    ctx: &Ctx,
    tx: &mut Tx,
    organization_id: OrganizationId,
    id: MembershipId,
    slugs: &[String],
) -> Result<Membership> {
    organizations::lock_for_change(ctx, tx, organization_id).await?;
    let membership = get_present(tx, ctx.tenant_id, organization_id, id).await?;
    roles::ensure_exist(tx, ctx.tenant_id, organization_id, slugs).await?;
    Ok(membership)
}

/// Who becomes an owner is not suspended or removed meanwhile, without the owner floor hearing of it; and is not the
/// only one where that is not for good.
async fn admit_owner(tx: &mut Tx, membership: &Membership, role: &str) -> Result<()> {
    if role == roles::OWNER {
        users::hold(tx, membership.tenant_id, membership.user_id).await?;
        if membership.status == Status::Active {
            let Membership { tenant_id, organization_id, ends_at, .. } = membership;
            owners::ensure_lasting(tx, *tenant_id, *organization_id, *ends_at).await?;
        }
    }
    Ok(())
}

async fn touched(ctx: &Ctx, tx: &mut Tx, membership: &Membership) -> Result<Membership> {
    store::save(tx, membership, &Membership { updated_at: ctx.now, ..membership.clone() }).await
}
