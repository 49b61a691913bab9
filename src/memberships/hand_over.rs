//! Handing over ownership: another member becomes an owner, and who was one gets another role.

use super::{Assignment, Assignments, Membership, Origin, Status, get, store, wire};
use crate::{
    authority::{self, Authority},
    context::Ctx,
    db::Tx,
    error::{Error, Reason, Result},
    events::Change,
    ids::{MembershipId, OrganizationId},
    roles, users,
};

/// Who hands the ownership over, and to whom.
#[derive(Debug, Clone)]
pub struct HandOver {
    /// Who is taken to be an owner.
    pub owner: MembershipId,
    /// Who becomes one: somebody else.
    pub new_owner: MembershipId,
    /// The role that the former owner gets.
    pub former_owner_role: String,
}

/// What became of both.
#[derive(Debug)]
pub struct HandedOver {
    /// Who is an owner now.
    pub owner: Membership,
    /// Who was one.
    pub former_owner: Membership,
    /// What the log is to hear: first that there is an owner, then that another is none any more.
    pub changes: Vec<Change>,
}

/// Hands over the ownership of a locked organization. Fails with `NOT_AN_OWNER`, `MEMBER_NOT_ACTIVE`,
/// `OWNERSHIP_OF_ANOTHER`.
pub async fn hand_over(
    ctx: &Ctx,
    tx: &mut Tx,
    organization_id: OrganizationId,
    input: &HandOver,
) -> Result<HandedOver> {
    let role = &input.former_owner_role;
    let former = get(tx, ctx.tenant_id, organization_id, input.owner).await?;
    let next = get(tx, ctx.tenant_id, organization_id, input.new_owner).await?;
    roles::ensure_exist(tx, ctx.tenant_id, organization_id, std::slice::from_ref(role)).await?;
    ensure_own(ctx, &former)?;
    if let Authority::User(_) = &ctx.authority {
        authority::ensure_may_grant(ctx, tx, Some(organization_id), &[roles::OWNER, role], &[]).await?;
    }
    ensure_owner(tx, &former).await?;
    ensure_active(tx, &next).await?;
    let mut changes = Vec::new();
    let owner = promote(ctx, tx, next, &mut changes).await?;
    let former_owner = demote(ctx, tx, former, role, &mut changes).await?;
    Ok(HandedOver { owner, former_owner, changes })
}

/// A service that may transfer ownership may transfer any.
fn ensure_own(ctx: &Ctx, owner: &Membership) -> Result<()> {
    match &ctx.authority {
        Authority::User(user) if user.user_id != owner.user_id => {
            Err(Error::new(Reason::OwnershipOfAnother, "a user hands over their own ownership alone"))
        }
        _ => Ok(()),
    }
}

/// Whoever suspends or removes an owner's user has the organization's lock, too: so their status stands still.
async fn ensure_owner(tx: &mut Tx, membership: &Membership) -> Result<()> {
    let is_owner = membership.status == Status::Active && membership.roles.contain(roles::OWNER);
    if is_owner && users::get(tx, membership.tenant_id, membership.user_id).await?.status == users::Status::Active {
        return Ok(());
    }
    Err(Error::new(Reason::NotAnOwner, "the membership is no active owner of the organization"))
}

/// Who becomes an owner is held, so that they are not suspended or removed meanwhile.
async fn ensure_active(tx: &mut Tx, membership: &Membership) -> Result<()> {
    // An owner with an end is none that lasts.
    if membership.status == Status::Active
        && membership.ends_at.is_none()
        && users::hold(tx, membership.tenant_id, membership.user_id).await?.status == users::Status::Active
    {
        return Ok(());
    }
    Err(Error::new(Reason::MemberNotActive, "the member who is to be an owner is not active, or has an end"))
}

async fn promote(ctx: &Ctx, tx: &mut Tx, before: Membership, changes: &mut Vec<Change>) -> Result<Membership> {
    if before.roles.contain(roles::OWNER) {
        return Ok(before);
    }
    let assignment = Assignment { role: roles::OWNER.to_owned(), origin: Origin::api() };
    store::assign(tx, vec![(&before, &assignment)]).await?;
    let after = store::save(tx, &before, &Membership { updated_at: ctx.now, ..before.clone() }).await?;
    changes.push(wire::role_assigned(&before, &after));
    Ok(after)
}

async fn demote(
    ctx: &Ctx,
    tx: &mut Tx,
    before: Membership,
    role: &str,
    changes: &mut Vec<Change>,
) -> Result<Membership> {
    let given = Assignments::of(&[role.to_owned()], &Origin::api());
    let added = given.0.iter().filter(|assignment| !before.roles.0.contains(assignment));
    store::assign(tx, added.map(|assignment| (&before, assignment)).collect()).await?;
    for assignment in before.roles.0.iter().filter(|assignment| assignment.role == roles::OWNER) {
        store::revoke(tx, &before, assignment).await?;
    }
    let after = store::save(tx, &before, &Membership { updated_at: ctx.now, ..before.clone() }).await?;
    changes.push(wire::roles_changed(&before, &after));
    Ok(after)
}
