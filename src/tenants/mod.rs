//! Tenants: the outermost boundary.

mod rpc;
mod store;
mod wire;

use crate::{
    clock::Timestamp,
    context::Ctx,
    db::{
        FromRow, Json, Tx, Type,
        page::{Page, Paged},
    },
    error::{Error, Reason, Result},
    events::{self, Change},
    ids::TenantId,
    permissions, roles,
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
    /// What several roles of one member amount to.
    pub role_mode: RoleMode,
    /// The role of whoever is given none, where the organization has no default of its own.
    pub default_role: String,
    /// All roles of the tenant, the highest first.
    pub role_priority: Json<Vec<String>>,
    /// For how many days its events are kept; 0: for good.
    pub log_retention_days: i64,
    /// Counts its changes.
    pub version: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// What several roles of one member amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum RoleMode {
    /// They add up.
    Union,
    /// The one of highest priority counts.
    HighestPriority,
}

impl RoleMode {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Union => "union",
            Self::HighestPriority => "highest_priority",
        }
    }
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
    /// What several roles of one member are to amount to.
    pub role_mode: Option<RoleMode>,
    /// For how many days its events are to be kept; 0: for good.
    pub log_retention_days: Option<i64>,
}

/// Creates a tenant with Roster's own permissions and its built-in roles. `ctx` is of the tenant itself, whose id is made beforehand.
pub async fn create(ctx: &Ctx, tx: &mut Tx, input: &Create) -> Result<Tenant> {
    let tenant = Tenant {
        id: ctx.tenant_id,
        slug: input.slug.clone(),
        display_name: input.display_name.clone(),
        role_mode: RoleMode::Union,
        default_role: roles::DEFAULT.to_owned(),
        role_priority: Json(roles::built_in_priority()),
        log_retention_days: 0,
        version: 1,
        created_at: ctx.now,
        updated_at: ctx.now,
    };
    store::insert(tx, &tenant).await?;
    let mut changes = vec![wire::created(&tenant)];
    changes.extend(permissions::create_built_in(ctx, tx).await?.changes);
    changes.extend(roles::create_built_in(ctx, tx).await?);
    events::append(ctx, tx, changes).await?;
    Ok(tenant)
}

/// One tenant. Fails with `TENANT_NOT_FOUND`.
pub async fn get(tx: &mut Tx, id: TenantId) -> Result<Tenant> {
    store::get(tx, id).await?.ok_or_else(not_found)
}

/// A tenant, locked against other writers until the transaction ends: for a change of what belongs to it and to no
/// organization, where a rule is about all of that.
pub async fn lock(tx: &mut Tx, id: TenantId) -> Result<Tenant> {
    store::lock(tx, id).await?.ok_or_else(not_found)
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
    let before = lock(tx, input.id).await?;
    crate::etag::ensure(before.version, &input.etag)?;
    let mut after = before.clone();
    after.slug = input.slug.clone().unwrap_or(after.slug);
    after.display_name = input.display_name.clone().unwrap_or(after.display_name);
    after.role_mode = input.role_mode.unwrap_or(after.role_mode);
    after.log_retention_days = input.log_retention_days.unwrap_or(after.log_retention_days);
    let (after, change) = save(ctx, tx, &before, after).await?;
    events::append(ctx, tx, change.into_iter().collect()).await?;
    Ok(after)
}

/// Stores what differs of a locked tenant; the change is the caller's to append.
pub async fn save(ctx: &Ctx, tx: &mut Tx, before: &Tenant, mut after: Tenant) -> Result<(Tenant, Option<Change>)> {
    if after == *before {
        return Ok((after, None));
    }
    after.version += 1;
    after.updated_at = ctx.now;
    store::update(tx, &after).await?;
    let change = wire::updated(before, &after);
    Ok((after, Some(change)))
}

/// Tenants that keep their events for a while only, and for how many days.
pub async fn with_retention(tx: &mut Tx) -> Result<Vec<(TenantId, i64)>> {
    store::with_retention(tx).await
}

/// Tenants that lack something that every tenant has: of a version from before.
pub async fn incomplete(tx: &mut Tx) -> Result<Vec<TenantId>> {
    store::incomplete(tx, i64::try_from(permissions::OWN.len()).unwrap_or(i64::MAX)).await
}

fn not_found() -> Error {
    Error::new(Reason::TenantNotFound, "no such tenant")
}
