//! SQL of organizations. Their `sequence` is drawn by the log alone.

use super::{Organization, Status, slug_taken};
use crate::{
    clock::Timestamp,
    db::{FromRow, Tx, args},
    error::{Error, Result},
    ids::{OrganizationId, TenantId},
};

macro_rules! columns {
    () => {
        "tenant_id, id, slug, display_name, external_id, status, metadata, version, created_at, updated_at, deleted_at,
        default_role, role_priority, branding, feature_flags, deleted_from, purge_at, legal_hold"
    };
}

/// An organization, and how far its stream and its tenant's had come.
#[derive(FromRow)]
pub struct Locked {
    #[sqlx(flatten)]
    pub organization: Organization,
    pub sequence: i64,
    pub tenant_sequence: i64,
}

pub async fn insert(tx: &mut Tx, organization: &Organization) -> Result<()> {
    let sql = concat!(
        "INSERT INTO organizations (",
        columns!(),
        ", sequence) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, NULL, NULL, FALSE, 0)"
    );
    let metadata = serde_json::json!(organization.metadata.0);
    let Organization { tenant_id, id, slug, display_name, external_id, status, version, .. } = organization;
    let values = args![
        *tenant_id,
        *id,
        slug,
        display_name,
        external_id.clone(),
        status.as_str(),
        metadata,
        *version,
        organization.created_at,
        organization.updated_at,
        organization.deleted_at,
        &organization.default_role,
        serde_json::json!(organization.role_priority.0),
        serde_json::json!(organization.branding.0),
        serde_json::json!(organization.feature_flags.0)
    ];
    tx.execute_unique(sql, values, slug_taken).await.map(drop)
}

pub async fn get(tx: &mut Tx, tenant: TenantId, id: OrganizationId) -> Result<Option<Organization>> {
    let sql = concat!("SELECT ", columns!(), " FROM organizations WHERE tenant_id = $1 AND id = $2");
    tx.fetch_optional(sql, args![tenant, id]).await
}

pub async fn lock(tx: &mut Tx, tenant: TenantId, id: OrganizationId) -> Result<Option<Locked>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        ", sequence, (SELECT sequence FROM tenants WHERE id = $1) AS tenant_sequence
        FROM organizations WHERE tenant_id = $1 AND id = $2"
    );
    tx.lock_one(sql, args![tenant, id]).await
}

pub async fn find_by_slug(tx: &mut Tx, tenant: TenantId, slug: &str) -> Result<Option<Organization>> {
    let sql =
        concat!("SELECT ", columns!(), " FROM organizations WHERE tenant_id = $1 AND slug = $2 AND status <> 'purged'");
    tx.fetch_optional(sql, args![tenant, slug]).await
}

pub async fn find_by_external_id(tx: &mut Tx, tenant: TenantId, id: &str) -> Result<Option<Organization>> {
    let sql = concat!("SELECT ", columns!(), " FROM organizations WHERE tenant_id = $1 AND external_id = $2");
    tx.fetch_optional(sql, args![tenant, id]).await
}

pub async fn list(
    tx: &mut Tx,
    tenant: TenantId,
    status: Option<Status>,
    after: Option<OrganizationId>,
    limit: i64,
) -> Result<Vec<Organization>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM organizations WHERE tenant_id = $1 AND (status = $2 OR $2 IS NULL AND status <> 'purged')
            AND ($3 IS NULL OR id > $3)
        ORDER BY id LIMIT $4"
    );
    tx.fetch_all(sql, args![tenant, status.map(Status::as_str), after, limit]).await
}

