//! What the service calls the things of the model, and what it must show of them.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value, json};

use super::{
    house::subject,
    model::{Act, Id, Invitation, Membership, Organization, Place, Reference, Shown, State, Thing, Told, User},
};
use crate::support::text;

/// The ids of things, as far as the service has told them.
#[derive(Default)]
pub struct Names(HashMap<Id, String>);

impl Names {
    pub fn of(&self, id: Id) -> String {
        self.0.get(&id).unwrap_or_else(|| panic!("nobody has told the name of {id}")).clone()
    }

    /// An event about something new says what it is called.
    pub fn learn(&mut self, told: &Told, event: &Value) {
        if !["team_member", "role"].contains(&told.kind) {
            self.0.entry(told.id).or_insert_with(|| text(&event["subject"]["id"]));
        }
    }

    /// A new organization has a stream of its own: the answer says which.
    pub fn learn_organization(&mut self, act: &Act, answer: &Value) {
        for (place, shown) in &act.shown {
            if let ("organization", Shown::Thing(id)) = (place.as_str(), shown) {
                self.0.entry(*id).or_insert_with(|| text(&answer["organization"]["organizationId"]));
            }
        }
    }

    /// What an event is about, as it says it.
    pub fn subject(&self, id: Id, thing: &Thing) -> String {
        match thing {
            Thing::Place(Place { team, membership, .. }) => format!("{}/{}", self.of(*team), self.of(*membership)),
            Thing::Role(role) => role.slug.clone(),
            _ => self.of(id),
        }
    }

    /// What must be seen of a thing; of whoever is erased by now, nothing personal, whenever it was.
    pub fn show(&self, state: &State, id: Id, thing: &Thing) -> Map<String, Value> {
        let shown = match thing {
            Thing::User(user) => self.user(id, user, state.user(id).erased),
            Thing::Membership(membership) => self.membership(id, membership, state.user(membership.user).erased),
            Thing::Organization(org) => self.org(id, org),
            Thing::Invitation(invitation) => {
                let erased = !state.things.contains_key(&id) || state.invitation(id).email.is_empty();
                self.invitation(id, invitation, erased)
            }
            Thing::Team(team) => json!({"teamId": self.of(id), "name": team.name}),
            Thing::Place(it) => json!({"teamId": self.of(it.team), "membershipId": self.of(it.membership)}),
            Thing::Role(role) => json!({"slug": role.slug, "permissions": role.permissions}),
            Thing::Domain(domain) => json!({
                "domainId": self.of(id),
                "name": domain.name,
                "status": format!("DOMAIN_STATUS_{}", domain.status),
                "autoJoin.membersMax": domain.members_max,
            }),
        };
        match shown {
            Value::Object(fields) => fields,
            other => panic!("no fields: {other}"),
        }
    }

    fn user(&self, id: Id, user: &User, erased: bool) -> Value {
        let accounts: BTreeSet<String> =
            user.accounts.iter().filter(|_| !erased).map(|account| subject(*account)).collect();
        json!({
            "userId": self.of(id),
            "email": if erased { "" } else { &user.email },
            "displayName": if erased { "" } else { &user.name },
            "status": format!("USER_STATUS_{}", user.status),
            "suspendedFrom": format!("USER_STATUS_{}", user.from.unwrap_or("UNSPECIFIED")),
            "identities": accounts,
            "eraseTime?": user.erased,
        })
    }

    fn membership(&self, id: Id, membership: &Membership, erased: bool) -> Value {
        let roles = membership.roles.iter();
        let roles = roles.map(|it| format!("{} {} {}", it.role, it.source, self.reference(it.reference)));
        json!({
            "membershipId": self.of(id),
            "organizationId": self.of(membership.org),
            "userId": self.of(membership.user),
            "status": format!("MEMBERSHIP_STATUS_{}", membership.status),
            "kind": format!("MEMBERSHIP_KIND_{}", membership.kind),
            "source": format!("MEMBERSHIP_SOURCE_{}", membership.source),
            "sourceReference": self.reference(membership.reference),
            "roles": roles.collect::<BTreeSet<String>>(),
            "metadata": note(if erased { "" } else { &membership.note }),
            "endTime?": membership.end.is_some(),
        })
    }

    fn reference(&self, reference: Reference) -> String {
        match reference {
            Reference::None => String::new(),
            Reference::Group(group) => group.to_owned(),
            Reference::Invitation(id) => self.of(id),
        }
    }

    fn org(&self, id: Id, org: &Organization) -> Value {
        json!({
            "organizationId": self.of(id),
            "slug": org.slug,
            "displayName": org.name,
            "status": format!("ORGANIZATION_STATUS_{}", org.status),
            "defaultRole": org.default_role,
            "rolePriority": org.order,
            "purgeTime?": org.status == "DELETING",
        })
    }

    fn invitation(&self, id: Id, invitation: &Invitation, erased: bool) -> Value {
        let teams: BTreeSet<String> = invitation.teams.iter().map(|team| self.of(*team)).collect();
        json!({
            "invitationId": self.of(id),
            "organizationId": self.of(invitation.org),
            "email": if erased { "" } else { &invitation.email },
            "userId": self.of(invitation.user),
            "membershipId": self.of(invitation.membership),
            "status": format!("INVITATION_STATUS_{}", invitation.status),
            "roles": invitation.roles,
            "teamIds": teams,
            "endTime?": invitation.status != "PENDING",
        })
    }
}

pub fn note(note: &str) -> Value {
    if note.is_empty() { json!({}) } else { json!({"note": note}) }
}

/// Where something differs from what must be seen of it: the field, what must be seen, and what is.
pub fn difference(expected: &Map<String, Value>, actual: &Value) -> Option<String> {
    expected.iter().find_map(|(field, expected)| {
        let seen = match field.strip_suffix('?') {
            Some(field) => json!(!actual[field].is_null()),
            None => comparable(field.split('.').fold(actual, |value, part| &value[part])),
        };
        (seen != comparable(expected)).then(|| format!("{field}: {expected} by the model, but {seen} in {actual}"))
    })
}

/// Lists have no order that matters; assignments of roles and accounts are written as the model does.
fn comparable(value: &Value) -> Value {
    let Value::Array(entries) = value else { return value.clone() };
    let plain = |entry: &Value| match entry {
        Value::Object(entry) if entry.contains_key("role") => {
            let source = text(&entry["source"]).replace("MEMBERSHIP_SOURCE_", "");
            json!(format!("{} {source} {}", text(&entry["role"]), text(&entry["sourceReference"])))
        }
        Value::Object(entry) if entry.contains_key("issuer") => entry["subject"].clone(),
        entry => entry.clone(),
    };
    let mut entries: Vec<String> = entries.iter().map(|entry| plain(entry).to_string()).collect();
    entries.sort();
    json!(entries)
}
