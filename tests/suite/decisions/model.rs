//! The reference model of a decision: SPEC section 5, read as naively as can be.
//!
//! Each function states one line of SPEC, which stands above it, over a state of plain maps and lists. Nothing here is
//! quick, and nothing knows how the service does it.

use std::collections::{BTreeMap, BTreeSet};

use super::policies::Policy;

/// Type and id.
pub type Resource = (String, String);

/// A tenant, and what its organizations hold.
#[derive(Default)]
pub struct State {
    /// The permissions of the catalogue.
    pub catalogue: BTreeSet<String>,
    pub users: BTreeMap<String, User>,
    /// The tenant's roles: their permissions and patterns.
    pub roles: BTreeMap<String, Vec<String>>,
    /// Several roles add up; else the highest counts alone.
    pub union: bool,
    /// The tenant's roles, the highest first.
    pub priority: Vec<String>,
    pub default_role: String,
    /// The tenant's policies, by name.
    pub policies: BTreeMap<String, Policy>,
    pub organizations: Vec<Organization>,
    /// Seconds since the history began.
    pub now: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum User {
    Active,
    Suspended,
    Removed,
}

#[derive(Default)]
pub struct Organization {
    pub id: String,
    pub suspended: bool,
    pub deleting: bool,
    /// By id; removed ones are not here.
    pub memberships: BTreeMap<String, Membership>,
    pub teams: BTreeMap<String, Team>,
    /// Its own roles: their permissions and patterns.
    pub roles: BTreeMap<String, Vec<String>>,
    /// Its own roles, the highest first.
    pub priority: Vec<String>,
    /// Its own default role; empty: the tenant's.
    pub default_role: String,
    /// The parent of each registered resource.
    pub resources: BTreeMap<Resource, Option<Resource>>,
    pub grants: BTreeMap<String, Grant>,
    /// Its own policies, by name.
    pub policies: BTreeMap<String, Policy>,
}

/// Where a membership stands, whatever its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    Pending,
    Active,
    Suspended,
}

pub struct Membership {
    pub user: String,
    pub standing: Standing,
    /// In seconds since the history began.
    pub end: Option<u64>,
    /// Role, source, reference.
    pub assignments: BTreeSet<(String, String, String)>,
}

#[derive(Default)]
pub struct Team {
    pub parent: Option<String>,
    pub members: BTreeSet<String>,
    pub roles: BTreeSet<String>,
}

#[derive(Clone, PartialEq, Eq)]
pub enum Principal {
    Membership(String),
    Team(String),
    Role(String),
}

#[derive(Clone, PartialEq, Eq)]
pub enum Right {
    Role(String),
    Permission(String),
}

#[derive(Clone)]
pub struct Grant {
    pub principal: Principal,
    pub resource: Resource,
    pub right: Right,
    /// In seconds since the history began.
    pub end: Option<u64>,
}

/// What the caller says of the circumstances.
#[derive(Clone, Default, Debug)]
pub struct Context {
    pub mfa: Option<bool>,
    pub risk: Option<i32>,
    pub attributes: BTreeMap<String, String>,
}

/// May they?
#[derive(Clone, Debug)]
pub struct Question {
    pub user: String,
    pub permission: String,
    pub resource: Option<Resource>,
    pub context: Context,
}

/// What policies look at.
pub struct Facts<'a> {
    pub question: &'a Question,
    pub organization: &'a str,
    pub membership: &'a str,
    pub roles: BTreeSet<String>,
    pub teams: BTreeSet<String>,
    /// The resource, and those above it.
    pub resources: Vec<Resource>,
}

/// SPEC: "An unknown permission is an error (UNKNOWN_PERMISSION), never a silent deny; in a batch, of its entry alone."
pub fn check(state: &State, organization: usize, question: &Question) -> &'static str {
    if !state.catalogue.contains(&question.permission) {
        return "UNKNOWN_PERMISSION";
    }
    decide(state, &state.organizations[organization], question)
}

/// SPEC: "allowed iff standing ∧ (rbac ∨ granted ∨ permit) ∧ ¬forbid." The reason is the first of these that decides.
fn decide(state: &State, organization: &Organization, question: &Question) -> &'static str {
    let member = match standing(state, organization, question) {
        Ok(member) => member,
        Err(reason) => return reason,
    };
    let (permits, forbids) = policy(state, organization, member, question);
    if forbids {
        "POLICY_FORBID"
    } else if rbac(state, organization, member, &question.permission) {
        "ROLE"
    } else if granted(state, organization, member, question) {
        "GRANT"
    } else if permits {
        "POLICY_PERMIT"
    } else {
        "NO_PERMISSION"
    }
}

