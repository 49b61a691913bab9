//! What the topic holds: each event where it appeared first, and what was wrong on the way.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fmt,
};

use prost::Message as _;
use sha2::{Digest as _, Sha256};

use crate::{
    events::{Personal as _, Record, Stream},
    ids::{EventId, TenantId},
    proto::v1 as pb,
    rebuild::{Finding, Fold},
    relay::reader::Seen,
};

/// Enough of a SHA-256 to tell two events apart.
type Digest = [u8; 16];

/// What was read of a topic.
#[derive(Debug, Default)]
pub struct Trace {
    /// How many records there were.
    pub records: u64,
    /// Records of an earlier log: what it said counts no more.
    pub superseded: u64,
    /// Records of an event that was there already: what at-least-once delivery means, and no fault.
    pub duplicated: u64,
    /// Events in another partition than others of their stream.
    astray: Finding,
    /// How the values are written, and how many of them so.
    pub encodings: BTreeMap<String, u64>,
    /// Records that are no event, or not the one of the database in their place.
    pub phantom: Finding,
    /// Records whose key or headers say something else than their value.
    pub wrong_headers: Finding,
    /// The state that the events amount to.
    pub fold: Fold,
    /// Which log: the latest one of which there is a record, or the database's own.
    epoch: String,
    streams: BTreeMap<Stream, Track>,
    ids: HashSet<EventId>,
}

/// One stream.
#[derive(Debug)]
struct Track {
    partition: i32,
    events: BTreeMap<i64, Event>,
    /// Up to here retention has hidden it.
    cut_off: i64,
    /// Events that came after a later one.
    reordered: Finding,
    /// How the stream came since its first event did, where that was behind later ones.
    again: Option<Again>,
}

/// A stream that comes from its beginning once more, behind some of it.
#[derive(Debug)]
struct Again {
    /// What had come before, and has not come again yet.
    early: BTreeSet<i64>,
    /// The last event that came in order.
    last: i64,
    /// Whether everything came in order since.
    in_order: bool,
}

impl Track {
    fn in_partition(partition: i32) -> Self {
        Self { partition, events: BTreeMap::new(), cut_off: 0, reordered: Finding::default(), again: None }
    }

    /// Follows the order in which the stream comes. It begins anew with an event that is before all others.
    fn follow(&mut self, sequence: i64) {
        if self.events.first_key_value().is_some_and(|(first, _)| sequence < *first) {
            let early = self.events.keys().copied().collect();
            self.again = Some(Again { early, last: sequence, in_order: true });
        } else if let Some(again) = &mut self.again {
            again.early.remove(&sequence);
            again.in_order &= sequence > again.last || self.events.contains_key(&sequence);
            again.last = again.last.max(sequence);
        }
    }

    /// Whether everything came in order, behind some of it that had come too early: the topic was made anew while it was
    /// published to, and got the whole stream when that was noticed.
    fn began_again(&self) -> bool {
        self.again.as_ref().is_some_and(|again| again.in_order && again.early.is_empty())
    }
}

/// One event, without its content.
#[derive(Debug)]
struct Event {
    id: EventId,
    position: i64,
    digest: Digest,
    /// Whether that is of its bytes as they are in the database: JSON has lost their order.
    exact: bool,
    /// Whether it was published without what is personal in it.
    omits_personal: bool,
    /// Of the event without what is personal in it: the same before and after somebody was erased.
    impersonal: Digest,
    /// Whether the database has an event in this place.
    known: bool,
}

impl Trace {
    /// Of this log, or of a later one.
    pub fn from(epoch: String) -> Self {
        Self { epoch, ..Self::default() }
    }

