//! SQL of memberships and their roles.

use super::{Assignment, Membership, Of, Status};
use crate::{
    clock::Timestamp,
    db::{Tx, args},
    error::{Error, Result},
    ids::{MembershipId, OrganizationId, TenantId, UserId},
    roles::{self, Role},
};

macro_rules! columns {
    () => {
        "memberships.tenant_id, memberships.organization_id, memberships.id, memberships.user_id, memberships.status, memberships.source, memberships.status_reason, memberships.created_at,
        memberships.updated_at, COALESCE((SELECT string_agg(r.role || ' ' || r.source || ' ' || r.source_reference, '\u{1f}') FROM membership_roles r
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
    assign(tx, membership.roles.0.iter().map(|assignment| (membership, assignment)).collect()).await
}

/// Assigns roles to memberships.
pub async fn assign(tx: &mut Tx, assignments: Vec<(&Membership, &Assignment)>) -> Result<()> {
    let sql = "INSERT INTO membership_roles
        (tenant_id, organization_id, membership_id, scope_id, role, source, source_reference)";
    let row = |(membership, Assignment { role, origin }): (&Membership, &Assignment)| {
        let Membership { tenant_id, organization_id, id, .. } = membership;
        let scope = roles::scope(*tenant_id, *organization_id, role);
        args![*tenant_id, *organization_id, *id, scope, role, origin.source.as_str(), &origin.reference]
    };
    tx.insert_all(sql, assignments.into_iter().map(row).collect()).await
}

pub async fn revoke(tx: &mut Tx, membership: &Membership, assignment: &Assignment) -> Result<()> {
    let sql = "DELETE FROM membership_roles WHERE tenant_id = $1 AND organization_id = $2 AND membership_id = $3
        AND role = $4 AND source = $5 AND source_reference = $6";
    let Membership { tenant_id, organization_id, id, .. } = membership;
    let Assignment { role, origin } = assignment;
    let values = args![*tenant_id, *organization_id, *id, role, origin.source.as_str(), &origin.reference];
    tx.execute(sql, values).await.map(drop)
}

/// Takes a role from every membership that has it.
pub async fn revoke_everywhere(tx: &mut Tx, role: &Role) -> Result<()> {
    let sql = "DELETE FROM membership_roles WHERE tenant_id = $1 AND scope_id = $2 AND role = $3";
    tx.execute(sql, args![role.tenant_id, role.scope_id, &role.slug]).await.map(drop)
}

/// Every membership that has a role, in all organizations.
pub async fn with_role(tx: &mut Tx, role: &Role) -> Result<Vec<Membership>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM memberships WHERE memberships.tenant_id = $1 AND (memberships.organization_id, memberships.id) IN
            (SELECT o.organization_id, o.membership_id FROM membership_roles o
                WHERE o.tenant_id = $1 AND o.scope_id = $2 AND o.role = $3)
        ORDER BY memberships.organization_id, memberships.id"
    );
    tx.fetch_all(sql, args![role.tenant_id, role.scope_id, &role.slug]).await
}

/// Notes that every membership that has a role was changed now.
pub async fn touch_with_role(tx: &mut Tx, role: &Role, now: Timestamp) -> Result<()> {
    let sql = "UPDATE memberships SET updated_at = $4 WHERE memberships.tenant_id = $1
        AND (memberships.organization_id, memberships.id) IN (SELECT o.organization_id, o.membership_id
            FROM membership_roles o WHERE o.tenant_id = $1 AND o.scope_id = $2 AND o.role = $3)";
    tx.execute(sql, args![role.tenant_id, role.scope_id, &role.slug, now]).await.map(drop)
}

/// Who holds a role in an organization, by themselves or through a team or one above it: by id.
pub async fn holders_of_role(
    tx: &mut Tx,
    role: &Role,
    organization: OrganizationId,
    after: Option<MembershipId>,
    limit: i64,
) -> Result<Vec<Membership>> {
    let sql = concat!(
        "WITH RECURSIVE holding (team_id) AS (
            SELECT o.team_id FROM team_roles o
                WHERE o.tenant_id = $1 AND o.organization_id = $2 AND o.scope_id = $3 AND o.role = $4
            UNION SELECT t.id FROM teams t JOIN holding h ON t.parent_id = h.team_id
                WHERE t.tenant_id = $1 AND t.organization_id = $2),
        holders (id) AS (
            SELECT o.membership_id FROM membership_roles o
                WHERE o.tenant_id = $1 AND o.scope_id = $3 AND o.role = $4 AND o.organization_id = $2
            UNION SELECT p.membership_id FROM team_members p JOIN holding h ON p.team_id = h.team_id
                WHERE p.tenant_id = $1 AND p.organization_id = $2)
        SELECT ",
        columns!(),
        " FROM holders JOIN memberships ON memberships.id = holders.id
        WHERE memberships.tenant_id = $1 AND memberships.organization_id = $2
            AND ($5 IS NULL OR memberships.id > $5)
        ORDER BY memberships.id LIMIT $6"
    );
    let Role { tenant_id, scope_id, slug, .. } = role;
    tx.fetch_all(sql, args![*tenant_id, organization, *scope_id, slug, after, limit]).await
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
