//! SQL of teams and their members.

use super::{Team, TeamMember};
use crate::{
    clock::Timestamp,
    db::{Tx, args},
    error::{Error, Reason, Result},
    ids::{MembershipId, OrganizationId, TeamId, TenantId},
    memberships::Membership,
    roles::{self, Role},
};

macro_rules! columns {
    () => {
        "t.tenant_id, t.organization_id, t.id, t.parent_id, t.name, t.description, t.version, t.created_at,
        t.updated_at, COALESCE((SELECT string_agg(r.role, ',') FROM team_roles r
            WHERE r.tenant_id = t.tenant_id AND r.organization_id = t.organization_id AND r.team_id = t.id),
            '') AS roles"
    };
}

macro_rules! member_columns {
    () => {
        "tenant_id, organization_id, team_id, membership_id, role, created_at, updated_at"
    };
}

pub async fn insert(tx: &mut Tx, team: &Team) -> Result<()> {
    let sql = "INSERT INTO teams
            (tenant_id, organization_id, id, parent_id, name, description, version, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let Team { tenant_id, organization_id, id, parent_id, name, description, version, .. } = team;
    let values = args![
        *tenant_id,
        *organization_id,
        *id,
        *parent_id,
        name,
        description,
        *version,
        team.created_at,
        team.updated_at
    ];
    tx.execute_unique(sql, values, name_taken).await.map(drop)
}

pub async fn update(tx: &mut Tx, team: &Team) -> Result<()> {
    let sql = "UPDATE teams SET parent_id = $4, name = $5, description = $6, version = $7, updated_at = $8
        WHERE tenant_id = $1 AND organization_id = $2 AND id = $3";
    let Team { tenant_id, organization_id, id, parent_id, name, description, version, updated_at, .. } = team;
    let values = args![*tenant_id, *organization_id, *id, *parent_id, name, description, *version, *updated_at];
    tx.execute_unique(sql, values, name_taken).await.map(drop)
}

fn name_taken() -> Error {
    Error::new(Reason::TeamNameTaken, "another team of the organization has the name")
}

pub async fn get(tx: &mut Tx, tenant: TenantId, organization: OrganizationId, id: TeamId) -> Result<Option<Team>> {
    let sql =
        concat!("SELECT ", columns!(), " FROM teams t WHERE t.tenant_id = $1 AND t.organization_id = $2 AND t.id = $3");
    tx.fetch_optional(sql, args![tenant, organization, id]).await
}

pub async fn list(
    tx: &mut Tx,
    tenant: TenantId,
    organization: OrganizationId,
    after: Option<TeamId>,
    limit: i64,
) -> Result<Vec<Team>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM teams t WHERE t.tenant_id = $1 AND t.organization_id = $2 AND ($3 IS NULL OR t.id > $3)
        ORDER BY t.id LIMIT $4"
    );
    tx.fetch_all(sql, args![tenant, organization, after, limit]).await
}

pub async fn parents(
    tx: &mut Tx,
    tenant: TenantId,
    organization: OrganizationId,
) -> Result<Vec<(TeamId, Option<TeamId>)>> {
    let sql = "SELECT id, parent_id FROM teams WHERE tenant_id = $1 AND organization_id = $2";
    tx.fetch_all(sql, args![tenant, organization]).await
}

/// Deletes a team that nobody is in and that has none below it.
pub async fn delete(tx: &mut Tx, team: &Team) -> Result<()> {
    let sql = "DELETE FROM team_roles WHERE tenant_id = $1 AND organization_id = $2 AND team_id = $3";
    tx.execute(sql, args![team.tenant_id, team.organization_id, team.id]).await?;
    let sql = "DELETE FROM teams WHERE tenant_id = $1 AND organization_id = $2 AND id = $3";
    tx.execute(sql, args![team.tenant_id, team.organization_id, team.id]).await.map(drop)
}

pub async fn assign(tx: &mut Tx, team: &Team, role: &str) -> Result<()> {
    let sql = "INSERT INTO team_roles (tenant_id, organization_id, team_id, scope_id, role)
        VALUES ($1, $2, $3, $4, $5)";
    let scope = roles::scope(team.tenant_id, team.organization_id, role);
    tx.execute(sql, args![team.tenant_id, team.organization_id, team.id, scope, role]).await.map(drop)
}

/// The roles of a team and of the teams above it.
pub async fn carried_roles(
    tx: &mut Tx,
    tenant: TenantId,
    organization: OrganizationId,
    id: TeamId,
) -> Result<Vec<String>> {
    let sql = "WITH RECURSIVE above (id) AS (
            SELECT id FROM teams WHERE tenant_id = $1 AND organization_id = $2 AND id = $3
            UNION
            SELECT t.parent_id FROM teams t JOIN above a ON a.id = t.id
            WHERE t.tenant_id = $1 AND t.organization_id = $2 AND t.parent_id IS NOT NULL
        )
        SELECT DISTINCT r.role FROM team_roles r JOIN above a ON a.id = r.team_id
        WHERE r.tenant_id = $1 AND r.organization_id = $2";
    let rows: Vec<(String,)> = tx.fetch_all(sql, args![tenant, organization, id]).await?;
    Ok(rows.into_iter().map(|(role,)| role).collect())
}

