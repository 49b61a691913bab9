//! Permissions: the tenant's catalogue of rights that applications check.

mod built_in;
mod rpc;
mod store;
mod wire;

use std::collections::BTreeSet;

use crate::{
    clock::Timestamp,
    context::Ctx,
    db::{
        FromRow, Tx,
        page::{Page, Paged},
    },
    error::{Error, Reason, Result},
    etag, events,
    ids::TenantId,
};

pub use built_in::{BuiltIn, OWN, create_built_in};
pub(crate) use rpc::Catalogue;

/// A right that an application checks.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Permission {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// What it is called, never changed.
    pub slug: String,
    /// For people.
    pub description: String,
    /// Roster's own: it cannot be deleted.
    pub built_in: bool,
    /// Counts its changes.
    pub version: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// Puts a permission into the catalogue.
pub async fn create(ctx: &Ctx, tx: &mut Tx, slug: &str, description: &str) -> Result<Permission> {
    let permission = new(ctx, slug, description);
    store::insert(tx, &permission).await?;
    events::append(ctx, tx, vec![wire::created(&permission)]).await?;
    Ok(permission)
}

fn new(ctx: &Ctx, slug: &str, description: &str) -> Permission {
    Permission {
        tenant_id: ctx.tenant_id,
        slug: slug.to_owned(),
        description: description.to_owned(),
        built_in: false,
        version: 1,
        created_at: ctx.now,
        updated_at: ctx.now,
    }
}

/// One permission.
pub async fn get(tx: &mut Tx, tenant_id: TenantId, slug: &str) -> Result<Permission> {
    store::get(tx, tenant_id, slug).await?.ok_or_else(not_found)
}

/// The catalogue, by slug.
pub async fn list(tx: &mut Tx, tenant_id: TenantId, page: &Page) -> Result<Paged<Permission>> {
    let rows = store::list(tx, tenant_id, page.after()?, page.limit()).await?;
    Ok(page.cut(rows, |permission| permission.slug.clone()))
}

/// Changes the description of a permission, where one is given.
pub async fn update(ctx: &Ctx, tx: &mut Tx, slug: &str, etag: &str, description: Option<&str>) -> Result<Permission> {
    let before = store::lock(tx, ctx.tenant_id, slug).await?.ok_or_else(not_found)?;
    etag::ensure(before.version, etag)?;
    let mut after = before.clone();
    after.description = description.map_or(after.description, str::to_owned);
    if after == before {
        return Ok(before);
    }
    after.version += 1;
    after.updated_at = ctx.now;
    store::update(tx, &after).await?;
    events::append(ctx, tx, vec![wire::updated(&before, &after)]).await?;
    Ok(after)
}

/// The slugs of the catalogue, ordered.
pub async fn slugs(tx: &mut Tx, tenant_id: TenantId) -> Result<Vec<String>> {
    store::slugs(tx, tenant_id).await
}

/// Whether an entry of a role, a slug or a pattern, contains a permission.
pub fn covers(entry: &str, slug: &str) -> bool {
    match entry.strip_suffix('*') {
        Some("") => true,
        Some(prefix) => slug.len() > prefix.len() && slug.starts_with(prefix),
        None => entry == slug,
    }
}

/// Takes a permission out of the catalogue. Fails with `PERMISSION_IN_USE`, `PERMISSION_NOT_EDITABLE`.
pub async fn delete(ctx: &Ctx, tx: &mut Tx, slug: &str) -> Result<()> {
    let permission = store::lock(tx, ctx.tenant_id, slug).await?.ok_or_else(not_found)?;
    if permission.built_in {
        return Err(Error::new(Reason::PermissionNotEditable, "the permission is Roster's own, and cannot be deleted"));
    }
    if store::is_in_use(tx, ctx.tenant_id, slug).await? {
        return Err(Error::new(Reason::PermissionInUse, "a role or a grant has the permission, or a policy names it"));
    }
    store::delete(tx, &permission).await?;
    events::append(ctx, tx, vec![wire::deleted(&permission)]).await
}

/// Those of these that are in the catalogue.
pub async fn known(tx: &mut Tx, tenant_id: TenantId, slugs: &BTreeSet<String>) -> Result<BTreeSet<String>> {
    let mut known = BTreeSet::new();
    for slug in slugs {
        known.extend(store::get(tx, tenant_id, slug).await?.map(|permission| permission.slug));
    }
    Ok(known)
}

/// Fails with `UNKNOWN_PERMISSION` where some of these are not in the catalogue, and names them all.
pub async fn ensure_known(tx: &mut Tx, tenant_id: TenantId, slugs: &[String]) -> Result<()> {
    let mut unknown = Vec::new();
    for slug in slugs {
        if store::get(tx, tenant_id, slug).await?.is_none() {
            unknown.push(slug.as_str());
        }
    }
    if unknown.is_empty() {
        return Ok(());
    }
    let unknown = unknown.join(", ");
    let message = format!("not in the tenant's catalogue: {unknown}");
    Err(Error::new(Reason::UnknownPermission, message).with("permission", unknown))
}

fn not_found() -> Error {
    Error::new(Reason::PermissionNotFound, "no such permission")
}
