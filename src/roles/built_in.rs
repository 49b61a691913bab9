//! The roles that every tenant has, and what they may do with Roster itself.

use super::{OWNER, Role, settings, store, wire};
use crate::{
    context::Ctx,
    db::{Json, Tx},
    error::{Error, Result},
    events::{self, Change},
    ids::{OrganizationId, TenantId},
    organizations, permissions,
    teams::Slugs,
    tenants,
};

/// The role that manages an organization. Like `owner`, it is never a default.
pub const ADMIN: &str = "admin";
/// The default role of a new tenant.
pub const DEFAULT: &str = "member";

/// One role that every tenant has: slug, name, description, permissions. The highest first.
type BuiltIn = (&'static str, &'static str, &'static str, &'static [&'static str]);

const BUILT_IN: [BuiltIn; 6] = [
    (OWNER, "Owner", "May do everything.", &["*"]),
    (ADMIN, "Admin", "Manages the organization.", &ADMINS),
    ("developer", "Developer", "Builds with the product.", &DEVELOPERS),
    ("billing-admin", "Billing admin", "Looks after the bills.", &MEMBERS),
    (DEFAULT, "Member", "The default role.", &MEMBERS),
    ("guest", "Guest", "From outside the organization.", &["organizations:read"]),
];

/// Everything that is about an organization. API keys and users are the tenant's.
const ADMINS: [&str; 21] = [
    "authz:check",
    "domains:read",
    "domains:write",
    "events:read",
    "grants:read",
    "grants:write",
    "invitations:read",
    "invitations:write",
    "members:read",
    "members:write",
    "organizations:read",
    "organizations:write",
    "policies:read",
    "policies:write",
    "resources:read",
    "resources:write",
    "roles:read",
    "roles:write",
    "teams:read",
    "teams:write",
    "users:read",
];
const MEMBERS: [&str; 4] = ["members:read", "organizations:read", "roles:read", "teams:read"];
const DEVELOPERS: [&str; 8] = [
    "authz:check",
    "grants:read",
    "members:read",
    "organizations:read",
    "resources:read",
    "resources:write",
    "roles:read",
    "teams:read",
];

/// The built-in roles, the highest first.
pub fn built_in_priority() -> Vec<String> {
    BUILT_IN.iter().map(|(slug, ..)| (*slug).to_owned()).collect()
}

/// Creates the built-in roles of a new tenant, which has Roster's own permissions already; the changes are the caller's
/// to append.
pub async fn create_built_in(ctx: &Ctx, tx: &mut Tx) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    for (slug, display_name, description, permissions) in BUILT_IN {
        let role = Role {
            tenant_id: ctx.tenant_id,
            scope_id: ctx.tenant_id.uuid(),
            slug: slug.to_owned(),
            display_name: display_name.to_owned(),
            description: description.to_owned(),
            permissions: Slugs(permissions.iter().map(|slug| (*slug).to_owned()).collect()),
            built_in: true,
            version: 1,
            created_at: ctx.now,
            updated_at: ctx.now,
        };
        store::insert(tx, &role).await?;
        changes.push(wire::created(&role));
    }
    Ok(changes)
}

/// Gives a tenant of a version from before what every tenant has. A role gets a permission when that becomes built in,
/// and never again: so what an administrator took from a role stays taken.
pub async fn complete_tenant(ctx: &Ctx, tx: &mut Tx) -> Result<()> {
    // Of replicas that start together, one does it: nobody else changes this role.
    store::lock(tx, ctx.tenant_id, ctx.tenant_id.uuid(), OWNER).await?;
    let built_in = permissions::create_built_in(ctx, tx).await?;
    let mut changes = built_in.changes;
    for (slug, _, _, permissions) in BUILT_IN {
        let new = permissions.iter().filter(|permission| built_in.slugs.contains(permission));
        changes.extend(extend(ctx, tx, slug, new.map(|slug| (*slug).to_owned()).collect()).await?);
    }
    let before = tenants::lock(tx, ctx.tenant_id).await?;
    if before.role_priority.0.is_empty() {
        let mut order = built_in_priority();
        let made = store::by_age(tx, ctx.tenant_id, ctx.tenant_id.uuid()).await?;
        order.extend(made.into_iter().filter(|slug| BUILT_IN.iter().all(|(built_in, ..)| built_in != slug)));
        let after = tenants::Tenant { role_priority: Json(order), ..before.clone() };
        changes.extend(tenants::save(ctx, tx, &before, after).await?.1);
    }
    events::append(ctx, tx, changes).await
}

/// Adds permissions to a role of the tenant.
async fn extend(ctx: &Ctx, tx: &mut Tx, slug: &str, new: Vec<String>) -> Result<Option<Change>> {
    if new.is_empty() {
        return Ok(None);
    }
    let before = store::lock(tx, ctx.tenant_id, ctx.tenant_id.uuid(), slug).await?;
    let before = before.ok_or_else(|| Error::internal("a tenant without a built-in role"))?;
    let mut after = before.clone();
    after.permissions.0.extend(new);
    after.permissions.0.sort();
    after.permissions.0.dedup();
    if after == before {
        return Ok(None);
    }
    after.version += 1;
    after.updated_at = ctx.now;
    store::update(tx, &after).await?;
    store::set_permissions(tx, &after).await?;
    Ok(Some(wire::permissions_changed(&before, &after)))
}

/// The organizations that have roles of their own, and no order of them: of a version from before.
pub async fn unordered(tx: &mut Tx, tenant_id: TenantId) -> Result<Vec<OrganizationId>> {
    store::unordered(tx, tenant_id).await
}

/// Gives the roles of an organization of a version from before their order, and the organization its default role.
pub async fn complete_organization(ctx: &Ctx, tx: &mut Tx, id: OrganizationId) -> Result<()> {
    let before = organizations::lock(ctx, tx, id).await?;
    if !before.role_priority.0.is_empty() {
        return Ok(()); // another replica was first
    }
    let own = store::by_age(tx, ctx.tenant_id, id.uuid()).await?;
    let change = settings::with_own_roles(ctx, tx, &before, &own).await?;
    events::append(ctx, tx, change.into_iter().collect()).await
}
