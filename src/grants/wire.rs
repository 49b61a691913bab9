//! Grants in the contract: in answers and in events.

use super::Grant;
use crate::{
    events::{Change, changed, created, ended},
    proto::v1::{self as pb, event::Data, grant::Right, grant_principal::Kind},
};

impl From<&Grant> for pb::Grant {
    fn from(grant: &Grant) -> Self {
        let principal = match grant.principal_kind.as_str() {
            "membership" => Kind::MembershipId(grant.principal_id.clone()),
            "team" => Kind::TeamId(grant.principal_id.clone()),
            _ => Kind::Role(grant.principal_id.clone()),
        };
        let right = match (&grant.role, &grant.permission) {
            (Some(role), _) => Some(Right::Role(role.clone())),
            (None, permission) => permission.clone().map(Right::Permission),
        };
        Self {
            grant_id: grant.id.to_string(),
            organization_id: grant.organization_id.to_string(),
            principal: Some(pb::GrantPrincipal { kind: Some(principal) }),
            resource: Some(pb::ResourceRef { r#type: grant.resource_type.clone(), id: grant.resource_id.clone() }),
            right,
            end_time: grant.ends_at.map(Into::into),
            create_time: Some(grant.created_at.into()),
            update_time: Some(grant.updated_at.into()),
        }
    }
}

fn change(grant: &Grant, data: Data) -> Change {
    Change::in_organization(grant.organization_id, "grant", grant.id, data)
}

pub fn created(grant: &Grant) -> Change {
    change(grant, created!(GrantCreated, grant))
}

pub fn updated(before: &Grant, after: &Grant) -> Change {
    change(after, changed!(GrantUpdated, before, after))
}

pub fn revoked(grant: &Grant) -> Change {
    change(grant, ended!(GrantRevoked, grant))
}
