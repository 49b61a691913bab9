//! Making a person a member.

use std::collections::BTreeMap;

use super::{Assignments, Kind, Membership, Origin, Status, batch, owners, store, wire};
use crate::{
    authority::{self, Authority},
    clock::Timestamp,
    context::Ctx,
    db::{Json, Tx},
    error::{Error, Reason, Result},
    events::{self, Change},
    fields::{Email, Fields},
    ids::{InvitationId, MembershipId, OrganizationId, TeamId, UserId},
    invitations::{self, Created, NewInvitation, Terms},
    organizations::{self, Organization},
    roles, teams, users,
};

/// Who is to be a member.
#[derive(Debug, Clone)]
pub enum Person {
    /// A user of the tenant.
    User(UserId),
    /// Whoever has this address; a person not known yet becomes a user.
    Email(Email),
}

/// Where a membership begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Put here before the person comes.
    PreProvisioned,
    /// The person has to accept.
    Invited,
    /// The person may act at once.
    Active,
}

impl Standing {
    fn of_membership(self) -> Status {
        match self {
            Self::PreProvisioned => Status::PreProvisioned,
            Self::Invited => Status::Invited,
            Self::Active => Status::Active,
        }
    }

    /// Of a person not known yet.
    fn of_user(self) -> users::Status {
        match self {
            Self::PreProvisioned => users::Status::PreProvisioned,
            Self::Invited => users::Status::Invited,
            Self::Active => users::Status::Active,
        }
    }
}

/// A member to add.
#[derive(Debug, Clone)]
pub struct NewMember {
    /// Who.
    pub person: Person,
    /// For a person not known yet.
    pub display_name: String,
    /// Slugs of roles; the default role where empty.
    pub roles: Vec<String>,
    /// Teams to join.
    pub teams: Vec<TeamId>,
    /// Where the membership and its roles come from.
    pub origin: Origin,
    /// Where the membership begins.
    pub standing: Standing,
    /// What the member is to the organization.
    pub kind: Kind,
    /// Whatever the application keeps with the membership.
    pub metadata: BTreeMap<String, String>,
    /// When somebody should look whether it is still right.
    pub review_at: Option<Timestamp>,
    /// From when on the member is denied.
    pub ends_at: Option<Timestamp>,
    /// How the person signed in, where they came by that; empty otherwise.
    pub authenticated_via: String,
    /// How the person is invited, where they are; an invitation itself says that there is nothing more to do.
    pub invite: Option<Terms>,
}

impl NewMember {
    /// A person with these roles, active at once, by a call of the API that says nothing else.
    pub fn active(person: Person, roles: Vec<String>) -> Self {
        Self {
            person,
            display_name: String::new(),
            roles,
            teams: Vec::new(),
            origin: Origin::api(),
            standing: Standing::Active,
            kind: Kind::Member,
            metadata: BTreeMap::new(),
            review_at: None,
            ends_at: None,
            authenticated_via: String::new(),
            invite: None,
        }
    }

    /// The membership of a user of a locked organization, with these roles.
    fn membership(&self, ctx: &Ctx, organization_id: OrganizationId, user_id: UserId, slugs: &[String]) -> Membership {
        Membership {
            tenant_id: ctx.tenant_id,
            organization_id,
            id: MembershipId::generate(),
            user_id,
            status: self.standing.of_membership(),
            kind: self.kind,
            source: self.origin.source,
            source_reference: self.origin.reference.clone(),
            status_reason: ctx.reason.clone(),
            authenticated_via: self.authenticated_via.clone(),
            metadata: Json(self.metadata.clone()),
            joined_at: (self.standing == Standing::Active).then_some(ctx.now),
            review_at: self.review_at,
            ends_at: self.ends_at,
            roles: Assignments::of(slugs, &self.origin),
            version: 1,
            created_at: ctx.now,
            updated_at: ctx.now,
        }
    }
}

/// A member that was added.
#[derive(Debug)]
pub struct Added {
    /// The membership.
    pub membership: Membership,
    /// Whether the person was not known.
    pub user_created: bool,
    /// The invitation, where the person is invited.
    pub invitation_id: Option<InvitationId>,
    /// What the log is to hear.
    pub changes: Vec<Change>,
}

/// Makes a person a member.
pub async fn add_member(ctx: &Ctx, tx: &mut Tx, organization_id: OrganizationId, member: &NewMember) -> Result<Added> {
    let organization = organizations::lock_for_change(ctx, tx, organization_id).await?;
    ensure_future(ctx, member, "member.")?;
    let default = [roles::default_of(tx, &organization).await?];
    let mut added = begin(ctx, tx, &organization, member, &default).await?;
    events::append(ctx, tx, std::mem::take(&mut added.changes)).await?;
    Ok(added)
}

