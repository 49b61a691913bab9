//! SQL of organizations. Their `sequence` is drawn by the log alone.

use super::{Organization, Status, slug_taken};
use crate::{
    clock::Timestamp,
    db::{FromRow, Tx, args},
    error::{Error, Result},
    ids::{OrganizationId, TenantId},
};

macro_rules! columns {
    () => {
        "tenant_id, id, slug, display_name, external_id, status, metadata, version, created_at, updated_at, deleted_at,
        default_role, role_priority"
    };
}

/// An organization, and how far its stream and its tenant's had come.
#[derive(FromRow)]
pub struct Locked {
    #[sqlx(flatten)]
    pub organization: Organization,
    pub sequence: i64,
    pub tenant_sequence: i64,
}

pub async fn insert(tx: &mut Tx, organization: &Organization) -> Result<()> {
    let sql = concat!(
        "INSERT INTO organizations (",
        columns!(),
        ", sequence) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 0)"
    );
    let metadata = serde_json::json!(organization.metadata.0);
    let Organization { tenant_id, id, slug, display_name, external_id, status, version, .. } = organization;
    let values = args![
        *tenant_id,
        *id,
        slug,
        display_name,
        external_id.clone(),
        status.as_str(),
        metadata,
        *version,
        organization.created_at,
        organization.updated_at,
        organization.deleted_at,
        &organization.default_role,
        serde_json::json!(organization.role_priority.0)
    ];
    tx.execute_unique(sql, values, slug_taken).await.map(drop)
}

pub async fn get(tx: &mut Tx, tenant: TenantId, id: OrganizationId) -> Result<Option<Organization>> {
    let sql = concat!("SELECT ", columns!(), " FROM organizations WHERE tenant_id = $1 AND id = $2");
    tx.fetch_optional(sql, args![tenant, id]).await
}

pub async fn lock(tx: &mut Tx, tenant: TenantId, id: OrganizationId) -> Result<Option<Locked>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        ", sequence, (SELECT sequence FROM tenants WHERE id = $1) AS tenant_sequence
        FROM organizations WHERE tenant_id = $1 AND id = $2"
    );
    tx.lock_one(sql, args![tenant, id]).await
}

pub async fn find_by_slug(tx: &mut Tx, tenant: TenantId, slug: &str) -> Result<Option<Organization>> {
    let sql = concat!("SELECT ", columns!(), " FROM organizations WHERE tenant_id = $1 AND slug = $2");
    tx.fetch_optional(sql, args![tenant, slug]).await
}

pub async fn find_by_external_id(tx: &mut Tx, tenant: TenantId, id: &str) -> Result<Option<Organization>> {
    let sql = concat!("SELECT ", columns!(), " FROM organizations WHERE tenant_id = $1 AND external_id = $2");
    tx.fetch_optional(sql, args![tenant, id]).await
}

pub async fn list(
    tx: &mut Tx,
    tenant: TenantId,
    status: Option<Status>,
    after: Option<OrganizationId>,
    limit: i64,
) -> Result<Vec<Organization>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM organizations WHERE tenant_id = $1 AND ($2 IS NULL OR status = $2) AND ($3 IS NULL OR id > $3)
        ORDER BY id LIMIT $4"
    );
    tx.fetch_all(sql, args![tenant, status.map(Status::as_str), after, limit]).await
}

pub async fn update(tx: &mut Tx, organization: &Organization) -> Result<()> {
    let sql = "UPDATE organizations SET slug = $3, display_name = $4, external_id = $5, metadata = $6, version = $7,
            updated_at = $8, default_role = $9, role_priority = $10
        WHERE tenant_id = $1 AND id = $2";
    let metadata = serde_json::json!(organization.metadata.0);
    let Organization { tenant_id, id, slug, display_name, external_id, version, updated_at, .. } = organization;
    let values = args![
        *tenant_id,
        *id,
        slug,
        display_name,
        external_id.clone(),
        metadata,
        *version,
        *updated_at,
        &organization.default_role,
        serde_json::json!(organization.role_priority.0)
    ];
    tx.execute_unique(sql, values, slug_taken).await.map(drop)
}

pub async fn with_default(tx: &mut Tx, tenant: TenantId, role: &str) -> Result<Vec<OrganizationId>> {
    let sql = "SELECT id FROM organizations WHERE tenant_id = $1 AND default_role = $2 AND default_role <> ''
        ORDER BY id";
    let rows: Vec<(OrganizationId,)> = tx.fetch_all(sql, args![tenant, role]).await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// Moves an organization from the status that it was seen in.
pub async fn set_status(tx: &mut Tx, before: &Organization, status: Status, now: Timestamp) -> Result<Organization> {
    let sql = concat!(
        "UPDATE organizations SET status = $4, version = version + 1, updated_at = $5, deleted_at = $6
        WHERE tenant_id = $1 AND id = $2 AND status = $3 RETURNING ",
        columns!()
    );
    let deleted_at = (status == Status::Deleting).then_some(now);
    let values = args![before.tenant_id, before.id, before.status.as_str(), status.as_str(), now, deleted_at];
    let after = tx.fetch_optional(sql, values).await?;
    after.ok_or_else(|| Error::internal("a locked organization changed"))
}