    /// Follows one record, by the consumer's rule: what is not new to its stream is dropped.
    pub fn take(&mut self, record: &Seen<'_>) {
        self.records += 1;
        let encoding = record.encoding();
        let decoded = record.decoded();
        let Some((event, place)) = decoded.as_ref().and_then(|decoded| decode(&decoded.bytes)) else {
            let (partition, offset) = record.place();
            let what = format_args!("partition {partition}, offset {offset}: not an event in {encoding}");
            return self.phantom.add(what);
        };
        *self.encodings.entry(encoding).or_default() += 1;
        if !self.is_present(&event) {
            return;
        }
        for name in wrong_headers(record, &event) {
            self.wrong_headers.add(format_args!("{place}: {name}"));
        }
        let decoded = decoded.expect("an event was in it");
        let known = Event {
            id: place.id,
            position: event.position,
            digest: if decoded.exact { digest(&decoded.bytes) } else { digest(&event.encode_to_vec()) },
            exact: decoded.exact,
            omits_personal: record.header("x-personal-data") == Some(b"omitted"),
            impersonal: impersonal(event.clone()),
            known: false,
        };
        self.fold.omits_personal |= known.omits_personal;
        if self.is_new(place, record.place().0, known) && !self.fold.apply(place.stream, event) {
            self.phantom.add(format_args!("{place}: its data is not of its type"));
        }
    }

    /// Whether an event is of the present log. Where a later one begins, everything of the earlier is forgotten.
    fn is_present(&mut self, event: &pb::Event) -> bool {
        if event.stream_epoch > self.epoch {
            let earlier = u64::try_from(self.counts().0).unwrap_or(0) + self.duplicated;
            let later = Self::from(event.stream_epoch.clone());
            let Self { records, superseded, encodings, .. } = std::mem::replace(self, later);
            (self.records, self.superseded, self.encodings) = (records, superseded + earlier, encodings);
        }
        let is_present = event.stream_epoch == self.epoch;
        self.superseded += u64::from(!is_present);
        is_present
    }

    /// Notes an event where its stream has none in this place yet. It may come again without what was personal in it:
    /// then somebody was erased in between.
    fn is_new(&mut self, place: Place, partition: i32, event: Event) -> bool {
        let Place { stream, sequence, id } = place;
        let track = self.streams.entry(stream).or_insert_with(|| Track::in_partition(partition));
        track.follow(sequence);
        if let Some(first) = track.events.get(&sequence) {
            match first.digest == event.digest || first.impersonal == event.impersonal {
                true => self.duplicated += 1,
                false => self.phantom.add(format_args!("{place}: {} was there with other content", first.id)),
            }
            return false;
        }
        if !self.ids.insert(id) {
            self.phantom.add(format_args!("{place}: the id of another event"));
        }
        if partition != track.partition {
            self.astray.add(place);
        } else if track.events.last_key_value().is_some_and(|(last, _)| *last > sequence) {
            track.reordered.add(place);
        }
        track.events.insert(sequence, event);
        true
    }

    /// Events that came after a later one of their stream, or in another partition than it; and how many streams began
    /// again, so that this is no fault of theirs.
    pub fn reordered(&self) -> (Finding, u64) {
        let (mut reordered, mut again) = (self.astray.clone(), 0);
        for track in self.streams.values() {
            match track.began_again() {
                true => again += 1,
                false => reordered.put_first(track.reordered.clone()),
            }
        }
        (reordered, again)
    }

    /// Takes every event for one of the database: where there is none to compare with.
    pub fn trust(&mut self) {
        self.streams.values_mut().flat_map(|track| track.events.values_mut()).for_each(|event| event.known = true);
    }

    /// Holds a row of the log against the topic; false where the topic has nothing in its place. Where somebody was erased
    /// from the row, the topic may have it as it was published before.
    pub fn compare(&mut self, stream: Stream, record: Record, stream_epoch: &str) -> bool {
        let (sequence, erased) = (record.sequence, record.erased);
        let track = self.streams.get_mut(&stream);
        let Some(event) = track.and_then(|track| track.events.get_mut(&sequence)) else { return false };
        event.known = true;
        let place = Place { stream, sequence, id: event.id };
        let position = record.position.unwrap_or(0);
        if position != event.position {
            self.phantom.add(format_args!("{place}: at position {}, not {position}", event.position));
            return true;
        }
        if !event.is(&record.envelope(stream_epoch), erased) {
            self.phantom.add(format_args!("{place}: not what the database has"));
        }
        true
    }

    /// What retention has hidden of a stream: a topic that was made anew need not have it.
    pub fn cut_off(&mut self, stream: Stream, up_to: i64) {
        if let Some(track) = self.streams.get_mut(&stream) {
            track.cut_off = up_to;
        }
    }

