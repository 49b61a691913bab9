//! Policies whose meaning is stated twice: as Cedar's text for the service, and as a function for the model.

use super::model::{Facts, Organization, User};
use crate::support::chance::Chance;

/// A policy.
pub struct Policy {
    pub text: String,
    pub forbids: bool,
    pub matches: Box<dyn Fn(&Facts<'_>) -> bool + Send + Sync>,
}

fn policy(text: String, matches: impl Fn(&Facts<'_>) -> bool + Send + Sync + 'static) -> Policy {
    Policy { forbids: text.starts_with("forbid"), text, matches: Box::new(matches) }
}

fn is(permission: &str) -> impl Fn(&Facts<'_>) -> bool + Send + Sync + use<> {
    let permission = permission.to_owned();
    move |facts| facts.question.permission == permission
}

/// A random policy that names people, teams and resources of this organization.
pub fn random(chance: &mut Chance, organization: &Organization, users: &[(&String, &User)]) -> Policy {
    match chance.below(10) {
        0 => by_role(chance.one_of(&["auditor", "member", "org-lead", "reader"])),
        1 => below_resource(chance.one_of(&["a", "b", "c"])),
        2 => without_mfa(chance.one_of(&["docs:write", "billing:pay"])),
        3 => with_attribute(),
        4 => match chance.any_of(&organization.teams.keys().collect::<Vec<_>>()) {
            Some(team) => by_team(team),
            None => without_mfa("docs:write"),
        },
        5 => risky_documents(),
        6 => to_one(chance.one_of(users).0),
        7 => match chance.any_of(&organization.memberships.keys().collect::<Vec<_>>()) {
            Some(membership) => against_one(membership),
            None => with_attribute(),
        },
        8 => in_organization(&organization.id),
        _ => drafts(),
    }
}

fn by_role(role: &str) -> Policy {
    let text =
        format!(r#"permit (principal in Roster::Role::"{role}", action == Roster::Action::"docs:read", resource);"#);
    let (role, reads) = (role.to_owned(), is("docs:read"));
    policy(text, move |facts| reads(facts) && facts.roles.contains(&role))
}

fn below_resource(id: &str) -> Policy {
    let text = format!(
        r#"permit (principal, action == Roster::Action::"docs:read", resource in Roster::Resource::"doc/{id}");"#
    );
    let (resource, reads) = (("doc".to_owned(), id.to_owned()), is("docs:read"));
    policy(text, move |facts| reads(facts) && facts.resources.contains(&resource))
}

fn without_mfa(permission: &str) -> Policy {
    let text = format!(
        r#"forbid (principal, action == Roster::Action::"{permission}", resource)
        unless {{ context has mfa && context.mfa }};"#
    );
    let does = is(permission);
    policy(text, move |facts| does(facts) && facts.question.context.mfa != Some(true))
}

fn with_attribute() -> Policy {
    let text = r#"forbid (principal, action, resource)
        when { context.attributes.hasTag("frozen") && context.attributes.getTag("frozen") == "yes" };"#;
    policy(text.to_owned(), |facts| facts.question.context.attributes.get("frozen").is_some_and(|it| it == "yes"))
}

fn by_team(team: &str) -> Policy {
    let text = format!(
        r#"permit (principal in Roster::Team::"{team}",
        action in [Roster::Action::"docs:write", Roster::Action::"docs.admin:purge"], resource);"#
    );
    let (team, writes, purges) = (team.to_owned(), is("docs:write"), is("docs.admin:purge"));
    policy(text, move |facts| (writes(facts) || purges(facts)) && facts.teams.contains(&team))
}

fn risky_documents() -> Policy {
    let text = r#"forbid (principal, action, resource is Roster::Resource)
        when { resource.type == "doc" && context has risk && context.risk > 70 };"#;
    policy(text.to_owned(), |facts| {
        let question = facts.question;
        question.resource.as_ref().is_some_and(|(kind, _)| kind == "doc")
            && question.context.risk.is_some_and(|risk| risk > 70)
    })
}

fn to_one(user: &str) -> Policy {
    let text =
        format!(r#"permit (principal == Roster::User::"{user}", action == Roster::Action::"billing:pay", resource);"#);
    let (user, pays) = (user.to_owned(), is("billing:pay"));
    policy(text, move |facts| pays(facts) && facts.question.user == user)
}

fn against_one(membership: &str) -> Policy {
    let text = format!(
        r#"forbid (principal, action == Roster::Action::"docs:read", resource)
        when {{ principal.membership == "{membership}" }};"#
    );
    let (membership, reads) = (membership.to_owned(), is("docs:read"));
    policy(text, move |facts| reads(facts) && facts.membership == membership)
}

fn in_organization(id: &str) -> Policy {
    let text = format!(
        r#"permit (principal, action == Roster::Action::"billing:pay", resource in Roster::Organization::"{id}")
        when {{ context has mfa && context.mfa }};"#
    );
    let (id, pays) = (id.to_owned(), is("billing:pay"));
    policy(text, move |facts| pays(facts) && facts.organization == id && facts.question.context.mfa == Some(true))
}

fn drafts() -> Policy {
    let text = r#"permit (principal, action == Roster::Action::"docs:read", resource is Roster::Resource)
        when { resource.type == "draft" && resource.id like "x*" };"#;
    let reads = is("docs:read");
    policy(text.to_owned(), move |facts| {
        let resource = facts.question.resource.as_ref();
        reads(facts) && resource.is_some_and(|(kind, id)| kind == "draft" && id.starts_with('x'))
    })
}
