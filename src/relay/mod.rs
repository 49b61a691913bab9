//! The relay: publishes the log to Kafka, in order, at least once.
//!
//! It reads by position beyond what is in flight, and keeps the contiguous low-water mark of what the broker
//! acknowledged. A delivery error ends the producer; a new one resumes from the mark. Nothing is ever skipped: a mark
//! is of one topic of one cluster, and a topic that was made anew gets everything again.

mod cursor;
mod in_flight;
mod producer;
mod record;
pub mod topic;

use std::time::Duration;

pub use cursor::acknowledged;
use in_flight::InFlight;
use producer::Producer;
pub use producer::{check_settings, librdkafka_settings};
pub use record::headers;
use tokio_util::sync::CancellationToken;

use crate::{
    config::Kafka,
    db::{Db, wake::Wake},
    error::{Error, Result},
    events::store,
    lease::Epoch,
};

/// How many events are read at once.
const BATCH_MAX: i64 = 5_000;
/// How often the mark is stored.
const MARK_EVERY: Duration = Duration::from_millis(100);
/// How often to look without being woken.
const POLL: Duration = Duration::from_millis(50);
/// How long to wait before a new producer, at first and at most.
const REBUILD: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// Publishes the log to one topic.
#[derive(Debug)]
pub struct Relay {
    kafka: Kafka,
}

impl Relay {
    /// A relay to this topic.
    pub fn new(kafka: Kafka) -> Self {
        Self { kafka }
    }

    /// Publishes until stopped or no longer the leader. A failure costs a new producer, never an event.
    pub async fn run(&self, db: &Db, wake: &Wake, epoch: Epoch, stop: &CancellationToken) {
        let mut pause = REBUILD.0;
        while !stop.is_cancelled() {
            match self.publish(db, wake, epoch, stop).await {
                Ok(published) => {
                    if published {
                        pause = REBUILD.0;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "publishing to Kafka failed, resuming from the mark");
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = tokio::time::sleep(pause) => {}
                    }
                    pause = (pause * 2).min(REBUILD.1);
                }
            }
        }
    }

    /// One producer's life; answers whether it published anything.
    async fn publish(&self, db: &Db, wake: &Wake, epoch: Epoch, stop: &CancellationToken) -> Result<bool> {
        let sink = tokio::select! {
            sink = async { topic::ensure(&self.kafka).await?; topic::look(&self.kafka).await } => sink?,
            () = stop.cancelled() => return Ok(false),
        };
        let Some(mark) = cursor::open(db, &sink, epoch).await? else {
            stop.cancel(); // somebody else leads
            return Ok(false);
        };
        let (_, stream_epoch) = store::head(&mut db.snapshot().await?).await?;
        tracing::info!(sink = sink.name, mark, "publishing to Kafka");
        let in_flight = InFlight::after(mark);
        let producer = Producer::new(&self.kafka, stream_epoch.to_string(), in_flight.clone())?;
        let marking = mark_acknowledged(db, &sink.name, epoch, &in_flight, stop);
        let sending = send(db, wake, &producer, mark, stop);
        let ended = tokio::select! {
            ended = async { tokio::try_join!(marking, sending) } => ended.map(|_| ()),
            error = in_flight.failed() => Err(error),
        };
        if ended.is_ok() {
            producer.flush().await;
        }
        let reached = in_flight.acknowledged();
        if reached > mark && !cursor::save(db, &sink.name, epoch, reached).await? {
            stop.cancel();
        }
        ended.map(|()| reached > mark)
    }
}

/// Reads by position and hands over to the producer, until stopped and nothing is left.
async fn send(db: &Db, wake: &Wake, producer: &Producer, mark: i64, stop: &CancellationToken) -> Result<()> {
    let mut numbered = wake.subscribe();
    let mut after = mark;
    loop {
        let last = stop.is_cancelled(); // before reading: what is there when it stops, is sent
        numbered.borrow_and_update();
        let records = store::after_position_everywhere(&mut db.snapshot().await?, after, BATCH_MAX).await?;
        let full = i64::try_from(records.len()).is_ok_and(|count| count == BATCH_MAX);
        for record in records {
            after = record.position.ok_or_else(|| Error::internal("an event without a position"))?;
            if !producer.send(record, stop).await? {
                return Ok(());
            }
        }
        if full {
            continue;
        }
        if last {
            return Ok(());
        }
        tokio::select! {
            () = stop.cancelled() => {}
            _ = tokio::time::timeout(POLL, numbered.changed()) => {}
        }
    }
}

/// Stores the mark as it moves, until stopped or deposed.
async fn mark_acknowledged(
    db: &Db,
    sink: &str,
    epoch: Epoch,
    in_flight: &InFlight,
    stop: &CancellationToken,
) -> Result<()> {
    let mut stored = in_flight.acknowledged();
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(MARK_EVERY) => {}
        }
        let reached = in_flight.acknowledged();
        if reached > stored {
            if !cursor::save(db, sink, epoch, reached).await? {
                tracing::warn!(epoch, "no longer the leader: nothing marked");
                stop.cancel();
                return Ok(());
            }
            stored = reached;
        }
    }
    Ok(())
}
