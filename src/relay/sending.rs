//! From the log to the producer.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{content::Content, in_flight::InFlight, producer::Producer};
use crate::{
    db::{Db, wake::Wake},
    error::{Error, Result},
    events::{Batches, Record, base, store},
};

/// How many events are read at once.
const BATCH_MAX: i64 = 5_000;
/// How many of those that are left of what was dropped: of these the bytes are not bounded.
const BASE_MAX: i64 = 200;
/// How often to look without being woken.
const POLL: Duration = Duration::from_millis(50);

/// What hands the log over to the producer.
pub struct Sending<'r> {
    pub db: &'r Db,
    pub content: &'r Content,
    pub producer: &'r Producer,
    pub in_flight: &'r InFlight,
    pub stop: &'r CancellationToken,
}

impl Sending<'_> {
    /// Reads by position and hands over, until stopped and nothing is left.
    pub async fn run(&self, wake: &Wake, mark: i64) -> Result<()> {
        let mut numbered = wake.subscribe();
        let (mut after, mut batches) = (mark, Batches::of(BATCH_MAX));
        loop {
            let last = self.stop.is_cancelled(); // before reading: what is there when it stops, is sent
            numbered.borrow_and_update();
            let mut tx = self.db.snapshot().await?;
            let (head, dropped) = store::ends(&mut tx).await?;
            // A topic that begins anew gets what is left of what was dropped, and then the log.
            let mut records = base::after_position_everywhere(&mut tx, after, dropped, BASE_MAX).await?;
            if records.is_empty() {
                records = batches.after(&mut tx, after).await?;
            }
            drop(tx);
            self.skip_dropped(after, &records, dropped)?;
            let reached = records.last().and_then(|record| record.position).unwrap_or(after);
            if reached > after && !self.hand_over(records, reached).await? {
                return Ok(());
            }
            let more = reached > after && reached < head;
            after = reached;
            if more {
                continue;
            }
            if last {
                return Ok(());
            }
            tokio::select! {
                () = self.stop.cancelled() => {}
                _ = tokio::time::timeout(POLL, numbered.changed()) => {}
            }
        }
    }

    /// Positions have no gaps: where one is missing, retention has dropped it. Any other gap is a fault of the log, which no
    /// topic is to repeat.
    fn skip_dropped(&self, after: i64, records: &[Record], dropped: i64) -> Result<()> {
        let mut before = after;
        for position in records.iter().filter_map(|record| record.position) {
            if position > before + 1 {
                if position - 1 > dropped {
                    return Err(Error::internal(format!(
                        "the log lacks the positions {} to {}",
                        before + 1,
                        position - 1
                    )));
                }
                self.in_flight.skip(before, position);
            }
            before = position;
        }
        Ok(())
    }

    /// Hands over a batch, in one transaction where those are used; false where it was stopped.
    async fn hand_over(&self, records: Vec<Record>, last: i64) -> Result<bool> {
        if self.producer.is_transactional {
            self.producer.begin()?;
        }
        for record in records {
            if !self.hand_over_one(record).await? {
                return Ok(false);
            }
        }
        if self.producer.is_transactional {
            self.producer.commit(self.stop).await?;
            self.in_flight.committed(last);
        }
        Ok(true)
    }

    async fn hand_over_one(&self, record: Record) -> Result<bool> {
        let position = record.position.ok_or_else(|| Error::internal("an event without a position"))?;
        let messages = self.content.messages(self.db, record).await?;
        if messages.is_empty() {
            self.in_flight.acknowledge(position); // it leaves nothing
        }
        let last = messages.len().saturating_sub(1);
        for (index, message) in messages.iter().enumerate() {
            if !self.producer.send(message, position, index == last, self.stop).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
