//! What each event is to OCSF: a class of its category Identity & Access Management, and an activity of that.

use super::Version;
use crate::proto::v1::{event::Data, grant_principal::Kind};

/// The classes that events are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// What happens to a user.
    AccountChange = 3001,
    /// What happens to everything that has no class of its own.
    EntityManagement = 3004,
    /// What a user may.
    UserAccess = 3005,
    /// What a group may, and who is in it.
    GroupManagement = 3006,
}

impl Class {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::AccountChange => "Account Change",
            Self::EntityManagement => "Entity Management",
            Self::UserAccess => "User Access Management",
            Self::GroupManagement => "Group Management",
        }
    }
}

/// What is done, in the words of OCSF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    Create,
    Update,
    Delete,
    Move,
    Enable,
    Disable,
    Activate,
    Deactivate,
    Suspend,
    Resume,
    AssignPrivileges,
    RevokePrivileges,
    AddUser,
    RemoveUser,
    /// What OCSF has no word for.
    Other,
}

impl Activity {
    /// The activity as a version has it: what it has no word for yet is an update of an entity.
    pub fn in_version(self, class: Class, version: Version) -> Self {
        let since_always = matches!(self, Self::Create | Self::Update | Self::Delete | Self::Other);
        match class {
            Class::EntityManagement if version < Version::ENTITIES && !since_always => Self::Update,
            _ => self,
        }
    }

    /// Its number in a class.
    pub fn id(self, class: Class) -> u32 {
        use Class::{AccountChange, EntityManagement, GroupManagement, UserAccess};
        match (class, self) {
            (AccountChange | EntityManagement, Self::Create) => 1,
            (AccountChange, Self::Enable) => 2,
            (AccountChange, Self::Disable) => 5,
            (AccountChange, Self::Delete) => 6,
            (EntityManagement, Self::Update) => 3,
            (EntityManagement, Self::Delete) => 4,
            (EntityManagement, Self::Move) => 5,
            (EntityManagement, Self::Enable) => 8,
            (EntityManagement, Self::Activate) => 10,
            (EntityManagement, Self::Deactivate) => 11,
            (EntityManagement, Self::Suspend) => 12,
            (EntityManagement, Self::Resume) => 13,
            (UserAccess | GroupManagement, Self::AssignPrivileges) => 1,
            (UserAccess | GroupManagement, Self::RevokePrivileges) => 2,
            (GroupManagement, Self::AddUser) => 3,
            (GroupManagement, Self::RemoveUser) => 4,
            (GroupManagement, Self::Delete) => 5,
            (GroupManagement, Self::Create) => 6,
            _ => 99,
        }
    }

    /// Its name; none where OCSF has none.
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::Create => "Create",
            Self::Update => "Update",
            Self::Delete => "Delete",
            Self::Move => "Move",
            Self::Enable => "Enable",
            Self::Disable => "Disable",
            Self::Activate => "Activate",
            Self::Deactivate => "Deactivate",
            Self::Suspend => "Suspend",
            Self::Resume => "Resume",
            Self::AssignPrivileges => "Assign Privileges",
            Self::RevokePrivileges => "Revoke Privileges",
            Self::AddUser => "Add User",
            Self::RemoveUser => "Remove User",
            Self::Other => return None,
        })
    }
}

