//! Reads the log by position, once per process, and hands every event to what lives on it: the decision index, what
//! remembers credentials, and whoever waits for the head to move.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    auth::Credentials,
    db::{Db, wake::Wake},
    decision::Index,
    error::Result,
    events,
};

/// How many events are read at once.
const BATCH_MAX: i64 = 2_000;
/// How often to look without being woken.
const POLL: Duration = Duration::from_millis(50);
/// How long to wait after a failure.
const RETRY: Duration = Duration::from_millis(200);

/// The reader of the log of one process.
#[derive(Debug)]
pub struct Tail {
    db: Db,
    wake: Wake,
    index: Arc<Index>,
    credentials: Arc<Credentials>,
    head: watch::Sender<i64>,
    /// The event that had waited longest for its position when the log was last read.
    oldest_pending: AtomicI64,
}

impl Tail {
    /// Begins at the present end of the log: whatever is loaded later is loaded from the database as it then is.
    pub async fn begin(db: Db, wake: Wake, index: Arc<Index>, credentials: Arc<Credentials>) -> Result<Self> {
        let (head, _) = events::store::head(&mut db.snapshot().await?).await?;
        index.heard();
        Ok(Self { db, wake, index, credentials, head: watch::Sender::new(head), oldest_pending: AtomicI64::new(0) })
    }

    /// The last position that was read.
    pub fn head(&self) -> watch::Receiver<i64> {
        self.head.subscribe()
    }

    /// Follows the log until stopped.
    pub async fn run(&self, stop: CancellationToken) {
        let mut numbered = self.wake.subscribe();
        while !stop.is_cancelled() {
            numbered.borrow_and_update();
            match self.advance().await {
                Ok(true) => {}
                Ok(false) => {
                    let _ = tokio::time::timeout(POLL, numbered.changed()).await;
                }
                Err(error) => {
                    tracing::warn!(%error, "the log cannot be read, trying again");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Reads one batch; answers whether there may be more.
    async fn advance(&self) -> Result<bool> {
        let after = *self.head.borrow();
        let mut tx = self.db.snapshot().await?;
        let records = events::store::after_position_everywhere(&mut tx, after, BATCH_MAX).await?;
        let oldest_pending = events::store::oldest_pending(&mut tx).await?;
        drop(tx);
        let full = i64::try_from(records.len()).is_ok_and(|count| count == BATCH_MAX);
        let mut head = after;
        let mut events = Vec::new();
        for record in records {
            head = record.position.unwrap_or(head);
            if self.index.wants(&record) || self.credentials.wants(&record) {
                events.push(Arc::new(record.decode("")?));
            }
        }
        self.index.feed(&events);
        events.iter().for_each(|event| self.credentials.feed(event));
        // Heard is what was read to its end, while the sequencer keeps up: an event that goes on waiting is not heard.
        let waited = oldest_pending.unwrap_or(0);
        let stuck = self.oldest_pending.swap(waited, Ordering::Relaxed) == waited && waited != 0;
        if !full && !stuck {
            self.index.heard();
        }
        if head > after {
            self.head.send_replace(head);
        }
        Ok(full)
    }
}
