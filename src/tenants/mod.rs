//! Tenants: the outermost boundary.

mod rpc;
mod store;
mod wire;

use crate::{
    clock::Timestamp,
    context::Ctx,
    db::{
        FromRow, Tx,
        page::{Page, Paged},
    },
    error::{Error, Reason, Result},
    events,
    ids::TenantId,
    roles,
};

/// The slug of the tenant that a fresh installation has.
pub const DEFAULT: &str = "default";

/// One product in one environment.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Unique in the installation.
    pub slug: String,
    /// For people.
    pub display_name: String,
    /// Counts its changes.
    pub version: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A tenant to create.
#[derive(Debug, Clone)]
pub struct Create {
    /// Unique in the installation.
    pub slug: String,
    /// For people.
    pub display_name: String,
}

/// What to change of a tenant.
#[derive(Debug, Clone)]
pub struct Update {
    /// Which.
    pub id: TenantId,
    /// The etag that it must have, or empty.
    pub etag: String,
    /// A new slug.
    pub slug: Option<String>,
    /// A new name.
    pub display_name: Option<String>,
}

/// Creates a tenant with its built-in roles. `ctx` is of the tenant itself, whose id is made beforehand.
pub async fn create(ctx: &Ctx, tx: &mut Tx, input: &Create) -> Result<Tenant> {
    let tenant = Tenant {
        id: ctx.tenant_id,
        slug: input.slug.clone(),
        display_name: input.display_name.clone(),
        version: 1,
        created_at: ctx.now,
        updated_at: ctx.now,
    };
    store::insert(tx, &tenant).await?;
    let mut changes = vec![wire::created(&tenant)];
    changes.extend(roles::create_built_in(ctx, tx).await?);
    events::append(ctx, tx, changes).await?;
    Ok(tenant)
}

/// One tenant. Fails with `TENANT_NOT_FOUND`.
pub async fn get(tx: &mut Tx, id: TenantId) -> Result<Tenant> {
    store::get(tx, id).await?.ok_or_else(not_found)
}

/// The tenant with this slug.
pub async fn find(tx: &mut Tx, slug: &str) -> Result<Option<Tenant>> {
    store::find(tx, slug).await
}

/// All tenants, oldest first.
pub async fn list(tx: &mut Tx, page: &Page) -> Result<Paged<Tenant>> {
    let rows = store::list(tx, page.after()?, page.limit()).await?;
    Ok(page.cut(rows, |tenant| tenant.id.to_string()))
}

/// Changes a tenant. `ctx` is of the tenant itself.
pub async fn update(ctx: &Ctx, tx: &mut Tx, input: &Update) -> Result<Tenant> {
    let before = store::lock(tx, input.id).await?.ok_or_else(not_found)?;
    crate::etag::ensure(before.version, &input.etag)?;
    let mut after = before.clone();
    after.slug = input.slug.clone().unwrap_or(after.slug);
    after.display_name = input.display_name.clone().unwrap_or(after.display_name);
    if after == before {
        return Ok(before);
    }
    after.version += 1;
    after.updated_at = ctx.now;
    store::update(tx, &after).await?;
    events::append(ctx, tx, vec![wire::updated(&before, &after)]).await?;
    Ok(after)
}

fn not_found() -> Error {
    Error::new(Reason::TenantNotFound, "no such tenant")
}