/// Of which class an event is, and which activity it tells.
pub fn of(data: &Data) -> (Class, Activity) {
    use Data as D;
    match data {
        D::UserCreated(_) => (Class::AccountChange, Activity::Create),
        D::UserActivated(_) | D::UserReactivated(_) => (Class::AccountChange, Activity::Enable),
        D::UserSuspended(_) => (Class::AccountChange, Activity::Disable),
        D::UserDeleted(_) => (Class::AccountChange, Activity::Delete),
        D::UserUpdated(_) | D::UserIdentityLinked(_) | D::UserIdentityUnlinked(_) | D::UserErased(_) => {
            (Class::AccountChange, Activity::Other)
        }

        D::MembershipCreated(_) | D::TeamMemberAdded(_) => (Class::GroupManagement, Activity::AddUser),
        D::MembershipRemoved(_) | D::TeamMemberRemoved(_) => (Class::GroupManagement, Activity::RemoveUser),
        D::MembershipUpdated(_)
        | D::MembershipActivated(_)
        | D::MembershipSuspended(_)
        | D::MembershipReactivated(_)
        | D::MembershipErased(_)
        | D::TeamMemberUpdated(_) => (Class::GroupManagement, Activity::Other),
        D::TeamCreated(_) => (Class::GroupManagement, Activity::Create),
        D::TeamDeleted(_) => (Class::GroupManagement, Activity::Delete),
        D::TeamUpdated(_) | D::TeamMoved(_) => (Class::GroupManagement, Activity::Other),
        D::TeamRoleAssigned(_) => (Class::GroupManagement, Activity::AssignPrivileges),
        D::TeamRoleRevoked(_) => (Class::GroupManagement, Activity::RevokePrivileges),

        D::MembershipRoleAssigned(_) => (Class::UserAccess, Activity::AssignPrivileges),
        D::MembershipRoleRevoked(_) => (Class::UserAccess, Activity::RevokePrivileges),
        D::MembershipRolesChanged(_) => (Class::UserAccess, Activity::Other),
        D::GrantCreated(grant) => (holder(grant.after.as_ref()), Activity::AssignPrivileges),
        D::GrantUpdated(grant) => (holder(grant.after.as_ref()), Activity::Other),
        D::GrantRevoked(grant) => (holder(grant.before.as_ref()), Activity::RevokePrivileges),

        D::TenantCreated(_)
        | D::ApiKeyCreated(_)
        | D::PermissionCreated(_)
        | D::RoleCreated(_)
        | D::OrganizationCreated(_)
        | D::ResourceCreated(_)
        | D::PolicyCreated(_)
        | D::DomainAdded(_)
        | D::InvitationCreated(_)
        | D::CheckpointSigned(_) => (Class::EntityManagement, Activity::Create),
        D::TenantUpdated(_)
        | D::ApiKeyRotated(_)
        | D::PermissionUpdated(_)
        | D::RoleUpdated(_)
        | D::RolePermissionsChanged(_)
        | D::OrganizationUpdated(_)
        | D::OrganizationOwnershipTransferred(_)
        | D::PolicyUpdated(_)
        | D::DomainUpdated(_) => (Class::EntityManagement, Activity::Update),
        D::ApiKeyRevoked(_)
        | D::PermissionDeleted(_)
        | D::RoleDeleted(_)
        | D::OrganizationDeleted(_)
        | D::ResourceDeleted(_)
        | D::PolicyDeleted(_)
        | D::DomainRemoved(_)
        | D::InvitationRevoked(_) => (Class::EntityManagement, Activity::Delete),
        D::ResourceMoved(_) => (Class::EntityManagement, Activity::Move),
        D::OrganizationSuspended(_) => (Class::EntityManagement, Activity::Suspend),
        D::OrganizationReactivated(_) => (Class::EntityManagement, Activity::Resume),
        D::OrganizationRestored(_) => (Class::EntityManagement, Activity::Enable),
        D::DomainVerified(_) => (Class::EntityManagement, Activity::Activate),
        D::DomainLost(_) => (Class::EntityManagement, Activity::Deactivate),
        D::OrganizationPurged(_)
        | D::OrganizationLegalHoldPlaced(_)
        | D::OrganizationLegalHoldReleased(_)
        | D::DomainVerificationStarted(_)
        | D::DomainFailed(_)
        | D::DomainChecked(_)
        | D::InvitationResent(_)
        | D::InvitationAccepted(_)
        | D::InvitationDeclined(_)
        | D::InvitationExpired(_)
        | D::InvitationMailSent(_)
        | D::InvitationMailFailed(_)
        | D::InvitationErased(_) => (Class::EntityManagement, Activity::Other),
    }
}

/// Whether it is one member who holds a grant, or a group.
fn holder(grant: Option<&crate::proto::v1::Grant>) -> Class {
    let principal = grant.and_then(|grant| grant.principal.as_ref()?.kind.as_ref());
    match principal {
        Some(Kind::TeamId(_) | Kind::Role(_)) => Class::GroupManagement,
        Some(Kind::MembershipId(_)) | None => Class::UserAccess,
    }
}
