//! SQL of API keys.

use super::{ApiKey, StoredKey};
use crate::{
    auth::keys::Hash,
    clock::Timestamp,
    db::{Tx, args},
    error::Result,
    ids::{ApiKeyId, TenantId},
};

macro_rules! columns {
    () => {
        "tenant_id, id, name, scopes, expires_at, revoked_at, rotated_at, created_at"
    };
}

pub async fn insert(tx: &mut Tx, key: &ApiKey, hash: &Hash) -> Result<()> {
    let sql = "INSERT INTO api_keys (tenant_id, id, name, scopes, hash, expires_at, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let scopes = serde_json::json!(key.scopes.0);
    let values = args![key.tenant_id, key.id, &key.name, scopes, hash.to_vec(), key.expires_at, key.created_at];
    tx.execute(sql, values).await.map(drop)
}

pub async fn get(tx: &mut Tx, tenant: TenantId, id: ApiKeyId) -> Result<Option<ApiKey>> {
    let sql = concat!("SELECT ", columns!(), " FROM api_keys WHERE tenant_id = $1 AND id = $2");
    tx.fetch_optional(sql, args![tenant, id]).await
}

pub async fn lock(tx: &mut Tx, tenant: TenantId, id: ApiKeyId) -> Result<Option<ApiKey>> {
    let sql = concat!("SELECT ", columns!(), " FROM api_keys WHERE tenant_id = $1 AND id = $2");
    tx.lock_one(sql, args![tenant, id]).await
}

/// Across tenants: the id is part of a secret, and tells the tenant.
pub async fn find_for_verification(tx: &mut Tx, id: ApiKeyId) -> Result<Option<StoredKey>> {
    let sql = concat!("SELECT ", columns!(), ", hash FROM api_keys WHERE id = $1");
    tx.fetch_optional(sql, args![id]).await
}

pub async fn list(tx: &mut Tx, tenant: TenantId, after: Option<ApiKeyId>, limit: i64) -> Result<Vec<ApiKey>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM api_keys WHERE tenant_id = $1 AND ($2 IS NULL OR id > $2) ORDER BY id LIMIT $3"
    );
    tx.fetch_all(sql, args![tenant, after, limit]).await
}

pub async fn rotate(tx: &mut Tx, key: &ApiKey) -> Result<()> {
    let sql = "UPDATE api_keys SET expires_at = $3, rotated_at = $4 WHERE tenant_id = $1 AND id = $2";
    tx.execute(sql, args![key.tenant_id, key.id, key.expires_at, key.rotated_at]).await.map(drop)
}

pub async fn revoke(tx: &mut Tx, tenant: TenantId, id: ApiKeyId, now: Timestamp) -> Result<Option<ApiKey>> {
    let sql = concat!(
        "UPDATE api_keys SET revoked_at = $3 WHERE tenant_id = $1 AND id = $2 AND revoked_at IS NULL RETURNING ",
        columns!()
    );
    tx.fetch_optional(sql, args![tenant, id, now]).await
}