    /// Notes every event that no row of the log was compared with; but what retention has dropped, the topic may have.
    pub fn note_unknown(&mut self, dropped_position: i64) {
        for event in self.streams.values_mut().flat_map(|track| track.events.values_mut()) {
            event.known |= event.position <= dropped_position;
        }
        for (stream, track) in &self.streams {
            for (sequence, event) in track.events.iter().filter(|(_, event)| !event.known) {
                let place = Place { stream: *stream, sequence: *sequence, id: event.id };
                self.phantom.add(format_args!("{place}: not in the database"));
            }
        }
    }

    /// Sequences that are missing below the last known one of their stream.
    pub fn gaps(&self) -> Finding {
        let mut gaps = Finding::default();
        for (stream, track) in &self.streams {
            let mut next = 1;
            for (&sequence, _) in track.events.iter().filter(|(_, event)| event.known) {
                match sequence - next.max(track.cut_off + 1) {
                    ..=0 => {}
                    1 => gaps.add(format_args!("{stream} {}", sequence - 1)),
                    missing => {
                        let first = sequence - missing;
                        gaps.add_many(missing.unsigned_abs(), format_args!("{stream} {first} to {}", sequence - 1))
                    }
                }
                next = sequence + 1;
            }
        }
        gaps
    }

    /// The last known sequence of a stream.
    pub fn last(&self, stream: Stream) -> i64 {
        let known = |track: &Track| track.events.iter().rfind(|(_, event)| event.known).map(|(sequence, _)| *sequence);
        self.streams.get(&stream).and_then(known).unwrap_or(0)
    }

    /// How many events and streams there are.
    pub fn counts(&self) -> (usize, usize) {
        (self.streams.values().map(|track| track.events.len()).sum(), self.streams.len())
    }
}

impl Event {
    /// Whether it is the event of this envelope. Where something of that is erased, or nothing personal was published,
    /// everything else must be the same.
    fn is(&self, envelope: &[u8], erased: bool) -> bool {
        if self.exact && self.digest == digest(envelope) {
            return true;
        }
        let Ok(row) = pb::Event::decode(envelope) else { return false };
        (!self.exact && self.digest == digest(&row.encode_to_vec()))
            || ((erased || self.omits_personal) && self.impersonal == impersonal(row))
    }
}

/// Where an event belongs.
#[derive(Clone, Copy)]
struct Place {
    stream: Stream,
    sequence: i64,
    id: EventId,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} {})", self.id, self.stream, self.sequence)
    }
}

fn decode(value: &[u8]) -> Option<(pb::Event, Place)> {
    let event = pb::Event::decode(value).ok()?;
    let _: TenantId = event.tenant_id.parse().ok()?;
    let place = Place { stream: Stream::of_event(&event)?, sequence: event.sequence, id: event.event_id.parse().ok()? };
    (1..i64::MAX).contains(&event.sequence).then_some((event, place))
}

fn digest(value: &[u8]) -> Digest {
    Sha256::digest(value)[..16].try_into().expect("sixteen bytes")
}

/// The digest of what is left of an event when everybody in it is erased.
fn impersonal(mut event: pb::Event) -> Digest {
    event.take_personal();
    digest(&event.encode_to_vec())
}

