//! A call for every event of the contract, in an order in which each can be made.

use serde_json::Value;

/// What happens by itself, or after a name server was asked, and is shown elsewhere.
pub const BY_ITSELF: [&str; 9] = [
    "checkpoint.signed",
    "invitation.expired",
    "invitation.mail_sent",
    "invitation.mail_failed",
    "domain.verified",
    "domain.updated",
    "domain.checked",
    "domain.lost",
    "domain.failed",
];

/// Calls that change something, each with the type of its event and the fields that it changes; words with `$` are the
/// ids of what was made before, under the name of its kind.
pub const LIFE: &[(&str, &str, &str, &[&str])] = &[
    (
        "TenantService/UpdateTenant",
        r#"{"tenant": {"tenantId": "$tenant", "displayName": "A"}, "updateMask": "displayName"}"#,
        "tenant.updated",
        &["display_name"],
    ),
    ("ApiKeyService/CreateApiKey", r#"{"name": "k", "scopes": ["users:read"]}"#, "api_key.created", &[]),
    ("ApiKeyService/RotateApiKey", r#"{"apiKeyId": "$api_key"}"#, "api_key.rotated", &["expire_time"]),
    ("ApiKeyService/RevokeApiKey", r#"{"apiKeyId": "$api_key"}"#, "api_key.revoked", &["revoke_time"]),
    ("UserService/CreateUser", r#"{"email": "ada@example.com"}"#, "user.created", &[]),
    (
        "UserService/UpdateUser",
        r#"{"user": {"userId": "$user", "displayName": "Ada", "externalId": "7", "metadata": {"a": "b"}},
            "updateMask": "displayName,externalId,metadata"}"#,
        "user.updated",
        &["display_name", "external_id", "metadata"],
    ),
    (
        "UserService/SuspendUser",
        r#"{"userId": "$user", "reason": "R"}"#,
        "user.suspended",
        &["status", "suspended_from"],
    ),
    (
        "UserService/ReactivateUser",
        r#"{"userId": "$user", "reason": "R"}"#,
        "user.reactivated",
        &["status", "suspended_from"],
    ),
    (
        "UserService/LinkIdentity",
        r#"{"userId": "$user", "identity": {"issuer": "https://idp.example", "subject": "7"}, "reason": "R"}"#,
        "user.identity_linked",
        &["identities"],
    ),
    (
        "UserService/UnlinkIdentity",
        r#"{"userId": "$user", "identity": {"issuer": "https://idp.example", "subject": "7"}, "reason": "R"}"#,
        "user.identity_unlinked",
        &["identities"],
    ),
    ("RoleService/CreatePermission", r#"{"slug": "docs:read"}"#, "permission.created", &[]),
    (
        "RoleService/UpdatePermission",
        r#"{"permission": {"slug": "docs:read", "description": "D"}, "updateMask": "description"}"#,
        "permission.updated",
        &["description"],
    ),
    (
        "OrganizationService/CreateOrganization",
        r#"{"slug": "acme", "initialOwners": [{"email": "owner@example.com"}]}"#,
        "organization.created",
        &[],
    ),
    (
        "OrganizationService/UpdateOrganization",
        r#"{"organization": {"organizationId": "$organization", "slug": "beta"}, "updateMask": "slug"}"#,
        "organization.updated",
        &["slug"],
    ),
    (
        "OrganizationService/SuspendOrganization",
        r#"{"organizationId": "$organization", "reason": "R"}"#,
        "organization.suspended",
        &["status"],
    ),
    (
        "OrganizationService/ReactivateOrganization",
        r#"{"organizationId": "$organization", "reason": "R"}"#,
        "organization.reactivated",
        &["status"],
    ),
    (
        "OrganizationService/PlaceLegalHold",
        r#"{"organizationId": "$organization", "reason": "R"}"#,
        "organization.legal_hold_placed",
        &["legal_hold"],
    ),
    (
        "OrganizationService/ReleaseLegalHold",
        r#"{"organizationId": "$organization", "reason": "R"}"#,
        "organization.legal_hold_released",
        &["legal_hold"],
    ),
    ("RoleService/CreateRole", r#"{"organizationId": "$organization", "slug": "org-x"}"#, "role.created", &[]),
    (
        "RoleService/UpdateRole",
        r#"{"role": {"organizationId": "$organization", "slug": "org-x", "description": "D"},
            "updateMask": "description"}"#,
        "role.updated",
        &["description"],
    ),
    (
        "RoleService/UpdateRole",
        r#"{"role": {"organizationId": "$organization", "slug": "org-x", "permissions": ["docs:read"]},
            "updateMask": "permissions"}"#,
        "role.permissions_changed",
        &["permissions"],
    ),
    (
        "MembershipService/AddMember",
        r#"{"organizationId": "$organization", "member": {"email": "bob@example.com", "preProvision": {}}}"#,
        "membership.created",
        &[],
    ),
    (
        "MembershipService/ActivateMembership",
        r#"{"organizationId": "$organization", "membershipId": "$membership", "authenticatedVia": "V", "reason": "R"}"#,
        "membership.activated",
        &["status", "status_reason", "joined_time", "authenticated_via"],
    ),
    (
        "MembershipService/UpdateMembership",
        r#"{"membership": {"organizationId": "$organization", "membershipId": "$membership",
            "kind": "MEMBERSHIP_KIND_GUEST", "metadata": {"a": "b"}, "endTime": "2999-01-01T00:00:00Z",
            "reviewTime": "2998-01-01T00:00:00Z"}, "updateMask": "kind,metadata,reviewTime,endTime"}"#,
        "membership.updated",
        &["kind", "metadata", "review_time", "end_time"],
    ),
    (
        "InvitationService/CreateInvitation",
        r#"{"organizationId": "$organization", "invitation": {"email": "ada@example.com", "skipMail": true}}"#,
        "invitation.created",
        &[],
    ),
    ("InvitationService/DeclineInvitation", r#"{"token": "$token"}"#, "invitation.declined", &["status", "end_time"]),
    (
        "MembershipService/AddMember",
        r#"{"organizationId": "$organization", "member": {"userId": "$user", "metadata": {"a": "b"}}}"#,
        "membership.created",
        &[],
    ),
    (
        "MembershipService/AssignRole",
        r#"{"organizationId": "$organization", "membershipId": "$membership", "role": "org-x"}"#,
        "membership.role_assigned",
        &["roles"],
    ),
    (
        "MembershipService/RevokeRole",
        r#"{"organizationId": "$organization", "membershipId": "$membership", "role": "org-x"}"#,
        "membership.role_revoked",
        &["roles"],
    ),
    (
        "MembershipService/SetRoles",
        r#"{"organizationId": "$organization", "membershipId": "$membership", "roles": ["guest"]}"#,
        "membership.roles_changed",
        &["roles"],
    ),
    (
        "MembershipService/SuspendMembership",
        r#"{"organizationId": "$organization", "membershipId": "$membership", "reason": "R"}"#,
        "membership.suspended",
        &["status", "status_reason"],
    ),
    (
        "MembershipService/ReactivateMembership",
        r#"{"organizationId": "$organization", "membershipId": "$membership", "reason": "R"}"#,
        "membership.reactivated",
        &["status"],
    ),
    (
        "OrganizationService/TransferOwnership",
        r#"{"organizationId": "$organization", "ownerMembershipId": "$owner", "newOwnerMembershipId": "$membership",
            "reason": "R"}"#,
        "organization.ownership_transferred",
        &[],
    ),
    (
        "OrganizationService/TransferOwnership",
        r#"{"organizationId": "$organization", "ownerMembershipId": "$membership", "newOwnerMembershipId": "$owner",
            "formerOwnerRole": "member"}"#,
        "organization.ownership_transferred",
        &[],
    ),
    ("TeamService/CreateTeam", r#"{"organizationId": "$organization", "name": "top"}"#, "team.created", &[]),
    ("DomainService/AddDomain", r#"{"organizationId": "$organization", "name": "example.com"}"#, "domain.added", &[]),
    (
        "DomainService/StartVerification",
        r#"{"organizationId": "$organization", "domainId": "$domain"}"#,
        "domain.verification_started",
        &["record_value", "start_time"],
    ),
    (
        "DomainService/RemoveDomain",
        r#"{"organizationId": "$organization", "domainId": "$domain", "reason": "R"}"#,
        "domain.removed",
        &[],
    ),
    (
        "InvitationService/CreateInvitation",
        r#"{"organizationId": "$organization", "invitation": {"email": "i1@example.com", "skipMail": true}}"#,
        "invitation.created",
        &[],
    ),
    (
        "InvitationService/ResendInvitation",
        r#"{"organizationId": "$organization", "invitationId": "$invitation", "skipMail": true}"#,
        "invitation.resent",
        &["expire_time"],
    ),
    (
        "InvitationService/AcceptInvitation",
        r#"{"token": "$token", "email": "i1@example.com", "emailVerified": true}"#,
        "invitation.accepted",
        &["status", "end_time"],
    ),
    (
        "InvitationService/CreateInvitation",
        r#"{"organizationId": "$organization", "invitation": {"email": "i2@example.com", "skipMail": true}}"#,
        "invitation.created",
        &[],
    ),
    (
        "InvitationService/DeclineInvitation",
        r#"{"token": "$token", "reason": "R"}"#,
        "invitation.declined",
        &["status", "status_reason", "end_time"],
    ),
    (
        "InvitationService/CreateInvitation",
        r#"{"organizationId": "$organization", "invitation": {"email": "i3@example.com", "skipMail": true}}"#,
        "invitation.created",
        &[],
    ),
    (
        "InvitationService/RevokeInvitation",
        r#"{"organizationId": "$organization", "invitationId": "$invitation", "reason": "R"}"#,
        "invitation.revoked",
        &["status", "status_reason", "end_time"],
    ),
    (
        "TeamService/UpdateTeam",
        r#"{"team": {"organizationId": "$organization", "teamId": "$team", "name": "Top", "description": "D"},
            "updateMask": "name,description"}"#,
        "team.updated",
        &["name", "description"],
    ),
    (
        "TeamService/CreateTeam",
        r#"{"organizationId": "$organization", "name": "low", "parentTeamId": "$team"}"#,
        "team.created",
        &[],
    ),
    (
        "TeamService/MoveTeam",
        r#"{"organizationId": "$organization", "teamId": "$team"}"#,
        "team.moved",
        &["parent_team_id"],
    ),
    (
        "TeamService/AssignTeamRole",
        r#"{"organizationId": "$organization", "teamId": "$team", "role": "guest"}"#,
        "team.role_assigned",
        &["roles"],
    ),
    (
        "TeamService/RevokeTeamRole",
        r#"{"organizationId": "$organization", "teamId": "$team", "role": "guest"}"#,
        "team.role_revoked",
        &["roles"],
    ),
    (
        "TeamService/AddTeamMember",
        r#"{"organizationId": "$organization", "teamId": "$team", "membershipId": "$membership"}"#,
        "team.member_added",
        &[],
    ),
    (
        "TeamService/UpdateTeamMember",
        r#"{"organizationId": "$organization", "teamId": "$team", "membershipId": "$membership",
            "role": "TEAM_MEMBER_ROLE_MAINTAINER"}"#,
        "team.member_updated",
        &["role"],
    ),
    (
        "TeamService/RemoveTeamMember",
        r#"{"organizationId": "$organization", "teamId": "$team", "membershipId": "$membership"}"#,
        "team.member_removed",
        &[],
    ),
    (
        "GrantService/SetGrant",
        r#"{"organizationId": "$organization", "principal": {"teamId": "$team"},
            "resource": {"type": "doc", "id": "1"}, "permission": "docs:read", "endTime": "9000-01-01T00:00:00Z"}"#,
        "grant.created",
        &[],
    ),
    (
        "GrantService/SetGrant",
        r#"{"organizationId": "$organization", "principal": {"teamId": "$team"},
            "resource": {"type": "doc", "id": "1"}, "permission": "docs:read"}"#,
        "grant.updated",
        &["end_time"],
    ),
    ("GrantService/RevokeGrant", r#"{"organizationId": "$organization", "grantId": "$grant"}"#, "grant.revoked", &[]),
    (
        "GrantService/PutResource",
        r#"{"organizationId": "$organization", "resource": {"type": "doc", "id": "a/b"}}"#,
        "resource.created",
        &[],
    ),
    (
        "GrantService/PutResource",
        r#"{"organizationId": "$organization", "resource": {"type": "doc", "id": "c"},
            "parent": {"type": "doc", "id": "a/b"}}"#,
        "resource.created",
        &[],
    ),
    (
        "GrantService/PutResource",
        r#"{"organizationId": "$organization", "resource": {"type": "doc", "id": "c"}}"#,
        "resource.moved",
        &["parent"],
    ),
    (
        "GrantService/DeleteResource",
        r#"{"organizationId": "$organization", "resource": {"type": "doc", "id": "c"}}"#,
        "resource.deleted",
        &[],
    ),
    (
        "PolicyService/PutPolicy",
        r#"{"policy": {"organizationId": "$organization", "name": "p", "text": "permit (principal, action, resource);"}}"#,
        "policy.created",
        &[],
    ),
    (
        "PolicyService/PutPolicy",
        r#"{"policy": {"organizationId": "$organization", "name": "p", "text": "forbid (principal, action, resource);"}}"#,
        "policy.updated",
        &["text", "effect"],
    ),
    ("PolicyService/DeletePolicy", r#"{"organizationId": "$organization", "name": "p"}"#, "policy.deleted", &[]),
    ("TeamService/DeleteTeam", r#"{"organizationId": "$organization", "teamId": "$team"}"#, "team.deleted", &[]),
    (
        "MembershipService/RemoveMember",
        r#"{"organizationId": "$organization", "membershipId": "$membership", "reason": "S"}"#,
        "membership.removed",
        &["status", "roles", "status_reason"],
    ),
    ("RoleService/DeleteRole", r#"{"organizationId": "$organization", "slug": "org-x"}"#, "role.deleted", &[]),
    ("RoleService/DeletePermission", r#"{"slug": "docs:read"}"#, "permission.deleted", &[]),
    (
        "OrganizationService/DeleteOrganization",
        r#"{"organizationId": "$organization", "reason": "R"}"#,
        "organization.deleted",
        &["status", "delete_time", "purge_time"],
    ),
    (
        "OrganizationService/RestoreOrganization",
        r#"{"organizationId": "$organization", "reason": "R"}"#,
        "organization.restored",
        &["status", "delete_time", "purge_time"],
    ),
    (
        "OrganizationService/DeleteOrganization",
        r#"{"organizationId": "$organization"}"#,
        "organization.deleted",
        &["status", "delete_time", "purge_time"],
    ),
    ("UserService/DeleteUser", r#"{"userId": "$user", "reason": "R"}"#, "user.deleted", &["status"]),
    ("UserService/EraseUser", r#"{"userId": "$user", "reason": "R"}"#, "user.erased", &[]),
];

/// The words with `$` in [`LIFE`], and what they stand for by now.
pub struct Words(Vec<(String, String)>);

impl Words {
    pub fn of(tenant: &str) -> Self {
        Self(vec![("$tenant".to_owned(), tenant.to_owned())])
    }

    /// A request, with everything in its place.
    pub fn fill(&self, template: &str) -> Value {
        let filled = self.0.iter().rev().fold(template.to_owned(), |text, (word, id)| text.replace(word, id));
        serde_json::from_str(&filled).unwrap()
    }

    /// The last one of a kind.
    pub fn of_kind(&self, kind: &str) -> Option<&str> {
        self.0.iter().find(|(word, _)| word[1..] == *kind).map(|(_, id)| id.as_str())
    }

    /// What an answer says: an organization, who owns a new one, and the token of an invitation.
    pub fn hear(&mut self, answer: &Value) {
        let organization = &answer["organization"]["organizationId"];
        let said =
            [("organization", organization), ("owner", &answer["ownerMembershipIds"][0]), ("token", &answer["token"])];
        for (kind, value) in said {
            if let Some(value) = value.as_str() {
                self.say(kind, value);
            }
        }
    }

    /// What there is since an event.
    pub fn see(&mut self, event: &Value) {
        let (_, verb) = event["type"].as_str().unwrap().split_once('.').unwrap();
        if ["created", "added"].contains(&verb) {
            self.say(event["subject"]["kind"].as_str().unwrap(), event["subject"]["id"].as_str().unwrap());
        }
    }

    pub fn say(&mut self, kind: &str, value: &str) {
        let word = format!("${kind}");
        self.0.retain(|(known, _)| *known != word);
        self.0.push((word, value.to_owned()));
    }
}

/// Where the state is in the data of an event of this type.
pub fn state<'e>(event: &'e Value, name: &str, which: &str) -> &'e Value {
    let mut field = String::new();
    for part in name.split(['.', '_']) {
        let (first, rest) = part.split_at(1);
        field += &if field.is_empty() { part.to_owned() } else { first.to_uppercase() + rest };
    }
    &event[field][which]
}
