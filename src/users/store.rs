//! SQL of users.

use super::{Identity, Status, User, email_taken};
use crate::{
    clock::Timestamp,
    db::{Tx, args},
    error::{Error, Result},
    ids::{TenantId, UserId},
};

/// The row's own columns, and the accounts: issuer, U+001F, subject; U+001E between them.
macro_rules! columns {
    () => {
        "users.tenant_id, users.id, users.email, users.email_key, users.display_name, users.external_id, users.status,
        users.suspended_from, users.metadata, users.version, users.created_at, users.updated_at, users.erased_at,
        COALESCE((SELECT string_agg(i.issuer || '\u{1f}' || i.subject, '\u{1e}') FROM user_identities i
            WHERE i.tenant_id = users.tenant_id AND i.user_id = users.id), '') AS identities"
    };
}

/// False where another user has the address or the external id; the transaction goes on.
pub async fn insert(tx: &mut Tx, user: &User) -> Result<bool> {
    let sql =
        "INSERT INTO users (tenant_id, id, email, email_key, display_name, external_id, status, metadata, version,
            created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING";
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
    let sql = concat!("SELECT ", columns!(), " FROM users WHERE users.tenant_id = $1 AND users.id = $2");
    tx.fetch_optional(sql, args![tenant, id]).await
}

/// Locks first and reads after: a statement that waited for the lock would read identities as they were before.
pub async fn lock(tx: &mut Tx, tenant: TenantId, id: UserId) -> Result<Option<User>> {
    let sql = "SELECT users.id FROM users WHERE users.tenant_id = $1 AND users.id = $2";
    tx.lock_one::<(UserId,)>(sql, args![tenant, id]).await?;
    get(tx, tenant, id).await
}

/// Locks and reads in one statement: its identities may be those of before the lock.
pub async fn hold(tx: &mut Tx, tenant: TenantId, id: UserId) -> Result<Option<User>> {
    let sql = concat!("SELECT ", columns!(), " FROM users WHERE users.tenant_id = $1 AND users.id = $2");
    tx.lock_one(sql, args![tenant, id]).await
}

pub async fn find_by_email(tx: &mut Tx, tenant: TenantId, email_key: &str) -> Result<Option<User>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM users WHERE users.tenant_id = $1 AND users.email_key = $2 AND users.status <> 'removed'"
    );
    tx.fetch_optional(sql, args![tenant, email_key]).await
}

pub async fn lock_by_email(tx: &mut Tx, tenant: TenantId, email_key: &str) -> Result<Option<User>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM users WHERE users.tenant_id = $1 AND users.email_key = $2 AND users.status <> 'removed'"
    );
    tx.lock_one(sql, args![tenant, email_key]).await
}

pub async fn find_by_external_id(tx: &mut Tx, tenant: TenantId, external_id: &str) -> Result<Option<User>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM users WHERE users.tenant_id = $1 AND users.external_id = $2 AND users.status <> 'removed'"
    );
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
        " FROM users WHERE users.tenant_id = $1 AND ($2 IS NULL OR users.status = $2) AND ($3 IS NULL OR users.id > $3)
        ORDER BY users.id LIMIT $4"
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

/// Moves a user from the status that they were seen in; a suspended one remembers it.
pub async fn set_status(tx: &mut Tx, before: &User, status: Status, now: Timestamp) -> Result<User> {
    let sql = concat!(
        "UPDATE users SET status = $4, suspended_from = $5, version = version + 1, updated_at = $6
        WHERE users.tenant_id = $1 AND users.id = $2 AND users.status = $3 RETURNING ",
        columns!()
    );
    let from = (status == Status::Suspended).then_some(before.status.as_str());
    let values = args![before.tenant_id, before.id, before.status.as_str(), status.as_str(), from, now];
    let after = tx.fetch_optional(sql, values).await?;
    after.ok_or_else(|| Error::internal("a locked user changed"))
}

/// Remembers an address that a user is about to give up.
pub async fn keep_former_email(tx: &mut Tx, user: &User) -> Result<()> {
    let sql = "INSERT INTO user_former_emails (tenant_id, email_key, user_id) VALUES ($1, $2, $3)
        ON CONFLICT DO NOTHING";
    tx.execute(sql, args![user.tenant_id, &user.email_key, user.id]).await.map(drop)
}

pub async fn delete_former_emails(tx: &mut Tx, tenant: TenantId, user: UserId) -> Result<()> {
    let sql = "DELETE FROM user_former_emails WHERE tenant_id = $1 AND user_id = $2";
    tx.execute(sql, args![tenant, user]).await.map(drop)
}

/// Empties the personal fields of a removed user.
pub async fn erase(tx: &mut Tx, before: &User, now: Timestamp) -> Result<User> {
    let sql = concat!(
        "UPDATE users SET email = '', email_key = '', display_name = '', external_id = NULL, metadata = $3,
            version = version + 1, updated_at = $4, erased_at = $4
        WHERE users.tenant_id = $1 AND users.id = $2 AND users.status = 'removed' RETURNING ",
        columns!()
    );
    let nothing = serde_json::json!({});
    let after = tx.fetch_optional(sql, args![before.tenant_id, before.id, nothing, now]).await?;
    after.ok_or_else(|| Error::internal("a locked user changed"))
}

pub async fn find_by_identity(tx: &mut Tx, tenant: TenantId, identity: &Identity) -> Result<Option<User>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM users JOIN user_identities linked ON linked.tenant_id = users.tenant_id AND linked.user_id = users.id
        WHERE users.tenant_id = $1 AND linked.tenant_id = $1 AND linked.issuer = $2 AND linked.subject = $3"
    );
    tx.fetch_optional(sql, args![tenant, &identity.issuer, &identity.subject]).await
}

/// False where a user is linked to the account already; the transaction goes on.
pub async fn insert_identity(
    tx: &mut Tx,
    tenant: TenantId,
    user: UserId,
    identity: &Identity,
    now: Timestamp,
) -> Result<bool> {
    let sql =
        "INSERT INTO user_identities (tenant_id, issuer, subject, user_id, created_at) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT DO NOTHING";
    let values = args![tenant, &identity.issuer, &identity.subject, user, now];
    Ok(tx.execute(sql, values).await? == 1)
}

/// False where the user is not linked to the account.
pub async fn delete_identity(tx: &mut Tx, tenant: TenantId, user: UserId, identity: &Identity) -> Result<bool> {
    let sql = "DELETE FROM user_identities
        WHERE tenant_id = $1 AND issuer = $2 AND subject = $3 AND user_id = $4";
    Ok(tx.execute(sql, args![tenant, &identity.issuer, &identity.subject, user]).await? == 1)
}

pub async fn delete_identities_of(tx: &mut Tx, tenant: TenantId, user: UserId) -> Result<()> {
    let sql = "DELETE FROM user_identities WHERE tenant_id = $1 AND user_id = $2";
    tx.execute(sql, args![tenant, user]).await.map(drop)
}
