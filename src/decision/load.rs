//! Loading a state as the database has it: the index's own SQL, from one snapshot.

use uuid::Uuid;

use super::{
    catalogue::PermissionSet,
    organization::{Grant, Held, Member, OrganizationState, Principal, Team, resource_key},
    tenant::TenantState,
};
use crate::{
    clock::Timestamp,
    db::{FromRow, Tx, args},
    error::{Error, Reason, Result},
    events::{self, Stream},
    ids::{MembershipId, OrganizationId, TeamId, TenantId},
    proto::v1::OrganizationStatus,
};

/// Who was removed so long ago that every replica has heard of the end of their memberships, by far.
const REMOVED_LONG_AGO: std::time::Duration = std::time::Duration::from_hours(1);

pub async fn tenant(tx: &mut Tx, tenant_id: TenantId) -> Result<(TenantState, i64)> {
    let sequence = events::store::tenant_sequence(tx, tenant_id).await?;
    let mut state = TenantState::default();
    let sql = "SELECT slug FROM permissions WHERE tenant_id = $1";
    let permissions: Vec<(String,)> = tx.fetch_all(sql, args![tenant_id]).await?;
    state.permissions.extend(permissions.into_iter().map(|(slug,)| slug.into()));
    for (slug, set) in roles(tx, tenant_id, tenant_id.uuid()).await? {
        state.roles.insert(slug, set);
    }
    let sql = "SELECT id FROM users WHERE tenant_id = $1 AND status = 'suspended'
        UNION ALL SELECT id FROM users WHERE tenant_id = $1 AND status = 'removed' AND updated_at >
            (SELECT MAX(updated_at) FROM users WHERE tenant_id = $1 AND status = 'removed') - $2";
    let recently = i64::try_from(REMOVED_LONG_AGO.as_micros()).expect("an hour");
    let denied: Vec<(Uuid,)> = tx.fetch_all(sql, args![tenant_id, recently]).await?;
    state.denied_users.extend(denied.into_iter().map(|(id,)| id));
    Ok((state, sequence))
}

pub async fn organization(tx: &mut Tx, tenant_id: TenantId, stream: Stream) -> Result<(OrganizationState, i64)> {
    let Stream::Organization(id) = stream else { return Err(Error::internal("not an organization's stream")) };
    let sql = "SELECT status, sequence FROM organizations WHERE tenant_id = $1 AND id = $2";
    let row: Option<(String, i64)> = tx.fetch_optional(sql, args![tenant_id, id]).await?;
    let Some((status, sequence)) = row else {
        return Err(Error::new(Reason::OrganizationNotFound, "no such organization"));
    };
    let mut state = OrganizationState { status: organization_status(&status), ..OrganizationState::default() };
    members(tx, tenant_id, id, &mut state).await?;
    teams(tx, tenant_id, id, &mut state).await?;
    for (slug, set) in roles(tx, tenant_id, id.uuid()).await? {
        state.roles.insert(slug, set);
    }
    grants(tx, tenant_id, id, &mut state).await?;
    Ok((state, sequence))
}

fn organization_status(status: &str) -> OrganizationStatus {
    match status {
        "active" => OrganizationStatus::Active,
        "suspended" => OrganizationStatus::Suspended,
        _ => OrganizationStatus::Deleting,
    }
}

/// Roles of an organization or of the tenant. A role without permissions has one row, without one.
async fn roles(tx: &mut Tx, tenant_id: TenantId, scope_id: Uuid) -> Result<Vec<(Box<str>, PermissionSet)>> {
    let sql = "SELECT r.slug, p.permission FROM roles r LEFT JOIN role_permissions p
            ON p.tenant_id = r.tenant_id AND p.scope_id = r.scope_id AND p.role = r.slug
        WHERE r.tenant_id = $1 AND r.scope_id = $2 ORDER BY r.slug";
    let rows: Vec<(String, Option<String>)> = tx.fetch_all(sql, args![tenant_id, scope_id]).await?;
    let of_one = rows.chunk_by(|a, b| a.0 == b.0);
    Ok(of_one
        .map(|rows| {
            let permissions = rows.iter().filter_map(|(_, permission)| permission.as_deref());
            (rows[0].0.as_str().into(), PermissionSet::new(permissions))
        })
        .collect())
}

