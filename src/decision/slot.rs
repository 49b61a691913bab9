//! One state of the index: not loaded, or loaded up to a sequence of its stream.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::{MappedRwLockReadGuard, RwLock, RwLockReadGuard};

use super::symbols::Symbols;
use crate::{
    error::{Error, Reason, Result},
    proto::v1 as pb,
};

/// How often a writer tries to have a state include what was committed before the state goes, and how long it waits in
/// between: the reader of the log brings it too.
const TRIES: u32 = 5;
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// A state that one stream of the log moves forward.
pub trait Folded: Sized + Send + Sync {
    /// Takes in one event of the stream.
    fn apply(&mut self, event: &pb::Event) -> Result<()>;

    /// What it takes, in bytes, about.
    fn bytes(&self) -> usize;
}

/// Where a state is had from: the database.
pub trait Source<S>: Sync {
    /// The state as it is, with the sequence it is of.
    fn load(&self) -> impl Future<Output = Result<(S, i64)>> + Send;

    /// The next events of its stream after this sequence, in their order; none where there are none.
    fn after(&self, sequence: i64) -> impl Future<Output = Result<Vec<Arc<pb::Event>>>> + Send;
}

/// A place for a state.
///
/// Events come from whoever committed them and from the reader of the log, so that one may be here before the one that
/// it follows: it waits for that one. Who asks for the state as it is never waits.
#[derive(Debug)]
pub struct Slot<S> {
    /// The sequence that the state includes; -1 where nothing is loaded.
    applied: AtomicI64,
    place: RwLock<Place<S>>,
    /// Held while loading or catching up, so that one reads and the others wait.
    turn: tokio::sync::Mutex<()>,
    symbols: Arc<Symbols>,
    /// What the state takes, in bytes.
    bytes: AtomicUsize,
    /// When it was last asked: the index's tick.
    asked_at: AtomicU32,
}

/// Events that came before the one that they follow, or before the state that they move.
type Ahead = BTreeMap<i64, Arc<pb::Event>>;

#[derive(Debug)]
enum Place<S> {
    /// Nothing: whoever loads will find every event in the database.
    Empty,
    /// What was committed since somebody began to load.
    Loading(Ahead),
    Loaded(S, Ahead),
}

impl<S: Folded> Slot<S> {
    /// Nothing loaded yet.
    pub fn new(symbols: Arc<Symbols>) -> Self {
        Self {
            applied: AtomicI64::new(-1),
            place: RwLock::new(Place::Empty),
            turn: tokio::sync::Mutex::default(),
            symbols,
            bytes: AtomicUsize::new(0),
            asked_at: AtomicU32::new(0),
        }
    }

    /// The numbers of the tenant's slugs.
    pub fn symbols(&self) -> &Arc<Symbols> {
        &self.symbols
    }

    /// Whether a state is loaded, and includes this sequence.
    pub fn is_at(&self, sequence: i64) -> bool {
        self.applied() >= sequence
    }

    /// Whether a state is loaded, however old.
    pub fn is_loaded(&self) -> bool {
        self.is_at(0)
    }

    /// Whether nothing is loaded, and nobody loads.
    pub fn is_empty(&self) -> bool {
        matches!(*self.place.read(), Place::Empty)
    }

    /// The sequence that the state includes; -1 where nothing is loaded.
    pub fn applied(&self) -> i64 {
        self.applied.load(Ordering::Acquire)
    }

    /// What the state takes, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Notes that the state was asked at this tick.
    pub fn asked(&self, tick: u32) {
        if self.asked_at.load(Ordering::Relaxed) != tick {
            self.asked_at.store(tick, Ordering::Relaxed);
        }
    }

    /// The tick at which it was last asked.
    pub fn asked_at(&self) -> u32 {
        self.asked_at.load(Ordering::Relaxed)
    }

