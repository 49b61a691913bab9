//! A role that is no more: every membership that had it gets another, from the same sources.

use super::{Assignment, Membership, store, wire};
use crate::{
    clock::Timestamp,
    context::Ctx,
    db::Tx,
    error::Result,
    events::Change,
    ids::{MembershipId, OrganizationId},
    organizations,
    roles::{Role, Successors},
};

/// Gives every membership that has a role another in its place: the one of its organization. Nobody
/// must be able to assign the role meanwhile. Fails with `CONFLICT` where an organization was not locked.
pub async fn replace_role(ctx: &Ctx, tx: &mut Tx, role: &Role, instead: &Successors) -> Result<Vec<Change>> {
    let before = store::with_role(tx, role).await?;
    for membership in &before {
        organizations::ensure_locked(tx, membership.organization_id)?;
    }
    let after: Vec<_> =
        before.iter().map(|it| replaced(it, &role.slug, instead.of(it.organization_id), ctx.now)).collect();
    store::touch_with_role(tx, role, ctx.now).await?;
    store::revoke_everywhere(tx, role).await?;
    let mut new = Vec::new();
    for (before, after) in before.iter().zip(&after) {
        let added = after.roles.0.iter().filter(|it| before.roles.0.binary_search(it).is_err()); // ordered
        new.extend(added.map(|assignment| (after, assignment)));
    }
    store::assign(tx, new).await?;
    Ok(before.iter().zip(&after).map(|(before, after)| wire::roles_changed(before, after)).collect())
}

/// A membership with another role in place of one; where it has that already from the same source, once.
fn replaced(membership: &Membership, role: &str, instead: &str, now: Timestamp) -> Membership {
    let mut after = membership.clone();
    for Assignment { role: slug, .. } in after.roles.0.iter_mut().filter(|assignment| assignment.role == role) {
        instead.clone_into(slug);
    }
    after.roles.0.sort();
    after.roles.0.dedup();
    after.version += 1;
    after.updated_at = now;
    after
}

/// Who holds a role in an organization, by themselves or through a team or one above it; by id.
pub async fn holders_of_role(
    tx: &mut Tx,
    role: &Role,
    organization_id: OrganizationId,
    after: Option<MembershipId>,
    limit: i64,
) -> Result<Vec<Membership>> {
    store::holders_of_role(tx, role, organization_id, after, limit).await
}