/// Makes many persons members, under one lock. Each entry has its own outcome.
pub async fn add_all(
    ctx: &Ctx,
    tx: &mut Tx,
    organization_id: OrganizationId,
    members: &[Result<NewMember>],
) -> Result<Vec<Result<Added, (Reason, String)>>> {
    let organization = organizations::lock_for_change(ctx, tx, organization_id).await?;
    let default = [roles::default_of(tx, &organization).await?];
    let mut changes = Vec::new();
    let mut outcomes: Vec<_> = members.iter().map(|_| None).collect();
    let persons: Vec<_> = members.iter().map(|member| member.as_ref().ok().map(|member| &member.person)).collect();
    for index in batch::in_lock_order(tx, ctx.tenant_id, &persons).await? {
        let member = &members[index];
        let outcome = match member {
            Ok(member) => match ensure_future(ctx, member, "") {
                Ok(()) => begin(ctx, tx, &organization, member, &default).await,
                Err(error) => Err(error),
            },
            Err(error) => Err(Error::new(error.reason(), error.message().to_owned())),
        };
        outcomes[index] = Some(batch::outcome(outcome)?.map(|mut added| {
            changes.append(&mut added.changes);
            added
        }));
    }
    events::append(ctx, tx, changes).await?;
    Ok(outcomes.into_iter().flatten().collect())
}

/// Adds a person, or invites them; `default` is for those who are given no role by name.
async fn begin(
    ctx: &Ctx,
    tx: &mut Tx,
    organization: &Organization,
    member: &NewMember,
    default: &[String],
) -> Result<Added> {
    if let Some(terms) = &member.invite {
        let input = NewInvitation { member: member.clone(), terms: terms.clone() };
        let Created { invitation, membership, user_created, changes, .. } =
            invitations::invite(ctx, tx, organization, &input, default).await?;
        return Ok(Added { membership, user_created, invitation_id: Some(invitation.id), changes });
    }
    let slugs = if member.roles.is_empty() { default } else { &member.roles };
    ensure_may_give(ctx, tx, organization.id, member, slugs).await?;
    add(ctx, tx, organization.id, member, slugs).await
}

/// Fails with `MISSING_PERMISSION` where the new member would get what the caller lacks. The default role is given
/// freely by services: that is what adding a member means.
pub async fn ensure_may_give(
    ctx: &Ctx,
    tx: &mut Tx,
    organization_id: OrganizationId,
    member: &NewMember,
    slugs: &[String],
) -> Result<()> {
    if authority::gives_everything(ctx) {
        return Ok(());
    }
    let freely = member.roles.is_empty() && !matches!(ctx.authority, Authority::User(_));
    let given: Vec<_> = slugs.iter().filter(|_| !freely).map(String::as_str).collect();
    authority::ensure_may_grant(ctx, tx, Some(organization_id), &given, &[]).await?;
    for team_id in &member.teams {
        teams::ensure_may_give(ctx, tx, organization_id, *team_id).await?;
    }
    Ok(())
}

/// Makes a person a member of a locked organization, with these roles; whether the caller may give them is the caller's
/// to ask. Everything that can be refused is, before anything is written.
pub async fn add(
    ctx: &Ctx,
    tx: &mut Tx,
    organization_id: OrganizationId,
    member: &NewMember,
    slugs: &[String],
) -> Result<Added> {
    roles::ensure_exist(tx, ctx.tenant_id, organization_id, slugs).await?;
    for team_id in &member.teams {
        teams::get(tx, ctx.tenant_id, organization_id, *team_id).await?;
    }
    if member.standing == Standing::Active && slugs.iter().any(|slug| slug == roles::OWNER) {
        owners::ensure_lasting(tx, ctx.tenant_id, organization_id, member.ends_at).await?;
    }
    let (user, user_created) = match &member.person {
        Person::User(id) => (users::hold(tx, ctx.tenant_id, *id).await?, None),
        Person::Email(email) => {
            users::find_or_create(ctx, tx, email, &member.display_name, member.standing.of_user()).await?
        }
    };
    if user_created.is_none()
        && let Some(present) = store::find_present(tx, ctx.tenant_id, organization_id, user.id).await?
    {
        return Err(already(&present));
    }
    let membership = member.membership(ctx, organization_id, user.id, slugs);
    store::insert(tx, &membership).await?;
    let (user_is_new, changes) = (user_created.is_some(), Vec::new());
    let mut added = Added { user_created: user_is_new, invitation_id: None, changes, membership };
    added.changes.extend(user_created);
    added.changes.push(wire::created(&added.membership));
    for team_id in &member.teams {
        added.changes.push(teams::join(ctx, tx, &added.membership, *team_id).await?);
    }
    Ok(added)
}

/// Looked at here, where the same request coming again has had its answer already.
fn ensure_future(ctx: &Ctx, member: &NewMember, within: &str) -> Result<()> {
    let mut fields = Fields::new();
    for (field, time) in [("review_time", member.review_at), ("end_time", member.ends_at)] {
        if time.is_some_and(|time| time <= ctx.now) {
            fields.wrong(format!("{within}{field}"), "not in the future");
        }
    }
    fields.done()
}

/// Whoever has a membership here cannot be given another.
pub fn already(present: &Membership) -> Error {
    Error::new(Reason::AlreadyMember, "the person is a member of the organization already")
        .with("user_id", present.user_id)
        .with("membership_id", present.id)
        .with("status", present.status.name())
}
