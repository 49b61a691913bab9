//! The state of one organization, as its events make it.

use rustc_hash::FxHashMap;
use uuid::Uuid;

use super::{catalogue::PermissionSet, load, slot::Folded, uuid};
use crate::{
    clock::Timestamp,
    db::Tx,
    error::{Error, Result},
    events::Stream,
    ids::{TenantId, kind},
    proto::v1::{self as pb, MembershipStatus, OrganizationStatus, event::Data, grant::Right, grant_principal},
};

/// The state of an organization.
#[derive(Debug, Default)]
pub struct OrganizationState {
    pub(super) status: OrganizationStatus,
    /// By user: who is a member, other than a removed one.
    pub(super) members: FxHashMap<Uuid, Member>,
    pub(super) teams: FxHashMap<Uuid, Team>,
    /// By membership: the teams it is in.
    pub(super) team_members: FxHashMap<Uuid, Vec<Uuid>>,
    /// The organization's own roles.
    pub(super) roles: FxHashMap<Box<str>, PermissionSet>,
    /// By resource.
    pub(super) grants: FxHashMap<ResourceKey, Vec<Grant>>,
}

/// A resource as a key: its type, a NUL, its id.
pub type ResourceKey = Box<str>;

/// The key of a resource. Neither part contains a NUL.
pub fn resource_key(kind: &str, id: &str) -> ResourceKey {
    [kind, "\0", id].concat().into()
}

/// A membership, other than a removed one.
#[derive(Debug)]
pub struct Member {
    pub(super) membership_id: Uuid,
    pub(super) active: bool,
    pub(super) roles: Vec<Box<str>>,
}

/// A team.
#[derive(Debug)]
pub struct Team {
    pub(super) parent: Option<Uuid>,
    pub(super) roles: Vec<Box<str>>,
}

/// A grant on a resource.
#[derive(Debug)]
pub struct Grant {
    pub(super) id: Uuid,
    pub(super) principal: Principal,
    pub(super) right: Held,
    pub(super) ends_at: Option<Timestamp>,
}

/// Who holds a grant.
#[derive(Debug)]
pub enum Principal {
    /// A membership.
    Membership(Uuid),
    /// A team, and the teams below it.
    Team(Uuid),
    /// Everybody who holds the role.
    Role(Box<str>),
}

/// What a grant gives.
#[derive(Debug)]
pub enum Held {
    /// Everything that the role contains.
    Role(Box<str>),
    /// One permission.
    Permission(Box<str>),
}

impl Folded for OrganizationState {
    async fn load(tx: &mut Tx, tenant_id: TenantId, stream: Stream) -> Result<(Self, i64)> {
        load::organization(tx, tenant_id, stream).await
    }

    /// Whatever an event says of the state after, becomes the state. What it does not say of it, it does not change.
    fn apply(&mut self, event: &pb::Event) -> Result<()> {
        let Some(data) = &event.data else { return Err(Error::internal("an event without data")) };
        match data {
            Data::OrganizationCreated(data) => self.put(data.after.as_ref()),
            Data::OrganizationUpdated(data) => self.put(data.after.as_ref()),
            Data::OrganizationSuspended(data) => self.put(data.after.as_ref()),
            Data::OrganizationReactivated(data) => self.put(data.after.as_ref()),
            Data::OrganizationDeleted(data) => self.put(data.after.as_ref()),
            Data::MembershipCreated(data) => self.put_member(data.after.as_ref())?,
            Data::MembershipRoleAssigned(data) => self.put_member(data.after.as_ref())?,
            Data::MembershipRoleRevoked(data) => self.put_member(data.after.as_ref())?,
            Data::MembershipRolesChanged(data) => self.put_member(data.after.as_ref())?,
            Data::MembershipSuspended(data) => self.put_member(data.after.as_ref())?,
            Data::MembershipReactivated(data) => self.put_member(data.after.as_ref())?,
            Data::MembershipRemoved(data) => self.put_member(data.after.as_ref())?,
            Data::TeamCreated(data) => self.put_team(data.after.as_ref())?,
            Data::TeamUpdated(data) => self.put_team(data.after.as_ref())?,
            Data::TeamMoved(data) => self.put_team(data.after.as_ref())?,
            Data::TeamRoleAssigned(data) => self.put_team(data.after.as_ref())?,
            Data::TeamRoleRevoked(data) => self.put_team(data.after.as_ref())?,
            Data::TeamDeleted(data) => self.remove_team(data.before.as_ref())?,
            Data::TeamMemberAdded(data) => self.add_team_member(data.after.as_ref())?,
            Data::TeamMemberRemoved(data) => self.remove_team_member(data.before.as_ref())?,
            Data::RoleCreated(data) => self.put_role(data.after.as_ref()),
            Data::RolePermissionsChanged(data) => self.put_role(data.after.as_ref()),
            Data::RoleDeleted(data) => {
                if let Some(before) = &data.before {
                    self.roles.remove(before.slug.as_str());
                }
            }
            Data::GrantCreated(data) => self.put_grant(data.after.as_ref())?,
            Data::GrantUpdated(data) => self.put_grant(data.after.as_ref())?,
            Data::GrantRevoked(data) => self.remove_grant(data.before.as_ref())?,
            // Nothing that decides anything.
            Data::TeamMemberUpdated(_) | Data::RoleUpdated(_) => {}
            // Of the tenant's own stream, never here.
            Data::TenantCreated(_)
            | Data::TenantUpdated(_)
            | Data::ApiKeyCreated(_)
            | Data::ApiKeyRotated(_)
            | Data::ApiKeyRevoked(_)
            | Data::UserCreated(_)
            | Data::UserUpdated(_)
            | Data::UserSuspended(_)
            | Data::UserReactivated(_)
            | Data::UserDeleted(_)
            | Data::PermissionCreated(_)
            | Data::PermissionUpdated(_)
            | Data::PermissionDeleted(_) => {}
        }
        Ok(())
    }
}

