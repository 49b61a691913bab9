//! Which events a reader wants.

use std::str::FromStr as _;

use crate::{
    events::{Stream, TYPES, actor_kind},
    fields::Fields,
    ids::{ApiKeyId, DomainId, GrantId, InvitationId, MembershipId, OrganizationId, TeamId, TenantId, UserId},
    proto::v1 as pb,
};

/// How many entries each part of a filter may have.
const ENTRIES_MAX: usize = 50;
/// The longest id of a subject or an actor.
const ID_CHARACTERS_MAX: usize = 500;

/// Whether a text is an id of its kind.
type IsId = fn(&str) -> bool;

/// The kinds of subjects, and what their ids look like. Permissions, policies and roles are known by slugs and names,
/// resources and members of teams by two words.
const SUBJECTS: [(&str, Option<IsId>); 15] = [
    ("api_key", Some(|id| ApiKeyId::from_str(id).is_ok())),
    ("checkpoint", None),
    ("domain", Some(|id| DomainId::from_str(id).is_ok())),
    ("grant", Some(|id| GrantId::from_str(id).is_ok())),
    ("invitation", Some(|id| InvitationId::from_str(id).is_ok())),
    ("membership", Some(|id| MembershipId::from_str(id).is_ok())),
    ("organization", Some(|id| OrganizationId::from_str(id).is_ok())),
    ("permission", None),
    ("policy", None),
    ("resource", None),
    ("role", None),
    ("team", Some(|id| TeamId::from_str(id).is_ok())),
    ("team_member", None),
    ("tenant", Some(|id| TenantId::from_str(id).is_ok())),
    ("user", Some(|id| UserId::from_str(id).is_ok())),
];

/// Which events a reader wants.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only this stream.
    pub stream: Option<Stream>,
    types: Vec<String>,
    subjects: Vec<pb::EventSubjectFilter>,
    actors: Vec<pb::EventActorFilter>,
}

impl Filter {
    /// Reads a filter: `stream_id` is an organization or a tenant.
    pub fn read(
        fields: &mut Fields,
        stream_id: &str,
        types: Vec<String>,
        subjects: Vec<pb::EventSubjectFilter>,
        actors: Vec<pb::EventActorFilter>,
    ) -> Self {
        fields.count("types", types.len(), 0..=ENTRIES_MAX);
        for (index, _) in types.iter().enumerate().filter(|(_, name)| !TYPES.contains(&name.as_str())) {
            fields.wrong(format!("types[{index}]"), "no type of event");
        }
        fields.count("subjects", subjects.len(), 0..=ENTRIES_MAX);
        for (index, subject) in subjects.iter().enumerate() {
            fields.within(format_args!("subjects[{index}]"), |fields| check_subject(fields, subject));
        }
        fields.count("actors", actors.len(), 0..=ENTRIES_MAX);
        for (index, actor) in actors.iter().enumerate() {
            fields.within(format_args!("actors[{index}]"), |fields| check_actor(fields, actor));
        }
        let stream: Option<Stream> = stream_id.parse().ok();
        if stream.is_none() && !stream_id.is_empty() {
            fields.wrong("stream_id", "not an id of the form org_… or tenant_…");
        }
        Self { stream, types, subjects, actors }
    }

    /// Events about some kinds of things.
    pub fn about(kinds: &[&str]) -> Self {
        let subject = |kind: &&str| pb::EventSubjectFilter { kind: (*kind).to_owned(), id: String::new() };
        Self { subjects: kinds.iter().map(subject).collect(), ..Self::default() }
    }

    /// And of these types.
    pub fn of_types(self, types: &[&str]) -> Self {
        Self { types: types.iter().map(|name| (*name).to_owned()).collect(), ..self }
    }

    /// The types, as a statement takes them.
    pub(super) fn types(&self) -> String {
        listed(self.types.iter().cloned())
    }

    /// The subjects, as a statement takes them: the kind, or kind and id.
    pub(in crate::events) fn subjects(&self) -> String {
        listed(self.subjects.iter().map(|subject| keyed(&subject.kind, &subject.id)))
    }

    /// The actors, as a statement takes them: the kind, kind and id, or the id behind no kind.
    pub(super) fn actors(&self) -> String {
        let key = |actor: &pb::EventActorFilter| match actor.kind() {
            pb::EventActorKind::Unspecified => keyed("", &actor.id),
            kind => keyed(actor_kind(kind), &actor.id),
        };
        listed(self.actors.iter().map(key))
    }
}

fn check_subject(fields: &mut Fields, subject: &pb::EventSubjectFilter) {
    fields.text("id", &subject.id, 0..=ID_CHARACTERS_MAX);
    match SUBJECTS.iter().find(|(kind, _)| *kind == subject.kind) {
        None if subject.kind.is_empty() => fields.wrong("kind", "required"),
        None => fields.wrong("kind", "not what stands before the dot in a type of event, such as team_member"),
        Some((kind, Some(is_id))) if !subject.id.is_empty() && !is_id(&subject.id) => {
            fields.wrong("id", format!("not the id of a subject of the kind {kind}"));
        }
        Some(_) => {}
    }
}

fn check_actor(fields: &mut Fields, actor: &pb::EventActorFilter) {
    fields.text("id", &actor.id, 0..=ID_CHARACTERS_MAX);
    let kind: Option<pb::EventActorKind> = fields.choice_optional("kind", actor.kind);
    if actor.kind == 0 && actor.id.is_empty() {
        fields.wrong("kind", "required, where there is no id");
    }
    let is_id = match kind {
        Some(pb::EventActorKind::ApiKey) => ApiKeyId::from_str(&actor.id).is_ok(),
        Some(pb::EventActorKind::User) => UserId::from_str(&actor.id).is_ok(),
        Some(pb::EventActorKind::System | pb::EventActorKind::Operator) => false,
        Some(pb::EventActorKind::Service | pb::EventActorKind::Unspecified) | None => true,
    };
    if !actor.id.is_empty() && !is_id {
        fields.wrong("id", "not the id of an actor of this kind");
    }
}

/// Between entries: a control character, which no text of a caller has.
const ENTRY: &str = "\u{1e}";
/// Between a kind and an id.
const WITHIN: &str = "\u{1f}";

/// Entries as a statement finds them: exactly, whatever is in them, on either engine.
fn listed(entries: impl Iterator<Item = String>) -> String {
    let entries: Vec<_> = entries.collect();
    if entries.is_empty() { String::new() } else { format!("{ENTRY}{}{ENTRY}", entries.join(ENTRY)) }
}

fn keyed(kind: &str, id: &str) -> String {
    if id.is_empty() { kind.to_owned() } else { format!("{kind}{WITHIN}{id}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thing_that_events_are_about_is_a_kind_of_subject() {
        for name in TYPES {
            let thing = name.split('.').next().unwrap();
            assert!(SUBJECTS.iter().any(|(kind, _)| *kind == thing), "{name}");
        }
    }

    #[test]
    fn a_filter_says_its_entries_apart() {
        assert_eq!(listed(std::iter::empty()), "");
        let entries = [keyed("role", ""), keyed("user", "user_1"), keyed("", "ci")];
        assert_eq!(listed(entries.into_iter()), "\u{1e}role\u{1e}user\u{1f}user_1\u{1e}\u{1f}ci\u{1e}");
    }
}
