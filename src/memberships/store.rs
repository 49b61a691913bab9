//! SQL of memberships and their roles.

use super::{Membership, Of, Source, Status};
use crate::{
    clock::Timestamp,
    db::{Tx, args},
    error::{Error, Result},
    ids::{MembershipId, OrganizationId, TenantId, UserId},
    roles,
};

macro_rules! columns {
    () => {
        "memberships.tenant_id, memberships.organization_id, memberships.id, memberships.user_id, memberships.status, memberships.source, memberships.status_reason, memberships.created_at,
        memberships.updated_at, COALESCE((SELECT string_agg(r.role || ' ' || r.source, ',') FROM membership_roles r
            WHERE r.tenant_id = memberships.tenant_id AND r.organization_id = memberships.organization_id AND r.membership_id = memberships.id),
            '') AS roles"
    };
}

pub async fn insert(tx: &mut Tx, membership: &Membership) -> Result<()> {
    let sql = "INSERT INTO memberships
            (tenant_id, organization_id, id, user_id, status, source, status_reason, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let Membership { tenant_id, organization_id, id, user_id, status, source, status_reason, .. } = membership;
    let values = args![
        *tenant_id,
        *organization_id,
        *id,
        *user_id,
        status.as_str(),
        source.as_str(),
        status_reason,
        membership.created_at,
        membership.updated_at
    ];
    tx.execute(sql, values).await?;
    let row = |(role, source): &(String, Source)| {
        let scope = roles::scope(*tenant_id, *organization_id, role);
        args![*tenant_id, *organization_id, *id, scope, role, source.as_str()]
    };
    insert_roles(tx, membership.roles.0.iter().map(row).collect()).await
}

async fn insert_roles(tx: &mut Tx, rows: Vec<Vec<crate::db::Value>>) -> Result<()> {
    let sql = "INSERT INTO membership_roles (tenant_id, organization_id, membership_id, scope_id, role, source)";
    tx.insert_all(sql, rows).await
}

pub async fn assign(tx: &mut Tx, membership: &Membership, role: &str, source: Source) -> Result<()> {
    let Membership { tenant_id, organization_id, id, .. } = membership;
    let scope = roles::scope(*tenant_id, *organization_id, role);
    insert_roles(tx, vec![args![*tenant_id, *organization_id, *id, scope, role, source.as_str()]]).await
}

pub async fn revoke(tx: &mut Tx, membership: &Membership, role: &str) -> Result<()> {
    let sql = "DELETE FROM membership_roles
        WHERE tenant_id = $1 AND organization_id = $2 AND membership_id = $3 AND role = $4";
    let Membership { tenant_id, organization_id, id, .. } = membership;
    tx.execute(sql, args![*tenant_id, *organization_id, *id, role]).await.map(drop)
}

pub async fn revoke_all(tx: &mut Tx, membership: &Membership) -> Result<()> {
    let sql = "DELETE FROM membership_roles WHERE tenant_id = $1 AND organization_id = $2 AND membership_id = $3";
    let Membership { tenant_id, organization_id, id, .. } = membership;
    tx.execute(sql, args![*tenant_id, *organization_id, *id]).await.map(drop)
}

pub async fn get(
    tx: &mut Tx,
    tenant: TenantId,
    organization: OrganizationId,
    id: MembershipId,
) -> Result<Option<Membership>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM memberships WHERE memberships.tenant_id = $1 AND memberships.organization_id = $2 AND memberships.id = $3"
    );
    tx.fetch_optional(sql, args![tenant, organization, id]).await
}

pub async fn is_member(tx: &mut Tx, tenant: TenantId, organization: OrganizationId, user: UserId) -> Result<bool> {
    let sql = "SELECT id FROM memberships
        WHERE tenant_id = $1 AND organization_id = $2 AND user_id = $3 AND status <> 'removed'";
    let row: Option<(MembershipId,)> = tx.fetch_optional(sql, args![tenant, organization, user]).await?;
    Ok(row.is_some())
}

