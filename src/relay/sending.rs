//! From the log to the producer.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{content::Content, in_flight::InFlight, producer::Producer};
use crate::{
    db::{Db, wake::Wake},
    error::{Error, Result},
    events::{Batches, Record, base, horizon, store},
};

/// How many events are read at once.
const BATCH_MAX: i64 = 5_000;
/// How many positions are looked at at once where some are hidden: the bytes of these events are not bounded.
const RANGE: i64 = 500;
/// How often to look without being woken.
const POLL: Duration = Duration::from_millis(50);
/// How long to let a burst gather behind what was handed over: a look at the log and a request of the producer cost the same
/// for one event as for hundreds, and whoever consumes a topic does not wait for an answer.
const GATHER: Duration = Duration::from_millis(20);
/// The same behind a transaction: one costs the brokers far more than what is in it.
const GATHER_TRANSACTIONS: Duration = Duration::from_millis(100);

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
            let (head, _) = store::head(&mut tx).await?;
            let hidden = horizon::last_position(&mut tx).await?;
            // Only a topic that begins anew is behind that: nothing is hidden that a topic has not got.
            let (records, reached) = match after < hidden {
                true => {
                    let up_to = hidden.min(after + RANGE);
                    (base::by_position_everywhere(&mut tx, after, up_to).await?, up_to)
                }
                false => {
                    let records = batches.after(&mut tx, after).await?;
                    let last = records.last().and_then(|record| record.position);
                    (records, last.unwrap_or(after))
                }
            };
            drop(tx);
            self.pass_over(after, &records, reached, hidden)?;
            if reached > after && !self.hand_over(records, reached).await? {
                return Ok(());
            }
            let more = reached > after && reached < head;
            let before = std::mem::replace(&mut after, reached);
            if more {
                continue;
            }
            if last {
                return Ok(());
            }
            if reached > before {
                let gather = if self.producer.is_transactional { GATHER_TRANSACTIONS } else { GATHER };
                let _ = tokio::time::timeout(gather, self.stop.cancelled()).await;
            }
            tokio::select! {
                () = self.stop.cancelled() => {}
                _ = tokio::time::timeout(POLL, numbered.changed()) => {}
            }
        }
    }

    /// Positions have no gaps: where one is missing up to what was reached, it is hidden, and nobody waits for it. Any other
    /// gap is a fault of the log, which no topic is to repeat.
    fn pass_over(&self, after: i64, records: &[Record], reached: i64, hidden: i64) -> Result<()> {
        let mut before = after;
        for position in records.iter().filter_map(|record| record.position).chain([reached + 1]) {
            let (first, last) = (before + 1, position - 1);
            if last > hidden.max(before) {
                return Err(Error::internal(format!("the log lacks the positions {first} to {last}")));
            }
            self.in_flight.skip(before, position);
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
