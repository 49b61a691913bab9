//! Where a person belongs by their address, and what the domain of it does for them when they come.

use std::time::Duration;

use super::{Domain, Mode, auto_join::LeftOut, store};
use crate::{
    context::Ctx,
    db::Tx,
    error::{Error, Reason, Result},
    events,
    fields::Email,
    ids::{InvitationId, OrganizationId},
    invitations::{self, NewInvitation, Terms},
    memberships::{self, Membership, NewMember, Origin, Person, Source},
    organizations::{self, Organization},
    roles,
    users::{self, User},
};

/// For how long an invitation by a domain may be accepted: as long as any that says nothing else.
const LIFETIME: Duration = Duration::from_hours(7 * 24);

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

/// What a domain does for an address, and why.
#[derive(Debug, Clone)]
pub struct Decision {
    /// What.
    pub outcome: Outcome,
    /// Why.
    pub why: Why,
    /// The closest verified domain of the address.
    pub domain: Option<Domain>,
    /// The role that the person gets; empty where they get none.
    pub role: String,
    /// The user who has the address.
    pub user: Option<User>,
    /// Their membership of the organization that holds the domain.
    pub membership: Option<Membership>,
}

/// What a domain does for an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing.
    None,
    /// Tells the person of the organization.
    Suggest,
    /// Invites the person.
    Invite,
    /// Makes the person a member.
    Join,
}

/// Why a domain does something for an address, or nothing: the first that holds, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// No organization holds a domain of the address verified.
    NoDomain,
    /// There is a membership, which is not suspended.
    HasMembership,
    /// The membership is suspended.
    MembershipSuspended,
    /// The user is suspended.
    UserSuspended,
    /// The organization is suspended, or being deleted.
    OrganizationNotActive,
    /// Nobody joins by the domain.
    Off,
    /// Nobody says that the address is the person's.
    AddressNotVerified,
    /// Of a domain below, and those are left out.
    Subdomain,
    /// It is left out.
    LeftOut(LeftOut),
    /// They were here, and are no more; or did not want to come, or were not to.
    RemovedBefore,
    /// The role is there no more.
    RoleNotFound,
    /// As many members as may have come.
    Full,
    /// An invitation for the address is pending, though it is another user's by now.
    InvitationPending,
    /// The domain's setting says so.
    SetUp,
}

/// What became of somebody who came.
#[derive(Debug)]
pub struct Joined {
    /// What the domain did.
    pub decision: Decision,
    /// The invitation that was made.
    pub invitation_id: Option<InvitationId>,
    /// Whether the person was not known.
    pub user_created: bool,
}

/// What the domain of an address would do for whoever comes with it now. Changes nothing.
pub async fn resolve(ctx: &Ctx, tx: &mut Tx, email: &Email, verified: bool) -> Result<Decision> {
    let mut decision = Decision {
        outcome: Outcome::None,
        why: Why::NoDomain,
        domain: None,
        role: String::new(),
        user: None,
        membership: None,
    };
    decision.user = user_with(ctx, tx, email).await?;
    let Some((local, name)) = email.key.rsplit_once('@') else { return Ok(decision) };
    let Some(domain) = closest(ctx, tx, name).await? else { return Ok(decision) };
    if let Some(user) = &decision.user {
        decision.membership = memberships::find_present(tx, ctx.tenant_id, domain.organization_id, user.id).await?;
    }
    let organization = organizations::get(tx, ctx.tenant_id, domain.organization_id).await?;
    decision.why = match in_the_way(&decision, &organization, &domain, local, name, verified) {
        Some(why) => why,
        None if was_here(ctx, tx, organization.id, email).await? => Why::RemovedBefore,
        None => {
            decision.role = role_of(tx, &organization, &domain).await?;
            room(ctx, tx, &domain, &decision.role).await?
        }
    };
    if decision.why == Why::SetUp {
        decision.outcome = outcome(domain.auto_join.0.mode);
    } else {
        decision.role.clear();
    }
    decision.domain = Some(domain);
    Ok(decision)
}

/// Does it. Most who come are members already: for them, and for all others for whom nothing is done, no lock is taken.
pub async fn join(ctx: &Ctx, tx: &mut Tx, arrival: &Arrival) -> Result<Joined> {
    let seen = resolve(ctx, tx, &arrival.email, arrival.verified).await?;
    let (Outcome::Invite | Outcome::Join, Some(domain)) = (seen.outcome, &seen.domain) else {
        return Ok(Joined { decision: seen, invitation_id: None, user_created: false });
    };
    let organization = organizations::lock_for_change(ctx, tx, domain.organization_id).await?;
    if let Some(user) = &seen.user {
        users::hold(tx, ctx.tenant_id, user.id).await?;
    }
    // Again: under the locks.
    let decision = resolve(ctx, tx, &arrival.email, arrival.verified).await?;
    let holder = decision.domain.as_ref().map(|domain| domain.organization_id);
    if holder != Some(organization.id) {
        return Err(Error::new(Reason::Conflict, "the domain changed hands meanwhile"));
    }
    match decision.outcome {
        Outcome::Join => make_member(ctx, tx, &organization, decision, arrival).await,
        Outcome::Invite => invite(ctx, tx, &organization, decision, arrival).await,
        Outcome::None | Outcome::Suggest => Ok(Joined { decision, invitation_id: None, user_created: false }),
    }
}