/// Without a status: all but removed ones.
pub async fn list(
    tx: &mut Tx,
    tenant: TenantId,
    of: Of,
    status: Option<Status>,
    after: Option<MembershipId>,
    limit: i64,
) -> Result<Vec<Membership>> {
    let status = status.map(Status::as_str);
    match of {
        Of::Organization(organization) => {
            let sql = concat!(
                "SELECT ",
                columns!(),
                " FROM memberships WHERE memberships.tenant_id = $1 AND memberships.organization_id = $2
                    AND (memberships.status = $3 OR $3 IS NULL AND memberships.status <> 'removed') AND ($4 IS NULL OR memberships.id > $4)
                ORDER BY memberships.id LIMIT $5"
            );
            tx.fetch_all(sql, args![tenant, organization, status, after, limit]).await
        }
        Of::User(user) => {
            let sql = concat!(
                "SELECT ",
                columns!(),
                " FROM memberships WHERE memberships.tenant_id = $1 AND memberships.user_id = $2
                    AND (memberships.status = $3 OR $3 IS NULL AND memberships.status <> 'removed') AND ($4 IS NULL OR memberships.id > $4)
                ORDER BY memberships.id LIMIT $5"
            );
            tx.fetch_all(sql, args![tenant, user, status, after, limit]).await
        }
        Of::Both(organization, user) => {
            let sql = concat!(
                "SELECT ",
                columns!(),
                " FROM memberships WHERE memberships.tenant_id = $1 AND memberships.user_id = $2 AND memberships.organization_id = $6
                    AND (memberships.status = $3 OR $3 IS NULL AND memberships.status <> 'removed') AND ($4 IS NULL OR memberships.id > $4)
                ORDER BY memberships.id LIMIT $5"
            );
            tx.fetch_all(sql, args![tenant, user, status, after, limit, organization]).await
        }
    }
}

/// Two of an organization's active owners, if it has as many.
pub async fn active_owners(tx: &mut Tx, tenant: TenantId, organization: OrganizationId) -> Result<Vec<MembershipId>> {
    let sql = "SELECT DISTINCT memberships.id FROM membership_roles r
        JOIN memberships
            ON memberships.tenant_id = r.tenant_id AND memberships.organization_id = r.organization_id AND memberships.id = r.membership_id
        JOIN users u ON u.tenant_id = memberships.tenant_id AND u.id = memberships.user_id
        WHERE r.tenant_id = $1 AND r.organization_id = $2 AND r.role = 'owner'
            AND memberships.status = 'active' AND u.status = 'active'
        LIMIT 2";
    let rows: Vec<(MembershipId,)> = tx.fetch_all(sql, args![tenant, organization]).await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// The memberships by which a user is an owner.
pub async fn owned_by(tx: &mut Tx, tenant: TenantId, user: UserId) -> Result<Vec<Membership>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM memberships WHERE memberships.tenant_id = $1 AND memberships.user_id = $2 AND memberships.status = 'active'
            AND EXISTS (SELECT 1 FROM membership_roles o WHERE o.tenant_id = memberships.tenant_id
                AND o.organization_id = memberships.organization_id AND o.membership_id = memberships.id AND o.role = 'owner')
        ORDER BY memberships.organization_id"
    );
    tx.fetch_all(sql, args![tenant, user]).await
}

/// Moves a membership from the status that it was seen in.
pub async fn set_status(
    tx: &mut Tx,
    before: &Membership,
    status: Status,
    reason: &str,
    now: Timestamp,
) -> Result<Membership> {
    let sql = concat!(
        "UPDATE memberships SET status = $5, status_reason = $6, updated_at = $7
        WHERE memberships.tenant_id = $1 AND memberships.organization_id = $2 AND memberships.id = $3 AND memberships.status = $4 RETURNING ",
        columns!()
    );
    let Membership { tenant_id, organization_id, id, status: from, .. } = before;
    let values = args![*tenant_id, *organization_id, *id, from.as_str(), status.as_str(), reason, now];
    tx.fetch_optional(sql, values).await?.ok_or_else(|| Error::internal("a locked membership changed"))
}

/// Notes that a membership was changed now.
pub async fn touch(tx: &mut Tx, membership: &Membership, now: Timestamp) -> Result<Membership> {
    let sql = concat!(
        "UPDATE memberships SET updated_at = $4
        WHERE memberships.tenant_id = $1 AND memberships.organization_id = $2 AND memberships.id = $3 RETURNING ",
        columns!()
    );
    let Membership { tenant_id, organization_id, id, .. } = membership;
    tx.fetch_one(sql, args![*tenant_id, *organization_id, *id, now]).await
}
