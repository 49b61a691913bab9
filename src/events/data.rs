//! The catalogue of event types, and which fields a change changed.

use std::sync::LazyLock;

use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, ReflectMessage as _, Value};

use crate::{
    error::{Error, Result},
    proto::{DESCRIPTORS, v1::event::Data},
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
}

static ENVELOPE: LazyLock<MessageDescriptor> = LazyLock::new(|| {
    let pool = DescriptorPool::decode(DESCRIPTORS).expect("compiled by build.rs");
    pool.get_message_by_name("roster.v1.Event").expect("part of the contract")
});

/// Fields that change with every change, and so say nothing about one.
const BOOKKEEPING: [&str; 2] = ["etag", "update_time"];

/// The names of the fields in which the state before and the state after differ; none where there is only one of them.
pub fn changed_fields(data: &Data) -> Result<Vec<String>> {
    let envelope = crate::proto::v1::Event { data: Some(data.clone()), ..Default::default() };
    let envelope =
        DynamicMessage::decode(ENVELOPE.clone(), envelope.encode_to_vec().as_slice()).map_err(Error::internal)?;
    let Some((_, Value::Message(data))) = envelope.fields().next() else { return Ok(Vec::new()) };
    let state = |name| match data.get_field_by_name(name).as_deref() {
        Some(Value::Message(state)) if data.has_field_by_name(name) => Some(state.clone()),
        _ => None,
    };
    let (Some(before), Some(after)) = (state("before"), state("after")) else { return Ok(Vec::new()) };
    let record = after.descriptor();
    let changed = record
        .fields()
        .filter(|field| !BOOKKEEPING.contains(&field.name()) && before.get_field(field) != after.get_field(field));
    Ok(changed.map(|field| field.name().to_owned()).collect())
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
    fn changed_fields_are_named() {
        let before = pb::Team { name: "a".into(), etag: "1".into(), ..Default::default() };
        let after = pb::Team { name: "b".into(), etag: "2".into(), ..Default::default() };
        let data = Data::TeamUpdated(pb::TeamUpdated { before: Some(before), after: Some(after.clone()) });
        assert_eq!(changed_fields(&data).unwrap(), ["name"]);
        let data = Data::TeamCreated(pb::TeamCreated { after: Some(after) });
        assert_eq!(changed_fields(&data).unwrap(), [""; 0]);
    }
}