pub async fn update(tx: &mut Tx, organization: &Organization) -> Result<()> {
    let sql = "UPDATE organizations SET slug = $3, display_name = $4, external_id = $5, metadata = $6, version = $7,
            updated_at = $8, default_role = $9, role_priority = $10, branding = $11, feature_flags = $12
        WHERE tenant_id = $1 AND id = $2";
    let metadata = serde_json::json!(organization.metadata.0);
    let Organization { tenant_id, id, slug, display_name, external_id, version, updated_at, .. } = organization;
    let values = args![
        *tenant_id,
        *id,
        slug,
        display_name,
        external_id.clone(),
        metadata,
        *version,
        *updated_at,
        &organization.default_role,
        serde_json::json!(organization.role_priority.0),
        serde_json::json!(organization.branding.0),
        serde_json::json!(organization.feature_flags.0)
    ];
    tx.execute_unique(sql, values, slug_taken).await.map(drop)
}

pub async fn with_default(tx: &mut Tx, tenant: TenantId, role: &str) -> Result<Vec<OrganizationId>> {
    let sql = "SELECT id FROM organizations WHERE tenant_id = $1 AND default_role = $2 AND default_role <> ''
        ORDER BY id";
    let rows: Vec<(OrganizationId,)> = tx.fetch_all(sql, args![tenant, role]).await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// Moves an organization from the status that it was seen in.
pub async fn set_status(tx: &mut Tx, before: &Organization, status: Status, now: Timestamp) -> Result<Organization> {
    let sql = concat!(
        "UPDATE organizations SET status = $4, version = version + 1, updated_at = $5
        WHERE tenant_id = $1 AND id = $2 AND status = $3 RETURNING ",
        columns!()
    );
    let values = args![before.tenant_id, before.id, before.status.as_str(), status.as_str(), now];
    tx.fetch_optional(sql, values).await?.ok_or_else(changed)
}

/// Begins the deletion of an organization, as it was seen.
pub async fn begin_deletion(
    tx: &mut Tx,
    before: &Organization,
    now: Timestamp,
    purge_at: Timestamp,
) -> Result<Organization> {
    let sql = concat!(
        "UPDATE organizations SET status = 'deleting', version = version + 1, updated_at = $4, deleted_at = $4,
            purge_at = $5, deleted_from = $3
        WHERE tenant_id = $1 AND id = $2 AND status = $3 RETURNING ",
        columns!()
    );
    let values = args![before.tenant_id, before.id, before.status.as_str(), now, purge_at];
    tx.fetch_optional(sql, values).await?.ok_or_else(changed)
}

/// Ends the deletion of an organization: it stands where it stood before.
pub async fn end_deletion(tx: &mut Tx, before: &Organization, status: Status, now: Timestamp) -> Result<Organization> {
    let sql = concat!(
        "UPDATE organizations SET status = $3, version = version + 1, updated_at = $4, deleted_at = NULL,
            purge_at = NULL, deleted_from = NULL
        WHERE tenant_id = $1 AND id = $2 AND status = 'deleting' RETURNING ",
        columns!()
    );
    let values = args![before.tenant_id, before.id, status.as_str(), now];
    tx.fetch_optional(sql, values).await?.ok_or_else(changed)
}

/// Of all tenants, but what is held. Deletions that began before they had an end have the default one.
pub async fn next_to_purge(tx: &mut Tx, now: Timestamp) -> Result<Option<(TenantId, OrganizationId)>> {
    let sql = "SELECT tenant_id, id FROM organizations WHERE status = 'deleting' AND NOT legal_hold
            AND COALESCE(purge_at, deleted_at + 2592000000000) <= $1
        ORDER BY COALESCE(purge_at, deleted_at + 2592000000000), id LIMIT 1";
    tx.fetch_optional(sql, args![now]).await
}

pub async fn set_legal_hold(tx: &mut Tx, before: &Organization, held: bool, now: Timestamp) -> Result<Organization> {
    let sql = concat!(
        "UPDATE organizations SET legal_hold = $3, version = version + 1, updated_at = $4
        WHERE tenant_id = $1 AND id = $2 RETURNING ",
        columns!()
    );
    tx.fetch_optional(sql, args![before.tenant_id, before.id, held, now]).await?.ok_or_else(changed)
}

/// One of a tenant's organizations that are held.
pub async fn first_held(tx: &mut Tx, tenant: TenantId) -> Result<Option<OrganizationId>> {
    let sql = "SELECT id FROM organizations WHERE tenant_id = $1 AND legal_hold LIMIT 1";
    let row: Option<(OrganizationId,)> = tx.fetch_optional(sql, args![tenant]).await?;
    Ok(row.map(|(id,)| id))
}

/// Leaves of an organization that there was one.
pub async fn purge(tx: &mut Tx, before: &Organization, now: Timestamp) -> Result<Organization> {
    let sql = concat!(
        "UPDATE organizations SET status = 'purged', version = version + 1, updated_at = $3, slug = '',
            display_name = '', external_id = NULL, metadata = '{}', branding = '{}', feature_flags = '{}',
            default_role = '', role_priority = '[]', purge_at = NULL, deleted_from = NULL
        WHERE tenant_id = $1 AND id = $2 AND status = 'deleting' RETURNING ",
        columns!()
    );
    let values = args![before.tenant_id, before.id, now];
    tx.fetch_optional(sql, values).await?.ok_or_else(changed)
}

fn changed() -> Error {
    Error::internal("a locked organization changed")
}

/// A slug that is held back, and for whom.
#[derive(FromRow)]
pub struct HeldSlug {
    pub organization_id: OrganizationId,
    pub held_until: Timestamp,
}

pub async fn held_slug(tx: &mut Tx, tenant: TenantId, slug: &str) -> Result<Option<HeldSlug>> {
    let sql = "SELECT organization_id, held_until FROM slugs_held WHERE tenant_id = $1 AND slug = $2";
    tx.fetch_optional(sql, args![tenant, slug]).await
}

pub async fn find_by_held_slug(
    tx: &mut Tx,
    tenant: TenantId,
    slug: &str,
    now: Timestamp,
) -> Result<Option<Organization>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM organizations WHERE tenant_id = $1 AND status <> 'purged' AND id =
            (SELECT h.organization_id FROM slugs_held h WHERE h.tenant_id = $1 AND h.slug = $2 AND h.held_until > $3)"
    );
    tx.fetch_optional(sql, args![tenant, slug, now]).await
}

