//! States as the database has them: the index's own SQL.
//!
//! An organization is read by one statement that answers facts, whole or as far as one question needs it: the first
//! question of a cold organization is answered from its own facts, and does not wait for the rest.

use std::sync::Arc;

use uuid::Uuid;

use super::{
    members::{Members, Standing},
    organization::{OrganizationState, PrincipalName, RightName},
    policy_set,
    symbols::Symbols,
    tenant::TenantState,
};
use crate::{
    clock::Timestamp,
    db::{FromRow, Tx, args},
    error::{Error, Reason, Result},
    events,
    ids::{MembershipId, OrganizationId, TeamId, TenantId},
    proto::v1::OrganizationStatus,
};

/// Who was removed so long ago that every replica has heard of the end of their memberships, by far.
const REMOVED_LONG_AGO: std::time::Duration = std::time::Duration::from_hours(1);

/// The state of a tenant, with the sequence it is of.
pub async fn tenant(tx: &mut Tx, tenant_id: TenantId, symbols: &Arc<Symbols>) -> Result<(TenantState, i64)> {
    let sequence = events::store::tenant_sequence(tx, tenant_id).await?;
    let mut state = TenantState::new(symbols.clone());
    let sql = "SELECT role_mode, CAST(role_priority AS TEXT) FROM tenants WHERE id = $1";
    let (mode, order): (String, String) = tx.fetch_one(sql, args![tenant_id]).await?;
    state.set_modes(mode != "highest_priority", priority(&order)?.iter().map(String::as_str));
    let sql = "SELECT name, text, effect FROM policies WHERE tenant_id = $1 AND scope_id = $1";
    let stored: Vec<(String, String, String)> = tx.fetch_all(sql, args![tenant_id]).await?;
    state.change_policies(stored.iter().map(|(name, text, effect)| policy_set::stored(name, text, effect)));
    let sql = "SELECT slug FROM permissions WHERE tenant_id = $1";
    let permissions: Vec<(String,)> = tx.fetch_all(sql, args![tenant_id]).await?;
    permissions.iter().for_each(|(slug,)| state.put_permission(slug));
    let sql = "SELECT r.slug, p.permission FROM roles r LEFT JOIN role_permissions p
            ON p.tenant_id = r.tenant_id AND p.scope_id = r.scope_id AND p.role = r.slug
        WHERE r.tenant_id = $1 AND r.scope_id = $1 ORDER BY r.slug";
    let rows: Vec<(String, Option<String>)> = tx.fetch_all(sql, args![tenant_id]).await?;
    for role in rows.chunk_by(|a, b| a.0 == b.0) {
        // A role without permissions has one row, without one.
        state.put_role(&role[0].0, role.iter().filter_map(|(_, permission)| permission.as_deref()));
    }
    let sql = "SELECT id FROM users WHERE tenant_id = $1 AND status = 'suspended'
        UNION ALL SELECT id FROM users WHERE tenant_id = $1 AND status = 'removed' AND updated_at >
            (SELECT MAX(updated_at) FROM users WHERE tenant_id = $1 AND status = 'removed') - $2";
    let recently = i64::try_from(REMOVED_LONG_AGO.as_micros()).expect("an hour");
    let denied: Vec<(Uuid,)> = tx.fetch_all(sql, args![tenant_id, recently]).await?;
    denied.into_iter().for_each(|(id,)| state.deny(id));
    Ok((state, sequence))
}

/// How much of an organization is read.
#[derive(Debug, Clone)]
pub enum Extent {
    /// All of it.
    Whole,
    /// What one question needs: who asks, and on which resource.
    Question {
        /// Whose question it is.
        user_id: Uuid,
        /// What it is about: type and id.
        resource: Option<(String, String)>,
    },
}

/// The state of an organization, with how far its stream and its tenant's had come.
#[derive(Debug)]
pub struct Loaded {
    /// The state, as far as it was read.
    pub state: OrganizationState,
    /// The sequence of its stream.
    pub sequence: i64,
    /// The sequence of the tenant's own stream.
    pub tenant_sequence: i64,
}