/// A team and the teams above it.
pub async fn with_ancestors(
    tx: &mut Tx,
    tenant: TenantId,
    organization: OrganizationId,
    id: TeamId,
) -> Result<Vec<TeamId>> {
    let sql = "WITH RECURSIVE above (tenant_id, organization_id, id, parent_id) AS (
            SELECT tenant_id, organization_id, id, parent_id FROM teams
            WHERE tenant_id = $1 AND organization_id = $2 AND id = $3
            UNION
            SELECT t.tenant_id, t.organization_id, t.id, t.parent_id FROM above a
            JOIN teams t ON t.tenant_id = a.tenant_id AND t.organization_id = a.organization_id AND t.id = a.parent_id
        )
        SELECT id FROM above";
    let rows: Vec<(TeamId,)> = tx.fetch_all(sql, args![tenant, organization, id]).await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

pub async fn revoke(tx: &mut Tx, team: &Team, role: &str) -> Result<()> {
    let sql = "DELETE FROM team_roles WHERE tenant_id = $1 AND organization_id = $2 AND team_id = $3 AND role = $4";
    tx.execute(sql, args![team.tenant_id, team.organization_id, team.id, role]).await.map(drop)
}

/// Every team that has a role, in all organizations.
pub async fn with_role(tx: &mut Tx, role: &Role) -> Result<Vec<Team>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM teams t JOIN team_roles o
            ON o.tenant_id = t.tenant_id AND o.organization_id = t.organization_id AND o.team_id = t.id
        WHERE o.tenant_id = $1 AND o.scope_id = $2 AND o.role = $3 ORDER BY t.organization_id, t.id"
    );
    tx.fetch_all(sql, args![role.tenant_id, role.scope_id, &role.slug]).await
}

/// Notes that every team that has a role was changed now.
pub async fn touch_with_role(tx: &mut Tx, role: &Role, now: Timestamp) -> Result<()> {
    let sql = "UPDATE teams SET version = version + 1, updated_at = $4 WHERE teams.tenant_id = $1
        AND (teams.organization_id, teams.id) IN (SELECT o.organization_id, o.team_id FROM team_roles o
            WHERE o.tenant_id = $1 AND o.scope_id = $2 AND o.role = $3)";
    tx.execute(sql, args![role.tenant_id, role.scope_id, &role.slug, now]).await.map(drop)
}

/// Gives another role to every team that has a role and not that one, and counts it as a change.
pub async fn replace_where_new(tx: &mut Tx, role: &Role, instead: &str) -> Result<()> {
    let sql = "UPDATE teams SET version = version + 1 WHERE teams.tenant_id = $1
        AND (teams.organization_id, teams.id) IN (SELECT o.organization_id, o.team_id FROM team_roles o
            WHERE o.tenant_id = $1 AND o.scope_id = $2 AND o.role = $3)
        AND NOT EXISTS (SELECT 1 FROM team_roles n WHERE n.tenant_id = $1 AND n.role = $4
            AND n.organization_id = teams.organization_id AND n.team_id = teams.id)";
    tx.execute(sql, args![role.tenant_id, role.scope_id, &role.slug, instead]).await?;
    let sql = "SELECT organization_id, team_id FROM team_roles o
        WHERE o.tenant_id = $1 AND o.scope_id = $2 AND o.role = $3
            AND NOT EXISTS (SELECT 1 FROM team_roles n WHERE n.tenant_id = $1 AND n.role = $4
                AND n.organization_id = o.organization_id AND n.team_id = o.team_id)";
    let values = args![role.tenant_id, role.scope_id, &role.slug, instead];
    let rows: Vec<(OrganizationId, TeamId)> = tx.fetch_all(sql, values).await?;
    let row = |(organization, team): (OrganizationId, TeamId)| {
        args![role.tenant_id, organization, team, roles::scope(role.tenant_id, organization, instead), instead]
    };
    let rows = rows.into_iter().map(row).collect();
    tx.insert_all("INSERT INTO team_roles (tenant_id, organization_id, team_id, scope_id, role)", rows).await
}

/// Takes a role from every team that has it.
pub async fn revoke_everywhere(tx: &mut Tx, role: &Role) -> Result<()> {
    let sql = "DELETE FROM team_roles WHERE tenant_id = $1 AND scope_id = $2 AND role = $3";
    tx.execute(sql, args![role.tenant_id, role.scope_id, &role.slug]).await.map(drop)
}

