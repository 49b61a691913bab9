//! SQL of resources.

use super::{Filter, Resource, ResourceRef, tree::LEVELS_MAX};
use crate::{
    db::{Tx, args},
    error::Result,
    ids::{OrganizationId, TenantId},
};

macro_rules! columns {
    () => {
        "r.tenant_id, r.organization_id, r.type, r.id, r.parent_type, r.parent_id, r.created_at, r.updated_at"
    };
}

/// The resource ($3, $4) and what stands below it, down to the level $5; the resource itself is the first.
///
/// Each step joins by the whole key and by nothing that is known beforehand: where a planner may take everything of the
/// organization instead, and holds that for little, it does so for each row.
macro_rules! subtree {
    () => {
        "WITH RECURSIVE subtree (tenant_id, organization_id, type, id, level) AS (
            SELECT tenant_id, organization_id, type, id, 1 FROM resources
            WHERE tenant_id = $1 AND organization_id = $2 AND type = $3 AND id = $4
            UNION ALL
            SELECT r.tenant_id, r.organization_id, r.type, r.id, s.level + 1
            FROM subtree s CROSS JOIN resources r
            WHERE s.level < $5 AND r.tenant_id = s.tenant_id AND r.organization_id = s.organization_id
                AND r.parent_type = s.type AND r.parent_id = s.id
        ) "
    };
}

/// Behind every type: they are of `a-z 0-9 - . : _`.
const BEHIND_EVERY_TYPE: &str = "{";

/// Between which two a list goes: after the first, and not beyond the type of the second.
pub struct Range(ResourceRef, String);

/// The range that a filter and a page token leave.
pub fn range(filter: &Filter, after: Option<ResourceRef>) -> Range {
    let first = || ResourceRef { kind: filter.kind.clone().unwrap_or_default(), id: String::new() };
    let last = filter.kind.clone().unwrap_or_else(|| BEHIND_EVERY_TYPE.to_owned());
    Range(after.unwrap_or_else(first), last)
}

fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub async fn insert(tx: &mut Tx, resource: &Resource) -> Result<()> {
    let sql = "INSERT INTO resources
        (tenant_id, organization_id, type, id, parent_type, parent_id, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let Resource { tenant_id, organization_id, reference, parent_type, parent_id, created_at, updated_at } = resource;
    let ResourceRef { kind, id } = reference;
    let parent = (parent_type.clone(), parent_id.clone());
    let values = args![*tenant_id, *organization_id, kind, id, parent.0, parent.1, *created_at, *updated_at];
    tx.execute(sql, values).await.map(drop)
}

pub async fn get(
    tx: &mut Tx,
    tenant: TenantId,
    organization: OrganizationId,
    reference: &ResourceRef,
) -> Result<Option<Resource>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM resources r WHERE r.tenant_id = $1 AND r.organization_id = $2 AND r.type = $3 AND r.id = $4"
    );
    tx.fetch_optional(sql, args![tenant, organization, &reference.kind, &reference.id]).await
}

pub async fn list(
    tx: &mut Tx,
    tenant: TenantId,
    organization: OrganizationId,
    Range(after, last): Range,
    limit: i64,
) -> Result<Vec<Resource>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM resources r WHERE r.tenant_id = $1 AND r.organization_id = $2
            AND (r.type, r.id) > ($3, $4) AND r.type <= $5
        ORDER BY r.type, r.id LIMIT $6"
    );
    tx.fetch_all(sql, args![tenant, organization, after.kind, after.id, last, limit]).await
}

pub async fn list_below(
    tx: &mut Tx,
    tenant: TenantId,
    organization: OrganizationId,
    parent: &ResourceRef,
    Range(after, last): Range,
    limit: i64,
) -> Result<Vec<Resource>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM resources r WHERE r.tenant_id = $1 AND r.organization_id = $2
            AND r.parent_type = $7 AND r.parent_id = $8 AND (r.type, r.id) > ($3, $4) AND r.type <= $5
        ORDER BY r.type, r.id LIMIT $6"
    );
    let ResourceRef { kind, id } = parent;
    tx.fetch_all(sql, args![tenant, organization, after.kind, after.id, last, limit, kind, id]).await
}

pub async fn has_children(tx: &mut Tx, resource: &Resource) -> Result<bool> {
    let sql = "SELECT type, id FROM resources
        WHERE tenant_id = $1 AND organization_id = $2 AND parent_type = $3 AND parent_id = $4 LIMIT 1";
    let Resource { tenant_id, organization_id, reference: ResourceRef { kind, id }, .. } = resource;
    let child: Option<ResourceRef> = tx.fetch_optional(sql, args![*tenant_id, *organization_id, kind, id]).await?;
    Ok(child.is_some())
}

/// Whether a resource and what stands below it have more than this many levels.
pub async fn is_higher_than(tx: &mut Tx, resource: &Resource, height: usize) -> Result<bool> {
    let sql = concat!(subtree!(), "SELECT type, id FROM subtree WHERE level = $5 LIMIT 1");
    let Resource { tenant_id, organization_id, reference: ResourceRef { kind, id }, .. } = resource;
    let values = args![*tenant_id, *organization_id, kind, id, count(height + 1)];
    Ok(tx.fetch_optional::<ResourceRef>(sql, values).await?.is_some())
}

/// A resource and what stands below it, from the deepest up; some of it where it is more than `limit`.
pub async fn subtree(tx: &mut Tx, resource: &Resource, limit: usize) -> Result<Vec<Resource>> {
    let sql = concat!(
        subtree!(),
        "SELECT ",
        columns!(),
        " FROM (SELECT * FROM subtree LIMIT $6) AS s CROSS JOIN resources r
        WHERE r.tenant_id = s.tenant_id AND r.organization_id = s.organization_id AND r.type = s.type AND r.id = s.id
        ORDER BY s.level DESC, r.type, r.id"
    );
    let Resource { tenant_id, organization_id, reference: ResourceRef { kind, id }, .. } = resource;
    tx.fetch_all(sql, args![*tenant_id, *organization_id, kind, id, count(LEVELS_MAX), count(limit)]).await
}

pub async fn set_parent(tx: &mut Tx, resource: &Resource) -> Result<()> {
    let sql = "UPDATE resources SET parent_type = $5, parent_id = $6, updated_at = $7
        WHERE tenant_id = $1 AND organization_id = $2 AND type = $3 AND id = $4";
    let Resource { tenant_id, organization_id, reference, parent_type, parent_id, updated_at, .. } = resource;
    let ResourceRef { kind, id } = reference;
    let parent = (parent_type.clone(), parent_id.clone());
    let values = args![*tenant_id, *organization_id, kind, id, parent.0, parent.1, *updated_at];
    tx.execute(sql, values).await.map(drop)
}

/// Deletes a resource and everything below it.
pub async fn delete_subtree(tx: &mut Tx, resource: &Resource) -> Result<()> {
    let sql = concat!(
        subtree!(),
        "DELETE FROM resources WHERE (tenant_id, organization_id, type, id) IN
            (SELECT tenant_id, organization_id, type, id FROM subtree)"
    );
    let Resource { tenant_id, organization_id, reference: ResourceRef { kind, id }, .. } = resource;
    tx.execute(sql, args![*tenant_id, *organization_id, kind, id, count(LEVELS_MAX)]).await.map(drop)
}

/// Deletes every resource of an organization.
pub async fn purge(tx: &mut Tx, tenant: TenantId, organization: OrganizationId) -> Result<()> {
    let sql = "DELETE FROM resources WHERE tenant_id = $1 AND organization_id = $2";
    tx.execute(sql, args![tenant, organization]).await.map(drop)
}
