//! SQL of tenants.

use super::Tenant;
use crate::{
    db::{Tx, args},
    error::{Error, Reason, Result},
    ids::TenantId,
};

macro_rules! columns {
    () => {
        "id, slug, display_name, role_mode, default_role, role_priority, log_retention_days, version, created_at,
        updated_at"
    };
}

pub async fn insert(tx: &mut Tx, tenant: &Tenant) -> Result<()> {
    let sql =
        concat!("INSERT INTO tenants (", columns!(), ", sequence) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0)");
    let Tenant { id, slug, display_name, role_mode, default_role, role_priority, version, .. } = tenant;
    let (mode, role_priority) = (role_mode.as_str(), serde_json::json!(role_priority.0));
    let (days, created_at, updated_at) = (tenant.log_retention_days, tenant.created_at, tenant.updated_at);
    let mut values = args![*id, slug, display_name, mode, default_role, role_priority];
    values.extend(args![days, *version, created_at, updated_at]);
    tx.execute_unique(sql, values, slug_taken).await.map(drop)
}

pub async fn get(tx: &mut Tx, id: TenantId) -> Result<Option<Tenant>> {
    tx.fetch_optional(concat!("SELECT ", columns!(), " FROM tenants WHERE id = $1"), args![id]).await
}

pub async fn find(tx: &mut Tx, slug: &str) -> Result<Option<Tenant>> {
    tx.fetch_optional(concat!("SELECT ", columns!(), " FROM tenants WHERE slug = $1"), args![slug]).await
}

pub async fn lock(tx: &mut Tx, id: TenantId) -> Result<Option<Tenant>> {
    tx.lock_one(concat!("SELECT ", columns!(), " FROM tenants WHERE id = $1"), args![id]).await
}

pub async fn list(tx: &mut Tx, after: Option<TenantId>, limit: i64) -> Result<Vec<Tenant>> {
    let sql = concat!("SELECT ", columns!(), " FROM tenants WHERE $1 IS NULL OR id > $1 ORDER BY id LIMIT $2");
    tx.fetch_all(sql, args![after, limit]).await
}

pub async fn update(tx: &mut Tx, tenant: &Tenant) -> Result<()> {
    let sql = "UPDATE tenants SET slug = $2, display_name = $3, role_mode = $4, default_role = $5, role_priority = $6,
            version = $7, updated_at = $8, log_retention_days = $9
        WHERE id = $1";
    let Tenant { id, slug, display_name, role_mode, default_role, role_priority, version, updated_at, .. } = tenant;
    let role_priority = serde_json::json!(role_priority.0);
    let mode = role_mode.as_str();
    let mut values = args![*id, slug, display_name, mode, default_role, role_priority, *version, *updated_at];
    values.extend(args![tenant.log_retention_days]);
    tx.execute_unique(sql, values, slug_taken).await.map(drop)
}

pub async fn with_retention(tx: &mut Tx) -> Result<Vec<(TenantId, i64)>> {
    let sql = "SELECT id, log_retention_days FROM tenants WHERE log_retention_days > 0 ORDER BY id";
    tx.fetch_all(sql, args![]).await
}

/// Tenants without an order of roles, or with fewer permissions of Roster's own than there are.
pub async fn incomplete(tx: &mut Tx, own_permissions: i64) -> Result<Vec<TenantId>> {
    let sql = "SELECT t.id FROM tenants t
        WHERE t.role_priority = '[]'
            OR (SELECT COUNT(*) FROM permissions p WHERE p.tenant_id = t.id AND p.built_in) < $1
        ORDER BY t.id";
    let rows: Vec<(TenantId,)> = tx.fetch_all(sql, args![own_permissions]).await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

fn slug_taken() -> Error {
    Error::new(Reason::SlugTaken, "another tenant has the slug")
}
