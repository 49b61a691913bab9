//! SQL of memberships and their roles.

use super::{Assignment, Due, Filter, Kind, Membership, Of, Origin, Status};
use crate::{
    clock::Timestamp,
    db::{Tx, args},
    error::{Error, Result},
    ids::{MembershipId, OrganizationId, TenantId, UserId},
    roles::{self, Role},
};

macro_rules! columns {
    () => {
        "memberships.tenant_id, memberships.organization_id, memberships.id, memberships.user_id, memberships.status,
        memberships.kind, memberships.source, memberships.source_reference, memberships.status_reason,
        memberships.authenticated_via, memberships.metadata, memberships.joined_at, memberships.review_at,
        memberships.ends_at, memberships.version, memberships.created_at, memberships.updated_at,
        COALESCE((SELECT string_agg(r.role || ' ' || r.source || ' ' || r.source_reference, '\u{1f}')
            FROM membership_roles r WHERE r.tenant_id = memberships.tenant_id
                AND r.organization_id = memberships.organization_id AND r.membership_id = memberships.id), '') AS roles"
    };
}

pub async fn insert(tx: &mut Tx, membership: &Membership) -> Result<()> {
    let sql = "INSERT INTO memberships
            (tenant_id, organization_id, id, user_id, status, kind, source, source_reference, status_reason,
            authenticated_via, metadata, joined_at, review_at, ends_at, version, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
    let Membership { tenant_id, organization_id, id, user_id, status, kind, source, source_reference, .. } = membership;
    let values = args![
        *tenant_id,
        *organization_id,
        *id,
        *user_id,
        status.as_str(),
        kind.as_str(),
        source.as_str(),
        source_reference,
        &membership.status_reason,
        &membership.authenticated_via,
        serde_json::json!(membership.metadata.0),
        membership.joined_at,
        membership.review_at,
        membership.ends_at,
        membership.version,
        membership.created_at,
        membership.updated_at
    ];
    tx.execute(sql, values).await?;
    assign(tx, membership.roles.0.iter().map(|assignment| (membership, assignment)).collect()).await
}

/// Stores what of a membership may change, other than its roles, where it is still as it was before; answers it with its
/// roles as they are now.
pub async fn save(tx: &mut Tx, before: &Membership, after: &Membership) -> Result<Membership> {
    let sql = concat!(
        "UPDATE memberships SET status = $5, status_reason = $6, kind = $7, authenticated_via = $8, metadata = $9,
            joined_at = $10, review_at = $11, ends_at = $12, version = version + 1, updated_at = $13
        WHERE memberships.tenant_id = $1 AND memberships.organization_id = $2 AND memberships.id = $3
            AND memberships.version = $4 RETURNING ",
        columns!()
    );
    let Membership { tenant_id, organization_id, id, version, .. } = before;
    let values = args![
        *tenant_id,
        *organization_id,
        *id,
        *version,
        after.status.as_str(),
        &after.status_reason,
        after.kind.as_str(),
        &after.authenticated_via,
        serde_json::json!(after.metadata.0),
        after.joined_at,
        after.review_at,
        after.ends_at,
        after.updated_at
    ];
    tx.fetch_optional(sql, values).await?.ok_or_else(|| Error::internal("a locked membership changed"))
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
    let sql = "UPDATE memberships SET updated_at = $4, version = version + 1 WHERE memberships.tenant_id = $1
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

/// The membership of a user, other than a removed one.
pub async fn find_present(
    tx: &mut Tx,
    tenant: TenantId,
    organization: OrganizationId,
    user: UserId,
) -> Result<Option<Membership>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM memberships WHERE memberships.tenant_id = $1 AND memberships.organization_id = $2
            AND memberships.user_id = $3 AND memberships.status <> 'removed'"
    );
    tx.fetch_optional(sql, args![tenant, organization, user]).await
}

/// Whether somebody who has or had this address was a member and is none any more, or is suspended; or was put here without
/// an invitation, and taken away before they came.
pub async fn was_ended(tx: &mut Tx, tenant: TenantId, organization: OrganizationId, email_key: &str) -> Result<bool> {
    let sql = "SELECT COUNT(*) FROM memberships m WHERE m.tenant_id = $1 AND m.organization_id = $2
            AND (m.status = 'suspended' OR m.status = 'removed' AND (m.joined_at IS NOT NULL OR NOT EXISTS (
                SELECT 1 FROM invitations i WHERE i.tenant_id = m.tenant_id AND i.organization_id = m.organization_id
                    AND i.invited_user_id = m.user_id)))
            AND m.user_id IN (
                SELECT id FROM users WHERE tenant_id = $1 AND email_key = $3 AND status <> 'removed'
                UNION ALL SELECT id FROM users WHERE tenant_id = $1 AND email_key = $3 AND status = 'removed'
                UNION ALL SELECT user_id FROM user_former_emails WHERE tenant_id = $1 AND email_key = $3)";
    let (count,): (i64,) = tx.fetch_one(sql, args![tenant, organization, email_key]).await?;
    Ok(count > 0)
}

