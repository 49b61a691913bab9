//! Teams in the contract: in answers and in events.

use super::{Team, TeamMember, TeamMemberRole};
use crate::{
    etag,
    events::{Change, changed, created, ended},
    proto::v1::{self as pb, event::Data},
};

impl From<&Team> for pb::Team {
    fn from(team: &Team) -> Self {
        Self {
            team_id: team.id.to_string(),
            organization_id: team.organization_id.to_string(),
            parent_team_id: team.parent_id.map(|id| id.to_string()).unwrap_or_default(),
            name: team.name.clone(),
            description: team.description.clone(),
            roles: team.roles.0.clone(),
            etag: etag::of(team.version),
            create_time: Some(team.created_at.into()),
            update_time: Some(team.updated_at.into()),
        }
    }
}

impl From<&TeamMember> for pb::TeamMember {
    fn from(member: &TeamMember) -> Self {
        Self {
            team_id: member.team_id.to_string(),
            membership_id: member.membership_id.to_string(),
            organization_id: member.organization_id.to_string(),
            role: pb::TeamMemberRole::from(member.role).into(),
            create_time: Some(member.created_at.into()),
            update_time: Some(member.updated_at.into()),
        }
    }
}

impl From<TeamMemberRole> for pb::TeamMemberRole {
    fn from(role: TeamMemberRole) -> Self {
        match role {
            TeamMemberRole::Member => Self::Member,
            TeamMemberRole::Maintainer => Self::Maintainer,
        }
    }
}

impl From<pb::TeamMemberRole> for TeamMemberRole {
    fn from(role: pb::TeamMemberRole) -> Self {
        match role {
            pb::TeamMemberRole::Unspecified | pb::TeamMemberRole::Member => Self::Member,
            pb::TeamMemberRole::Maintainer => Self::Maintainer,
        }
    }
}

fn change(team: &Team, data: Data) -> Change {
    Change::in_organization(team.organization_id, "team", team.id, data)
}

fn member_change(member: &TeamMember, data: Data) -> Change {
    let subject = format!("{}/{}", member.team_id, member.membership_id);
    Change::in_organization(member.organization_id, "team_member", subject, data)
}

pub fn created(team: &Team) -> Change {
    change(team, created!(TeamCreated, team))
}

pub fn updated(before: &Team, after: &Team) -> Change {
    change(after, changed!(TeamUpdated, before, after))
}

pub fn moved(before: &Team, after: &Team) -> Change {
    change(after, changed!(TeamMoved, before, after))
}

pub fn deleted(team: &Team) -> Change {
    change(team, ended!(TeamDeleted, team))
}

pub fn role_assigned(before: &Team, after: &Team) -> Change {
    change(after, changed!(TeamRoleAssigned, before, after))
}

pub fn role_revoked(before: &Team, after: &Team) -> Change {
    change(after, changed!(TeamRoleRevoked, before, after))
}

pub fn member_added(member: &TeamMember) -> Change {
    member_change(member, created!(TeamMemberAdded, member))
}

pub fn member_updated(before: &TeamMember, after: &TeamMember) -> Change {
    member_change(after, changed!(TeamMemberUpdated, before, after))
}

pub fn member_removed(member: &TeamMember) -> Change {
    member_change(member, ended!(TeamMemberRemoved, member))
}