/// The roles of all teams of an organization.
pub async fn roles(tx: &mut Tx, tenant: TenantId, organization: OrganizationId) -> Result<Vec<(TeamId, String)>> {
    let sql = "SELECT team_id, role FROM team_roles WHERE tenant_id = $1 AND organization_id = $2";
    tx.fetch_all(sql, args![tenant, organization]).await
}

/// The teams that memberships are in, from one id to another.
pub async fn places(
    tx: &mut Tx,
    tenant: TenantId,
    organization: OrganizationId,
    first: MembershipId,
    last: MembershipId,
) -> Result<Vec<(MembershipId, TeamId)>> {
    let sql = "SELECT membership_id, team_id FROM team_members
        WHERE tenant_id = $1 AND organization_id = $2 AND membership_id >= $3 AND membership_id <= $4";
    tx.fetch_all(sql, args![tenant, organization, first, last]).await
}

/// The teams that one membership is in.
pub async fn of_membership(tx: &mut Tx, membership: &Membership) -> Result<Vec<(TeamId,)>> {
    let sql = "SELECT team_id FROM team_members WHERE tenant_id = $1 AND organization_id = $2 AND membership_id = $3
        ORDER BY team_id";
    tx.fetch_all(sql, args![membership.tenant_id, membership.organization_id, membership.id]).await
}

/// False where the membership is in the team already.
pub async fn insert_member(tx: &mut Tx, member: &TeamMember) -> Result<bool> {
    let sql = concat!(
        "INSERT INTO team_members (",
        member_columns!(),
        ") VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING"
    );
    let TeamMember { tenant_id, organization_id, team_id, membership_id, role, created_at, updated_at } = member;
    let values = args![*tenant_id, *organization_id, *team_id, *membership_id, role.as_str(), *created_at, *updated_at];
    Ok(tx.execute(sql, values).await? == 1)
}

pub async fn update_member(tx: &mut Tx, member: &TeamMember) -> Result<()> {
    let sql = "UPDATE team_members SET role = $5, updated_at = $6
        WHERE tenant_id = $1 AND organization_id = $2 AND team_id = $3 AND membership_id = $4";
    let TeamMember { tenant_id, organization_id, team_id, membership_id, role, updated_at, .. } = member;
    let values = args![*tenant_id, *organization_id, *team_id, *membership_id, role.as_str(), *updated_at];
    tx.execute(sql, values).await.map(drop)
}

pub async fn get_member(
    tx: &mut Tx,
    tenant: TenantId,
    organization: OrganizationId,
    team: TeamId,
    membership: MembershipId,
) -> Result<Option<TeamMember>> {
    let sql = concat!(
        "SELECT ",
        member_columns!(),
        " FROM team_members
        WHERE tenant_id = $1 AND organization_id = $2 AND team_id = $3 AND membership_id = $4"
    );
    tx.fetch_optional(sql, args![tenant, organization, team, membership]).await
}

pub async fn list_members(
    tx: &mut Tx,
    tenant: TenantId,
    organization: OrganizationId,
    team: TeamId,
    after: Option<MembershipId>,
    limit: i64,
) -> Result<Vec<TeamMember>> {
    let sql = concat!(
        "SELECT ",
        member_columns!(),
        " FROM team_members WHERE tenant_id = $1 AND organization_id = $2 AND team_id = $3
            AND ($4 IS NULL OR membership_id > $4)
        ORDER BY membership_id LIMIT $5"
    );
    tx.fetch_all(sql, args![tenant, organization, team, after, limit]).await
}

pub async fn delete_member(tx: &mut Tx, member: &TeamMember) -> Result<()> {
    let sql = "DELETE FROM team_members
        WHERE tenant_id = $1 AND organization_id = $2 AND team_id = $3 AND membership_id = $4";
    let TeamMember { tenant_id, organization_id, team_id, membership_id, .. } = member;
    tx.execute(sql, args![*tenant_id, *organization_id, *team_id, *membership_id]).await.map(drop)
}

pub async fn delete_places_of(
    tx: &mut Tx,
    tenant: TenantId,
    organization: OrganizationId,
    membership: MembershipId,
) -> Result<Vec<TeamMember>> {
    let sql = concat!(
        "DELETE FROM team_members WHERE tenant_id = $1 AND organization_id = $2 AND membership_id = $3 RETURNING ",
        member_columns!()
    );
    tx.fetch_all(sql, args![tenant, organization, membership]).await
}

pub async fn delete_members(tx: &mut Tx, team: &Team) -> Result<Vec<TeamMember>> {
    let sql = concat!(
        "DELETE FROM team_members WHERE tenant_id = $1 AND organization_id = $2 AND team_id = $3 RETURNING ",
        member_columns!()
    );
    tx.fetch_all(sql, args![team.tenant_id, team.organization_id, team.id]).await
}