pub async fn count_held_slugs(tx: &mut Tx, tenant: TenantId, id: OrganizationId, now: Timestamp) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM slugs_held WHERE tenant_id = $1 AND organization_id = $2 AND held_until > $3";
    let (count,): (i64,) = tx.fetch_one(sql, args![tenant, id, now]).await?;
    Ok(count)
}

/// A slug that was held back for another one before is so no longer.
pub async fn hold_slug(tx: &mut Tx, organization: &Organization, until: Timestamp) -> Result<()> {
    let sql = "INSERT INTO slugs_held (tenant_id, slug, organization_id, held_until) VALUES ($1, $2, $3, $4)
        ON CONFLICT (tenant_id, slug) DO UPDATE
            SET organization_id = excluded.organization_id, held_until = excluded.held_until";
    let Organization { tenant_id, id, slug, .. } = organization;
    tx.execute(sql, args![*tenant_id, slug, *id, until]).await.map(drop)
}

pub async fn release_slug(tx: &mut Tx, tenant: TenantId, slug: &str) -> Result<()> {
    let sql = "DELETE FROM slugs_held WHERE tenant_id = $1 AND slug = $2";
    tx.execute(sql, args![tenant, slug]).await.map(drop)
}

/// Of all tenants.
pub async fn release_slugs(tx: &mut Tx, now: Timestamp, at_most: i64) -> Result<u64> {
    let sql = "DELETE FROM slugs_held WHERE (tenant_id, slug) IN (
        SELECT tenant_id, slug FROM slugs_held WHERE held_until <= $1 LIMIT $2)";
    tx.execute(sql, args![now, at_most]).await
}
