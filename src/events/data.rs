//! The catalogue of event types, and what a change did.

use prost::Message as _;
use prost_reflect::{DynamicMessage, ReflectMessage as _, Value};

use super::chain::ENVELOPE;
use crate::{
    error::{Error, Result},
    proto::v1::event::Data,
};

macro_rules! catalogue {
    ($($variant:ident $name:literal),* $(,)?) => {
        /// Every type of event.
        pub const TYPES: &[&str] = &[$($name),*];

        /// The type of an event with this data.
        pub fn type_name(data: &Data) -> &'static str {
            match data {
                $(Data::$variant(_) => $name,)*
            }
        }
    };
}

catalogue! {
    TenantCreated "tenant.created",
    TenantUpdated "tenant.updated",
    ApiKeyCreated "api_key.created",
    ApiKeyRotated "api_key.rotated",
    ApiKeyRevoked "api_key.revoked",
    UserCreated "user.created",
    UserUpdated "user.updated",
    UserSuspended "user.suspended",
    UserReactivated "user.reactivated",
    UserDeleted "user.deleted",
    PermissionCreated "permission.created",
    PermissionUpdated "permission.updated",
    PermissionDeleted "permission.deleted",
    RoleCreated "role.created",
    RoleUpdated "role.updated",
    RolePermissionsChanged "role.permissions_changed",
    RoleDeleted "role.deleted",
    OrganizationCreated "organization.created",
    OrganizationUpdated "organization.updated",
    OrganizationSuspended "organization.suspended",
    OrganizationReactivated "organization.reactivated",
    OrganizationDeleted "organization.deleted",
    MembershipCreated "membership.created",
    MembershipRoleAssigned "membership.role_assigned",
    MembershipRoleRevoked "membership.role_revoked",
    MembershipRolesChanged "membership.roles_changed",
    MembershipSuspended "membership.suspended",
    MembershipReactivated "membership.reactivated",
    MembershipRemoved "membership.removed",
    TeamCreated "team.created",
    TeamUpdated "team.updated",
    TeamMoved "team.moved",
    TeamDeleted "team.deleted",
    TeamRoleAssigned "team.role_assigned",
    TeamRoleRevoked "team.role_revoked",
    TeamMemberAdded "team.member_added",
    TeamMemberUpdated "team.member_updated",
    TeamMemberRemoved "team.member_removed",
    GrantCreated "grant.created",
    GrantUpdated "grant.updated",
    GrantRevoked "grant.revoked",
    ResourceCreated "resource.created",
    ResourceMoved "resource.moved",
    ResourceDeleted "resource.deleted",
    PolicyCreated "policy.created",
    PolicyUpdated "policy.updated",
    PolicyDeleted "policy.deleted",
    UserIdentityLinked "user.identity_linked",
    UserIdentityUnlinked "user.identity_unlinked",
    UserActivated "user.activated",
    UserErased "user.erased",
    DomainAdded "domain.added",
    DomainVerificationStarted "domain.verification_started",
    DomainVerified "domain.verified",
    DomainUpdated "domain.updated",
    DomainLost "domain.lost",
    DomainFailed "domain.failed",
    DomainRemoved "domain.removed",
    DomainChecked "domain.checked",
    OrganizationOwnershipTransferred "organization.ownership_transferred",
    OrganizationRestored "organization.restored",
    OrganizationPurged "organization.purged",
    OrganizationLegalHoldPlaced "organization.legal_hold_placed",
    OrganizationLegalHoldReleased "organization.legal_hold_released",
    MembershipUpdated "membership.updated",
    MembershipActivated "membership.activated",
    MembershipErased "membership.erased",
    InvitationCreated "invitation.created",
    InvitationResent "invitation.resent",
    InvitationAccepted "invitation.accepted",
    InvitationDeclined "invitation.declined",
    InvitationRevoked "invitation.revoked",
    InvitationExpired "invitation.expired",
    InvitationMailSent "invitation.mail_sent",
    InvitationMailFailed "invitation.mail_failed",
    InvitationErased "invitation.erased",
    CheckpointSigned "checkpoint.signed",
}

/// Fields that change with every change, and so say nothing about one.
const BOOKKEEPING: [&str; 2] = ["etag", "update_time"];

/// What a change did to its subject.
#[derive(Debug, PartialEq, Eq)]
pub struct Effect {
    /// The names of the fields in which the state before and the state after differ; none where there is only one of
    /// them.
    pub changed_fields: Vec<String>,
    /// Whether there is no state after: the subject is no more.
    pub ended: bool,
}

/// What a change with this data did to its subject.
pub fn effect(data: &Data) -> Result<Effect> {
    let envelope = crate::proto::v1::Event { data: Some(data.clone()), ..Default::default() };
    let envelope =
        DynamicMessage::decode(ENVELOPE.clone(), envelope.encode_to_vec().as_slice()).map_err(Error::internal)?;
    let Some((_, Value::Message(data))) = envelope.fields().next() else {
        return Err(Error::internal("an event without data"));
    };
    let state = |name| match data.get_field_by_name(name).as_deref() {
        Some(Value::Message(state)) if data.has_field_by_name(name) => Some(state.clone()),
        _ => None,
    };
    let (before, after) = (state("before"), state("after"));
    let ended = after.is_none();
    let (Some(before), Some(after)) = (before, after) else { return Ok(Effect { changed_fields: Vec::new(), ended }) };
    let record = after.descriptor();
    let changed = record
        .fields()
        .filter(|field| !BOOKKEEPING.contains(&field.name()) && before.get_field(field) != after.get_field(field));
    Ok(Effect { changed_fields: changed.map(|field| field.name().to_owned()).collect(), ended })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1 as pb;

    #[test]
    fn every_field_of_the_envelopes_data_is_a_type_of_the_catalogue() {
        let data = ENVELOPE.oneofs().find(|oneof| oneof.name() == "data").unwrap();
        let fields: Vec<_> = data.fields().map(|field| field.name().to_owned()).collect();
        let types: Vec<_> = TYPES.iter().map(|name| name.replace('.', "_")).collect();
        assert_eq!(fields, types);
    }

    #[test]
    fn changed_fields_are_named_and_ends_are_seen() {
        let before = pb::Team { name: "a".into(), etag: "1".into(), ..Default::default() };
        let after = pb::Team { name: "b".into(), etag: "2".into(), ..Default::default() };
        let data = Data::TeamUpdated(pb::TeamUpdated { before: Some(before), after: Some(after.clone()) });
        assert_eq!(effect(&data).unwrap(), Effect { changed_fields: vec!["name".to_owned()], ended: false });
        let data = Data::TeamCreated(pb::TeamCreated { after: Some(after.clone()) });
        assert_eq!(effect(&data).unwrap(), Effect { changed_fields: Vec::new(), ended: false });
        let data = Data::TeamDeleted(pb::TeamDeleted { before: Some(after) });
        assert_eq!(effect(&data).unwrap(), Effect { changed_fields: Vec::new(), ended: true });
    }
}