    /// The state. Fails with `CONFLICT` where it went since it was found.
    pub fn read(&self) -> Result<MappedRwLockReadGuard<'_, S>> {
        RwLockReadGuard::try_map(self.place.read(), |place| match place {
            Place::Loaded(state, _) => Some(state),
            Place::Empty | Place::Loading(_) => None,
        })
        .map_err(|_| Error::new(Reason::Conflict, "the state went while it was asked for: ask again"))
    }

    /// Takes in committed events, so that nobody sees some of them without the others: what one transaction has changed
    /// changes at once. Those that follow one that is not here yet wait for it.
    pub fn feed(&self, events: &[Arc<pb::Event>]) {
        let mut place = self.place.write();
        let (Place::Loading(ahead) | Place::Loaded(_, ahead)) = &mut *place else { return };
        ahead.extend(events.iter().map(|event| (event.sequence, event.clone())));
        if let Place::Loaded(state, ahead) = &mut *place {
            match drain(state, self.applied(), ahead) {
                Ok(reached) => self.is_now(state.bytes(), reached),
                Err(_) => self.forget(&mut place),
            }
        }
    }

    /// Loads the state, or reads on from where it is, until it includes this sequence.
    pub async fn ensure(&self, source: &impl Source<S>, sequence: i64) -> Result<()> {
        let _turn = self.turn.lock().await;
        if !self.is_loaded() {
            self.load(source).await?;
        }
        while !self.is_at(sequence) && self.read_on(source, self.applied()).await? {}
        if self.is_at(sequence) { Ok(()) } else { Err(ahead(self.applied())) }
    }

    /// Has the state, where there is one, include a sequence that is committed. Where that cannot be had, the state goes:
    /// nobody is answered from before it.
    pub async fn include(&self, source: &impl Source<S>, sequence: i64) {
        for _ in 0..TRIES {
            let turn = self.turn.lock().await;
            if !self.is_loaded() || self.is_at(sequence) {
                return;
            }
            match self.read_on(source, self.applied()).await {
                Ok(_) if self.is_at(sequence) => return,
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, sequence, "a state does not include a change yet"),
            }
            drop(turn);
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
        let _turn = self.turn.lock().await;
        let mut place = self.place.write();
        if self.is_loaded() && !self.is_at(sequence) {
            self.forget(&mut place);
        }
    }

    async fn load(&self, source: &impl Source<S>) -> Result<()> {
        *self.place.write() = Place::Loading(Ahead::new());
        let loading = Loading(&self.place);
        let mut unsettled = Some(source.load().await?);
        while let Some((state, at)) = unsettled {
            unsettled = self.settle(state, at)?;
            if let Some((_, at)) = unsettled {
                self.read_on(source, at).await?;
            }
        }
        drop(loading);
        Ok(())
    }

    /// Feeds the next events of the log; answers whether there were any.
    async fn read_on(&self, source: &impl Source<S>, after: i64) -> Result<bool> {
        let events = source.after(after).await?;
        if events.first().is_some_and(|event| event.sequence != after + 1) {
            return Err(Error::internal("the log has a gap"));
        }
        self.feed(&events);
        Ok(!events.is_empty())
    }

    /// Puts a state that was loaded in its place, with what was committed meanwhile. Gives it back where an event is here
    /// that follows one that is not: whoever committed it may have answered already, and the log has both.
    fn settle(&self, mut state: S, at: i64) -> Result<Option<(S, i64)>> {
        let mut place = self.place.write();
        let Place::Loading(ahead) = &mut *place else { return Err(Error::internal("nobody loads")) };
        let reached = drain(&mut state, at, ahead)?;
        if !ahead.is_empty() {
            return Ok(Some((state, reached)));
        }
        self.is_now(state.bytes(), reached);
        *place = Place::Loaded(state, Ahead::new());
        Ok(None)
    }

    fn is_now(&self, bytes: usize, reached: i64) {
        self.bytes.store(bytes, Ordering::Relaxed);
        self.applied.store(reached, Ordering::Release);
    }

    /// Drops the state: it is loaded anew when asked for.
    fn forget(&self, place: &mut Place<S>) {
        *place = Place::Empty;
        self.is_now(0, -1);
    }
}

/// That the database itself has not come as far as a revision says, only to here.
pub fn ahead(reached: i64) -> Error {
    Error::new(Reason::InvalidRevision, "the revision is ahead of the log").with("stream_sequence", reached)
}

/// Somebody who loads: where that comes to nothing, the place is empty again.
struct Loading<'a, S>(&'a RwLock<Place<S>>);

impl<S> Drop for Loading<'_, S> {
    fn drop(&mut self) {
        let mut place = self.0.write();
        if matches!(*place, Place::Loading(_)) {
            *place = Place::Empty;
        }
    }
}

