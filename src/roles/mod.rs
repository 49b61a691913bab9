//! Roles: named sets of permissions, of the tenant or an organization's own.

mod built_in;
mod delete;
mod preview;
mod rpc;
mod settings;
mod store;
mod wire;

pub use built_in::{
    ADMIN, DEFAULT, built_in_priority, complete_organization, complete_tenant, create_built_in, unordered,
};
pub use delete::{Delete, Instead, Successors, delete};
pub use preview::{Effect, Planned, Preview, preview};
pub use settings::{ROLES_MAX, Ranking, default_of, may_be_default, set_default, set_priority};

use uuid::Uuid;

use crate::{
    authority,
    clock::Timestamp,
    context::Ctx,
    db::{
        FromRow, Tx,
        page::{Page, Paged},
    },
    error::{Error, Reason, Result},
    etag,
    events::{self, Change},
    ids::{OrganizationId, TenantId},
    organizations::{self, Organization},
    permissions,
    teams::Slugs,
};

/// The role that everything is allowed to, and that the owner floor counts. Not editable.
pub const OWNER: &str = "owner";
/// How an organization's own roles begin.
pub const OWN_PREFIX: &str = crate::ids::OWN_ROLE_PREFIX;

/// A named set of permissions.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Role {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The organization whose own it is, or the tenant again.
    pub scope_id: Uuid,
    /// What it is called, never changed.
    pub slug: String,
    /// For people.
    pub display_name: String,
    /// For people.
    pub description: String,
    /// Permissions and patterns, ordered.
    #[sqlx(try_from = "String")]
    pub permissions: Slugs,
    /// Every tenant has it, and it cannot be deleted.
    pub built_in: bool,
    /// Counts its changes.
    pub version: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Role {
    /// The organization whose own it is.
    pub fn organization_id(&self) -> Option<OrganizationId> {
        (self.scope_id != self.tenant_id.uuid()).then_some(OrganizationId::from_uuid(self.scope_id))
    }
}

/// A role to create.
#[derive(Debug, Clone)]
pub struct Create {
    /// The organization whose own it is.
    pub organization_id: Option<OrganizationId>,
    /// What it is called.
    pub slug: String,
    /// For people.
    pub display_name: String,
    /// For people.
    pub description: String,
    /// Permissions and patterns, ordered.
    pub permissions: Vec<String>,
}

/// What to change of a role.
#[derive(Debug, Clone)]
pub struct Update {
    /// The organization whose own it is.
    pub organization_id: Option<OrganizationId>,
    /// Which.
    pub slug: String,
    /// The etag that it must have, or empty.
    pub etag: String,
    /// A new name.
    pub display_name: Option<String>,
    /// A new description.
    pub description: Option<String>,
    /// New permissions, in place of all there are.
    pub permissions: Option<Vec<String>>,
}

/// Where a role with this slug lives: its form tells an organization's own from the tenant's.
pub fn scope(tenant_id: TenantId, organization_id: OrganizationId, slug: &str) -> Uuid {
    if slug.starts_with(OWN_PREFIX) { organization_id.uuid() } else { tenant_id.uuid() }
}

fn scope_of(tenant_id: TenantId, organization_id: Option<OrganizationId>) -> Uuid {
    organization_id.map_or(tenant_id.uuid(), OrganizationId::uuid)
}

/// Creates a role, the lowest in priority. Fails with `SLUG_TAKEN`, `UNKNOWN_PERMISSION`, `LIMIT_REACHED`.
pub async fn create(ctx: &Ctx, tx: &mut Tx, input: &Create) -> Result<Role> {
    let organization = lock_organization(ctx, tx, input.organization_id).await?;
    ensure_known(tx, ctx.tenant_id, &input.permissions).await?;
    ensure_may_give(ctx, tx, input.organization_id, &input.permissions, &[]).await?;
    let role = Role {
        tenant_id: ctx.tenant_id,
        scope_id: scope_of(ctx.tenant_id, input.organization_id),
        slug: input.slug.clone(),
        display_name: input.display_name.clone(),
        description: input.description.clone(),
        permissions: Slugs(input.permissions.clone()),
        built_in: false,
        version: 1,
        created_at: ctx.now,
        updated_at: ctx.now,
    };
    store::insert(tx, &role).await?;
    let mut changes = vec![wire::created(&role)];
    let placed = match organization {
        Some(organization) => {
            settings::ensure_room(&organization.role_priority.0)?;
            settings::with_own_roles(ctx, tx, &organization, std::slice::from_ref(&role.slug)).await?
        }
        None => settings::with_tenant_role(ctx, tx, &role.slug).await?,
    };
    changes.extend(placed.map(Change::cascaded));
    events::append(ctx, tx, changes).await?;
    Ok(role)
}