/// What of the key and of the headers disagrees with the value. They are spelled out here a second time, on purpose:
/// this is what consumers rely on, not what the relay happens to write.
fn wrong_headers(record: &Seen<'_>, event: &pb::Event) -> Vec<&'static str> {
    let key = if event.organization_id.is_empty() { &event.tenant_id } else { &event.organization_id };
    let expected = [
        ("ce_id", event.event_id.clone()),
        ("ce_type", event.r#type.clone()),
        ("ce_sequence", format!("{:019}", event.sequence)),
        ("x-position", event.position.to_string()),
        ("x-stream-epoch", event.stream_epoch.clone()),
    ];
    let is_wrong = |(name, value): &(&str, String)| record.header(name) != Some(value.as_bytes());
    let mut wrong: Vec<_> = expected.into_iter().filter(is_wrong).map(|(name, _)| name).collect();
    if record.key() != Some(key.as_bytes()) {
        wrong.push("key");
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, reason: &str) -> pb::Event {
        let after = pb::User { email: name.into(), ..pb::User::default() };
        pb::Event {
            reason: reason.into(),
            data: Some(pb::event::Data::UserCreated(pb::UserCreated { after: Some(after) })),
            ..pb::Event::default()
        }
    }

    fn row(tenant_id: TenantId, event: &pb::Event, erased: bool) -> Record {
        let payload = pb::Event { position: 0, stream_epoch: String::new(), ..event.clone() }.encode_to_vec();
        let (subject_payload, actor_payload) = (None, None);
        let (stream_id, position) = (tenant_id.uuid(), Some(7));
        Record { position, tenant_id, stream_id, sequence: 1, payload, subject_payload, actor_payload, erased }
    }

    /// Phantoms and duplicates, of what was published of an event, held against its row in the log.
    fn found(published: &[&pb::Event], stored: &pb::Event, erased: bool) -> (u64, u64) {
        let (id, tenant_id) = (EventId::generate(), TenantId::generate());
        let place = Place { stream: Stream::Tenant(tenant_id), sequence: 1, id };
        let mut trace = Trace::default();
        for event in published {
            let value = row(tenant_id, event, false).envelope("e");
            let (digest, impersonal) = (digest(&value), impersonal(pb::Event::decode(&*value).unwrap()));
            let (exact, omits_personal) = (true, false);
            let event = Event { id, position: 7, digest, exact, omits_personal, impersonal, known: false };
            trace.is_new(place, 0, event);
        }
        assert!(trace.compare(place.stream, row(tenant_id, stored, erased), "e"));
        (trace.phantom.count, trace.duplicated)
    }

    /// How many events of a stream that comes so are out of order, and how many streams began again.
    fn order(sequences: &[i64]) -> (u64, u64) {
        let (mut trace, tenant_id) = (Trace::default(), TenantId::generate());
        let ids: Vec<_> = (0..10).map(|_| EventId::generate()).collect();
        for &sequence in sequences {
            let id = ids[usize::try_from(sequence).unwrap()];
            let place = Place { stream: Stream::Tenant(tenant_id), sequence, id };
            let (digest, impersonal) = ([0; 16], [0; 16]);
            let known = Event { id, position: 7, digest, exact: true, omits_personal: false, impersonal, known: false };
            trace.is_new(place, 0, known);
        }
        let (reordered, again) = trace.reordered();
        (reordered.count, again)
    }

    #[test]
    fn a_stream_that_comes_whole_behind_what_came_too_early_began_again() {
        assert_eq!(order(&[1, 2, 3, 4]), (0, 0));
        assert_eq!(order(&[1, 2, 3, 2, 3, 4]), (0, 0), "duplicates");
        assert_eq!(order(&[3, 4, 1, 2, 3, 4, 5]), (0, 1), "the topic was made anew after the second");
        assert_eq!(order(&[4, 5, 2, 3, 4, 5]), (0, 1), "and retention had dropped the first");
        assert_eq!(order(&[3, 4, 1, 2]), (2, 0), "it did not come whole");
        assert_eq!(order(&[1, 2, 4, 3, 4, 5]), (1, 0), "the first had come before");
        assert_eq!(order(&[1, 3, 2, 4]), (1, 0));
        assert_eq!(order(&[3, 1, 2, 4, 5]), (2, 0), "the third is not between the second and the fourth");
    }

    #[test]
    fn an_event_that_was_erased_since_is_no_phantom_and_no_other_difference_is_forgiven() {
        let (whole, bare) = (event("ada@example.com", "r"), event("", "r"));
        assert_eq!(found(&[&whole], &whole, false), (0, 0));
        assert_eq!(found(&[&whole], &bare, true), (0, 0), "published before");
        assert_eq!(found(&[&bare], &bare, true), (0, 0), "published after");
        assert_eq!(found(&[&whole, &bare], &bare, true), (0, 1), "before and after");
        assert_eq!(found(&[&whole], &bare, false), (1, 0), "nobody was erased");
        assert_eq!(found(&[&whole], &event("", "other"), true), (1, 0));
    }
}
