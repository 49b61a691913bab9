//! One state of the index: not loaded, or loaded up to a sequence of its stream.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU32, AtomicUsize, Ordering},
};

use parking_lot::{MappedRwLockReadGuard, RwLock, RwLockReadGuard};

use super::symbols::Symbols;
use crate::{
    db::{Db, Tx},
    error::{Error, Reason, Result},
    events::{self, Stream},
    ids::TenantId,
    proto::v1 as pb,
};

/// How many events are read at once to catch up.
const BATCH_MAX: i64 = 2_000;

/// A state that one stream of the log moves forward.
pub trait Folded: Sized + Send + Sync {
    /// The state as the database has it, with the sequence it is of.
    fn load(
        tx: &mut Tx,
        tenant_id: TenantId,
        stream: Stream,
        symbols: &Arc<Symbols>,
    ) -> impl Future<Output = Result<(Self, i64)>> + Send;

    /// Takes in one event of the stream.
    fn apply(&mut self, event: &pb::Event) -> Result<()>;

    /// What it takes, in bytes, about.
    fn bytes(&self) -> usize;
}

/// A place for a state.
#[derive(Debug)]
pub struct Slot<S> {
    /// The highest sequence that is known to be committed.
    known: AtomicI64,
    /// The sequence that the state includes; -1 where nothing is loaded.
    applied: AtomicI64,
    state: RwLock<Option<S>>,
    /// Held while loading or catching up, so that one reads and the others wait.
    catching_up: tokio::sync::Mutex<()>,
    symbols: Arc<Symbols>,
    /// What the state takes, in bytes.
    bytes: AtomicUsize,
    /// When it was last asked: the index's tick.
    asked_at: AtomicU32,
}

impl<S: Folded> Slot<S> {
    /// Nothing loaded yet.
    pub fn new(symbols: Arc<Symbols>) -> Self {
        Self {
            known: AtomicI64::new(0),
            applied: AtomicI64::new(-1),
            state: RwLock::new(None),
            catching_up: tokio::sync::Mutex::default(),
            symbols,
            bytes: AtomicUsize::new(0),
            asked_at: AtomicU32::new(0),
        }
    }

    /// The numbers of the tenant's slugs.
    pub fn symbols(&self) -> &Arc<Symbols> {
        &self.symbols
    }

    /// Whether the state is loaded and includes this sequence, and everything that is known to be committed.
    pub fn is_at(&self, sequence: i64) -> bool {
        self.applied.load(Ordering::Acquire) >= sequence.max(self.known.load(Ordering::Acquire))
    }

    /// Whether a state is loaded, however old.
    pub fn is_loaded(&self) -> bool {
        self.applied() >= 0
    }

    /// Whether somebody loads the state or catches up at this moment.
    pub fn is_busy(&self) -> bool {
        self.catching_up.try_lock().is_err()
    }

    /// The sequence that the state includes.
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

    /// The state. Fails where it was never loaded, which nobody asks for.
    pub fn read(&self) -> Result<MappedRwLockReadGuard<'_, S>> {
        RwLockReadGuard::try_map(self.state.read(), Option::as_ref).map_err(|_| Error::internal("state not loaded"))
    }

    /// The stream is known to have come this far.
    pub fn heard_of(&self, sequence: i64) {
        self.known.fetch_max(sequence, Ordering::AcqRel);
    }

    /// Takes in committed events, in their order, so that nobody sees some of them without the others: what one
    /// transaction has changed changes at once. One that is not the next is only noted: whoever asks next catches up.
    pub fn feed<'e>(&self, events: impl Iterator<Item = &'e pb::Event> + Clone) {
        if let Some(last) = events.clone().map(|event| event.sequence).max() {
            self.heard_of(last);
        }
        self.apply(events);
    }

    /// Applies those that are next. A state that cannot take one is dropped, and loaded anew when asked for.
    fn apply<'e>(&self, events: impl Iterator<Item = &'e pb::Event>) {
        let mut state = self.state.write();
        let mut reached = self.applied();
        for event in events {
            let Some(loaded) = state.as_mut().filter(|_| event.sequence == reached + 1) else { continue };
            match loaded.apply(event) {
                Ok(()) => reached = event.sequence,
                Err(error) => {
                    tracing::error!(%error, event_id = event.event_id, "event not understood, state dropped");
                    *state = None;
                    reached = -1;
                }
            }
        }
        self.bytes.store(state.as_ref().map_or(0, S::bytes), Ordering::Relaxed);
        self.applied.store(reached, Ordering::Release);
    }

    /// Loads the state, or reads on from where it is, until it includes this sequence and everything known.
    pub async fn catch_up(&self, db: &Db, tenant_id: TenantId, stream: Stream, sequence: i64) -> Result<()> {
        let _turn = self.catching_up.lock().await;
        if self.is_at(sequence) {
            return Ok(());
        }
        let mut tx = db.snapshot().await?;
        if self.is_loaded() {
            self.read_on(&mut tx, tenant_id, stream).await?;
        } else {
            let (state, at) = S::load(&mut tx, tenant_id, stream, &self.symbols).await?;
            let mut place = self.state.write();
            self.bytes.store(state.bytes(), Ordering::Relaxed);
            *place = Some(state);
            self.applied.store(at, Ordering::Release);
        }
        // `known` may have moved on meanwhile: that is after this question was asked.
        ensure_reached(self.applied(), sequence)
    }

    async fn read_on(&self, tx: &mut Tx, tenant_id: TenantId, stream: Stream) -> Result<()> {
        let all = events::store::Filter::default();
        loop {
            let after = self.applied();
            let records = events::store::after_sequence(tx, tenant_id, stream.uuid(), &all, after, BATCH_MAX).await?;
            let Some(last) = records.last().map(|record| record.sequence) else { return Ok(()) };
            let events: Vec<pb::Event> = records.into_iter().map(|record| record.decode("")).collect::<Result<_>>()?;
            self.apply(events.iter());
            if self.applied() < last {
                return Err(Error::internal("the log has a gap"));
            }
        }
    }
}

/// Fails with `INVALID_REVISION` where the database itself has not come as far as a revision says.
pub fn ensure_reached(reached: i64, sequence: i64) -> Result<()> {
    if reached < sequence {
        return Err(
            Error::new(Reason::InvalidRevision, "the revision is ahead of the log").with("stream_sequence", reached)
        );
    }
    Ok(())
}
