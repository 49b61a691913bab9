//! Somebody comes with an address, and the domain of it does for them what was set up.

use super::{
    Mode,
    resolve::{AutoJoinDecision, Why, origin, resolve},
};
use crate::{
    context::Ctx,
    db::Tx,
    error::{Error, Reason, Result},
    events,
    fields::Email,
    ids::InvitationId,
    invitations::{self, NewInvitation, Terms},
    memberships::{self, NewMember, Origin, Person},
    organizations::{self, Organization},
    users,
};

/// Somebody who comes.
#[derive(Debug)]
pub struct Arrival {
    /// Their address.
    pub email: Email,
    /// Whether the caller has proven that it is theirs.
    pub verified: bool,
    /// For a person not known yet.
    pub display_name: String,
    /// How they signed in, or empty.
    pub authenticated_via: String,
}

/// What became of somebody who came.
#[derive(Debug)]
pub struct Joined {
    /// What the domain did.
    pub decision: AutoJoinDecision,
    /// The invitation that was made.
    pub invitation_id: Option<InvitationId>,
    /// Whether the person was not known.
    pub user_created: bool,
}

/// Does it. Most who come are members already: for them, and for all others for whom nothing is done, no lock is taken.
pub async fn join(ctx: &Ctx, tx: &mut Tx, arrival: &Arrival) -> Result<Joined> {
    let seen = resolve(ctx, tx, &arrival.email, arrival.verified).await?;
    let (Mode::Invite | Mode::Join, Some(domain)) = (seen.outcome(), &seen.domain) else {
        return Ok(Joined { decision: seen, invitation_id: None, user_created: false });
    };
    let organization = organizations::lock_for_change(ctx, tx, domain.organization_id).await?;
    let decision = resolve_locked(ctx, tx, arrival, seen).await?;
    let holder = decision.domain.as_ref().map(|domain| domain.organization_id);
    if holder != Some(organization.id) {
        return Err(Error::new(Reason::Conflict, "the domain changed hands meanwhile"));
    }
    match decision.outcome() {
        Mode::Join => make_member(ctx, tx, &organization, decision, arrival).await,
        Mode::Invite => invite(ctx, tx, &organization, decision, arrival).await,
        Mode::Off | Mode::Suggest => Ok(Joined { decision, invitation_id: None, user_created: false }),
    }
}

/// [`resolve`] again, under the locks: of the organization, and of the user, whoever that is by then.
async fn resolve_locked(
    ctx: &Ctx,
    tx: &mut Tx,
    arrival: &Arrival,
    mut seen: AutoJoinDecision,
) -> Result<AutoJoinDecision> {
    loop {
        let user_id = seen.user.map(|user| user.id);
        if let Some(id) = user_id {
            match users::hold(tx, ctx.tenant_id, id).await {
                Err(error) if error.reason() != Reason::UserNotFound => return Err(error),
                _ => {} // who was removed meanwhile is not found again
            }
        }
        seen = resolve(ctx, tx, &arrival.email, arrival.verified).await?;
        if seen.user.is_none() || seen.user.as_ref().map(|user| user.id) == user_id {
            return Ok(seen);
        }
    }
}

async fn make_member(
    ctx: &Ctx,
    tx: &mut Tx,
    organization: &Organization,
    mut decision: AutoJoinDecision,
    arrival: &Arrival,
) -> Result<Joined> {
    let roles = vec![decision.role.clone()];
    let mut changes = match &decision.user {
        Some(user) => users::activate(ctx, tx, user).await?.into_iter().collect(),
        None => Vec::new(),
    };
    let authenticated_via = arrival.authenticated_via.clone();
    let member = NewMember { authenticated_via, ..member(&decision, arrival, roles.clone()) };
    let added = memberships::add(ctx, tx, organization.id, &member, &roles).await?;
    changes.extend(added.changes);
    events::append(ctx, tx, changes).await?;
    decision.membership = Some(added.membership);
    Ok(Joined { decision, invitation_id: None, user_created: added.user_created })
}

async fn invite(
    ctx: &Ctx,
    tx: &mut Tx,
    organization: &Organization,
    mut decision: AutoJoinDecision,
    arrival: &Arrival,
) -> Result<Joined> {
    let input = NewInvitation {
        member: member(&decision, arrival, Vec::new()),
        terms: Terms::by_mail(invitations::LIFETIME_DEFAULT),
    };
    // What the domain gives was allowed to whoever set it up: it is given as freely as a default role.
    match invitations::invite(ctx, tx, organization, &input, std::slice::from_ref(&decision.role)).await {
        Ok(created) => {
            events::append(ctx, tx, created.changes).await?;
            decision.membership = Some(created.membership);
            let (invitation_id, user_created) = (Some(created.invitation.id), created.user_created);
            Ok(Joined { decision, invitation_id, user_created })
        }
        Err(error) if error.reason() == Reason::InvitationPending => {
            let decision = AutoJoinDecision { why: Why::InvitationPending, role: String::new(), ..decision };
            Ok(Joined { decision, invitation_id: None, user_created: false })
        }
        Err(error) => Err(error),
    }
}

fn member(decision: &AutoJoinDecision, arrival: &Arrival, roles: Vec<String>) -> NewMember {
    let person = match &decision.user {
        Some(user) => Person::User(user.id),
        None => Person::Email(arrival.email.clone()),
    };
    NewMember {
        display_name: arrival.display_name.clone(),
        origin: decision.domain.as_ref().map_or_else(Origin::api, origin),
        ..NewMember::active(person, roles)
    }
}
