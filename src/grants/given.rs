//! What grants give to whom: for whoever is about to bring more people, or more resources, under them.

use super::store;
use crate::{
    db::{FromRow, Tx},
    error::Result,
    ids::{OrganizationId, TeamId, TenantId},
    resources::ResourceRef,
};

/// What one or more grants give: a role's permissions, or one permission.
#[derive(Debug, Clone, FromRow)]
pub struct Right {
    /// The role, by its slug.
    pub role: Option<String>,
    /// The permission, by its slug.
    pub permission: Option<String>,
}

/// What the grants of these teams give.
pub async fn given_to_teams(
    tx: &mut Tx,
    tenant_id: TenantId,
    organization_id: OrganizationId,
    ids: &[TeamId],
) -> Result<Vec<Right>> {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    store::given_to_teams(tx, tenant_id, organization_id, &ids).await
}

/// What the grants on a resource, and on those above it, give.
pub async fn given_on(
    tx: &mut Tx,
    tenant_id: TenantId,
    organization_id: OrganizationId,
    reference: &ResourceRef,
) -> Result<Vec<Right>> {
    store::given_on(tx, tenant_id, organization_id, reference).await
}
