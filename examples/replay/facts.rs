//! A state as a list of sentences: two states are equal where their sentences are.

use std::collections::{BTreeMap, HashMap};

use roster::proto::v1::{
    Grant, Membership, MembershipStatus, Organization, OrganizationStatus, Team, TeamMemberRole, grant, grant_principal,
};
use serde::Deserialize;
use tonic::Status;

use crate::{apply::REPOSITORY, directory, listing, service::Service};

/// A state of one organization as `final.json` has it.
#[derive(Debug, Deserialize)]
pub struct Expected {
    /// What every member is.
    pub members: BTreeMap<String, String>,
    /// The parent of every team.
    pub teams: BTreeMap<String, Option<String>>,
    /// Team, user, and what the user is in the team.
    pub team_members: Vec<(String, String, String)>,
    /// Team, repository and level.
    pub grants: Vec<(String, String, String)>,
}

/// What `final.json` says of an organization.
pub fn expected(org: &str, state: &Expected) -> Vec<String> {
    let members = state.members.iter().map(|(user, standing)| member(org, user, standing));
    let teams = state.teams.iter().map(|(name, parent)| team(org, name, parent.as_deref()));
    let places = state.team_members.iter().map(|(team, user, place)| team_member(org, team, user, place));
    let grants = state.grants.iter().map(|(team, repo, level)| granted(org, team, repo, level));
    std::iter::once(organization(org)).chain(members).chain(teams).chain(places).chain(grants).collect()
}

/// What the service says of an organization. `users` has their names by their ids.
pub async fn held(
    service: &Service,
    held: &Organization,
    users: &HashMap<String, String>,
) -> Result<Vec<String>, Status> {
    let org = held.slug.as_str();
    let memberships = listing::memberships(service, &held.organization_id, "").await?;
    let teams = listing::teams(service, &held.organization_id).await?;
    let names = Names::of(&memberships, &teams, users);
    let mut facts = vec![standing_of(held)];
    facts.extend(memberships.iter().map(|held| member(org, names.member(&held.membership_id), &roles_of(held))));
    for held in &teams {
        let parent = (!held.parent_team_id.is_empty()).then(|| names.team(&held.parent_team_id));
        facts.push(team(org, &held.name, parent));
        for place in listing::team_members(service, held).await? {
            let word = place_of(place.role());
            facts.push(team_member(org, &held.name, names.member(&place.membership_id), &word));
        }
    }
    let grants = listing::grants(service, &held.organization_id, None, None).await?;
    facts.extend(grants.iter().map(|held| names.grant(org, held)));
    Ok(facts)
}

fn organization(org: &str) -> String {
    format!("{org}: is an organization")
}

fn member(org: &str, user: &str, standing: &str) -> String {
    format!("{org}: {user} is {standing}")
}

fn team(org: &str, team: &str, parent: Option<&str>) -> String {
    match parent {
        Some(parent) => format!("{org}: team {team} stands below {parent}"),
        None => format!("{org}: team {team} stands at the top"),
    }
}

fn team_member(org: &str, team: &str, user: &str, place: &str) -> String {
    format!("{org}: {user} is {place} in team {team}")
}

fn granted(org: &str, team: &str, repo: &str, level: &str) -> String {
    format!("{org}: team {team} holds {level} on {repo}")
}

/// An organization in any other status than active is a difference.
fn standing_of(held: &Organization) -> String {
    match held.status() {
        OrganizationStatus::Active => organization(&held.slug),
        other => format!("{}: is {other:?}", held.slug),
    }
}

/// The roles of a membership in the words of the file; others, and any other status than active, are differences.
fn roles_of(held: &Membership) -> String {
    let word = |role: &str| if role == "owner" { "admin".to_owned() } else { role.to_owned() };
    let roles: Vec<_> = held.roles.iter().map(|assigned| word(&assigned.role)).collect();
    match held.status() {
        MembershipStatus::Active => roles.join(" and "),
        other => format!("{} ({other:?})", roles.join(" and ")),
    }
}

fn place_of(role: TeamMemberRole) -> String {
    match role {
        TeamMemberRole::Maintainer => "maintainer".to_owned(),
        TeamMemberRole::Member => "member".to_owned(),
        TeamMemberRole::Unspecified => "nothing".to_owned(),
    }
}

/// The names of memberships and teams by their ids; an unknown id stands for itself.
struct Names<'a>(HashMap<&'a str, &'a str>);

impl<'a> Names<'a> {
    fn of(memberships: &'a [Membership], teams: &'a [Team], users: &'a HashMap<String, String>) -> Self {
        let user = |held: &'a Membership| Some((held.membership_id.as_str(), users.get(&held.user_id)?.as_str()));
        let team = |held: &'a Team| (held.team_id.as_str(), held.name.as_str());
        Self(memberships.iter().filter_map(user).chain(teams.iter().map(team)).collect())
    }

    fn member<'b>(&self, id: &'b str) -> &'b str
    where
        'a: 'b,
    {
        self.0.get(id).copied().unwrap_or(id)
    }

    fn team<'b>(&self, id: &'b str) -> &'b str
    where
        'a: 'b,
    {
        self.member(id)
    }

    fn grant(&self, org: &str, held: &Grant) -> String {
        let principal = held.principal.as_ref().and_then(|principal| principal.kind.as_ref());
        let resource = held.resource.as_ref().filter(|resource| resource.r#type == REPOSITORY);
        let (Some(grant_principal::Kind::TeamId(team)), Some(repository), Some(grant::Right::Role(role))) =
            (principal, resource, &held.right)
        else {
            return format!("{org}: has the grant {held:?}");
        };
        granted(org, self.team(team), &repository.id, role.strip_prefix("repository-").unwrap_or(role))
    }
}

/// The names of all users by their ids.
pub async fn users(service: &Service) -> Result<HashMap<String, String>, Status> {
    let users = listing::users(service).await?;
    Ok(users.into_iter().map(|user| (user.user_id.clone(), directory::name(&user))).collect())
}
