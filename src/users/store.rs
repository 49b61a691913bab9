//! SQL of users.

use super::{Status, User, email_taken};
use crate::{
    clock::Timestamp,
    db::{Tx, args},
    error::{Error, Result},
    ids::{TenantId, UserId},
};

macro_rules! columns {
    () => {
        "tenant_id, id, email, email_key, display_name, external_id, status, metadata, version, created_at, updated_at"
    };
}

/// False where another user has the address or the external id; the transaction goes on.
pub async fn insert(tx: &mut Tx, user: &User) -> Result<bool> {
    let sql = concat!(
        "INSERT INTO users (",
        columns!(),
        ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING"
    );
    let metadata = serde_json::json!(user.metadata.0);
    let User { tenant_id, id, email, email_key, display_name, external_id, status, version, .. } = user;
    let values = args![
        *tenant_id,
        *id,
        email,
        email_key,
        display_name,
        external_id.clone(),
        status.as_str(),
        metadata,
        *version,
        user.created_at,
        user.updated_at
    ];
    Ok(tx.execute(sql, values).await? == 1)
}

pub async fn get(tx: &mut Tx, tenant: TenantId, id: UserId) -> Result<Option<User>> {
    let sql = concat!("SELECT ", columns!(), " FROM users WHERE tenant_id = $1 AND id = $2");
    tx.fetch_optional(sql, args![tenant, id]).await
}

pub async fn lock(tx: &mut Tx, tenant: TenantId, id: UserId) -> Result<Option<User>> {
    let sql = concat!("SELECT ", columns!(), " FROM users WHERE tenant_id = $1 AND id = $2");
    tx.lock_one(sql, args![tenant, id]).await
}

pub async fn find_by_email(tx: &mut Tx, tenant: TenantId, email_key: &str) -> Result<Option<User>> {
    let sql =
        concat!("SELECT ", columns!(), " FROM users WHERE tenant_id = $1 AND email_key = $2 AND status <> 'removed'");
    tx.fetch_optional(sql, args![tenant, email_key]).await
}

pub async fn lock_by_email(tx: &mut Tx, tenant: TenantId, email_key: &str) -> Result<Option<User>> {
    let sql =
        concat!("SELECT ", columns!(), " FROM users WHERE tenant_id = $1 AND email_key = $2 AND status <> 'removed'");
    tx.lock_one(sql, args![tenant, email_key]).await
}

pub async fn find_by_external_id(tx: &mut Tx, tenant: TenantId, external_id: &str) -> Result<Option<User>> {
    let sql =
        concat!("SELECT ", columns!(), " FROM users WHERE tenant_id = $1 AND external_id = $2 AND status <> 'removed'");
    tx.fetch_optional(sql, args![tenant, external_id]).await
}

pub async fn list(
    tx: &mut Tx,
    tenant: TenantId,
    status: Option<Status>,
    after: Option<UserId>,
    limit: i64,
) -> Result<Vec<User>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM users WHERE tenant_id = $1 AND ($2 IS NULL OR status = $2) AND ($3 IS NULL OR id > $3)
        ORDER BY id LIMIT $4"
    );
    tx.fetch_all(sql, args![tenant, status.map(Status::as_str), after, limit]).await
}

pub async fn update(tx: &mut Tx, user: &User) -> Result<()> {
    let sql = "UPDATE users SET email = $3, email_key = $4, display_name = $5, external_id = $6, metadata = $7,
            version = $8, updated_at = $9
        WHERE tenant_id = $1 AND id = $2";
    let metadata = serde_json::json!(user.metadata.0);
    let User { tenant_id, id, email, email_key, display_name, external_id, version, updated_at, .. } = user;
    let values =
        args![*tenant_id, *id, email, email_key, display_name, external_id.clone(), metadata, *version, *updated_at];
    tx.execute_unique(sql, values, email_taken).await.map(drop)
}

/// Moves a user from the status that they were seen in.
pub async fn set_status(tx: &mut Tx, before: &User, status: Status, now: Timestamp) -> Result<User> {
    let sql = concat!(
        "UPDATE users SET status = $4, version = version + 1, updated_at = $5
        WHERE tenant_id = $1 AND id = $2 AND status = $3 RETURNING ",
        columns!()
    );
    let values = args![before.tenant_id, before.id, before.status.as_str(), status.as_str(), now];
    let after = tx.fetch_optional(sql, values).await?;
    after.ok_or_else(|| Error::internal("a locked user changed"))
}
