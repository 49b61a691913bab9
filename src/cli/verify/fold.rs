//! The state that the events of a topic amount to, and how it differs from another.

use std::{collections::BTreeMap, sync::LazyLock};

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, ReflectMessage as _, Value};
use serde::Serialize;

use super::{report::Finding, trace::name};
use crate::{
    events::Stream,
    proto::{DESCRIPTORS, v1 as pb},
};

static ENVELOPE: LazyLock<MessageDescriptor> = LazyLock::new(|| {
    let pool = DescriptorPool::decode(DESCRIPTORS).expect("compiled by build.rs");
    pool.get_message_by_name("roster.v1.Event").expect("part of the contract")
});

/// The state of everything that events are about.
#[derive(Debug, Default)]
pub struct Fold {
    subjects: BTreeMap<Subject, Latest>,
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

/// How two states differ.
#[derive(Debug, Default, Serialize)]
pub struct Difference {
    /// How many things the database has.
    pub compared: u64,
    /// What is not the same in both.
    pub different: Finding,
}

impl Fold {
    /// Applies an event. The last of a subject's stream wins, so that an event out of order, which is counted
    /// elsewhere, does no harm here. False where the data is not what the type says.
    pub fn apply(&mut self, stream: Stream, event: &pb::Event, value: &[u8]) -> bool {
        let (Some(subject), Some(data)) = (&event.subject, data(event, value)) else { return false };
        let subject = (stream, subject.kind.clone(), subject.id.clone());
        let latest = self.subjects.entry(subject).or_insert(Latest { sequence: 0, after: None });
        if event.sequence > latest.sequence {
            *latest = Latest { sequence: event.sequence, after: state(&data, "after") };
            return latest.after.is_some() || state(&data, "before").is_some();
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
        let found = self.subjects.remove(&subject).and_then(|latest| latest.after);
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
        for (subject, _) in self.subjects.iter().filter(|(_, latest)| latest.after.is_some()) {
            self.difference.different.add(format_args!("{}: only in the topic", describe(subject)));
        }
        self.difference
    }
}

fn describe((stream, kind, id): &Subject) -> String {
    format!("{kind} {id} ({})", name(*stream))
}

/// The data of an event: the field that its type names.
fn data(event: &pb::Event, value: &[u8]) -> Option<DynamicMessage> {
    let field = ENVELOPE.get_field_by_name(&event.r#type.replace('.', "_"))?;
    field.containing_oneof()?;
    let envelope = DynamicMessage::decode(ENVELOPE.clone(), value).ok()?;
    message(&envelope, field.name())
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
