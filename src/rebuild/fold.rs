//! The state that events amount to, and how it differs from another.

use std::collections::BTreeMap;

use prost::Message;
use prost_reflect::{DynamicMessage, ReflectMessage as _, Value};

use super::Difference;
use crate::{
    events::{Stream, chain::ENVELOPE},
    proto::v1 as pb,
};

/// The state of everything that events are about.
#[derive(Debug, Default)]
pub struct Fold {
    subjects: BTreeMap<Subject, Latest>,
    /// Where the end of an organization stands in its stream: everything before it is no more.
    purged: BTreeMap<Stream, i64>,
    difference: Difference,
}

/// Stream, kind and id: slugs are unique in their stream alone.
type Subject = (Stream, String, String);

/// What the last event about a subject says.
#[derive(Debug)]
struct Latest {
    sequence: i64,
    /// The state after it; none where the subject is no more.
    after: Option<Vec<u8>>,
}

impl Fold {
    /// Applies an event. The last of a subject's stream wins, so that an event out of order, which is counted
    /// elsewhere, does no harm here. False where the data is not what the type says.
    pub fn apply(&mut self, stream: Stream, event: &pb::Event, value: &[u8]) -> bool {
        let (Some(subject), Some(data)) = (&event.subject, data(event, value)) else { return false };
        if let Some(pb::event::Data::OrganizationPurged(_)) = event.data {
            self.purged.insert(stream, event.sequence);
        }
        let subject = (stream, subject.kind.clone(), subject.id.clone());
        let latest = self.subjects.entry(subject).or_insert(Latest { sequence: 0, after: None });
        if event.sequence > latest.sequence {
            *latest = Latest { sequence: event.sequence, after: state(&data, "after") };
            return latest.after.is_some() || state(&data, "before").is_some() || !speaks_of_state(&data);
        }
        true
    }

    /// Compares with a thing that the database has.
    pub fn expect<M: Message + Default + PartialEq>(
        &mut self,
        stream: Stream,
        kind: &str,
        id: impl ToString,
        expected: &M,
    ) {
        self.difference.compared += 1;
        let subject = (stream, kind.to_owned(), id.to_string());
        let purged = self.purged.get(&stream).copied().unwrap_or(0);
        let latest = self.subjects.remove(&subject).filter(|latest| latest.sequence >= purged);
        let found = latest.and_then(|latest| latest.after);
        let different = &mut self.difference.different;
        match found {
            None => different.add(format_args!("{}: only in the database", describe(&subject))),
            // Decoded, for the order of fields is nobody's business.
            Some(found) if M::decode(found.as_slice()).as_ref() != Ok(expected) => {
                different.add(format_args!("{}: not the same", describe(&subject)));
            }
            Some(_) => {}
        }
    }

    /// How the states differ, after everything that the database has was compared.
    pub fn finish(mut self) -> Difference {
        let is_there = |(subject, latest): &(&Subject, &Latest)| {
            latest.after.is_some() && self.purged.get(&subject.0).is_none_or(|purged| latest.sequence >= *purged)
        };
        for (subject, _) in self.subjects.iter().filter(is_there) {
            self.difference.different.add(format_args!("{}: only in the topic", describe(subject)));
        }
        self.difference
    }
}

fn describe((stream, kind, id): &Subject) -> String {
    format!("{kind} {id} ({stream})")
}

/// The data of an event: the field that its type names.
fn data(event: &pb::Event, value: &[u8]) -> Option<DynamicMessage> {
    let field = ENVELOPE.get_field_by_name(&event.r#type.replace('.', "_"))?;
    field.containing_oneof()?;
    let envelope = DynamicMessage::decode(ENVELOPE.clone(), value).ok()?;
    message(&envelope, field.name())
}

/// Whether events of this type have a state before or after: a checkpoint's have none.
fn speaks_of_state(data: &DynamicMessage) -> bool {
    ["before", "after"].iter().any(|name| data.descriptor().get_field_by_name(name).is_some())
}

fn state(data: &DynamicMessage, name: &str) -> Option<Vec<u8>> {
    message(data, name).map(|state| state.encode_to_vec())
}

fn message(of: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    let field = of.descriptor().get_field_by_name(name)?;
    match of.has_field(&field).then(|| of.get_field(&field).into_owned())? {
        Value::Message(message) => Some(message),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::OrganizationId;

    /// The second event of a stream, about something else than the third.
    fn event(id: OrganizationId, sequence: i64, kind: &str, name: &str, data: pb::event::Data) -> pb::Event {
        pb::Event {
            r#type: name.to_owned(),
            organization_id: id.to_string(),
            sequence,
            subject: Some(pb::EventSubject { kind: kind.to_owned(), id: format!("{kind} {sequence}") }),
            data: Some(data),
            ..pb::Event::default()
        }
    }

    #[test]
    fn what_is_purged_takes_everything_before_it_along_in_whatever_order_it_comes() {
        let id = OrganizationId::generate();
        let stream = Stream::Organization(id);
        let team = || Some(pb::Team { name: "core".to_owned(), ..pb::Team::default() });
        let team =
            event(id, 1, "team", "team.created", pb::event::Data::TeamCreated(pb::TeamCreated { after: team() }));
        let organization = pb::Organization { slug: "acme".to_owned(), ..pb::Organization::default() };
        let rest = pb::Organization::default();
        let purged = pb::OrganizationPurged { before: Some(organization), after: Some(rest.clone()) };
        let purged = event(id, 2, "organization", "organization.purged", pb::event::Data::OrganizationPurged(purged));
        for order in [[&team, &purged], [&purged, &team]] {
            let mut fold = Fold::default();
            for event in order {
                assert!(fold.apply(stream, event, &event.encode_to_vec()));
            }
            fold.expect(stream, "organization", "organization 2", &rest);
            let difference = fold.finish();
            assert_eq!((difference.compared, difference.different.count), (1, 0), "{difference:?}");
        }
        let mut fold = Fold::default();
        fold.apply(stream, &team, &team.encode_to_vec());
        assert_eq!(fold.finish().different.count, 1, "without its end it is missing");
    }
}
