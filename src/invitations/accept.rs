//! Accepting an invitation.

use super::{Invitation, Status, Token, end, preview, resend::member_of, store, wire};
use crate::{
    context::Ctx,
    db::Tx,
    domains,
    error::{Error, Reason, Result},
    events::{self, Change},
    fields::Email,
    ids::UserId,
    memberships::{self, Membership, NewMember, Origin, Person, Source},
    users::{self, User},
};

/// Who accepts what.
#[derive(Debug)]
pub struct Accept {
    /// By which it is accepted.
    pub token: Token,
    /// Who accepts.
    pub accepter: Accepter,
    /// How the accepter signed in, or empty.
    pub authenticated_via: String,
}

/// Who accepts, and who says that their address is theirs.
#[derive(Debug)]
pub enum Accepter {
    /// The user who calls, and the address that their token says is verified.
    Oneself(UserId, Option<Email>),
    /// Whom a service names, and whether it says that the address is verified.
    Named(Person, bool),
}

/// An invitation that was accepted.
#[derive(Debug)]
pub struct Accepted {
    /// The invitation as it now is.
    pub invitation: Invitation,
    /// The membership as it now is.
    pub membership: Membership,
}

/// Accepts an invitation: of many at once, one does.
pub async fn accept(ctx: &Ctx, tx: &mut Tx, input: &Accept) -> Result<Accepted> {
    let (before, organization) = preview::lock(ctx, tx, &input.token).await?;
    let (user, created) = accepter(ctx, tx, &input.accepter).await?;
    ensure_address(tx, &before, &user.email_key, &input.accepter).await?;
    users::ensure_not_suspended(&user)?;
    // First: what ends a membership takes back the invitation that is pending for it.
    let mut after = end::settle(ctx, tx, &before, Status::Accepted).await?;
    let invited = memberships::get(tx, ctx.tenant_id, before.organization_id, before.membership_id).await?;
    let (membership, follows) = if user.id == before.user_id {
        memberships::activate(ctx, tx, &organization, &invited, &input.authenticated_via).await?
    } else {
        let theirs = in_their_place(ctx, tx, &before, &invited, &user, &input.authenticated_via).await?;
        (after.user_id, after.membership_id) = (user.id, theirs.0.id);
        store::update(tx, &after).await?;
        theirs
    };
    let mut changes = vec![wire::ended(&before, &after)];
    changes.extend(created.into_iter().chain(follows).map(Change::cascaded));
    events::append(ctx, tx, changes).await?;
    Ok(Accepted { invitation: after, membership })
}

/// Somebody else takes the place of who was invited, with exactly what was promised: a colleague of the same verified
/// domain, or whoever has the address now.
async fn in_their_place(
    ctx: &Ctx,
    tx: &mut Tx,
    invitation: &Invitation,
    place: &Membership,
    user: &User,
    authenticated_via: &str,
) -> Result<(Membership, Vec<Change>)> {
    if let Some(present) = memberships::find_present(tx, ctx.tenant_id, invitation.organization_id, user.id).await? {
        return Err(memberships::already(&present));
    }
    place.ensure_not_over(ctx.now)?;
    let member = NewMember {
        person: Person::User(user.id),
        origin: Origin { source: Source::Invitation, reference: invitation.id.to_string() },
        authenticated_via: authenticated_via.to_owned(),
        ..member_of(tx, invitation).await?
    };
    let mut changes: Vec<Change> = users::activate(ctx, tx, user).await?.into_iter().collect();
    let added = memberships::add(ctx, tx, invitation.organization_id, &member, &member.roles).await?;
    changes.extend(added.changes);
    changes.extend(memberships::end_pending(ctx, tx, place).await?);
    Ok((added.membership, changes))
}

/// The user who accepts, locked; one who is not known yet becomes a user.
async fn accepter(ctx: &Ctx, tx: &mut Tx, accepter: &Accepter) -> Result<(User, Option<Change>)> {
    match accepter {
        Accepter::Oneself(id, _) | Accepter::Named(Person::User(id), _) => {
            Ok((users::hold(tx, ctx.tenant_id, *id).await?, None))
        }
        Accepter::Named(Person::Email(email), _) => {
            users::find_or_create(ctx, tx, email, "", users::Status::Active).await
        }
    }
}

/// Fails with `INVITATION_ADDRESS_MISMATCH` where the invitation is for another address than the accepter's, with
/// `ADDRESS_NOT_VERIFIED` where nobody says that it is theirs.
async fn ensure_address(tx: &mut Tx, invitation: &Invitation, key: &str, accepter: &Accepter) -> Result<()> {
    if key != invitation.email_key && !is_colleague(tx, invitation, key).await? {
        return Err(another_address());
    }
    let verified = match accepter {
        Accepter::Oneself(_, address) => address.as_ref().is_some_and(|address| address.key == key),
        Accepter::Named(_, verified) => *verified,
    };
    if verified { Ok(()) } else { Err(not_verified()) }
}

pub(super) fn another_address() -> Error {
    Error::new(Reason::InvitationAddressMismatch, "the invitation is for another address")
}

pub(super) fn not_verified() -> Error {
    Error::new(Reason::AddressNotVerified, "nobody says that the accepter has proven the address to be theirs")
}

/// Whether the invitation is also for this address: of the same domain, which the organization has verified.
async fn is_colleague(tx: &mut Tx, invitation: &Invitation, key: &str) -> Result<bool> {
    let domain = |key: &str| key.rsplit_once('@').map(|(_, domain)| domain.to_owned());
    match (domain(&invitation.email_key), domain(key)) {
        (Some(theirs), Some(own)) if invitation.same_domain && theirs == own => {
            domains::holds(tx, invitation.tenant_id, invitation.organization_id, &own).await
        }
        _ => Ok(false),
    }
}
