//! Reads the log by position, once per process, and hands every event to what lives on it: the decision index, what
//! remembers credentials, and whoever waits for the head to move.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    auth::Credentials,
    db::{Db, Tx, wake::Wake},
    decision::Index,
    error::Result,
    events::{self, chain::Hash},
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
    recent: Arc<events::Recent>,
    hearing: Hearing,
    batches: events::Batches,
    /// The chain's hash at the last position that was read, once something was.
    last: Option<Hash>,
    /// Which log it is.
    stream_epoch: Uuid,
}

/// What became of reading a batch.
enum Read {
    /// There may be more.
    More,
    /// That was all there is.
    All,
    /// The log ends before what was read of it: it is another one.
    WentBack {
        /// The last position that was read.
        from: i64,
        /// The last that there is.
        to: i64,
    },
    /// Another epoch was begun: whoever asks this process is to be told of it, and not of the one before.
    AnotherEpoch,
}

/// How far the log was heard: everything that was committed by then was read.
#[derive(Debug, Default)]
struct Hearing {
    /// When events without a position were seen that are not all read yet, and the last of them.
    waiting: Option<(Instant, i64)>,
}

impl Hearing {
    /// Everything that has a position was read at this time; the first and the last of what is pending then was
    /// committed too, and is heard once it has a position. Answers until when all was heard, where that is news.
    fn read(&mut self, at: Instant, pending: Option<(i64, i64)>) -> Option<Instant> {
        let Some((first, last)) = pending else {
            self.waiting = None;
            return Some(at);
        };
        if self.waiting.is_some_and(|(_, last)| first <= last) {
            return None;
        }
        self.waiting.replace((at, last)).map(|(at, _)| at)
    }
}

impl Tail {
    /// Begins at the present end of the log: whatever is loaded later is loaded from the database as it then is.
    pub async fn begin(db: Db, wake: Wake, index: Arc<Index>, credentials: Arc<Credentials>) -> Result<Self> {
        let (head, stream_epoch) = events::store::head(&mut db.snapshot().await?).await?;
        index.heard(Instant::now());
        let (head, recent, hearing) = (watch::Sender::new(head), Arc::default(), Hearing::default());
        let batches = events::Batches::of(BATCH_MAX);
        Ok(Self { db, wake, index, credentials, head, recent, hearing, batches, last: None, stream_epoch })
    }

    /// The last position that was read.
    pub fn head(&self) -> watch::Receiver<i64> {
        self.head.subscribe()
    }

    /// Of which streams the latest events are.
    pub fn recent(&self) -> Arc<events::Recent> {
        self.recent.clone()
    }

    /// Follows the log until stopped, or until it is another one.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut numbered = self.wake.subscribe();
        while !stop.is_cancelled() {
            numbered.borrow_and_update();
            match self.advance().await {
                Ok(Read::More) => {}
                Ok(Read::All) => {
                    let _ = tokio::time::timeout(POLL, numbered.changed()).await;
                }
                Ok(Read::WentBack { from, to }) => {
                    tracing::error!(
                        from,
                        to,
                        "the log went back, as by a restore or a standby that lacks its end: what this process knows \
                         is no more, and it stops"
                    );
                    return;
                }
                Ok(Read::AnotherEpoch) => {
                    tracing::error!(
                        "another stream epoch was begun (`roster events new-epoch`) while this process ran: it stops; start \
                         it again"
                    );
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, "the log cannot be read, trying again");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Whether the last event that was read is still the one in its position: a log that lost its end may have grown again.
    async fn goes_on(&self, tx: &mut Tx, after: i64) -> Result<bool> {
        if self.last.is_none() || after <= events::store::dropped_position(tx).await? {
            return Ok(true);
        }
        Ok(events::chains::at_position(tx, after).await? == self.last)
    }

    /// Reads one batch.
    async fn advance(&mut self) -> Result<Read> {
        let after = *self.head.borrow();
        let at = Instant::now();
        let mut tx = self.db.snapshot().await?;
        let records = self.batches.after(&mut tx, after).await?;
        let pending = events::store::pending(&mut tx).await?;
        let (end, stream_epoch) = events::store::head(&mut tx).await?;
        if stream_epoch > self.stream_epoch {
            return Ok(Read::AnotherEpoch);
        }
        let goes_on = stream_epoch == self.stream_epoch && end >= after && self.goes_on(&mut tx, after).await?;
        let reached = records.last().and_then(|record| record.position).unwrap_or(after);
        let last = match self.last {
            Some(last) if reached == after => Some(last),
            _ => events::chains::at_position(&mut tx, reached).await?,
        };
        drop(tx);
        if !goes_on {
            return Ok(Read::WentBack { from: after, to: end });
        }
        self.last = last;
        let more = reached > after && reached < end;
        self.recent.note(&records);
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
        if !more && let Some(until) = self.hearing.read(at, pending) {
            self.index.heard(until);
        }
        if head > after {
            self.head.send_replace(head);
        }
        Ok(if more { Read::More } else { Read::All })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_a_position_is_not_heard_before_it_has_one() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut hearing = Hearing::default();
        assert_eq!(hearing.read(at(1), None), Some(at(1)));
        assert_eq!(hearing.read(at(2), Some((5, 9))), None);
        assert_eq!(hearing.read(at(3), Some((5, 12))), None, "nobody numbers");
        assert_eq!(hearing.read(at(4), Some((9, 12))), None, "the ninth was there at the second");
        assert_eq!(hearing.read(at(5), Some((10, 14))), Some(at(2)), "and now has a position");
        assert_eq!(hearing.read(at(6), Some((4, 20))), None, "one that was committed late comes first");
        assert_eq!(hearing.read(at(7), Some((15, 30))), Some(at(5)), "under load, one look behind");
        assert_eq!(hearing.read(at(8), None), Some(at(8)));
    }
}