/// Moves a state by those that follow it; those that it has already go, those that must wait stay. Answers how far it
/// came. Fails where it cannot take one in: it is worth nothing then.
fn drain<S: Folded>(state: &mut S, at: i64, ahead: &mut Ahead) -> Result<i64> {
    let mut reached = at;
    while let Some(entry) = ahead.first_entry().filter(|entry| *entry.key() <= reached + 1) {
        let (sequence, event) = entry.remove_entry();
        if sequence > reached {
            state.apply(&event).inspect_err(|error| {
                tracing::error!(%error, event_id = event.event_id, "event not understood, state dropped");
            })?;
            reached = sequence;
        }
    }
    Ok(reached)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    /// A state that remembers what moved it.
    #[derive(Debug)]
    struct Seen(Vec<i64>);

    impl Folded for Seen {
        fn apply(&mut self, event: &pb::Event) -> Result<()> {
            self.0.push(event.sequence);
            Ok(())
        }

        fn bytes(&self) -> usize {
            self.0.len()
        }
    }

    /// A log of so many events, which may be away; a state is loaded as of the first three.
    #[derive(Default)]
    struct Log {
        last: AtomicI64,
        away: AtomicBool,
    }

    impl Source<Seen> for Log {
        async fn load(&self) -> Result<(Seen, i64)> {
            Ok((Seen(Vec::new()), 3))
        }

        async fn after(&self, sequence: i64) -> Result<Vec<Arc<pb::Event>>> {
            match self.away.load(Ordering::Relaxed) {
                true => Err(Error::new(Reason::StorageUnavailable, "away")),
                false => Ok(events(sequence + 1..=self.last.load(Ordering::Relaxed))),
            }
        }
    }

    fn events(sequences: impl IntoIterator<Item = i64>) -> Vec<Arc<pb::Event>> {
        sequences.into_iter().map(|sequence| Arc::new(pb::Event { sequence, ..pb::Event::default() })).collect()
    }

    fn seen(slot: &Slot<Seen>) -> Vec<i64> {
        slot.read().unwrap().0.clone()
    }

    #[tokio::test]
    async fn what_comes_early_waits_and_what_comes_twice_is_taken_once() {
        let slot = Slot::new(Arc::default());
        slot.ensure(&Log::default(), 0).await.unwrap();
        slot.feed(&events([6, 7]));
        assert_eq!((seen(&slot), slot.applied()), (vec![], 3));
        slot.feed(&events([4]));
        assert_eq!((seen(&slot), slot.applied()), (vec![4], 4));
        slot.feed(&events([3, 4, 5]));
        assert_eq!((seen(&slot), slot.applied()), (vec![4, 5, 6, 7], 7));
        slot.feed(&events([7]));
        assert_eq!(slot.applied(), 7);
    }

    #[test]
    fn what_is_committed_while_a_state_is_loaded_is_in_it_before_anybody_is_answered() {
        let slot = Slot::<Seen>::new(Arc::default());
        slot.feed(&events([1, 2]));
        assert!(slot.is_empty(), "whoever loads finds those in the database");
        *slot.place.write() = Place::Loading(Ahead::new());
        slot.feed(&events([3, 4, 6]));
        let (state, at) = slot.settle(Seen(Vec::new()), 3).unwrap().expect("the fifth is not here");
        assert_eq!((slot.is_loaded(), at), (false, 4));
        slot.feed(&events([5]));
        assert!(slot.settle(state, at).unwrap().is_none());
        assert_eq!((seen(&slot), slot.applied()), (vec![4, 5, 6], 6));
    }

    #[tokio::test]
    async fn a_writer_has_the_log_bring_what_others_committed_before() {
        let (slot, log) = (Slot::new(Arc::default()), Log::default());
        slot.include(&log, 5).await;
        assert!(slot.is_empty(), "a writer loads nothing");
        slot.ensure(&log, 0).await.unwrap();
        log.last.store(6, Ordering::Relaxed);
        slot.feed(&events([6]));
        slot.include(&log, 6).await;
        assert_eq!(seen(&slot), [4, 5, 6]);
    }

    #[tokio::test]
    async fn where_it_cannot_be_had_the_state_goes() {
        let (slot, log) = (Slot::new(Arc::default()), Log::default());
        slot.ensure(&log, 0).await.unwrap();
        log.away.store(true, Ordering::Relaxed);
        slot.include(&log, 4).await;
        assert!(slot.is_empty() && slot.read().is_err());
        log.away.store(false, Ordering::Relaxed);
        log.last.store(4, Ordering::Relaxed);
        slot.ensure(&log, 4).await.unwrap();
        assert_eq!(seen(&slot), [4]);
        let ahead = slot.ensure(&log, 5).await.unwrap_err();
        assert_eq!(ahead.reason(), Reason::InvalidRevision);
    }

    #[tokio::test]
    async fn while_the_log_is_away_its_reader_may_bring_it() {
        let (slot, log) = (Slot::new(Arc::default()), Log::default());
        slot.ensure(&log, 0).await.unwrap();
        log.away.store(true, Ordering::Relaxed);
        let bring = async {
            tokio::time::sleep(BETWEEN_TRIES / 2).await;
            slot.feed(&events([4]));
        };
        tokio::join!(slot.include(&log, 4), bring);
        assert_eq!(seen(&slot), [4]);
    }
}
