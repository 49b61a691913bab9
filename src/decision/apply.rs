//! Events become state: whatever an event says of the state after, is the state. What it does not say of it, it does not
//! change.

use uuid::Uuid;

use super::{
    members::Standing,
    organization::{OrganizationState, PrincipalName, RightName},
    policy_set::{delete, put},
};
use crate::{
    clock::Timestamp,
    error::{Error, Result},
    ids::kind,
    proto::v1::{self as pb, MembershipStatus, event::Data, grant::Right, grant_principal},
};

impl OrganizationState {
    /// Takes in one event of the organization's stream.
    pub fn apply_event(&mut self, event: &pb::Event) -> Result<()> {
        let Some(data) = &event.data else { return Err(Error::internal("an event without data")) };
        match data {
            Data::OrganizationCreated(data) => self.organization(data.after.as_ref()),
            Data::OrganizationUpdated(data) => self.organization(data.after.as_ref()),
            Data::OrganizationSuspended(data) => self.organization(data.after.as_ref()),
            Data::OrganizationReactivated(data) => self.organization(data.after.as_ref()),
            Data::OrganizationDeleted(data) => self.organization(data.after.as_ref()),
            Data::OrganizationOwnershipTransferred(data) => self.organization(data.after.as_ref()),
            Data::OrganizationRestored(data) => self.organization(data.after.as_ref()),
            Data::OrganizationLegalHoldPlaced(data) => self.organization(data.after.as_ref()),
            Data::OrganizationLegalHoldReleased(data) => self.organization(data.after.as_ref()),
            Data::OrganizationPurged(data) => {
                self.empty();
                self.organization(data.after.as_ref());
            }
            Data::MembershipCreated(data) => self.membership(data.after.as_ref())?,
            Data::MembershipUpdated(data) => self.membership(data.after.as_ref())?,
            Data::MembershipActivated(data) => self.membership(data.after.as_ref())?,
            Data::MembershipRoleAssigned(data) => self.membership(data.after.as_ref())?,
            Data::MembershipRoleRevoked(data) => self.membership(data.after.as_ref())?,
            Data::MembershipRolesChanged(data) => self.membership(data.after.as_ref())?,
            Data::MembershipSuspended(data) => self.membership(data.after.as_ref())?,
            Data::MembershipReactivated(data) => self.membership(data.after.as_ref())?,
            Data::MembershipRemoved(data) => self.membership(data.after.as_ref())?,
            Data::TeamCreated(data) => self.team(data.after.as_ref())?,
            Data::TeamUpdated(data) => self.team(data.after.as_ref())?,
            Data::TeamMoved(data) => self.team(data.after.as_ref())?,
            Data::TeamRoleAssigned(data) => self.team(data.after.as_ref())?,
            Data::TeamRoleRevoked(data) => self.team(data.after.as_ref())?,
            Data::TeamDeleted(data) => self.team_deleted(data.before.as_ref())?,
            Data::TeamMemberAdded(data) => self.team_member(data.after.as_ref(), true)?,
            Data::TeamMemberRemoved(data) => self.team_member(data.before.as_ref(), false)?,
            Data::RoleCreated(data) => self.role(data.after.as_ref()),
            Data::RolePermissionsChanged(data) => self.role(data.after.as_ref()),
            Data::RoleDeleted(data) => data.before.iter().for_each(|role| self.remove_role(&role.slug)),
            Data::GrantCreated(data) => self.grant(data.after.as_ref())?,
            Data::GrantUpdated(data) => {
                self.grant_revoked(data.before.as_ref())?;
                self.grant(data.after.as_ref())?;
            }
            Data::GrantRevoked(data) => self.grant_revoked(data.before.as_ref())?,
            Data::ResourceCreated(data) => self.resource(data.after.as_ref()),
            Data::ResourceMoved(data) => self.resource(data.after.as_ref()),
            Data::ResourceDeleted(data) => self.resource_deleted(data.before.as_ref()),
            Data::PolicyCreated(data) => self.change_policies(data.after.as_ref().map(put)),
            Data::PolicyUpdated(data) => self.change_policies(data.after.as_ref().map(put)),
            Data::PolicyDeleted(data) => self.change_policies(data.before.as_ref().map(delete)),
            // Nothing that decides anything.
            Data::TeamMemberUpdated(_)
            | Data::RoleUpdated(_)
            | Data::DomainAdded(_)
            | Data::DomainVerificationStarted(_)
            | Data::DomainVerified(_)
            | Data::DomainUpdated(_)
            | Data::DomainLost(_)
            | Data::DomainFailed(_)
            | Data::DomainRemoved(_)
            | Data::DomainChecked(_)
            | Data::InvitationCreated(_)
            | Data::InvitationResent(_)
            | Data::InvitationAccepted(_)
            | Data::InvitationDeclined(_)
            | Data::InvitationRevoked(_)
            | Data::InvitationExpired(_)
            | Data::InvitationMailSent(_)
            | Data::InvitationMailFailed(_)
            | Data::InvitationErased(_)
            | Data::CheckpointSigned(_)
            | Data::MembershipErased(_) => {}
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
            | Data::UserActivated(_)
            | Data::UserDeleted(_)
            | Data::UserErased(_)
            | Data::UserIdentityLinked(_)
            | Data::UserIdentityUnlinked(_)
            | Data::PermissionCreated(_)
            | Data::PermissionUpdated(_)
            | Data::PermissionDeleted(_) => {}
        }
        Ok(())
    }

