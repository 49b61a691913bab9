//! SQL of roles.

use uuid::Uuid;

use super::Role;
use crate::{
    db::{Tx, args},
    error::{Error, Reason, Result},
    ids::{OrganizationId, TenantId},
};

macro_rules! columns {
    () => {
        "r.tenant_id, r.scope_id, r.slug, r.display_name, r.description, r.built_in, r.version, r.created_at,
        r.updated_at, COALESCE((SELECT string_agg(p.permission, ',') FROM role_permissions p
            WHERE p.tenant_id = r.tenant_id AND p.scope_id = r.scope_id AND p.role = r.slug), '') AS permissions"
    };
}

pub async fn insert(tx: &mut Tx, role: &Role) -> Result<()> {
    let sql = "INSERT INTO roles
            (tenant_id, scope_id, slug, display_name, description, built_in, version, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let Role { tenant_id, scope_id, slug, display_name, description, built_in, version, .. } = role;
    let values = args![
        *tenant_id,
        *scope_id,
        slug,
        display_name,
        description,
        *built_in,
        *version,
        role.created_at,
        role.updated_at
    ];
    let taken = || Error::new(Reason::SlugTaken, "the role exists already");
    tx.execute_unique(sql, values, taken).await?;
    insert_permissions(tx, role).await
}

async fn insert_permissions(tx: &mut Tx, role: &Role) -> Result<()> {
    let sql = "INSERT INTO role_permissions (tenant_id, scope_id, role, permission, catalogued)";
    let row = |permission: &String| {
        let catalogued = (!permission.ends_with('*')).then_some(permission.as_str());
        args![role.tenant_id, role.scope_id, &role.slug, permission, catalogued]
    };
    tx.insert_all(sql, role.permissions.0.iter().map(row).collect()).await
}

pub async fn set_permissions(tx: &mut Tx, role: &Role) -> Result<()> {
    let sql = "DELETE FROM role_permissions WHERE tenant_id = $1 AND scope_id = $2 AND role = $3";
    tx.execute(sql, args![role.tenant_id, role.scope_id, &role.slug]).await?;
    insert_permissions(tx, role).await
}

pub async fn get(tx: &mut Tx, tenant: TenantId, scope: Uuid, slug: &str) -> Result<Option<Role>> {
    let sql =
        concat!("SELECT ", columns!(), " FROM roles r WHERE r.tenant_id = $1 AND r.scope_id = $2 AND r.slug = $3");
    tx.fetch_optional(sql, args![tenant, scope, slug]).await
}

/// Locks first and reads after: a statement that waited for the lock would read permissions as they were before.
pub async fn lock(tx: &mut Tx, tenant: TenantId, scope: Uuid, slug: &str) -> Result<Option<Role>> {
    let sql = "SELECT slug FROM roles WHERE tenant_id = $1 AND scope_id = $2 AND slug = $3";
    tx.lock_one::<(String,)>(sql, args![tenant, scope, slug]).await?;
    get(tx, tenant, scope, slug).await
}

/// [`lock`], also against whoever would assign or grant the role.
pub async fn lock_alone(tx: &mut Tx, tenant: TenantId, scope: Uuid, slug: &str) -> Result<Option<Role>> {
    let sql = "SELECT slug FROM roles WHERE tenant_id = $1 AND scope_id = $2 AND slug = $3";
    tx.lock_alone::<(String,)>(sql, args![tenant, scope, slug]).await?;
    get(tx, tenant, scope, slug).await
}

pub async fn exists(tx: &mut Tx, tenant: TenantId, scope: Uuid, slug: &str) -> Result<bool> {
    let sql = "SELECT slug FROM roles WHERE tenant_id = $1 AND scope_id = $2 AND slug = $3";
    let row: Option<(String,)> = tx.fetch_optional(sql, args![tenant, scope, slug]).await?;
    Ok(row.is_some())
}

/// The tenant's roles and those of another scope.
pub async fn list(tx: &mut Tx, tenant: TenantId, own: Uuid, after: Option<String>, limit: i64) -> Result<Vec<Role>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM roles r WHERE r.tenant_id = $1 AND (r.scope_id = $1 OR r.scope_id = $2)
            AND ($3 IS NULL OR r.slug > $3)
        ORDER BY r.slug LIMIT $4"
    );
    tx.fetch_all(sql, args![tenant, own, after, limit]).await
}

