//! SQL of permissions.

use super::Permission;
use crate::{
    db::{Tx, args},
    error::{Error, Reason, Result},
    ids::TenantId,
};

macro_rules! columns {
    () => {
        "tenant_id, slug, description, built_in, version, created_at, updated_at"
    };
}

pub async fn insert(tx: &mut Tx, permission: &Permission) -> Result<()> {
    let sql = concat!("INSERT INTO permissions (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7)");
    let Permission { tenant_id, slug, description, built_in, version, created_at, updated_at } = permission;
    let values = args![*tenant_id, slug, description, *built_in, *version, *created_at, *updated_at];
    let taken = || Error::new(Reason::SlugTaken, "the permission exists already");
    tx.execute_unique(sql, values, taken).await.map(drop)
}

pub async fn get(tx: &mut Tx, tenant: TenantId, slug: &str) -> Result<Option<Permission>> {
    let sql = concat!("SELECT ", columns!(), " FROM permissions WHERE tenant_id = $1 AND slug = $2");
    tx.fetch_optional(sql, args![tenant, slug]).await
}

pub async fn lock(tx: &mut Tx, tenant: TenantId, slug: &str) -> Result<Option<Permission>> {
    let sql = concat!("SELECT ", columns!(), " FROM permissions WHERE tenant_id = $1 AND slug = $2");
    tx.lock_one(sql, args![tenant, slug]).await
}

pub async fn list(tx: &mut Tx, tenant: TenantId, after: Option<String>, limit: i64) -> Result<Vec<Permission>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM permissions WHERE tenant_id = $1 AND ($2 IS NULL OR slug > $2) ORDER BY slug LIMIT $3"
    );
    tx.fetch_all(sql, args![tenant, after, limit]).await
}

pub async fn slugs(tx: &mut Tx, tenant: TenantId) -> Result<Vec<String>> {
    let sql = "SELECT slug FROM permissions WHERE tenant_id = $1 ORDER BY slug";
    let rows: Vec<(String,)> = tx.fetch_all(sql, args![tenant]).await?;
    Ok(rows.into_iter().map(|(slug,)| slug).collect())
}

pub async fn update(tx: &mut Tx, permission: &Permission) -> Result<()> {
    let sql = "UPDATE permissions SET description = $3, built_in = $4, version = $5, updated_at = $6
        WHERE tenant_id = $1 AND slug = $2";
    let Permission { tenant_id, slug, description, built_in, version, updated_at, .. } = permission;
    tx.execute(sql, args![*tenant_id, slug, description, *built_in, *version, *updated_at]).await.map(drop)
}

pub async fn is_in_use(tx: &mut Tx, tenant: TenantId, slug: &str) -> Result<bool> {
    let sql = "SELECT catalogued FROM role_permissions WHERE tenant_id = $1 AND catalogued = $2
        UNION ALL SELECT permission FROM grants WHERE tenant_id = $1 AND permission = $2
        UNION ALL SELECT permission FROM policy_permissions WHERE tenant_id = $1 AND permission = $2 LIMIT 1";
    let row: Option<(String,)> = tx.fetch_optional(sql, args![tenant, slug]).await?;
    Ok(row.is_some())
}

pub async fn delete(tx: &mut Tx, permission: &Permission) -> Result<()> {
    let sql = "DELETE FROM permissions WHERE tenant_id = $1 AND slug = $2";
    tx.execute(sql, args![permission.tenant_id, &permission.slug]).await.map(drop)
}
