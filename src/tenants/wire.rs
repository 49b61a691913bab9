//! Tenants in the contract: in answers and in events.

use super::Tenant;
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
        }
    }
}

pub fn created(tenant: &Tenant) -> Change {
    Change::in_tenant(tenant.id, "tenant", tenant.id, created!(TenantCreated, tenant))
}

pub fn updated(before: &Tenant, after: &Tenant) -> Change {
    Change::in_tenant(after.id, "tenant", after.id, changed!(TenantUpdated, before, after))
}
