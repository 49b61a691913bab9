//! SQL of requests that may come again.

use crate::{
    clock::Timestamp,
    db::{Tx, args},
    error::Result,
    ids::TenantId,
};

/// Which request it is: of which tenant's caller, under which id.
#[derive(Clone, Copy)]
pub struct Key<'a> {
    pub tenant_id: TenantId,
    pub caller: &'a str,
    pub request_id: &'a str,
}

/// Takes an id, where nobody had it since `forgotten`; answers whether it is taken by this.
pub async fn take(tx: &mut Tx, key: Key<'_>, digest: &[u8], now: Timestamp, forgotten: Timestamp) -> Result<bool> {
    let sql = "INSERT INTO requests (tenant_id, caller, request_id, digest, answer, created_at)
        VALUES ($1, $2, $3, $4, NULL, $5)
        ON CONFLICT (tenant_id, caller, request_id) DO UPDATE
            SET digest = excluded.digest, answer = NULL, created_at = excluded.created_at
            WHERE requests.created_at <= $6";
    let Key { tenant_id, caller, request_id } = key;
    Ok(tx.execute(sql, args![tenant_id, caller, request_id, digest.to_vec(), now, forgotten]).await? == 1)
}

/// What was asked under an id, and what was answered.
pub async fn get(tx: &mut Tx, key: Key<'_>) -> Result<(Vec<u8>, Option<Vec<u8>>)> {
    let sql = "SELECT digest, answer FROM requests WHERE tenant_id = $1 AND caller = $2 AND request_id = $3";
    tx.fetch_one(sql, args![key.tenant_id, key.caller, key.request_id]).await
}

/// [`get`], where there is something that was not to be forgotten by then.
pub async fn find(tx: &mut Tx, key: Key<'_>, forgotten: Timestamp) -> Result<Option<(Vec<u8>, Option<Vec<u8>>)>> {
    let sql = "SELECT digest, answer FROM requests WHERE tenant_id = $1 AND caller = $2 AND request_id = $3
        AND created_at > $4";
    tx.fetch_optional(sql, args![key.tenant_id, key.caller, key.request_id, forgotten]).await
}

/// Keeps an answer, and whom it names.
pub async fn keep(tx: &mut Tx, key: Key<'_>, answer: Vec<u8>, user_ids: &str) -> Result<()> {
    let sql = "UPDATE requests SET answer = $4, user_ids = $5
        WHERE tenant_id = $1 AND caller = $2 AND request_id = $3";
    tx.execute(sql, args![key.tenant_id, key.caller, key.request_id, answer, user_ids]).await.map(drop)
}

/// Takes away the answers that name a user.
pub async fn empty_answers(tx: &mut Tx, tenant: TenantId, user_id: &str) -> Result<()> {
    let sql = "UPDATE requests SET answer = NULL, user_ids = ''
        WHERE tenant_id = $1 AND user_ids LIKE '%' || $2 || '%'";
    tx.execute(sql, args![tenant, user_id]).await.map(drop)
}

/// Forgets what was asked up to then; answers how many, at most so many.
pub async fn forget(tx: &mut Tx, forgotten: Timestamp, at_most: i64) -> Result<u64> {
    let sql = "DELETE FROM requests WHERE (tenant_id, caller, request_id) IN (
        SELECT tenant_id, caller, request_id FROM requests WHERE created_at <= $1 LIMIT $2)";
    tx.execute(sql, args![forgotten, at_most]).await
}