impl OrganizationState {
    fn put(&mut self, organization: Option<&pb::Organization>) {
        if let Some(organization) = organization {
            self.status = organization.status();
        }
    }

    fn put_member(&mut self, membership: Option<&pb::Membership>) -> Result<()> {
        let Some(membership) = membership else { return Ok(()) };
        let user_id = uuid::<kind::User>(&membership.user_id)?;
        let membership_id = uuid::<kind::Membership>(&membership.membership_id)?;
        let active = match membership.status() {
            MembershipStatus::Removed => {
                self.members.remove(&user_id);
                self.team_members.remove(&membership_id);
                return Ok(());
            }
            MembershipStatus::Active => true,
            MembershipStatus::Suspended | MembershipStatus::Unspecified => false,
        };
        let roles = membership.roles.iter().map(|assignment| assignment.role.as_str().into()).collect();
        self.members.insert(user_id, Member { membership_id, active, roles });
        Ok(())
    }

    fn put_team(&mut self, team: Option<&pb::Team>) -> Result<()> {
        let Some(team) = team else { return Ok(()) };
        let parent = match team.parent_team_id.as_str() {
            "" => None,
            id => Some(uuid::<kind::Team>(id)?),
        };
        let roles = team.roles.iter().map(|role| role.as_str().into()).collect();
        self.teams.insert(uuid::<kind::Team>(&team.team_id)?, Team { parent, roles });
        Ok(())
    }

    fn remove_team(&mut self, team: Option<&pb::Team>) -> Result<()> {
        if let Some(team) = team {
            self.teams.remove(&uuid::<kind::Team>(&team.team_id)?);
        }
        Ok(())
    }

    fn add_team_member(&mut self, member: Option<&pb::TeamMember>) -> Result<()> {
        if let Some(member) = member {
            let membership_id = uuid::<kind::Membership>(&member.membership_id)?;
            self.team_members.entry(membership_id).or_default().push(uuid::<kind::Team>(&member.team_id)?);
        }
        Ok(())
    }

    fn remove_team_member(&mut self, member: Option<&pb::TeamMember>) -> Result<()> {
        let Some(member) = member else { return Ok(()) };
        let membership_id = uuid::<kind::Membership>(&member.membership_id)?;
        let team_id = uuid::<kind::Team>(&member.team_id)?;
        if let Some(teams) = self.team_members.get_mut(&membership_id) {
            teams.retain(|id| *id != team_id);
            if teams.is_empty() {
                self.team_members.remove(&membership_id);
            }
        }
        Ok(())
    }

    fn put_role(&mut self, role: Option<&pb::Role>) {
        if let Some(role) = role {
            let set = PermissionSet::new(role.permissions.iter().map(String::as_str));
            self.roles.insert(role.slug.as_str().into(), set);
        }
    }

    pub(super) fn put_grant(&mut self, grant: Option<&pb::Grant>) -> Result<()> {
        let Some(grant) = grant else { return Ok(()) };
        self.remove_grant(Some(grant))?;
        let (Some(principal), Some(resource), Some(right)) = (&grant.principal, &grant.resource, &grant.right) else {
            return Err(Error::internal("a grant without its parts"));
        };
        let principal = match &principal.kind {
            Some(grant_principal::Kind::MembershipId(id)) => Principal::Membership(uuid::<kind::Membership>(id)?),
            Some(grant_principal::Kind::TeamId(id)) => Principal::Team(uuid::<kind::Team>(id)?),
            Some(grant_principal::Kind::Role(slug)) => Principal::Role(slug.as_str().into()),
            None => return Err(Error::internal("a grant without a principal")),
        };
        let right = match right {
            Right::Role(slug) => Held::Role(slug.as_str().into()),
            Right::Permission(slug) => Held::Permission(slug.as_str().into()),
        };
        let ends_at = grant.end_time.as_ref().and_then(|time| Timestamp::try_from(time).ok());
        let id = uuid::<kind::Grant>(&grant.grant_id)?;
        let key = resource_key(&resource.r#type, &resource.id);
        self.grants.entry(key).or_default().push(Grant { id, principal, right, ends_at });
        Ok(())
    }

    fn remove_grant(&mut self, grant: Option<&pb::Grant>) -> Result<()> {
        let Some((grant, resource)) = grant.and_then(|grant| Some((grant, grant.resource.as_ref()?))) else {
            return Ok(());
        };
        let id = uuid::<kind::Grant>(&grant.grant_id)?;
        let key = resource_key(&resource.r#type, &resource.id);
        if let Some(grants) = self.grants.get_mut(&key) {
            grants.retain(|grant| grant.id != id);
            if grants.is_empty() {
                self.grants.remove(&key);
            }
        }
        Ok(())
    }
}