async fn members(tx: &mut Tx, tenant: TenantId, id: OrganizationId, state: &mut OrganizationState) -> Result<()> {
    let sql = "SELECT m.user_id, m.id, m.status, r.role FROM memberships m JOIN membership_roles r
            ON r.tenant_id = m.tenant_id AND r.organization_id = m.organization_id AND r.membership_id = m.id
        WHERE m.tenant_id = $1 AND m.organization_id = $2 AND m.status <> 'removed'";
    let rows: Vec<(Uuid, Uuid, String, String)> = tx.fetch_all(sql, args![tenant, id]).await?;
    for (user_id, membership_id, status, role) in rows {
        let active = status == "active";
        let member =
            state.members.entry(user_id).or_insert_with(|| Member { membership_id, active, roles: Vec::new() });
        member.roles.push(role.into());
    }
    let sql = "SELECT membership_id, team_id FROM team_members WHERE tenant_id = $1 AND organization_id = $2";
    let rows: Vec<(Uuid, Uuid)> = tx.fetch_all(sql, args![tenant, id]).await?;
    for (membership_id, team_id) in rows {
        state.team_members.entry(membership_id).or_default().push(team_id);
    }
    Ok(())
}

async fn teams(tx: &mut Tx, tenant: TenantId, id: OrganizationId, state: &mut OrganizationState) -> Result<()> {
    let sql = "SELECT id, parent_id FROM teams WHERE tenant_id = $1 AND organization_id = $2";
    let rows: Vec<(Uuid, Option<Uuid>)> = tx.fetch_all(sql, args![tenant, id]).await?;
    state.teams.extend(rows.into_iter().map(|(id, parent)| (id, Team { parent, roles: Vec::new() })));
    let sql = "SELECT team_id, role FROM team_roles WHERE tenant_id = $1 AND organization_id = $2";
    let rows: Vec<(Uuid, String)> = tx.fetch_all(sql, args![tenant, id]).await?;
    for (team_id, role) in rows {
        if let Some(team) = state.teams.get_mut(&team_id) {
            team.roles.push(role.into());
        }
    }
    Ok(())
}

#[derive(FromRow)]
struct GrantRow {
    id: Uuid,
    principal_kind: String,
    principal_id: String,
    resource_type: String,
    resource_id: String,
    role: Option<String>,
    permission: Option<String>,
    ends_at: Option<Timestamp>,
}

async fn grants(tx: &mut Tx, tenant: TenantId, id: OrganizationId, state: &mut OrganizationState) -> Result<()> {
    let sql = "SELECT id, principal_kind, principal_id, resource_type, resource_id, role, permission, ends_at
        FROM grants WHERE tenant_id = $1 AND organization_id = $2";
    let rows: Vec<GrantRow> = tx.fetch_all(sql, args![tenant, id]).await?;
    for row in rows {
        let principal = match row.principal_kind.as_str() {
            "membership" => row.principal_id.parse().map(|id: MembershipId| Principal::Membership(id.uuid())),
            "team" => row.principal_id.parse().map(|id: TeamId| Principal::Team(id.uuid())),
            _ => Ok(Principal::Role(row.principal_id.as_str().into())),
        };
        let principal = principal.map_err(|()| Error::internal("a grant with a malformed principal"))?;
        let right = match (row.role, row.permission) {
            (Some(role), _) => Held::Role(role.into()),
            (None, Some(permission)) => Held::Permission(permission.into()),
            (None, None) => return Err(Error::internal("a grant without a right")),
        };
        let key = resource_key(&row.resource_type, &row.resource_id);
        state.grants.entry(key).or_default().push(Grant { id: row.id, principal, right, ends_at: row.ends_at });
    }
    Ok(())
}
