//! API keys: how services call.

mod rpc;
mod store;
mod wire;

use std::time::Duration;

pub use rpc::{is_scope, read_scopes};

use crate::{
    auth::{keys::Secret, scopes::Scopes},
    clock::Timestamp,
    context::Ctx,
    db::{
        FromRow, Json, Tx,
        page::{Page, Paged},
    },
    error::{Error, Reason, Result},
    events,
    ids::{ApiKeyId, TenantId},
};

/// A key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct ApiKey {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Its id.
    pub id: ApiKeyId,
    /// For people.
    pub name: String,
    /// What its holder may do.
    pub scopes: Json<Vec<String>>,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When a successor was made.
    pub rotated_at: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
}

/// A key with the hash of its secret: for verification alone.
#[derive(Debug, FromRow)]
pub struct StoredKey {
    /// The key.
    #[sqlx(flatten)]
    pub key: ApiKey,
    /// The SHA-256 of its secret.
    pub hash: Vec<u8>,
}

/// A key to make.
#[derive(Debug, Clone)]
pub struct Create {
    /// For people.
    pub name: String,
    /// What its holder may do.
    pub scopes: Vec<String>,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
}

/// Makes a key. Nobody gives a scope that they lack: fails with `MISSING_PERMISSION`.
pub async fn create(ctx: &Ctx, tx: &mut Tx, caller: &Scopes, input: &Create) -> Result<(ApiKey, Secret)> {
    ensure_held(caller, &input.scopes)?;
    let (key, secret) = insert(ctx, tx, input).await?;
    events::append(ctx, tx, vec![wire::created(&key)]).await?;
    Ok((key, secret))
}

async fn insert(ctx: &Ctx, tx: &mut Tx, input: &Create) -> Result<(ApiKey, Secret)> {
    let id = ApiKeyId::generate();
    let secret = Secret::generate(id)?;
    let key = ApiKey {
        tenant_id: ctx.tenant_id,
        id,
        name: input.name.clone(),
        scopes: Json(input.scopes.clone()),
        expires_at: input.expires_at,
        revoked_at: None,
        rotated_at: None,
        created_at: ctx.now,
    };
    store::insert(tx, &key, &secret.hash()).await?;
    Ok((key, secret))
}

fn ensure_held(caller: &Scopes, scopes: &[String]) -> Result<()> {
    match scopes.iter().find(|scope| !caller.include(scope)) {
        Some(scope) => Err(Error::new(Reason::MissingPermission, format!("the caller lacks the scope {scope}"))
            .with("permission", scope)),
        None => Ok(()),
    }
}

/// One key.
pub async fn get(tx: &mut Tx, tenant_id: TenantId, id: ApiKeyId) -> Result<ApiKey> {
    store::get(tx, tenant_id, id).await?.ok_or_else(not_found)
}

/// The tenant's keys, oldest first.
pub async fn list(tx: &mut Tx, tenant_id: TenantId, page: &Page) -> Result<Paged<ApiKey>> {
    let rows = store::list(tx, tenant_id, page.after()?, page.limit()).await?;
    Ok(page.cut(rows, |key| key.id.to_string()))
}

/// A key of any tenant, with its hash: before its holder's tenant is known. For `auth` alone.
pub async fn find_for_verification(tx: &mut Tx, id: ApiKeyId) -> Result<Option<StoredKey>> {
    store::find_for_verification(tx, id).await
}

/// What a rotation leaves.
#[derive(Debug)]
pub struct Rotated {
    /// The successor.
    pub successor: ApiKey,
    /// The old key, with its end.
    pub rotated: ApiKey,
}

/// Makes a successor, and lets the old key end after the overlap.
pub async fn rotate(
    ctx: &Ctx,
    tx: &mut Tx,
    caller: &Scopes,
    id: ApiKeyId,
    overlap: Duration,
) -> Result<(Rotated, Secret)> {
    let before = store::lock(tx, ctx.tenant_id, id).await?.ok_or_else(not_found)?;
    ensure_held(caller, &before.scopes)?;
    if before.revoked_at.is_some() {
        return Err(Error::illegal_transition("an API key", "REVOKED", "ROTATED"));
    }
    if before.rotated_at.is_some() {
        // Its end is the overlap's now: a second successor would inherit that.
        return Err(Error::illegal_transition("an API key", "ROTATED", "ROTATED"));
    }
    if before.expires_at.is_some_and(|end| end <= ctx.now) {
        return Err(Error::illegal_transition("an API key", "EXPIRED", "ROTATED"));
    }
    let ends_at = ctx.now.plus(overlap);
    let expires_at = Some(before.expires_at.map_or(ends_at, |end| end.min(ends_at)));
    let rotated = ApiKey { expires_at, rotated_at: Some(ctx.now), ..before.clone() };
    store::rotate(tx, &rotated).await?;
    let input = Create { name: before.name.clone(), scopes: before.scopes.0.clone(), expires_at: before.expires_at };
    let (successor, secret) = insert(ctx, tx, &input).await?;
    events::append(ctx, tx, vec![wire::rotated(&before, &rotated), wire::created(&successor)]).await?;
    Ok((Rotated { successor, rotated }, secret))
}

/// Ends a key at once.
pub async fn revoke(ctx: &Ctx, tx: &mut Tx, id: ApiKeyId) -> Result<ApiKey> {
    let before = get(tx, ctx.tenant_id, id).await?;
    let Some(after) = store::revoke(tx, ctx.tenant_id, id, ctx.now).await? else { return Ok(before) };
    events::append(ctx, tx, vec![wire::revoked(&before, &after)]).await?;
    Ok(after)
}

fn not_found() -> Error {
    Error::new(Reason::ApiKeyNotFound, "no such API key")
}
