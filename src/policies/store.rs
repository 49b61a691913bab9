//! SQL of policies.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::Policy;
use crate::{
    db::{Tx, args},
    error::Result,
    ids::{OrganizationId, TenantId},
};

macro_rules! columns {
    () => {
        "tenant_id, scope_id, name, description, text, effect, version, created_at, updated_at"
    };
}

pub async fn insert(tx: &mut Tx, policy: &Policy) -> Result<()> {
    let sql = concat!("INSERT INTO policies (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)");
    let Policy { tenant_id, scope_id, name, description, text, effect, version, created_at, updated_at } = policy;
    let effect = effect.as_str();
    let values = args![*tenant_id, *scope_id, name, description, text, effect, *version, *created_at, *updated_at];
    tx.execute(sql, values).await.map(drop)
}

pub async fn get(tx: &mut Tx, tenant: TenantId, scope: Uuid, name: &str) -> Result<Option<Policy>> {
    let sql = concat!("SELECT ", columns!(), " FROM policies WHERE tenant_id = $1 AND scope_id = $2 AND name = $3");
    tx.fetch_optional(sql, args![tenant, scope, name]).await
}

pub async fn count(tx: &mut Tx, tenant: TenantId, scope: Uuid) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM policies WHERE tenant_id = $1 AND scope_id = $2";
    let (count,): (i64,) = tx.fetch_one(sql, args![tenant, scope]).await?;
    Ok(count)
}

pub async fn list(
    tx: &mut Tx,
    tenant: TenantId,
    scope: Uuid,
    after: Option<String>,
    limit: i64,
) -> Result<Vec<Policy>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM policies WHERE tenant_id = $1 AND scope_id = $2 AND ($3 IS NULL OR name > $3) ORDER BY name LIMIT $4"
    );
    tx.fetch_all(sql, args![tenant, scope, after, limit]).await
}

pub async fn update(tx: &mut Tx, policy: &Policy) -> Result<()> {
    let sql = "UPDATE policies SET description = $4, text = $5, effect = $6, version = $7, updated_at = $8
        WHERE tenant_id = $1 AND scope_id = $2 AND name = $3";
    let Policy { tenant_id, scope_id, name, description, text, effect, version, updated_at, .. } = policy;
    let effect = effect.as_str();
    let values = args![*tenant_id, *scope_id, name, description, text, effect, *version, *updated_at];
    tx.execute(sql, values).await.map(drop)
}

pub async fn set_permissions(tx: &mut Tx, policy: &Policy, permissions: &BTreeSet<String>) -> Result<()> {
    let sql = "DELETE FROM policy_permissions WHERE tenant_id = $1 AND scope_id = $2 AND policy = $3";
    tx.execute(sql, args![policy.tenant_id, policy.scope_id, &policy.name]).await?;
    let sql = "INSERT INTO policy_permissions (tenant_id, scope_id, policy, permission)";
    let row = |slug: &String| args![policy.tenant_id, policy.scope_id, &policy.name, slug];
    tx.insert_all(sql, permissions.iter().map(row).collect()).await
}

/// Deletes a policy, and what it names by reference.
pub async fn delete(tx: &mut Tx, policy: &Policy) -> Result<()> {
    let sql = "DELETE FROM policies WHERE tenant_id = $1 AND scope_id = $2 AND name = $3";
    tx.execute(sql, args![policy.tenant_id, policy.scope_id, &policy.name]).await.map(drop)
}

/// Deletes every policy of an organization's own, and what belongs to it by reference.
pub async fn purge(tx: &mut Tx, tenant: TenantId, organization: OrganizationId) -> Result<()> {
    let sql = "DELETE FROM policies WHERE tenant_id = $1 AND scope_id = $2";
    tx.execute(sql, args![tenant, organization]).await.map(drop)
}