/// How many memberships of an organization came from this one thing of a source, other than removed ones.
pub async fn count_of_origin(tx: &mut Tx, tenant: TenantId, id: OrganizationId, origin: &Origin) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM memberships WHERE tenant_id = $1 AND organization_id = $2 AND source = $3
        AND source_reference = $4 AND status <> 'removed'";
    let values = args![tenant, id, origin.source.as_str(), &origin.reference];
    let (count,): (i64,) = tx.fetch_one(sql, values).await?;
    Ok(count)
}

/// The organizations in which something of a user's membership may end or be emptied.
pub async fn organizations_of(tx: &mut Tx, tenant: TenantId, user: UserId) -> Result<Vec<(OrganizationId,)>> {
    let sql = "SELECT DISTINCT organization_id FROM memberships
        WHERE tenant_id = $1 AND user_id = $2 AND (status <> 'removed' OR metadata <> $3)";
    tx.fetch_all(sql, args![tenant, user, serde_json::json!({})]).await
}

/// The organizations that a user is or was a member of.
pub async fn ever_of(tx: &mut Tx, tenant: TenantId, user: UserId) -> Result<Vec<(OrganizationId,)>> {
    let sql = "SELECT DISTINCT organization_id FROM memberships WHERE tenant_id = $1 AND user_id = $2";
    tx.fetch_all(sql, args![tenant, user]).await
}

/// Empties what is personal of a user's memberships; answers those that had something.
pub async fn erase(tx: &mut Tx, tenant: TenantId, user: UserId, now: Timestamp) -> Result<Vec<Membership>> {
    let sql = concat!(
        "UPDATE memberships SET metadata = $3, version = version + 1, updated_at = $4
        WHERE memberships.tenant_id = $1 AND memberships.user_id = $2 AND memberships.metadata <> $3 RETURNING ",
        columns!()
    );
    tx.fetch_all(sql, args![tenant, user, serde_json::json!({}), now]).await
}

pub async fn list(
    tx: &mut Tx,
    tenant: TenantId,
    of: Of,
    filter: Filter,
    after: Option<MembershipId>,
    limit: i64,
) -> Result<Vec<Membership>> {
    let (status, kind) = (filter.status.map(Status::as_str), filter.kind.map(Kind::as_str));
    match of {
        Of::Organization(organization) => {
            let sql = concat!(
                "SELECT ",
                columns!(),
                " FROM memberships WHERE memberships.tenant_id = $1 AND memberships.organization_id = $2
                    AND (memberships.status = $3 OR $3 IS NULL AND memberships.status <> 'removed')
                    AND ($4 IS NULL OR memberships.kind = $4) AND ($5 IS NULL OR memberships.id > $5)
                ORDER BY memberships.id LIMIT $6"
            );
            tx.fetch_all(sql, args![tenant, organization, status, kind, after, limit]).await
        }
        Of::User(user) => {
            let sql = concat!(
                "SELECT ",
                columns!(),
                " FROM memberships WHERE memberships.tenant_id = $1 AND memberships.user_id = $2
                    AND (memberships.status = $3 OR $3 IS NULL AND memberships.status <> 'removed')
                    AND ($4 IS NULL OR memberships.kind = $4) AND ($5 IS NULL OR memberships.id > $5)
                ORDER BY memberships.id LIMIT $6"
            );
            tx.fetch_all(sql, args![tenant, user, status, kind, after, limit]).await
        }
        Of::Both(organization, user) => {
            let sql = concat!(
                "SELECT ",
                columns!(),
                " FROM memberships WHERE memberships.tenant_id = $1 AND memberships.user_id = $2
                    AND (memberships.status = $3 OR $3 IS NULL AND memberships.status <> 'removed')
                    AND ($4 IS NULL OR memberships.kind = $4) AND ($5 IS NULL OR memberships.id > $5)
                    AND memberships.organization_id = $7
                ORDER BY memberships.id LIMIT $6"
            );
            tx.fetch_all(sql, args![tenant, user, status, kind, after, limit, organization]).await
        }
    }
}

/// Two of an organization's active owners, if it has as many. One whose membership has an end is none to rely on.
pub async fn active_owners(tx: &mut Tx, tenant: TenantId, organization: OrganizationId) -> Result<Vec<MembershipId>> {
    let sql = "SELECT DISTINCT memberships.id FROM membership_roles r
        JOIN memberships
            ON memberships.tenant_id = r.tenant_id AND memberships.organization_id = r.organization_id AND memberships.id = r.membership_id
        JOIN users u ON u.tenant_id = memberships.tenant_id AND u.id = memberships.user_id
        WHERE r.tenant_id = $1 AND r.organization_id = $2 AND r.role = 'owner'
            AND memberships.status = 'active' AND memberships.ends_at IS NULL AND u.status NOT IN ('suspended', 'removed')
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

/// Active memberships whose end is reached, of all tenants; those of longer ago first.
pub async fn due(tx: &mut Tx, now: Timestamp, limit: i64) -> Result<Vec<Due>> {
    let sql = "SELECT tenant_id, organization_id, id AS membership_id FROM memberships
        WHERE status = 'active' AND ends_at <= $1 ORDER BY ends_at LIMIT $2";
    tx.fetch_all(sql, args![now, limit]).await
}
