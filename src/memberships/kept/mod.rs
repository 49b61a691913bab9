//! What the deletion of an organization took from its members: kept until it is restored, with new memberships, or purged.

mod store;

use super::{Assignment, Assignments, Membership, Origin, Status, get, wire};
use crate::{
    context::Ctx,
    db::{FromRow, Tx},
    error::{Error, Reason, Result},
    events::Change,
    grants,
    ids::{MembershipId, OrganizationId, TenantId, UserId},
    organizations::Organization,
    roles, teams, users,
};

/// A membership as it was when its organization was deleted.
#[derive(Debug, FromRow)]
struct Kept {
    /// Its id, then.
    id: MembershipId,
    /// Where it stood.
    status: Status,
    /// Those of its roles that are still there.
    #[sqlx(try_from = "String")]
    roles: Assignments,
}

/// Remembers everybody who is a member of a locked organization, before their memberships end.
pub(super) async fn keep_all(tx: &mut Tx, tenant_id: TenantId, id: OrganizationId) -> Result<()> {
    store::keep(tx, tenant_id, id).await?;
    teams::keep_places(tx, tenant_id, id).await?;
    grants::keep_all(tx, tenant_id, id).await
}

/// Makes everybody a member again who was one of a locked organization, and this user an owner. Fails with
/// `OWNER_NEEDED`, `MEMBER_NOT_ACTIVE`.
pub async fn restore_all(
    ctx: &Ctx,
    tx: &mut Tx,
    organization: &Organization,
    owner: Option<UserId>,
) -> Result<Vec<Change>> {
    let default = roles::default_of(tx, organization).await?;
    let had_owner = store::had_owner(tx, ctx.tenant_id, organization.id).await?;
    let (mut changes, mut owner_is_back) = (Vec::new(), false);
    // By user: they are locked as they come, in one order for everybody.
    for kept in store::kept(tx, ctx.tenant_id, organization.id).await? {
        let before = get(tx, ctx.tenant_id, organization.id, kept.id).await?;
        let is_owner = owner == Some(before.user_id);
        owner_is_back |= is_owner;
        changes.extend(restore(ctx, tx, kept, before, &default, is_owner).await?);
    }
    if let Some(user_id) = owner.filter(|_| !owner_is_back) {
        changes.extend(add_owner(ctx, tx, organization.id, user_id).await?);
    }
    forget(tx, ctx.tenant_id, organization.id).await?;
    if had_owner && super::store::active_owners(tx, ctx.tenant_id, organization.id).await?.is_empty() {
        let message = "nobody who was an owner is active any more: name somebody who is to be one";
        return Err(Error::new(Reason::OwnerNeeded, message));
    }
    Ok(changes)
}

/// Makes a user a member again, unless they were removed meanwhile. Whatever else the membership carries is taken over.
async fn restore(
    ctx: &Ctx,
    tx: &mut Tx,
    kept: Kept,
    before: Membership,
    default: &str,
    is_owner: bool,
) -> Result<Vec<Change>> {
    let user = match users::hold(tx, ctx.tenant_id, before.user_id).await {
        Ok(user) => user,
        Err(error) if error.reason() == Reason::UserNotFound && !is_owner => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let Kept { id, mut status, mut roles } = kept;
    let mut ends_at = before.ends_at;
    if is_owner {
        ensure_active(&user)?;
        // An owner with an end is none that counts.
        (status, roles, ends_at) = (Status::Active, with_owner(roles), None);
    } else if roles.0.is_empty() {
        roles = Assignments::of(&[default.to_owned()], &Origin::api());
    }
    let membership = Membership {
        id: MembershipId::generate(),
        status,
        roles,
        ends_at,
        status_reason: ctx.reason.clone(),
        created_at: ctx.now,
        updated_at: ctx.now,
        ..before
    };
    super::store::insert(tx, &membership).await?;
    let mut changes = vec![wire::created(&membership)];
    changes.extend(teams::restore_places(ctx, tx, id, &membership).await?);
    changes.extend(grants::restore_all(ctx, tx, id, &membership).await?);
    Ok(changes)
}

fn with_owner(mut roles: Assignments) -> Assignments {
    if !roles.contain(roles::OWNER) {
        roles.0.push(Assignment { role: roles::OWNER.to_owned(), origin: Origin::api() });
        roles.0.sort();
    }
    roles
}

/// An owner who was no member.
async fn add_owner(ctx: &Ctx, tx: &mut Tx, id: OrganizationId, user_id: UserId) -> Result<Vec<Change>> {
    ensure_active(&users::hold(tx, ctx.tenant_id, user_id).await?)?;
    let owner = super::NewMember::active(super::Person::User(user_id), vec![roles::OWNER.to_owned()]);
    Ok(super::add(ctx, tx, id, &owner, &owner.roles).await?.changes)
}

fn ensure_active(user: &users::User) -> Result<()> {
    if user.status == users::Status::Active {
        return Ok(());
    }
    Err(Error::new(Reason::MemberNotActive, "the user who is to be an owner is not active"))
}

/// Forgets what was kept of an organization.
async fn forget(tx: &mut Tx, tenant_id: TenantId, id: OrganizationId) -> Result<()> {
    store::forget(tx, tenant_id, id).await?;
    teams::forget_places(tx, tenant_id, id).await?;
    grants::forget(tx, tenant_id, id).await
}

/// Takes every membership of an organization out of the table, and what was kept of them.
pub async fn purge(tx: &mut Tx, tenant_id: TenantId, id: OrganizationId) -> Result<()> {
    forget(tx, tenant_id, id).await?;
    store::purge(tx, tenant_id, id).await
}
