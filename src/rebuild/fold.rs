//! The state that events amount to, and how it differs from another.

use std::collections::BTreeMap;

use prost::Message as _;

use super::Difference;
use crate::{
    error::{Error, Result},
    events::{
        Personal as _, Record, Stream,
        state::{self, Subject},
    },
    proto::v1 as pb,
};

/// The state of everything that events are about.
#[derive(Debug, Default)]
pub struct Fold {
    things: BTreeMap<Subject, Latest>,
    /// Where the end of an organization stands in its stream: everything before it is no more.
    purged: BTreeMap<Stream, i64>,
    /// Which log: what an earlier one said counts no more.
    epoch: String,
    /// Whether what was read is without personal fields.
    pub omits_personal: bool,
    difference: Difference,
}

/// What was said last about a thing.
#[derive(Debug)]
struct Latest {
    sequence: i64,
    /// The encoded state; none where the thing is no more.
    state: Option<Vec<u8>>,
}

impl Fold {
    /// Applies events of the log.
    pub fn take(&mut self, records: Vec<Record>) -> Result<()> {
        for record in records {
            let stream = record.stream();
            let event = record.decode("")?;
            let id = event.event_id.clone();
            if !self.apply(stream, event) {
                return Err(Error::internal(format!("the data of {id} is not of its type")));
            }
        }
        Ok(())
    }

    /// Applies an event. The last of a subject's stream wins, so that an event out of order, which is counted
    /// elsewhere, does no harm here. False where the data is not what the type says.
    pub fn apply(&mut self, stream: Stream, event: pb::Event) -> bool {
        if event.stream_epoch < self.epoch {
            return true;
        }
        self.enter(&event.stream_epoch);
        let Ok(left) = state::of(stream, event) else { return false };
        let Some(left) = left else { return true };
        if left.ends_stream {
            self.purged.insert(stream, left.sequence);
        }
        let latest = self.things.entry(left.subject).or_insert(Latest { sequence: 0, state: None });
        if left.sequence > latest.sequence {
            *latest = Latest { sequence: left.sequence, state: left.state.map(|state| state.encode_to_vec()) };
        }
        true
    }

    /// Takes the latest state of a thing, or that it is no more, as the topic of states tells it. What comes later counts.
    pub fn put(&mut self, subject: Subject, state: Option<pb::State>) {
        let Some(state) = state else { return drop(self.things.remove(&subject)) };
        if state.stream_epoch < self.epoch {
            return;
        }
        self.enter(&state.stream_epoch);
        if let Some(pb::state::Data::Organization(organization)) = &state.data
            && organization.status() == pb::OrganizationStatus::Purged
        {
            self.purged.insert(subject.stream, state.sequence);
        }
        self.things.insert(subject, Latest { sequence: state.sequence, state: Some(state.encode_to_vec()) });
    }

    /// Forgets everything where a later log begins.
    fn enter(&mut self, epoch: &str) {
        if *epoch > *self.epoch {
            self.things.clear();
            self.purged.clear();
            epoch.clone_into(&mut self.epoch);
        }
    }

    /// Takes a thing's state away.
    pub fn remove(&mut self, subject: &Subject) -> Option<pb::State> {
        let latest = self.things.remove(subject)?;
        self.present(subject, latest).and_then(|state| pb::State::decode(&*state).ok())
    }

    /// Compares with a thing that the database has.
    pub fn expect<M: Clone + Into<pb::state::Data>>(
        &mut self,
        stream: Stream,
        kind: &str,
        id: impl ToString,
        expected: &M,
    ) {
        self.difference.compared += 1;
        let subject = Subject { stream, kind: kind.to_owned(), id: id.to_string() };
        let found = self.things.remove(&subject).and_then(|latest| self.present(&subject, latest));
        // Decoded, for the order of fields is nobody's business.
        let found = found.map(|state| self.bare(pb::State::decode(&*state).ok()?.data?));
        let expected = self.bare(expected.clone().into());
        let different = &mut self.difference.different;
        match found {
            None => different.add(format_args!("{}: only in the database", describe(&subject))),
            Some(found) if found.as_ref() != expected.as_ref() => {
                different.add(format_args!("{}: not the same", describe(&subject)));
            }
            Some(_) => {}
        }
    }

    /// A thing as far as it can be compared.
    fn bare(&self, mut thing: pb::state::Data) -> Option<pb::state::Data> {
        if self.omits_personal {
            thing.take_personal();
        }
        Some(thing)
    }

    /// The state of a thing that did not end with its organization.
    fn present(&self, subject: &Subject, latest: Latest) -> Option<Vec<u8>> {
        let purged = self.purged.get(&subject.stream).copied().unwrap_or(0);
        latest.state.filter(|_| latest.sequence >= purged)
    }

    /// How the states differ, after everything that the database has was compared.
    pub fn finish(mut self) -> Difference {
        for (subject, latest) in std::mem::take(&mut self.things) {
            if self.present(&subject, latest).is_some() {
                self.difference.different.add(format_args!("{}: only in the topic", describe(&subject)));
            }
        }
        self.difference.without_personal = self.omits_personal;
        self.difference
    }

    /// Every thing that there is, in the order of streams, kinds and ids.
    pub fn into_states(mut self) -> impl Iterator<Item = pb::State> {
        let things = std::mem::take(&mut self.things);
        things.into_iter().filter_map(move |(subject, latest)| {
            self.present(&subject, latest).and_then(|state| pb::State::decode(&*state).ok())
        })
    }
}

fn describe(Subject { stream, kind, id }: &Subject) -> String {
    format!("{kind} {id} ({stream})")
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
                assert!(fold.apply(stream, event.clone()));
            }
            fold.expect(stream, "organization", "organization 2", &rest);
            let difference = fold.finish();
            assert_eq!((difference.compared, difference.different.count), (1, 0), "{difference:?}");
        }
        let mut fold = Fold::default();
        fold.apply(stream, team);
        assert_eq!(fold.finish().different.count, 1, "without its end it is missing");
    }

    #[test]
    fn a_later_log_is_all_that_counts_in_whatever_order_its_records_come() {
        let id = OrganizationId::generate();
        let stream = Stream::Organization(id);
        let team = |epoch: &str, sequence, name: &str| {
            let after = Some(pb::Team { name: name.to_owned(), ..pb::Team::default() });
            let data = pb::event::Data::TeamCreated(pb::TeamCreated { after });
            pb::Event { stream_epoch: epoch.to_owned(), ..event(id, sequence, "team", "team.created", data) }
        };
        let (old, gone, new) = (team("1", 1, "old"), team("1", 2, "gone"), team("2", 1, "new"));
        for order in [[&old, &gone, &new], [&new, &old, &gone], [&old, &new, &gone]] {
            let (mut of_events, mut of_states) = (Fold::default(), Fold::default());
            for event in order {
                assert!(of_events.apply(stream, event.clone()));
                let left = state::of(stream, event.clone()).unwrap().unwrap();
                of_states.put(left.subject, left.state);
            }
            for fold in [of_events, of_states] {
                let names = fold.into_states().map(|state| match state.data {
                    Some(pb::state::Data::Team(team)) => team.name,
                    other => panic!("{other:?}"),
                });
                assert_eq!(names.collect::<Vec<_>>(), ["new"]);
            }
        }
    }
}