async fn make_member(
    ctx: &Ctx,
    tx: &mut Tx,
    organization: &Organization,
    mut decision: Decision,
    arrival: &Arrival,
) -> Result<Joined> {
    let roles = vec![decision.role.clone()];
    let mut changes = match &decision.user {
        Some(user) => users::activate(ctx, tx, user).await?.into_iter().collect(),
        None => Vec::new(),
    };
    let added = memberships::add(ctx, tx, organization.id, &member(&decision, arrival, roles.clone()), &roles).await?;
    changes.extend(added.changes);
    events::append(ctx, tx, changes).await?;
    decision.membership = Some(added.membership);
    Ok(Joined { decision, invitation_id: None, user_created: added.user_created })
}

async fn invite(
    ctx: &Ctx,
    tx: &mut Tx,
    organization: &Organization,
    mut decision: Decision,
    arrival: &Arrival,
) -> Result<Joined> {
    let input = NewInvitation { member: member(&decision, arrival, Vec::new()), terms: Terms::by_mail(LIFETIME) };
    // What the domain gives was allowed to whoever set it up: it is given as freely as a default role.
    match invitations::invite(ctx, tx, organization, &input, std::slice::from_ref(&decision.role)).await {
        Ok(created) => {
            events::append(ctx, tx, created.changes).await?;
            decision.membership = Some(created.membership);
            let (invitation_id, user_created) = (Some(created.invitation.id), created.user_created);
            Ok(Joined { decision, invitation_id, user_created })
        }
        Err(error) if error.reason() == Reason::InvitationPending => {
            let (outcome, why, role) = (Outcome::None, Why::InvitationPending, String::new());
            let decision = Decision { outcome, why, role, ..decision };
            Ok(Joined { decision, invitation_id: None, user_created: false })
        }
        Err(error) => Err(error),
    }
}

fn member(decision: &Decision, arrival: &Arrival, roles: Vec<String>) -> NewMember {
    let person = match &decision.user {
        Some(user) => Person::User(user.id),
        None => Person::Email(arrival.email.clone()),
    };
    NewMember {
        display_name: arrival.display_name.clone(),
        authenticated_via: arrival.authenticated_via.clone(),
        origin: decision.domain.as_ref().map_or_else(Origin::api, origin),
        ..NewMember::active(person, roles)
    }
}

fn origin(domain: &Domain) -> Origin {
    Origin { source: Source::Domain, reference: domain.id.to_string() }
}

async fn user_with(ctx: &Ctx, tx: &mut Tx, email: &Email) -> Result<Option<User>> {
    match users::lookup(tx, ctx.tenant_id, &users::Key::Email(email.clone())).await {
        Ok(user) => Ok(Some(user)),
        Err(error) if error.reason() == Reason::UserNotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The closest verified domain at or above a name.
async fn closest(ctx: &Ctx, tx: &mut Tx, name: &str) -> Result<Option<Domain>> {
    let mut next = Some(name);
    while let Some(present) = next.filter(|name| name.contains('.')) {
        if let Some(domain) = store::find_held(tx, ctx.tenant_id, present).await? {
            return Ok(Some(domain));
        }
        next = present.split_once('.').map(|(_, above)| above);
    }
    Ok(None)
}

/// What is in the way, of all that is known without another look.
fn in_the_way(
    decision: &Decision,
    organization: &Organization,
    domain: &Domain,
    local: &str,
    name: &str,
    verified: bool,
) -> Option<Why> {
    let auto_join = &domain.auto_join.0;
    match &decision.membership {
        Some(membership) if membership.status == memberships::Status::Suspended => {
            return Some(Why::MembershipSuspended);
        }
        Some(_) => return Some(Why::HasMembership),
        None => {}
    }
    if decision.user.as_ref().is_some_and(|user| user.status == users::Status::Suspended) {
        return Some(Why::UserSuspended);
    }
    if organization.status != organizations::Status::Active {
        return Some(Why::OrganizationNotActive);
    }
    if auto_join.mode == Mode::Off {
        return Some(Why::Off);
    }
    if !verified {
        return Some(Why::AddressNotVerified);
    }
    if domain.name != name && !auto_join.allow_subdomains {
        return Some(Why::Subdomain);
    }
    auto_join.leaves_out(local).map(Why::LeftOut)
}

/// Whether somebody with this address was here, or was asked and is not to come.
async fn was_here(ctx: &Ctx, tx: &mut Tx, id: OrganizationId, email: &Email) -> Result<bool> {
    Ok(memberships::was_ended(tx, ctx.tenant_id, id, &email.key).await?
        || invitations::was_refused(tx, ctx.tenant_id, id, &email.key).await?)
}

async fn role_of(tx: &mut Tx, organization: &Organization, domain: &Domain) -> Result<String> {
    let role = &domain.auto_join.0.role;
    if role.is_empty() { roles::default_of(tx, organization).await } else { Ok(role.clone()) }
}

/// Whether there is what the person would get, and a place for them.
async fn room(ctx: &Ctx, tx: &mut Tx, domain: &Domain, role: &String) -> Result<Why> {
    let id = domain.organization_id;
    match roles::ensure_exist(tx, ctx.tenant_id, id, std::slice::from_ref(role)).await {
        Ok(()) => {}
        Err(error) if error.reason() == Reason::RoleNotFound => return Ok(Why::RoleNotFound),
        Err(error) => return Err(error),
    }
    let members_max = i64::from(domain.auto_join.0.members_max);
    if members_max > 0 && memberships::count_of_origin(tx, ctx.tenant_id, id, &origin(domain)).await? >= members_max {
        return Ok(Why::Full);
    }
    Ok(Why::SetUp)
}

fn outcome(mode: Mode) -> Outcome {
    match mode {
        Mode::Off => Outcome::None,
        Mode::Suggest => Outcome::Suggest,
        Mode::Invite => Outcome::Invite,
        Mode::Join => Outcome::Join,
    }
}