/// SPEC: "**standing** holds iff o is ACTIVE, u is neither SUSPENDED nor REMOVED, m is ACTIVE and t is before m's end."
/// (Who is removed has no membership any more.)
fn standing<'a>(
    state: &State,
    organization: &'a Organization,
    question: &Question,
) -> Result<(&'a str, &'a Membership), &'static str> {
    if organization.deleting {
        return Err("ORGANIZATION_DELETING");
    }
    if organization.suspended {
        return Err("ORGANIZATION_SUSPENDED");
    }
    let mut of_user = organization.memberships.iter().filter(|(_, membership)| membership.user == question.user);
    let (id, membership) = of_user.next().ok_or("NOT_A_MEMBER")?;
    if state.users[&question.user] != User::Active {
        return Err("USER_SUSPENDED");
    }
    match membership.standing {
        Standing::Pending => Err("MEMBERSHIP_PENDING"),
        Standing::Active if membership.end.is_none_or(|end| state.now < end) => Ok((id, membership)),
        Standing::Active | Standing::Suspended => Err("MEMBERSHIP_SUSPENDED"),
    }
}

/// SPEC: "**teams(m)**: the teams m is in, and all their ancestors."
pub fn teams(organization: &Organization, membership: &str) -> BTreeSet<String> {
    let mut teams = BTreeSet::new();
    for (id, team) in &organization.teams {
        if team.members.contains(membership) {
            let mut above = Some(id.clone());
            while let Some(id) = above {
                above = organization.teams[&id].parent.clone();
                teams.insert(id);
            }
        }
    }
    teams
}

/// SPEC: "**roles(m)**: roles assigned to m, and to a team in teams(m), combined by the tenant's mode." And: "Several
/// roles add up (mode UNION, the default), or the one of highest priority counts (mode HIGHEST_PRIORITY, per tenant)."
fn roles(state: &State, organization: &Organization, (id, membership): (&str, &Membership)) -> BTreeSet<String> {
    let mut held: BTreeSet<String> = membership.assignments.iter().map(|(role, ..)| role.clone()).collect();
    for team in teams(organization, id) {
        held.extend(organization.teams[&team].roles.clone());
    }
    if state.union {
        return held;
    }
    order(state, organization).into_iter().find(|role| held.contains(role)).into_iter().collect()
}

/// SPEC: "The first own role gives an organization its own default and its own priority order; tenant roles rank below
/// it."
fn order(state: &State, organization: &Organization) -> Vec<String> {
    [organization.priority.clone(), state.priority.clone()].concat()
}

/// SPEC: "**rbac** holds iff some role in roles(m) contains p."
fn rbac(state: &State, organization: &Organization, member: (&str, &Membership), permission: &str) -> bool {
    roles(state, organization, member).iter().any(|role| contains(state, organization, role, permission))
}

/// SPEC: "A role's permissions are slugs, or patterns that end in `*` after a separator (`invoices:*`), or `*`."
fn contains(state: &State, organization: &Organization, role: &str, permission: &str) -> bool {
    let role = organization.roles.get(role).or(state.roles.get(role)).expect("a role that is assigned is there");
    role.iter().any(|entry| match entry.strip_suffix('*') {
        Some(prefix) => permission.starts_with(prefix),
        None => entry == permission,
    })
}

/// SPEC: "**granted** holds iff a resource r was given and some grant on r or an ancestor of r, not past its end, has as
/// principal m, a team in teams(m) or a role in roles(m), and contains p (as a permission, or as one of its role)."
fn granted(state: &State, organization: &Organization, member: (&str, &Membership), question: &Question) -> bool {
    let resources = with_ancestors(organization, question.resource.as_ref());
    organization.grants.values().any(|grant| {
        resources.contains(&grant.resource)
            && grant.end.is_none_or(|end| state.now < end)
            && match &grant.principal {
                Principal::Membership(id) => id == member.0,
                Principal::Team(id) => teams(organization, member.0).contains(id),
                Principal::Role(role) => roles(state, organization, member).contains(role),
            }
            && match &grant.right {
                Right::Permission(permission) => *permission == question.permission,
                Right::Role(role) => contains(state, organization, role, &question.permission),
            }
    })
}

/// A resource, and all its ancestors.
fn with_ancestors(organization: &Organization, resource: Option<&Resource>) -> Vec<Resource> {
    let mut resources = Vec::new();
    let mut above = resource.cloned();
    while let Some(resource) = above {
        above = organization.resources.get(&resource).cloned().flatten();
        resources.push(resource);
    }
    resources
}

/// SPEC: "**policy**: Cedar policies of the tenant and of the organization, over principal, action, resource and the
/// caller's context. A `forbid` that matches vetoes; a `permit` that matches allows." Answers whether some policy
/// permits, and whether some policy forbids.
fn policy(
    state: &State,
    organization: &Organization,
    member: (&str, &Membership),
    question: &Question,
) -> (bool, bool) {
    let facts = Facts {
        question,
        organization: &organization.id,
        membership: member.0,
        roles: roles(state, organization, member),
        teams: teams(organization, member.0),
        resources: with_ancestors(organization, question.resource.as_ref()),
    };
    let all = state.policies.values().chain(organization.policies.values());
    let matching: Vec<&Policy> = all.filter(|policy| (policy.matches)(&facts)).collect();
    (matching.iter().any(|policy| !policy.forbids), matching.iter().any(|policy| policy.forbids))
}
