//! The relay: publishes the log to Kafka, in order, at least once: every event to one topic, and the state that each
//! leaves to another, which is compacted.
//!
//! It reads by position beyond what is in flight, and keeps the contiguous low-water mark of what the broker
//! acknowledged. A delivery error ends the producer; a new one resumes from the mark. Nothing is ever skipped: a mark
//! is of one topic of one cluster, and a topic that was made anew gets everything again.

pub mod cluster;
mod content;
pub mod cursor;
pub mod encoding;
pub mod feed;
mod in_flight;
mod partition;
mod producer;
pub mod reach;
pub mod reader;
mod record;
pub mod replay;
mod state;
pub mod topic;

use std::time::Duration;

use content::Content;
pub use cursor::acknowledged;
pub use feed::Feed;
use in_flight::InFlight;
use producer::Producer;
pub use producer::{check_settings, librdkafka_settings};
use tokio_util::sync::CancellationToken;
use topic::Sink;

use crate::{
    config::Kafka,
    db::{Db, wake::Wake},
    error::{Error, Result},
    events::{Record, store},
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
    feed: Feed,
}

impl Relay {
    /// A relay to each topic that is configured.
    pub fn all(kafka: &Kafka) -> Vec<Self> {
        Feed::configured(kafka).into_iter().map(|feed| Self::new(kafka.clone(), feed)).collect()
    }

    /// A relay to one topic.
    pub fn new(kafka: Kafka, feed: Feed) -> Self {
        Self { kafka, feed }
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
                    let topic = self.feed.topic(&self.kafka);
                    tracing::warn!(%error, topic, "publishing to Kafka failed, resuming from the mark");
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
        let kafka = &self.kafka;
        let sink = tokio::select! {
            sink = self.sink() => sink?,
            () = stop.cancelled() => return Ok(false),
        };
        let Some(mark) = cursor::open(db, &sink, epoch).await? else {
            stop.cancel(); // somebody else leads
            return Ok(false);
        };
        let in_flight = InFlight::after(mark);
        let producer = tokio::select! {
            producer = self.producer(&sink, &in_flight) => producer?,
            () = stop.cancelled() => return Ok(false),
        };
        // Looked at again: whoever leads from now on refuses this producer, and whoever already did ends here.
        if producer.is_transactional && !cursor::save(db, &sink.name, epoch, mark).await? {
            stop.cancel();
            return Ok(false);
        }
        let (_, stream_epoch) = store::head(&mut db.snapshot().await?).await?;
        tracing::info!(sink = sink.name, mark, "publishing to Kafka");
        let content = Content::new(self.feed, kafka, stream_epoch.to_string(), sink.partitions);
        let marking = mark_acknowledged(db, &sink.name, epoch, &in_flight, stop);
        let sending = Sending { db, content: &content, producer: &producer, in_flight: &in_flight, stop };
        let ended = tokio::select! {
            ended = async { tokio::try_join!(marking, sending.run(wake, mark)) } => ended.map(|_| ()),
            error = in_flight.failed() => Err(error),
        };
        if ended.is_ok() && !producer.is_transactional {
            producer.flush().await;
        }
        let reached = in_flight.acknowledged();
        if reached > mark && !cursor::save(db, &sink.name, epoch, reached).await? {
            stop.cancel();
        }
        if producer.is_fenced() {
            tracing::warn!(sink = sink.name, "another producer has taken over the topic: the term ends");
            stop.cancel();
            return Ok(false);
        }
        ended.map(|()| reached > mark)
    }

    /// The topic, which is made where it is missing.
    async fn sink(&self) -> Result<Sink> {
        reach::brokers(&self.kafka).await?;
        topic::ensure(&self.kafka, self.feed).await?;
        topic::look(&self.kafka, self.feed.topic(&self.kafka)).await
    }

    async fn producer(&self, sink: &Sink, in_flight: &InFlight) -> Result<Producer> {
        let topic = self.feed.topic(&self.kafka);
        if !self.feed.is_transactional(&self.kafka) {
            return Producer::new(&self.kafka, topic, in_flight.clone());
        }
        in_flight.committed(in_flight.acknowledged());
        let id = format!("roster-{}", sink.name);
        Producer::transactional(&self.kafka, topic, &id, in_flight.clone()).await
    }
}

/// Whether the brokers let this account write in transactions: begins none, and leaves nothing but the id.
pub async fn probe_transactions(kafka: &Kafka) -> Result<()> {
    Producer::transactional(kafka, &kafka.topic, "roster-doctor", InFlight::after(0)).await.map(drop)
}

/// What hands the log over to the producer.
struct Sending<'r> {
    db: &'r Db,
    content: &'r Content,
    producer: &'r Producer,
    in_flight: &'r InFlight,
    stop: &'r CancellationToken,
}

impl Sending<'_> {
    /// Reads by position and hands over, until stopped and nothing is left.
    async fn run(&self, wake: &Wake, mark: i64) -> Result<()> {
        let mut numbered = wake.subscribe();
        let mut after = mark;
        loop {
            let last = self.stop.is_cancelled(); // before reading: what is there when it stops, is sent
            numbered.borrow_and_update();
            let records = store::after_position_everywhere(&mut self.db.snapshot().await?, after, BATCH_MAX).await?;
            let full = i64::try_from(records.len()).is_ok_and(|count| count == BATCH_MAX);
            self.skip_dropped(after, &records);
            let reached = records.last().and_then(|record| record.position).unwrap_or(after);
            if reached > after && !self.hand_over(records, reached).await? {
                return Ok(());
            }
            after = reached;
            if full {
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

    /// Positions have no gaps: where one is missing, retention has dropped it.
    fn skip_dropped(&self, after: i64, records: &[Record]) {
        let first = records.first().and_then(|record| record.position).unwrap_or(0);
        if first > after + 1 {
            tracing::warn!(after, first, "the log no longer has what is between: the topic will not have it");
            self.in_flight.skip(after, first);
        }
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
