//! Users: persons and services known in a tenant.

mod create;
mod delete;
mod erase;
mod identities;
mod rpc;
mod store;
mod suspend;
mod wire;

use std::collections::BTreeMap;

pub use create::{Create, create, find_or_create};
pub use delete::delete;
pub use erase::erase;
pub use identities::{Identities, Identity, find_by_identity, link, unlink};
pub use rpc::read_identity;
pub use suspend::{activate, reactivate, suspend};

use crate::{
    clock::Timestamp,
    context::Ctx,
    db::{
        FromRow, Json, Tx, Type,
        page::{Page, Paged},
    },
    error::{Error, Reason, Result},
    etag, events,
    fields::Email,
    ids::{TenantId, UserId},
};

/// A person or service known in a tenant.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct User {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Its id.
    pub id: UserId,
    /// As it was given.
    pub email: String,
    /// As it is compared.
    pub email_key: String,
    /// For people.
    pub display_name: String,
    /// The application's own id.
    pub external_id: Option<String>,
    /// Where they stand.
    pub status: Status,
    /// Where a suspended user stood before.
    pub suspended_from: Option<Status>,
    /// Whatever the application keeps here.
    pub metadata: Json<BTreeMap<String, String>>,
    /// The accounts that are linked to them, ordered.
    #[sqlx(try_from = "String")]
    pub identities: Identities,
    /// Counts its changes.
    pub version: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When the personal fields were emptied.
    pub erased_at: Option<Timestamp>,
}

/// Where a user stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Status {
    /// Put here before they ever came.
    PreProvisioned,
    /// Invited, and has not accepted yet.
    Invited,
    /// May act where their memberships say so.
    Active,
    /// Denied everywhere.
    Suspended,
    /// Gone for good.
    Removed,
}

impl Status {
    /// Whether they have ever come; who is suspended may not have.
    pub fn has_come(self) -> bool {
        !matches!(self, Self::PreProvisioned | Self::Invited)
    }

    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PreProvisioned => "pre_provisioned",
            Self::Invited => "invited",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Removed => "removed",
        }
    }

    /// As errors name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::PreProvisioned => "PRE_PROVISIONED",
            Self::Invited => "INVITED",
            Self::Active => "ACTIVE",
            Self::Suspended => "SUSPENDED",
            Self::Removed => "REMOVED",
        }
    }
}

/// What to change of a user.
#[derive(Debug, Clone)]
pub struct Update {
    /// Which.
    pub id: UserId,
    /// The etag that it must have, or empty.
    pub etag: String,
    /// A new address.
    pub email: Option<Email>,
    /// A new name.
    pub display_name: Option<String>,
    /// A new id of the application's, or none.
    pub external_id: Option<Option<String>>,
    /// New metadata, in place of all there is.
    pub metadata: Option<BTreeMap<String, String>>,
}

/// What a user is looked up by.
#[derive(Debug, Clone)]
pub enum Key {
    /// An e-mail address.
    Email(Email),
    /// The application's own id.
    ExternalId(String),
    /// An account that is linked to them.
    Identity(Identity),
    /// Their id.
    Id(UserId),
}

/// One user, also a removed one.
pub async fn get(tx: &mut Tx, tenant_id: TenantId, id: UserId) -> Result<User> {
    store::get(tx, tenant_id, id).await?.ok_or_else(not_found)
}

/// Users by their ids, also removed ones, each in its place; none where there is no such user.
pub async fn get_all(tx: &mut Tx, tenant_id: TenantId, ids: &[UserId]) -> Result<Vec<Option<User>>> {
    let mut users = Vec::with_capacity(ids.len());
    for id in ids {
        users.push(store::get(tx, tenant_id, *id).await?);
    }
    Ok(users)
}

/// One user other than a removed one, locked until the transaction ends: who is about to become a member or an owner
/// is not removed or suspended meanwhile. (Their identities may be as they were before the lock.)
pub async fn hold(tx: &mut Tx, tenant_id: TenantId, id: UserId) -> Result<User> {
    let user = store::hold(tx, tenant_id, id).await?;
    user.filter(|user| user.status != Status::Removed).ok_or_else(not_found)
}

/// The user with this key, other than a removed one.
pub async fn lookup(tx: &mut Tx, tenant_id: TenantId, key: &Key) -> Result<User> {
    let user = match key {
        Key::Email(email) => store::find_by_email(tx, tenant_id, &email.key).await?,
        Key::ExternalId(id) => store::find_by_external_id(tx, tenant_id, id).await?,
        Key::Identity(identity) => store::find_by_identity(tx, tenant_id, identity).await?,
        Key::Id(id) => store::get(tx, tenant_id, *id).await?.filter(|user| user.status != Status::Removed),
    };
    user.ok_or_else(not_found)
}

/// The user with this address, by its key, other than a removed one.
pub async fn find_by_email(tx: &mut Tx, tenant_id: TenantId, key: &str) -> Result<Option<User>> {
    store::find_by_email(tx, tenant_id, key).await
}

/// Fails with `USER_SUSPENDED`.
pub fn ensure_not_suspended(user: &User) -> Result<()> {
    if user.status != Status::Suspended {
        return Ok(());
    }
    Err(Error::new(Reason::UserSuspended, "the user is suspended").with("user_id", user.id))
}

/// Users, oldest first.
pub async fn list(tx: &mut Tx, tenant_id: TenantId, status: Option<Status>, page: &Page) -> Result<Paged<User>> {
    let rows = store::list(tx, tenant_id, status, page.after()?, page.limit()).await?;
    Ok(page.cut(rows, |user| user.id.to_string()))
}

/// Changes a user.
pub async fn update(ctx: &Ctx, tx: &mut Tx, input: &Update) -> Result<User> {
    let before = store::lock(tx, ctx.tenant_id, input.id).await?.ok_or_else(not_found)?;
    if before.status == Status::Removed {
        return Err(Error::illegal_transition("a user", "REMOVED", "UPDATED"));
    }
    etag::ensure(before.version, &input.etag)?;
    let mut after = before.clone();
    if let Some(email) = &input.email {
        after.email.clone_from(&email.original);
        after.email_key.clone_from(&email.key);
    }
    after.display_name = input.display_name.clone().unwrap_or(after.display_name);
    after.external_id = input.external_id.clone().unwrap_or(after.external_id);
    after.metadata = input.metadata.clone().map_or(after.metadata, Json);
    if after == before {
        return Ok(before);
    }
    ensure_free(tx, &before, &after).await?;
    after.version += 1;
    after.updated_at = ctx.now;
    store::update(tx, &after).await?;
    if after.email_key != before.email_key {
        store::keep_former_email(tx, &before).await?;
    }
    events::append(ctx, tx, vec![wire::updated(&before, &after)]).await?;
    Ok(after)
}

/// Says which key is taken. Where two race, the store says that one is.
async fn ensure_free(tx: &mut Tx, before: &User, after: &User) -> Result<()> {
    if after.email_key != before.email_key
        && store::find_by_email(tx, after.tenant_id, &after.email_key).await?.is_some()
    {
        return Err(email_taken());
    }
    if let Some(external_id) = &after.external_id
        && after.external_id != before.external_id
        && store::find_by_external_id(tx, after.tenant_id, external_id).await?.is_some()
    {
        return Err(external_id_taken());
    }
    Ok(())
}

fn not_found() -> Error {
    Error::new(Reason::UserNotFound, "no such user")
}

fn email_taken() -> Error {
    Error::new(Reason::EmailTaken, "another user has the e-mail address")
}

fn external_id_taken() -> Error {
    Error::new(Reason::ExternalIdTaken, "another user has the external id")
}
