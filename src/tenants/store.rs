//! SQL of tenants.

use super::Tenant;
use crate::{
    db::{Tx, args},
    error::{Error, Reason, Result},
    ids::TenantId,
};

macro_rules! columns {
    () => {
        "id, slug, display_name, version, created_at, updated_at"
    };
}

pub async fn insert(tx: &mut Tx, tenant: &Tenant) -> Result<()> {
    let sql = "INSERT INTO tenants (id, slug, display_name, sequence, version, created_at, updated_at)
        VALUES ($1, $2, $3, 0, $4, $5, $6)";
    let Tenant { id, slug, display_name, version, created_at, updated_at } = tenant;
    let values = args![*id, slug, display_name, *version, *created_at, *updated_at];
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
    let sql = "UPDATE tenants SET slug = $2, display_name = $3, version = $4, updated_at = $5 WHERE id = $1";
    let Tenant { id, slug, display_name, version, updated_at, .. } = tenant;
    let values = args![*id, slug, display_name, *version, *updated_at];
    tx.execute_unique(sql, values, slug_taken).await.map(drop)
}

fn slug_taken() -> Error {
    Error::new(Reason::SlugTaken, "another tenant has the slug")
}