/// Reads an organization, by one statement. Fails with `ORGANIZATION_NOT_FOUND`.
pub async fn organization(
    tx: &mut Tx,
    tenant_id: TenantId,
    id: OrganizationId,
    symbols: &Arc<Symbols>,
    extent: Extent,
) -> Result<Loaded> {
    let mut facts: Vec<Fact> = match extent {
        Extent::Whole => tx.fetch_all(WHOLE, args![tenant_id, id]).await?,
        Extent::Question { user_id, resource } => {
            let (kind, resource_id) = resource.unzip();
            tx.fetch_all(QUESTION, args![tenant_id, id, user_id, kind, resource_id]).await?
        }
    };
    // What refers to another thing comes after it, and rows about the same thing come together.
    facts.sort_unstable_by(|x, y| (x.tag, x.b, x.a, &x.s).cmp(&(y.tag, y.b, y.a, &y.s)));
    let Some(Fact { tag: ORGANIZATION, n: Some(sequence), m: Some(tenant_sequence), .. }) = facts.first() else {
        return Err(Error::new(Reason::OrganizationNotFound, "no such organization"));
    };
    let (sequence, tenant_sequence) = (*sequence, *tenant_sequence);
    let mut state = OrganizationState::new(symbols.clone());
    for facts in facts.chunk_by(|a, b| a.tag == b.tag) {
        take(&mut state, facts)?;
    }
    state.shrink();
    Ok(Loaded { state, sequence, tenant_sequence })
}

const ORGANIZATION: i32 = 0;
const MEMBER: i32 = 1;
const TEAM: i32 = 2;
const TEAM_MEMBER: i32 = 3;
const ROLE: i32 = 4;
const RESOURCE: i32 = 5;
const GRANT: i32 = 6;
const POLICY: i32 = 7;

/// One row of an organization: what the columns mean depends on the tag.
#[derive(Debug, FromRow)]
struct Fact {
    tag: i32,
    a: Option<Uuid>,
    b: Option<Uuid>,
    s: Option<String>,
    t: Option<String>,
    u: Option<String>,
    v: Option<String>,
    w: Option<String>,
    x: Option<String>,
    n: Option<i64>,
    m: Option<i64>,
}

impl Fact {
    fn id(&self) -> Result<Uuid> {
        self.a.ok_or_else(|| Error::internal("a fact without its id"))
    }
}

fn text(column: &Option<String>) -> &str {
    column.as_deref().unwrap_or_default()
}

/// Facts of one kind.
fn take(state: &mut OrganizationState, facts: &[Fact]) -> Result<()> {
    match facts[0].tag {
        ORGANIZATION => {
            state.status = organization_status(text(&facts[0].s));
            state.set_priority(priority(text(&facts[0].t))?.iter().map(String::as_str));
        }
        MEMBER => members(state, facts)?,
        TEAM => {
            for team in facts.chunk_by(|a, b| a.a == b.a) {
                let roles = team.iter().filter_map(|fact| fact.s.as_deref());
                state.put_team(team[0].id()?, team[0].b, roles);
            }
        }
        TEAM_MEMBER => {
            for fact in facts {
                let team = fact.b.ok_or_else(|| Error::internal("a place in no team"))?;
                state.set_team_member(fact.id()?, team, true);
            }
        }
        ROLE => {
            for role in facts.chunk_by(|a, b| a.s == b.s) {
                state.put_role(text(&role[0].s), role.iter().filter_map(|fact| fact.t.as_deref()));
            }
        }
        RESOURCE => facts.iter().for_each(|fact| {
            let parent = fact.u.as_deref().zip(fact.v.as_deref());
            state.resources.put(text(&fact.s), text(&fact.t), parent);
        }),
        POLICY => state
            .change_policies(facts.iter().map(|fact| policy_set::stored(text(&fact.s), text(&fact.t), text(&fact.u)))),
        GRANT => facts.iter().try_for_each(|fact| grant(state, fact))?,
        tag => return Err(Error::internal(format!("no fact has the tag {tag}"))),
    }
    Ok(())
}

