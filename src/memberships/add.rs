//! Making a person a member.

use super::{Assignments, Membership, Origin, Status, store, wire};
use crate::{
    authority::{self, Authority},
    context::Ctx,
    db::Tx,
    error::{Error, Reason, Result},
    events::{self, Change},
    fields::Email,
    ids::{MembershipId, OrganizationId, TeamId, UserId},
    organizations, roles, teams, users,
};

/// Who is to be a member.
#[derive(Debug, Clone)]
pub enum Person {
    /// A user of the tenant.
    User(UserId),
    /// Whoever has this address; a person not known yet becomes a user.
    Email(Email),
}

impl Person {
    /// By which persons are put in order.
    fn key(&self) -> String {
        match self {
            Self::User(id) => id.to_string(),
            Self::Email(email) => email.key.clone(),
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
}

/// A member that was added.
#[derive(Debug)]
pub struct Added {
    /// The membership.
    pub membership: Membership,
    /// Whether the person was not known.
    pub user_created: bool,
    /// What the log is to hear.
    pub changes: Vec<Change>,
}

/// Makes a person a member.
pub async fn add_member(ctx: &Ctx, tx: &mut Tx, organization_id: OrganizationId, member: &NewMember) -> Result<Added> {
    let organization = organizations::lock_for_change(ctx, tx, organization_id).await?;
    let default = [roles::default_of(tx, &organization).await?];
    let slugs = if member.roles.is_empty() { &default[..] } else { &member.roles };
    ensure_may_give(ctx, tx, organization_id, member, slugs).await?;
    let mut added = add(ctx, tx, organization_id, member, slugs).await?;
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
    // Users are locked as they come: in one order, or two batches with the same people would wait for each other.
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by_cached_key(|index| members[*index].as_ref().ok().map(|member| member.person.key()));
    for index in order {
        let member = &members[index];
        let outcome = match member {
            Ok(member) => {
                let slugs = if member.roles.is_empty() { &default[..] } else { &member.roles };
                match ensure_may_give(ctx, tx, organization_id, member, slugs).await {
                    Ok(()) => add(ctx, tx, organization_id, member, slugs).await,
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(Error::new(error.reason(), error.message().to_owned())),
        };
        outcomes[index] = Some(match outcome {
            Ok(mut added) => {
                changes.append(&mut added.changes);
                Ok(added)
            }
            Err(error) if is_of_the_entry(error.reason()) => Err((error.reason(), error.message().to_owned())),
            Err(error) => return Err(error),
        });
    }
    events::append(ctx, tx, changes).await?;
    Ok(outcomes.into_iter().flatten().collect())
}

/// Whether an error is one entry's own: found by a look before anything of the entry was written.
fn is_of_the_entry(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::InvalidRequest
            | Reason::UserNotFound
            | Reason::RoleNotFound
            | Reason::TeamNotFound
            | Reason::AlreadyMember
            | Reason::MissingPermission
    )
}

/// Fails with `MISSING_PERMISSION` where the new member would get what the caller lacks. The default role is given
/// freely by services: that is what adding a member means.
async fn ensure_may_give(
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
    let (user, user_created) = match &member.person {
        Person::User(id) => (users::hold(tx, ctx.tenant_id, *id).await?, None),
        Person::Email(email) => users::find_or_create(ctx, tx, email, &member.display_name).await?,
    };
    if user_created.is_none() && store::is_member(tx, ctx.tenant_id, organization_id, user.id).await? {
        return Err(Error::new(Reason::AlreadyMember, "the person is a member of the organization already")
            .with("user_id", user.id));
    }
    let membership = Membership {
        tenant_id: ctx.tenant_id,
        organization_id,
        id: MembershipId::generate(),
        user_id: user.id,
        status: Status::Active,
        source: member.origin.source,
        status_reason: ctx.reason.clone(),
        roles: Assignments::of(slugs, &member.origin),
        created_at: ctx.now,
        updated_at: ctx.now,
    };
    store::insert(tx, &membership).await?;
    let mut added = Added { user_created: user_created.is_some(), changes: Vec::new(), membership };
    added.changes.extend(user_created);
    added.changes.push(wire::created(&added.membership));
    for team_id in &member.teams {
        added.changes.push(teams::join(ctx, tx, &added.membership, *team_id).await?);
    }
    Ok(added)
}
