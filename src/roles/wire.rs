//! Roles in the contract: in answers and in events.

use super::{Effect, Role};
use crate::{
    etag,
    events::{Change, changed, created, ended},
    proto::v1::{self as pb, event::Data},
};

impl From<&Role> for pb::Role {
    fn from(role: &Role) -> Self {
        Self {
            slug: role.slug.clone(),
            organization_id: role.organization_id().map(|id| id.to_string()).unwrap_or_default(),
            display_name: role.display_name.clone(),
            description: role.description.clone(),
            permissions: role.permissions.0.clone(),
            built_in: role.built_in,
            etag: etag::of(role.version),
            create_time: Some(role.created_at.into()),
            update_time: Some(role.updated_at.into()),
        }
    }
}

pub fn effect(effect: Effect) -> pb::RoleChangeEffect {
    let Effect { membership, gained, lost } = effect;
    pb::RoleChangeEffect {
        organization_id: membership.organization_id.to_string(),
        membership_id: membership.id.to_string(),
        user_id: membership.user_id.to_string(),
        gained,
        lost,
    }
}

fn change(role: &Role, data: Data) -> Change {
    match role.organization_id() {
        Some(id) => Change::in_organization(id, "role", &role.slug, data),
        None => Change::in_tenant(role.tenant_id, "role", &role.slug, data),
    }
}

pub fn created(role: &Role) -> Change {
    change(role, created!(RoleCreated, role))
}

pub fn updated(before: &Role, after: &Role) -> Change {
    change(after, changed!(RoleUpdated, before, after))
}

pub fn permissions_changed(before: &Role, after: &Role) -> Change {
    change(after, changed!(RolePermissionsChanged, before, after))
}

pub fn deleted(role: &Role) -> Change {
    change(role, ended!(RoleDeleted, role))
}