    fn organization(&mut self, organization: Option<&pb::Organization>) {
        if let Some(organization) = organization {
            self.status = organization.status();
            self.set_priority(organization.role_priority.iter().map(String::as_str));
        }
    }

    fn membership(&mut self, membership: Option<&pb::Membership>) -> Result<()> {
        let Some(membership) = membership else { return Ok(()) };
        let user_id = uuid::<kind::User>(&membership.user_id)?;
        let standing = match membership.status() {
            MembershipStatus::Removed => {
                self.remove_member(user_id);
                return Ok(());
            }
            MembershipStatus::Active => Standing::Active(time(membership.end_time.as_ref())),
            MembershipStatus::Invited | MembershipStatus::PreProvisioned => Standing::Pending,
            MembershipStatus::Suspended | MembershipStatus::Unspecified => Standing::Suspended,
        };
        let roles = membership.roles.iter().map(|assignment| assignment.role.as_str());
        self.put_member(user_id, uuid::<kind::Membership>(&membership.membership_id)?, standing, roles);
        Ok(())
    }

    fn team(&mut self, team: Option<&pb::Team>) -> Result<()> {
        let Some(team) = team else { return Ok(()) };
        let parent = match team.parent_team_id.as_str() {
            "" => None,
            id => Some(uuid::<kind::Team>(id)?),
        };
        self.put_team(uuid::<kind::Team>(&team.team_id)?, parent, team.roles.iter().map(String::as_str));
        Ok(())
    }

    fn team_deleted(&mut self, team: Option<&pb::Team>) -> Result<()> {
        if let Some(team) = team {
            self.remove_team(uuid::<kind::Team>(&team.team_id)?);
        }
        Ok(())
    }

    fn team_member(&mut self, member: Option<&pb::TeamMember>, is_in: bool) -> Result<()> {
        if let Some(member) = member {
            let membership_id = uuid::<kind::Membership>(&member.membership_id)?;
            self.set_team_member(membership_id, uuid::<kind::Team>(&member.team_id)?, is_in);
        }
        Ok(())
    }

    fn role(&mut self, role: Option<&pb::Role>) {
        if let Some(role) = role {
            self.put_role(&role.slug, role.permissions.iter().map(String::as_str));
        }
    }

    fn grant(&mut self, grant: Option<&pb::Grant>) -> Result<()> {
        let Some(grant) = grant else { return Ok(()) };
        let (Some(principal), Some(resource), Some(right)) = (&grant.principal, &grant.resource, &grant.right) else {
            return Err(Error::internal("a grant without its parts"));
        };
        let principal = match &principal.kind {
            Some(grant_principal::Kind::MembershipId(id)) => PrincipalName::Membership(uuid::<kind::Membership>(id)?),
            Some(grant_principal::Kind::TeamId(id)) => PrincipalName::Team(uuid::<kind::Team>(id)?),
            Some(grant_principal::Kind::Role(slug)) => PrincipalName::Role(slug),
            None => return Err(Error::internal("a grant without a principal")),
        };
        let right = match right {
            Right::Role(slug) => RightName::Role(slug),
            Right::Permission(slug) => RightName::Permission(slug),
        };
        let ends_at = time(grant.end_time.as_ref());
        let id = uuid::<kind::Grant>(&grant.grant_id)?;
        self.put_grant(id, (&resource.r#type, &resource.id), &principal, &right, ends_at);
        Ok(())
    }

    fn resource(&mut self, resource: Option<&pb::Resource>) {
        let Some((resource, name)) = resource.and_then(|one| Some((one, one.resource.as_ref()?))) else { return };
        let parent = resource.parent.as_ref().map(|parent| (parent.r#type.as_str(), parent.id.as_str()));
        self.resources.put(&name.r#type, &name.id, parent);
    }

    fn resource_deleted(&mut self, resource: Option<&pb::Resource>) {
        if let Some(name) = resource.and_then(|resource| resource.resource.as_ref()) {
            self.resources.remove(&name.r#type, &name.id);
        }
    }

    fn grant_revoked(&mut self, grant: Option<&pb::Grant>) -> Result<()> {
        if let Some(grant) = grant
            && let Some(resource) = &grant.resource
        {
            self.resources.revoke(&resource.r#type, &resource.id, uuid::<kind::Grant>(&grant.grant_id)?);
        }
        Ok(())
    }
}

fn time(time: Option<&prost_types::Timestamp>) -> Option<Timestamp> {
    time.and_then(|time| Timestamp::try_from(time).ok())
}

/// The value of an id in an event of our own log.
pub fn uuid<K: type_safe_id::StaticType>(id: &str) -> Result<Uuid> {
    id.parse::<crate::ids::Id<K>>().map(crate::ids::Id::uuid).map_err(|()| Error::internal(format!("bad id {id:?}")))
}
