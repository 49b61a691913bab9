//! SQL of what a user holds.

use uuid::Uuid;

use crate::{
    clock::Timestamp,
    db::{FromRow, Tx, args},
    error::Result,
    ids::{MembershipId, OrganizationId, TenantId, UserId},
};

/// Where a user stands in an organization.
#[derive(FromRow)]
pub struct Standing {
    pub membership_id: MembershipId,
    membership_status: String,
    ends_at: Option<Timestamp>,
    user_status: String,
    organization_status: String,
}

impl Standing {
    /// Whether they may act at all.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.organization_status == "active"
            && !["suspended", "removed"].contains(&self.user_status.as_str())
            && self.membership_status == "active"
            && self.ends_at.is_none_or(|ends_at| now < ends_at)
    }
}

/// What one role of a membership contains; a role without permissions has one entry, without one.
#[derive(FromRow)]
pub struct Entry {
    pub role: String,
    pub permission: Option<String>,
}

/// The membership of a user, other than a removed one.
pub async fn standing(
    tx: &mut Tx,
    tenant: TenantId,
    organization: OrganizationId,
    user: UserId,
) -> Result<Option<Standing>> {
    let sql = "SELECT m.id AS membership_id, m.status AS membership_status, m.ends_at, u.status AS user_status,
            o.status AS organization_status
        FROM memberships m
        JOIN users u ON u.tenant_id = m.tenant_id AND u.id = m.user_id
        JOIN organizations o ON o.tenant_id = m.tenant_id AND o.id = m.organization_id
        WHERE m.tenant_id = $1 AND m.organization_id = $2 AND m.user_id = $3 AND m.status <> 'removed'";
    tx.fetch_optional(sql, args![tenant, organization, user]).await
}

/// What the roles of a membership contain: its own, and those of its teams and the teams above them.
pub async fn held(
    tx: &mut Tx,
    tenant: TenantId,
    organization: OrganizationId,
    membership: MembershipId,
) -> Result<Vec<Entry>> {
    let sql = "WITH RECURSIVE held_teams (id) AS (
            SELECT team_id FROM team_members WHERE tenant_id = $1 AND organization_id = $2 AND membership_id = $3
            UNION
            SELECT t.parent_id FROM teams t JOIN held_teams h ON h.id = t.id
            WHERE t.tenant_id = $1 AND t.organization_id = $2 AND t.parent_id IS NOT NULL
        ), held_roles (scope_id, role) AS (
            SELECT scope_id, role FROM membership_roles
            WHERE tenant_id = $1 AND organization_id = $2 AND membership_id = $3
            UNION
            SELECT r.scope_id, r.role FROM team_roles r JOIN held_teams h ON h.id = r.team_id
            WHERE r.tenant_id = $1 AND r.organization_id = $2
        )
        SELECT h.role, p.permission FROM held_roles h
        LEFT JOIN role_permissions p ON p.tenant_id = $1 AND p.scope_id = h.scope_id AND p.role = h.role";
    tx.fetch_all(sql, args![tenant, organization, membership]).await
}

/// What is granted to whoever has a role.
#[derive(FromRow)]
pub struct Granted {
    pub role: Option<String>,
    pub permission: Option<String>,
}

pub async fn granted_to_role(
    tx: &mut Tx,
    tenant: TenantId,
    organization: OrganizationId,
    role: &str,
) -> Result<Vec<Granted>> {
    let sql = "SELECT DISTINCT role, permission FROM grants
        WHERE tenant_id = $1 AND organization_id = $2 AND principal_kind = 'role' AND principal_id = $3";
    tx.fetch_all(sql, args![tenant, organization, role]).await
}

/// What a role contains.
pub async fn permissions_of(tx: &mut Tx, tenant: TenantId, scope: Uuid, role: &str) -> Result<Vec<String>> {
    let sql = "SELECT permission FROM role_permissions WHERE tenant_id = $1 AND scope_id = $2 AND role = $3";
    let rows: Vec<(String,)> = tx.fetch_all(sql, args![tenant, scope, role]).await?;
    Ok(rows.into_iter().map(|(permission,)| permission).collect())
}
