//! One state of the index: not loaded, or loaded up to a sequence of its stream.

use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::{MappedRwLockReadGuard, RwLock, RwLockReadGuard};

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
    fn load(tx: &mut Tx, tenant_id: TenantId, stream: Stream) -> impl Future<Output = Result<(Self, i64)>> + Send;

    /// Takes in one event of the stream.
    fn apply(&mut self, event: &pb::Event) -> Result<()>;
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
}

impl<S> Default for Slot<S> {
    fn default() -> Self {
        Self {
            known: AtomicI64::new(0),
            applied: AtomicI64::new(-1),
            state: RwLock::new(None),
            catching_up: tokio::sync::Mutex::default(),
        }
    }
}

impl<S: Folded> Slot<S> {
    /// Whether the state is loaded and includes this sequence, and everything that is known to be committed.
    pub fn is_at(&self, sequence: i64) -> bool {
        self.applied.load(Ordering::Acquire) >= sequence.max(self.known.load(Ordering::Acquire))
    }

    /// The sequence that the state includes.
    pub fn applied(&self) -> i64 {
        self.applied.load(Ordering::Acquire)
    }

    /// The state. Fails where it was never loaded, which nobody asks for.
    pub fn read(&self) -> Result<MappedRwLockReadGuard<'_, S>> {
        RwLockReadGuard::try_map(self.state.read(), Option::as_ref).map_err(|_| Error::internal("state not loaded"))
    }

    /// The stream is known to have come this far.
    pub fn heard_of(&self, sequence: i64) {
        self.known.fetch_max(sequence, Ordering::AcqRel);
    }

    /// Takes in a committed event. One that is not the next is only noted: whoever asks next catches up.
    pub fn feed(&self, event: &pb::Event) {
        self.heard_of(event.sequence);
        self.apply(event);
    }

    /// Applies the next event. A state that cannot take it is dropped, and loaded anew when asked for.
    fn apply(&self, event: &pb::Event) {
        let mut state = self.state.write();
        let Some(loaded) = state.as_mut().filter(|_| event.sequence == self.applied() + 1) else { return };
        match loaded.apply(event) {
            Ok(()) => self.applied.store(event.sequence, Ordering::Release),
            Err(error) => {
                tracing::error!(%error, event_id = event.event_id, "event not understood, state dropped");
                *state = None;
                self.applied.store(-1, Ordering::Release);
            }
        }
    }

    /// Loads the state, or reads on from where it is, until it includes this sequence and everything known.
    pub async fn catch_up(&self, db: &Db, tenant_id: TenantId, stream: Stream, sequence: i64) -> Result<()> {
        let _turn = self.catching_up.lock().await;
        if self.is_at(sequence) {
            return Ok(());
        }
        let mut tx = db.snapshot().await?;
        if self.applied() < 0 {
            let (state, at) = S::load(&mut tx, tenant_id, stream).await?;
            let mut place = self.state.write();
            *place = Some(state);
            self.applied.store(at, Ordering::Release);
        } else {
            self.read_on(&mut tx, tenant_id, stream).await?;
        }
        // `known` may have moved on meanwhile: that is after this question was asked.
        if self.applied() < sequence {
            return Err(Error::new(Reason::InvalidRevision, "the revision is ahead of the log")
                .with("stream_sequence", self.applied()));
        }
        Ok(())
    }

    async fn read_on(&self, tx: &mut Tx, tenant_id: TenantId, stream: Stream) -> Result<()> {
        let all = events::store::Filter::default();
        loop {
            let after = self.applied();
            let records = events::store::after_sequence(tx, tenant_id, stream.uuid(), &all, after, BATCH_MAX).await?;
            let Some(last) = records.last().map(|record| record.sequence) else { return Ok(()) };
            for record in records {
                self.apply(&record.decode("")?);
            }
            if self.applied() < last {
                return Err(Error::internal("the log has a gap"));
            }
        }
    }
}