/// A list of slugs, as it is stored.
fn priority(json: &str) -> Result<Vec<String>> {
    serde_json::from_str(json).map_err(Error::internal)
}

fn organization_status(status: &str) -> OrganizationStatus {
    match status {
        "active" => OrganizationStatus::Active,
        "suspended" => OrganizationStatus::Suspended,
        "purged" => OrganizationStatus::Purged,
        _ => OrganizationStatus::Deleting,
    }
}

/// One row for every role of every member, those of a member together.
fn members(state: &mut OrganizationState, facts: &[Fact]) -> Result<()> {
    let of_one = || facts.chunk_by(|a, b| a.b == b.b);
    state.members = Members::with_capacity(of_one().count());
    for member in of_one() {
        let membership_id = member[0].b.ok_or_else(|| Error::internal("a membership without an id"))?;
        let roles = member.iter().filter_map(|fact| fact.t.as_deref());
        state.put_member(member[0].id()?, membership_id, standing(&member[0]), roles);
    }
    Ok(())
}

fn standing(member: &Fact) -> Standing {
    match text(&member.s) {
        "active" => Standing::Active(member.n.map(Timestamp)),
        "invited" | "pre_provisioned" => Standing::Pending,
        _ => Standing::Suspended,
    }
}

fn grant(state: &mut OrganizationState, fact: &Fact) -> Result<()> {
    let bad = |()| Error::internal("a grant with a malformed principal");
    let principal = match text(&fact.s) {
        "membership" => PrincipalName::Membership(text(&fact.t).parse::<MembershipId>().map_err(bad)?.uuid()),
        "team" => PrincipalName::Team(text(&fact.t).parse::<TeamId>().map_err(bad)?.uuid()),
        _ => PrincipalName::Role(text(&fact.t)),
    };
    let right = match (&fact.w, &fact.x) {
        (Some(role), _) => RightName::Role(role),
        (None, Some(permission)) => RightName::Permission(permission),
        (None, None) => return Err(Error::internal("a grant without a right")),
    };
    state.put_grant(fact.id()?, (text(&fact.u), text(&fact.v)), &principal, &right, fact.n.map(Timestamp));
    Ok(())
}

/// The statement, with whose memberships (`me`), which teams (`my_teams`), which resources
/// (`chain`) and which grants (`my_grants`) it is about.
macro_rules! facts {
    ($extent:literal) => {
        concat!(
            "WITH RECURSIVE ",
            $extent,
            "
        SELECT 0 AS tag, CAST(NULL AS UUID) AS a, CAST(NULL AS UUID) AS b, o.status AS s,
            CAST(o.role_priority AS TEXT) AS t,
            CAST(NULL AS TEXT) AS u, CAST(NULL AS TEXT) AS v, CAST(NULL AS TEXT) AS w, CAST(NULL AS TEXT) AS x,
            o.sequence AS n, p.sequence AS m
        FROM organizations o JOIN tenants p ON p.id = o.tenant_id WHERE o.tenant_id = $1 AND o.id = $2
        UNION ALL SELECT 1, me.user_id, me.id, me.status, r.role, NULL, NULL, NULL, NULL, me.ends_at, NULL
        FROM me JOIN membership_roles r ON r.tenant_id = me.tenant_id AND r.organization_id = me.organization_id
            AND r.membership_id = me.id
        UNION ALL SELECT 2, c.id, c.parent_id, r.role, NULL, NULL, NULL, NULL, NULL, NULL, NULL
        FROM my_teams c LEFT JOIN team_roles r
            ON r.tenant_id = c.tenant_id AND r.organization_id = c.organization_id AND r.team_id = c.id
        UNION ALL SELECT 3, x.membership_id, x.team_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
        FROM me JOIN team_members x ON x.tenant_id = me.tenant_id AND x.organization_id = me.organization_id
            AND x.membership_id = me.id
        UNION ALL SELECT 4, NULL, NULL, r.slug, q.permission, NULL, NULL, NULL, NULL, NULL, NULL
        FROM roles r LEFT JOIN role_permissions q
            ON q.tenant_id = r.tenant_id AND q.scope_id = r.scope_id AND q.role = r.slug
        WHERE r.tenant_id = $1 AND r.scope_id = $2
        UNION ALL SELECT 5, NULL, NULL, c.type, c.id, c.parent_type, c.parent_id, NULL, NULL, NULL, NULL FROM chain c
        UNION ALL SELECT 7, NULL, NULL, q.name, q.text, q.effect, NULL, NULL, NULL, NULL, NULL
        FROM policies q WHERE q.tenant_id = $1 AND q.scope_id = $2
        UNION ALL SELECT 6, g.id, NULL, g.principal_kind, g.principal_id, g.resource_type, g.resource_id, g.role,
            g.permission, g.ends_at, NULL
        FROM my_grants g"
        )
    };
}

