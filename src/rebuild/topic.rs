//! The state, from a topic alone: what a newcomer without the database can have.

use prost::Message as _;

use super::Fold;
use crate::{
    config::Kafka,
    error::{Error, Result},
    events::{Stream, state::Subject},
    proto::v1 as pb,
    relay::{
        Feed,
        reader::{self, Seen},
    },
};

/// The state that a topic amounts to, from its beginning to its present end. Blocks: call it on a thread that may.
///
/// Fails where a record is not what its topic carries: a state without it would be wrong in silence.
pub fn read(kafka: &Kafka, feed: Feed) -> Result<Fold> {
    let (mut fold, mut fault) = (Fold::default(), None);
    reader::read(kafka, feed, |seen| {
        let taken = match feed {
            Feed::Events => event(&mut fold, seen),
            Feed::State => thing(&mut fold, seen),
        };
        if taken.is_none() {
            fault.get_or_insert(seen.place());
        }
    })?;
    match fault {
        None => Ok(fold),
        Some((partition, offset)) => {
            let topic = feed.topic(kafka);
            Err(Error::internal(format!("{topic}, partition {partition}, offset {offset}: not a record of this topic")))
        }
    }
}

fn event(fold: &mut Fold, seen: &Seen<'_>) -> Option<()> {
    let event = pb::Event::decode(&*seen.decoded()?.bytes).ok()?;
    note_omission(fold, seen);
    fold.apply(Stream::of_event(&event)?, event).then_some(())
}

fn thing(fold: &mut Fold, seen: &Seen<'_>) -> Option<()> {
    let subject: Subject = str::from_utf8(seen.key()?).ok()?.parse().ok()?;
    if seen.value().is_none() {
        fold.put(subject, None);
        return Some(());
    }
    let state = pb::State::decode(&*seen.decoded()?.bytes).ok()?;
    note_omission(fold, seen);
    fold.put(subject, Some(state));
    Some(())
}

fn note_omission(fold: &mut Fold, seen: &Seen<'_>) {
    fold.omits_personal |= seen.header("x-personal-data") == Some(b"omitted");
}