pub async fn update(tx: &mut Tx, role: &Role) -> Result<()> {
    let sql = "UPDATE roles SET display_name = $4, description = $5, version = $6, updated_at = $7
        WHERE tenant_id = $1 AND scope_id = $2 AND slug = $3";
    let Role { tenant_id, scope_id, slug, display_name, description, version, updated_at, .. } = role;
    tx.execute(sql, args![*tenant_id, *scope_id, slug, display_name, description, *version, *updated_at])
        .await
        .map(drop)
}

/// Where a role is assigned or granted: an organization for each place, as often as there are places.
pub async fn places(tx: &mut Tx, role: &Role, max: usize) -> Result<Vec<OrganizationId>> {
    let sql = "SELECT organization_id FROM membership_roles WHERE tenant_id = $1 AND scope_id = $2 AND role = $3
        UNION ALL SELECT organization_id FROM team_roles WHERE tenant_id = $1 AND scope_id = $2 AND role = $3
        UNION ALL SELECT organization_id FROM grants WHERE tenant_id = $1 AND scope_id = $2 AND role = $3
        UNION ALL SELECT organization_id FROM grants
            WHERE tenant_id = $1 AND principal_scope_id = $2 AND principal_role = $3
        LIMIT $4";
    let limit = i64::try_from(max).unwrap_or(i64::MAX);
    let rows: Vec<(OrganizationId,)> =
        tx.fetch_all(sql, args![role.tenant_id, role.scope_id, &role.slug, limit]).await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// The next organization in which a membership or a team has a role.
pub async fn next_organization(
    tx: &mut Tx,
    role: &Role,
    after: Option<OrganizationId>,
) -> Result<Option<OrganizationId>> {
    let sql = "SELECT m.organization_id FROM (SELECT organization_id FROM membership_roles
            WHERE tenant_id = $1 AND scope_id = $2 AND role = $3 AND ($4 IS NULL OR organization_id > $4)
            ORDER BY organization_id LIMIT 1) m
        UNION SELECT t.organization_id FROM (SELECT organization_id FROM team_roles
            WHERE tenant_id = $1 AND scope_id = $2 AND role = $3 AND ($4 IS NULL OR organization_id > $4)
            ORDER BY organization_id LIMIT 1) t
        ORDER BY organization_id LIMIT 1";
    let row: Option<(OrganizationId,)> =
        tx.fetch_optional(sql, args![role.tenant_id, role.scope_id, &role.slug, after]).await?;
    Ok(row.map(|(id,)| id))
}

/// The slugs of the tenant's roles, or of an organization's own, as they were created.
pub async fn by_age(tx: &mut Tx, tenant: TenantId, scope: Uuid) -> Result<Vec<String>> {
    let sql = "SELECT slug FROM roles WHERE tenant_id = $1 AND scope_id = $2 ORDER BY created_at, slug";
    let rows: Vec<(String,)> = tx.fetch_all(sql, args![tenant, scope]).await?;
    Ok(rows.into_iter().map(|(slug,)| slug).collect())
}

/// The organizations that have roles of their own, and no order of them.
pub async fn unordered(tx: &mut Tx, tenant: TenantId) -> Result<Vec<OrganizationId>> {
    let sql = "SELECT o.id FROM organizations o WHERE o.tenant_id = $1 AND o.role_priority = '[]'
            AND EXISTS (SELECT 1 FROM roles r WHERE r.tenant_id = $1 AND r.scope_id = o.id)
        ORDER BY o.id";
    let rows: Vec<(OrganizationId,)> = tx.fetch_all(sql, args![tenant]).await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// Deletes a role, and its permissions by reference.
pub async fn delete(tx: &mut Tx, role: &Role) -> Result<()> {
    let sql = "DELETE FROM roles WHERE tenant_id = $1 AND scope_id = $2 AND slug = $3";
    tx.execute(sql, args![role.tenant_id, role.scope_id, &role.slug]).await.map(drop)
}

/// Deletes every role of an organization's own, and what belongs to it by reference.
pub async fn purge(tx: &mut Tx, tenant: TenantId, organization: OrganizationId) -> Result<()> {
    let sql = "DELETE FROM roles WHERE tenant_id = $1 AND scope_id = $2";
    tx.execute(sql, args![tenant, organization]).await.map(drop)
}
