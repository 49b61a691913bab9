//! Who is in a team.

use super::{Team, ensure_may_give, get, lock, store, wire};
use crate::{
    clock::Timestamp,
    context::Ctx,
    db::{
        FromRow, Tx, Type,
        page::{Page, Paged},
    },
    error::{Error, Reason, Result},
    events::{self, Change},
    ids::{MembershipId, OrganizationId, TeamId, TenantId},
    memberships::{self, Membership},
};

/// The teams that a membership is in, without those above them.
pub async fn of_membership(tx: &mut Tx, membership: &Membership) -> Result<Vec<TeamId>> {
    Ok(store::of_membership(tx, membership).await?.into_iter().map(|(id,)| id).collect())
}

/// A membership's place in a team.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct TeamMember {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Where.
    pub organization_id: OrganizationId,
    /// In which team.
    pub team_id: TeamId,
    /// Who.
    pub membership_id: MembershipId,
    /// What they are in the team.
    pub role: TeamMemberRole,
    /// When they joined the team.
    pub created_at: Timestamp,
    /// When this was last changed.
    pub updated_at: Timestamp,
}

/// What a member of a team is in the team.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum TeamMemberRole {
    /// A member.
    Member,
    /// Looks after the team.
    Maintainer,
}

impl TeamMemberRole {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Maintainer => "maintainer",
        }
    }
}

/// Which place in which team.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Where.
    pub organization_id: OrganizationId,
    /// In which team.
    pub team_id: TeamId,
    /// Who.
    pub membership_id: MembershipId,
}

/// Puts a membership into a team.
pub async fn add_member(ctx: &Ctx, tx: &mut Tx, place: Place, role: TeamMemberRole) -> Result<TeamMember> {
    let Place { organization_id, team_id, membership_id } = place;
    lock(ctx, tx, organization_id, team_id).await?;
    ensure_may_give(ctx, tx, organization_id, team_id).await?;
    let membership = memberships::get_present(tx, ctx.tenant_id, organization_id, membership_id).await?;
    let member = new(ctx, &membership, team_id, role);
    if !store::insert_member(tx, &member).await? {
        return Err(Error::new(Reason::AlreadyTeamMember, "the membership is in the team already"));
    }
    events::append(ctx, tx, vec![wire::member_added(&member)]).await?;
    Ok(member)
}

/// Puts a new membership into a team of its locked organization.
pub async fn join(ctx: &Ctx, tx: &mut Tx, membership: &Membership, team_id: TeamId) -> Result<Change> {
    let member = new(ctx, membership, team_id, TeamMemberRole::Member);
    store::insert_member(tx, &member).await?;
    Ok(wire::member_added(&member))
}

fn new(ctx: &Ctx, membership: &Membership, team_id: TeamId, role: TeamMemberRole) -> TeamMember {
    TeamMember {
        tenant_id: ctx.tenant_id,
        organization_id: membership.organization_id,
        team_id,
        membership_id: membership.id,
        role,
        created_at: ctx.now,
        updated_at: ctx.now,
    }
}

/// Changes what a member is in a team.
pub async fn update_member(ctx: &Ctx, tx: &mut Tx, place: Place, role: TeamMemberRole) -> Result<TeamMember> {
    let before = lock_member(ctx, tx, place).await?;
    if before.role == role {
        return Ok(before);
    }
    let after = TeamMember { role, updated_at: ctx.now, ..before.clone() };
    store::update_member(tx, &after).await?;
    events::append(ctx, tx, vec![wire::member_updated(&before, &after)]).await?;
    Ok(after)
}

/// Takes a membership out of a team.
pub async fn remove_member(ctx: &Ctx, tx: &mut Tx, place: Place) -> Result<()> {
    let member = lock_member(ctx, tx, place).await?;
    store::delete_member(tx, &member).await?;
    events::append(ctx, tx, vec![wire::member_removed(&member)]).await
}

async fn lock_member(ctx: &Ctx, tx: &mut Tx, place: Place) -> Result<TeamMember> {
    let Place { organization_id, team_id, membership_id } = place;
    lock(ctx, tx, organization_id, team_id).await?;
    let member = store::get_member(tx, ctx.tenant_id, organization_id, team_id, membership_id).await?;
    member.ok_or_else(|| Error::new(Reason::TeamMemberNotFound, "the membership is not in the team"))
}

/// The members of a team itself, not of the teams below it.
pub async fn list_members(
    tx: &mut Tx,
    tenant_id: TenantId,
    organization_id: OrganizationId,
    id: TeamId,
    page: &Page,
) -> Result<Paged<TeamMember>> {
    get(tx, tenant_id, organization_id, id).await?;
    let rows = store::list_members(tx, tenant_id, organization_id, id, page.after()?, page.limit()).await?;
    Ok(page.cut(rows, |member| member.membership_id.to_string()))
}

/// Takes an ending membership out of all its teams.
pub async fn leave_all(tx: &mut Tx, membership: &Membership) -> Result<Vec<Change>> {
    let Membership { tenant_id, organization_id, id, .. } = membership;
    let left = store::delete_places_of(tx, *tenant_id, *organization_id, *id).await?;
    Ok(left.iter().map(wire::member_removed).collect())
}

/// Takes everybody out of an ending team.
pub(super) async fn empty(tx: &mut Tx, team: &Team) -> Result<Vec<Change>> {
    Ok(store::delete_members(tx, team).await?.iter().map(wire::member_removed).collect())
}
