//! Permissions in the contract: in answers and in events.

use super::Permission;
use crate::{
    etag,
    events::{Change, changed, created, ended},
    proto::v1 as pb,
};

impl From<&Permission> for pb::Permission {
    fn from(permission: &Permission) -> Self {
        Self {
            slug: permission.slug.clone(),
            description: permission.description.clone(),
            built_in: permission.built_in,
            etag: etag::of(permission.version),
            create_time: Some(permission.created_at.into()),
            update_time: Some(permission.updated_at.into()),
        }
    }
}

fn change(permission: &Permission, data: pb::event::Data) -> Change {
    Change::in_tenant(permission.tenant_id, "permission", &permission.slug, data)
}

pub fn created(permission: &Permission) -> Change {
    change(permission, created!(PermissionCreated, permission))
}

pub fn updated(before: &Permission, after: &Permission) -> Change {
    change(after, changed!(PermissionUpdated, before, after))
}

pub fn deleted(permission: &Permission) -> Change {
    change(permission, ended!(PermissionDeleted, permission))
}