const WHOLE: &str = facts!(
    "me AS (SELECT tenant_id, organization_id, id, user_id, status, ends_at FROM memberships
            WHERE tenant_id = $1 AND organization_id = $2 AND status <> 'removed'),
        my_teams AS (SELECT tenant_id, organization_id, id, parent_id FROM teams
            WHERE tenant_id = $1 AND organization_id = $2),
        chain AS (SELECT type, id, parent_type, parent_id FROM resources
            WHERE tenant_id = $1 AND organization_id = $2),
        my_grants AS (SELECT * FROM grants WHERE tenant_id = $1 AND organization_id = $2)"
);

// Steps are joined by columns that the rows carry, never by the parameters: PostgreSQL would otherwise take it for cheap
// to read all of the organization for each row.
const QUESTION: &str = facts!(
    "me AS (SELECT tenant_id, organization_id, id, user_id, status, ends_at FROM memberships
            WHERE tenant_id = $1 AND organization_id = $2 AND user_id = $3 AND status <> 'removed'),
        my_teams (tenant_id, organization_id, id, parent_id) AS (
            SELECT t.tenant_id, t.organization_id, t.id, t.parent_id FROM me
            JOIN team_members x ON x.tenant_id = me.tenant_id AND x.organization_id = me.organization_id
                AND x.membership_id = me.id
            JOIN teams t ON t.tenant_id = x.tenant_id AND t.organization_id = x.organization_id AND t.id = x.team_id
            UNION SELECT t.tenant_id, t.organization_id, t.id, t.parent_id FROM my_teams c
            JOIN teams t ON t.tenant_id = c.tenant_id AND t.organization_id = c.organization_id AND t.id = c.parent_id),
        chain (tenant_id, organization_id, type, id, parent_type, parent_id) AS (
            SELECT tenant_id, organization_id, type, id, parent_type, parent_id FROM resources
            WHERE tenant_id = $1 AND organization_id = $2 AND type = $4 AND id = $5
            UNION SELECT r.tenant_id, r.organization_id, r.type, r.id, r.parent_type, r.parent_id FROM chain c
            JOIN resources r ON r.tenant_id = c.tenant_id AND r.organization_id = c.organization_id
                AND r.type = c.parent_type AND r.id = c.parent_id),
        asked (tenant_id, organization_id, type, id) AS (
            SELECT tenant_id, organization_id, type, id FROM chain
            UNION SELECT tenant_id, id, CAST($4 AS TEXT), CAST($5 AS TEXT) FROM organizations
                WHERE tenant_id = $1 AND id = $2),
        my_grants AS (SELECT g.* FROM asked a
            JOIN grants g ON g.tenant_id = a.tenant_id AND g.organization_id = a.organization_id
                AND g.resource_type = a.type AND g.resource_id = a.id)"
);
