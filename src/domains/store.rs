//! SQL of domains.

use super::{Domain, Status};
use crate::{
    clock::Timestamp,
    db::{Tx, Value, args},
    error::{Error, Reason, Result},
    ids::{DomainId, OrganizationId, TenantId},
};

macro_rules! columns {
    () => {
        "tenant_id, organization_id, id, name, status, challenge, started_at, verified_at, checked_at, missing_since,
        next_check_at, auto_join, version, created_at, updated_at"
    };
}

pub async fn insert(tx: &mut Tx, domain: &Domain) -> Result<()> {
    let sql = concat!(
        "INSERT INTO domains (",
        columns!(),
        ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"
    );
    let Domain { tenant_id, organization_id, id, name, status, challenge, started_at, .. } = domain;
    let values = args![
        *tenant_id,
        *organization_id,
        *id,
        name,
        status.as_str(),
        challenge,
        *started_at,
        domain.verified_at,
        domain.checked_at,
        domain.missing_since,
        domain.next_check_at,
        serde_json::json!(domain.auto_join.0),
        domain.version,
        domain.created_at,
        domain.updated_at
    ];
    tx.execute(sql, values).await.map(drop)
}

pub async fn get(tx: &mut Tx, tenant: TenantId, organization: OrganizationId, id: DomainId) -> Result<Option<Domain>> {
    let sql = concat!("SELECT ", columns!(), " FROM domains WHERE tenant_id = $1 AND organization_id = $2 AND id = $3");
    tx.fetch_optional(sql, args![tenant, organization, id]).await
}

pub async fn find(tx: &mut Tx, tenant: TenantId, organization: OrganizationId, name: &str) -> Result<Option<Domain>> {
    let sql =
        concat!("SELECT ", columns!(), " FROM domains WHERE tenant_id = $1 AND organization_id = $2 AND name = $3");
    tx.fetch_optional(sql, args![tenant, organization, name]).await
}

/// The domain of this name that is verified, whoever holds it.
pub async fn find_held(tx: &mut Tx, tenant: TenantId, name: &str) -> Result<Option<Domain>> {
    let sql =
        concat!("SELECT ", columns!(), " FROM domains WHERE tenant_id = $1 AND name = $2 AND status = 'verified'");
    tx.fetch_optional(sql, args![tenant, name]).await
}

pub async fn count(tx: &mut Tx, tenant: TenantId, organization: OrganizationId) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM domains WHERE tenant_id = $1 AND organization_id = $2";
    let (count,): (i64,) = tx.fetch_one(sql, args![tenant, organization]).await?;
    Ok(count)
}

pub async fn list(
    tx: &mut Tx,
    tenant: TenantId,
    organization: OrganizationId,
    after: Option<DomainId>,
    limit: i64,
) -> Result<Vec<Domain>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM domains WHERE tenant_id = $1 AND organization_id = $2 AND ($3 IS NULL OR id > $3) ORDER BY id LIMIT $4"
    );
    tx.fetch_all(sql, args![tenant, organization, after.map(|id| id.uuid()), limit]).await
}

/// The domains of this status that are to be looked at, of all tenants, those that waited the longest first. Nothing
/// happens to those of an organization that is being deleted.
pub async fn due(tx: &mut Tx, status: Status, now: Timestamp, at_most: i64) -> Result<Vec<Domain>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM domains WHERE next_check_at <= $1 AND status = $2 AND EXISTS (SELECT 1 FROM organizations o
            WHERE o.tenant_id = domains.tenant_id AND o.id = domains.organization_id AND o.status <> 'deleting')
        ORDER BY next_check_at LIMIT $3"
    );
    tx.fetch_all(sql, args![now, status.as_str(), at_most]).await
}

pub async fn update(tx: &mut Tx, domain: &Domain) -> Result<()> {
    tx.execute(UPDATE, updated(domain)).await.map(drop)
}

/// [`update`], to a verified one. Fails with `DOMAIN_TAKEN` where another organization holds it.
pub async fn hold(tx: &mut Tx, domain: &Domain) -> Result<()> {
    let taken = || Error::new(Reason::DomainTaken, "another organization has proven the domain");
    tx.execute_unique(UPDATE, updated(domain), taken).await.map(drop)
}

const UPDATE: &str =
    "UPDATE domains SET status = $4, challenge = $5, started_at = $6, verified_at = $7, checked_at = $8,
        missing_since = $9, next_check_at = $10, auto_join = $11, version = $12, updated_at = $13
    WHERE tenant_id = $1 AND organization_id = $2 AND id = $3";

fn updated(domain: &Domain) -> Vec<Value> {
    let Domain { tenant_id, organization_id, id, status, challenge, started_at, .. } = domain;
    args![
        *tenant_id,
        *organization_id,
        *id,
        status.as_str(),
        challenge,
        *started_at,
        domain.verified_at,
        domain.checked_at,
        domain.missing_since,
        domain.next_check_at,
        serde_json::json!(domain.auto_join.0),
        domain.version,
        domain.updated_at
    ]
}

pub async fn delete(tx: &mut Tx, domain: &Domain) -> Result<()> {
    let sql = "DELETE FROM domains WHERE tenant_id = $1 AND organization_id = $2 AND id = $3";
    tx.execute(sql, args![domain.tenant_id, domain.organization_id, domain.id]).await.map(drop)
}

pub async fn purge(tx: &mut Tx, tenant: TenantId, organization: OrganizationId) -> Result<()> {
    let sql = "DELETE FROM domains WHERE tenant_id = $1 AND organization_id = $2";
    tx.execute(sql, args![tenant, organization]).await.map(drop)
}
