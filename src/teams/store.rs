//! SQL of teams and their members.

use super::{Team, TeamMember};
use crate::{
    db::{Tx, args},
    error::{Error, Reason, Result},
    ids::{MembershipId, OrganizationId, TeamId, TenantId},
    roles,
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

pub async fn revoke(tx: &mut Tx, team: &Team, role: &str) -> Result<()> {
    let sql = "DELETE FROM team_roles WHERE tenant_id = $1 AND organization_id = $2 AND team_id = $3 AND role = $4";
    tx.execute(sql, args![team.tenant_id, team.organization_id, team.id, role]).await.map(drop)
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
