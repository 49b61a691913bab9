//! Tenants in the contract: in answers and in events.

use super::{RoleMode, Tenant};
use crate::{
    etag,
    events::{Change, changed, created},
    proto::v1 as pb,
};

impl From<&Tenant> for pb::Tenant {
    fn from(tenant: &Tenant) -> Self {
        Self {
            tenant_id: tenant.id.to_string(),
            slug: tenant.slug.clone(),
            display_name: tenant.display_name.clone(),
            etag: etag::of(tenant.version),
            create_time: Some(tenant.created_at.into()),
            update_time: Some(tenant.updated_at.into()),
            role_mode: pb::RoleMode::from(tenant.role_mode).into(),
            default_role: tenant.default_role.clone(),
            role_priority: tenant.role_priority.0.clone(),
            log_retention_days: i32::try_from(tenant.log_retention_days).unwrap_or(i32::MAX),
        }
    }
}

impl From<RoleMode> for pb::RoleMode {
    fn from(mode: RoleMode) -> Self {
        match mode {
            RoleMode::Union => Self::Union,
            RoleMode::HighestPriority => Self::HighestPriority,
        }
    }
}

/// The mode that an update names.
pub fn role_mode(mode: pb::RoleMode) -> Option<RoleMode> {
    match mode {
        pb::RoleMode::Unspecified => None,
        pb::RoleMode::Union => Some(RoleMode::Union),
        pb::RoleMode::HighestPriority => Some(RoleMode::HighestPriority),
    }
}

pub fn created(tenant: &Tenant) -> Change {
    Change::in_tenant(tenant.id, "tenant", tenant.id, created!(TenantCreated, tenant))
}

pub fn updated(before: &Tenant, after: &Tenant) -> Change {
    Change::in_tenant(after.id, "tenant", after.id, changed!(TenantUpdated, before, after))
}
