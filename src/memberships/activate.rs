//! A person who was invited, or put here before they came, comes.

use super::{Membership, Status, Whose, owners, store, whose, wire};
use crate::{
    context::Ctx,
    db::Tx,
    error::{Error, Reason, Result},
    events::{self, Change},
    fields::Email,
    invitations,
    organizations::{self, Organization},
    users,
};

/// The first sign-in of a membership's user: the membership becomes active, and so does the user.
/// A user who was invited must have proven the invited address (`verified`), as where they accept: whoever made them a user,
/// or linked an account, may not have asked.
pub async fn activate_membership(
    ctx: &Ctx,
    tx: &mut Tx,
    which: Whose,
    authenticated_via: &str,
    verified: Option<&Email>,
) -> Result<Membership> {
    whose(ctx, tx, which).await?; // strangers wait for no lock
    let organization = organizations::lock_for_change(ctx, tx, which.organization_id).await?;
    let before = whose(ctx, tx, which).await?;
    let (after, mut changes) = activate(ctx, tx, &organization, &before, authenticated_via).await?;
    if before.status == Status::Invited {
        changes.extend(invitations::accepted_with(ctx, tx, &before, verified).await?);
    }
    events::append(ctx, tx, changes).await?;
    Ok(after)
}

/// Makes a pending membership of a locked organization active, and its user, where they have not come before. The
/// changes are the caller's to append. Fails with `ILLEGAL_TRANSITION`, `ORGANIZATION_SUSPENDED`, `MEMBERSHIP_ENDED`,
/// `LAST_OWNER`.
pub async fn activate(
    ctx: &Ctx,
    tx: &mut Tx,
    organization: &Organization,
    before: &Membership,
    authenticated_via: &str,
) -> Result<(Membership, Vec<Change>)> {
    match before.status_at(ctx.now) {
        Status::Invited if organization.status == organizations::Status::Suspended => {
            let message = "the organization is suspended, and accepts no invitation";
            return Err(Error::new(Reason::OrganizationSuspended, message));
        }
        Status::Invited | Status::PreProvisioned | Status::Active => {}
        status @ (Status::Suspended | Status::Removed) => {
            return Err(Error::illegal_transition("a membership", status.name(), "ACTIVE"));
        }
    }
    let user = users::hold(tx, ctx.tenant_id, before.user_id).await?;
    if before.status == Status::Active && user.status.has_come() {
        return Ok((before.clone(), Vec::new()));
    }
    let user = users::get(tx, ctx.tenant_id, user.id).await?; // with the identities of under the lock
    let mut changes: Vec<Change> = users::activate(ctx, tx, &user).await?.into_iter().collect();
    if before.status == Status::Active {
        return Ok((before.clone(), changes)); // was a member before they ever came
    }
    before.ensure_not_over(ctx.now)?;
    owners::ensure_lasting_with(tx, before).await?;
    let active = Membership {
        status: Status::Active,
        status_reason: ctx.reason.clone(),
        authenticated_via: authenticated_via.to_owned(),
        joined_at: Some(ctx.now),
        updated_at: ctx.now,
        ..before.clone()
    };
    let after = store::save(tx, before, &active).await?;
    changes.push(wire::activated(before, &after));
    Ok((after, changes))
}