/// One role, of the tenant or an organization's own.
pub async fn get(
    tx: &mut Tx,
    tenant_id: TenantId,
    organization_id: Option<OrganizationId>,
    slug: &str,
) -> Result<Role> {
    if let Some(id) = organization_id {
        organizations::get(tx, tenant_id, id).await?;
    }
    store::get(tx, tenant_id, scope_of(tenant_id, organization_id), slug).await?.ok_or_else(not_found)
}

/// The tenant's roles, with an organization's own where one is given; by slug.
pub async fn list(
    tx: &mut Tx,
    tenant_id: TenantId,
    organization_id: Option<OrganizationId>,
    page: &Page,
) -> Result<Paged<Role>> {
    if let Some(id) = organization_id {
        organizations::get(tx, tenant_id, id).await?;
    }
    let own = scope_of(tenant_id, organization_id);
    let rows = store::list(tx, tenant_id, own, page.after()?, page.limit()).await?;
    Ok(page.cut(rows, |role| role.slug.clone()))
}

/// Changes a role. Fails with `UNKNOWN_PERMISSION`, `ROLE_NOT_EDITABLE`.
pub async fn update(ctx: &Ctx, tx: &mut Tx, input: &Update) -> Result<Role> {
    let before = lock(ctx, tx, input.organization_id, &input.slug).await?;
    if before.slug == OWNER {
        return Err(Error::new(Reason::RoleNotEditable, "the role owner may do everything, and cannot be changed"));
    }
    etag::ensure(before.version, &input.etag)?;
    let mut after = before.clone();
    after.display_name = input.display_name.clone().unwrap_or(after.display_name);
    after.description = input.description.clone().unwrap_or(after.description);
    after.permissions = input.permissions.clone().map_or(after.permissions, Slugs);
    if after == before {
        return Ok(before);
    }
    after.version += 1;
    after.updated_at = ctx.now;
    let change = if after.permissions == before.permissions {
        store::update(tx, &after).await?;
        wire::updated(&before, &after)
    } else {
        ensure_known(tx, ctx.tenant_id, &after.permissions.0).await?;
        ensure_may_give(ctx, tx, input.organization_id, &after.permissions.0, &before.permissions.0).await?;
        store::update(tx, &after).await?;
        store::set_permissions(tx, &after).await?;
        wire::permissions_changed(&before, &after)
    };
    events::append(ctx, tx, vec![change]).await?;
    Ok(after)
}

/// Fails with `ROLE_NOT_FOUND` where one of these is no role of the organization or its tenant.
pub async fn ensure_exist(
    tx: &mut Tx,
    tenant_id: TenantId,
    organization_id: OrganizationId,
    slugs: &[String],
) -> Result<()> {
    for slug in slugs {
        if !store::exists(tx, tenant_id, scope(tenant_id, organization_id, slug), slug).await? {
            return Err(not_found().with("role", slug));
        }
    }
    Ok(())
}

async fn lock_organization(ctx: &Ctx, tx: &mut Tx, id: Option<OrganizationId>) -> Result<Option<Organization>> {
    match id {
        Some(id) => organizations::lock_for_change(ctx, tx, id).await.map(Some),
        None => Ok(None),
    }
}

async fn lock(ctx: &Ctx, tx: &mut Tx, organization_id: Option<OrganizationId>, slug: &str) -> Result<Role> {
    lock_organization(ctx, tx, organization_id).await?;
    store::lock(tx, ctx.tenant_id, scope_of(ctx.tenant_id, organization_id), slug).await?.ok_or_else(not_found)
}

/// Fails with `MISSING_PERMISSION` where a role would come to contain what the caller lacks.
async fn ensure_may_give(
    ctx: &Ctx,
    tx: &mut Tx,
    organization_id: Option<OrganizationId>,
    after: &[String],
    before: &[String],
) -> Result<()> {
    let added: Vec<_> = after.iter().filter(|entry| !before.contains(entry)).map(String::as_str).collect();
    authority::ensure_may_grant(ctx, tx, organization_id, &[], &added).await
}

/// Patterns need not match anything yet; slugs must be in the catalogue.
async fn ensure_known(tx: &mut Tx, tenant_id: TenantId, entries: &[String]) -> Result<()> {
    let slugs: Vec<String> = entries.iter().filter(|entry| !entry.ends_with('*')).cloned().collect();
    permissions::ensure_known(tx, tenant_id, &slugs).await
}

fn not_found() -> Error {
    Error::new(Reason::RoleNotFound, "no such role")
}

/// Takes every role of an organization's own out of the tables.
pub async fn purge(tx: &mut Tx, tenant_id: TenantId, id: OrganizationId) -> Result<()> {
    store::purge(tx, tenant_id, id).await
}
