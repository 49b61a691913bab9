//! Where a person belongs by their address: what the domain of it would do for them, and why.

use super::{Domain, Mode, auto_join::LeftOut, store};
use crate::{
    context::Ctx,
    db::Tx,
    error::{Reason, Result},
    fields::Email,
    ids::OrganizationId,
    invitations,
    memberships::{self, Membership, Origin, Source},
    organizations::{self, Organization},
    roles,
    users::{self, User},
};

/// What a domain does for an address, and why.
#[derive(Debug, Clone)]
pub struct AutoJoinDecision {
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

impl AutoJoinDecision {
    /// What the domain does.
    pub fn outcome(&self) -> Mode {
        match (&self.domain, self.why) {
            (Some(domain), Why::SetUp) => domain.auto_join.0.mode,
            _ => Mode::Off,
        }
    }
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

/// What the domain of an address would do for whoever comes with it now. Changes nothing.
pub async fn resolve(ctx: &Ctx, tx: &mut Tx, email: &Email, verified: bool) -> Result<AutoJoinDecision> {
    let user = users::find_by_email(tx, ctx.tenant_id, &email.key).await?;
    let mut decision =
        AutoJoinDecision { why: Why::NoDomain, domain: None, role: String::new(), user, membership: None };
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
    if decision.why != Why::SetUp {
        decision.role.clear();
    }
    decision.domain = Some(domain);
    Ok(decision)
}

/// Whoever comes by a domain comes from there.
pub(super) fn origin(domain: &Domain) -> Origin {
    Origin { source: Source::Domain, reference: domain.id.to_string() }
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
    decision: &AutoJoinDecision,
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
