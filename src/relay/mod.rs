//! The relay: publishes the log to Kafka, in order, at least once: every event to one topic, and the state that each
//! leaves to another, which is compacted.
//!
//! It reads by position beyond what is in flight, and keeps the contiguous low-water mark of what the broker
//! acknowledged. A delivery error ends the producer; a new one resumes from the mark. Nothing is ever skipped: a mark
//! is of one topic of one cluster, and a topic that was made anew gets everything again.

pub mod claim;
pub mod cluster;
mod content;
pub mod cursor;
pub mod encoding;
pub mod feed;
mod in_flight;
pub mod last;
mod partition;
mod producer;
pub mod reach;
pub mod reader;
mod record;
pub mod replay;
mod sending;
mod state;
pub mod topic;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use claim::Against;
use content::Content;
use cursor::Mark;
pub use cursor::acknowledged;
pub use feed::Feed;
use in_flight::{InFlight, Offsets};
use last::Last;
use parking_lot::Mutex;
use producer::Producer;
pub use producer::{check_settings, librdkafka_settings};
use tokio_util::sync::CancellationToken;
use topic::Sink;

use crate::{
    config::Kafka,
    db::{Db, wake::Wake},
    error::{Error, Result},
    events::store,
    lease::Epoch,
};

/// How often the mark is stored.
const MARK_EVERY: Duration = Duration::from_millis(100);
/// How often to look whether the topic keeps up.
const BEHIND: Duration = Duration::from_secs(10);
/// How long to wait before a new producer, at first and at most.
const REBUILD: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(1));

/// When to say again what goes on to be wrong.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// Publishes the log to one topic.
#[derive(Debug)]
pub struct Relay {
    kafka: Kafka,
    feed: Feed,
    /// How far each partition of the topic was, when a broker last answered.
    seen: Mutex<Offsets>,
    /// Whether it was looked at what the topic has already.
    looked: AtomicBool,
}

impl Relay {
    /// A relay to each topic that is configured.
    pub fn all(kafka: &Kafka) -> Vec<Self> {
        Feed::configured(kafka).into_iter().map(|feed| Self::new(kafka.clone(), feed)).collect()
    }

    /// A relay to one topic.
    pub fn new(kafka: Kafka, feed: Feed) -> Self {
        Self { kafka, feed, seen: Mutex::default(), looked: AtomicBool::new(false) }
    }

    /// Publishes until stopped or no longer the leader. A failure costs a new producer, never an event.
    pub async fn run(&self, db: &Db, wake: &Wake, epoch: Epoch, stop: &CancellationToken) {
        let mut pause = REBUILD.0;
        let mut said: Option<(String, Instant)> = None;
        while !stop.is_cancelled() {
            match self.publish(db, wake, epoch, stop).await {
                Ok(published) => {
                    if published {
                        (pause, said) = (REBUILD.0, None);
                    }
                }
                Err(error) => {
                    let topic = self.feed.topic(&self.kafka);
                    // What stays so is not said every second.
                    let what = error.to_string();
                    if !said.as_ref().is_some_and(|(before, at)| *before == what && at.elapsed() < SAY_AGAIN) {
                        tracing::warn!(error = what, topic, "publishing to Kafka failed, resuming from the mark");
                        said = Some((what, Instant::now()));
                    }
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
        let sink = self.same(sink);
        let Some(mark) = cursor::open(db, &sink, epoch).await? else {
            stop.cancel(); // somebody else leads
            return Ok(false);
        };
        tokio::select! {
            claimed = self.claim(db, &sink, &mark, epoch) => claimed?,
            () = stop.cancelled() => return Ok(false),
        }
        let mark = mark.position;
        let in_flight = InFlight::in_topic(mark, sink.last.clone());
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
        let sending = sending::Sending { db, content: &content, producer: &producer, in_flight: &in_flight, stop };
        let ended = tokio::select! {
            ended = async { tokio::try_join!(marking, sending.run(wake, mark)) } => ended.map(|_| ()),
            () = tell_when_behind(db, &sink.name, &in_flight) => Ok(()),
            error = in_flight.failed() => Err(error),
        };
        if ended.is_ok() && !producer.is_transactional {
            producer.flush().await;
        }
        self.seen.lock().extend(in_flight.offsets());
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

    /// A topic that lacks what brokers had acknowledged is another one of its name: it gets everything, as a blank one.
    fn same(&self, sink: Sink) -> Sink {
        let mut seen = self.seen.lock();
        let lacks = |(partition, offset): (&i32, &i64)| sink.last.get(partition).is_none_or(|last| last < offset);
        if !seen.iter().any(lacks) {
            return sink;
        }
        seen.clear();
        tracing::warn!(sink = sink.name, "the topic is another one than before: everything is published again");
        Sink { blank: true, ..sink }
    }

    /// Looks at what the topic has, where nothing was published to it yet, and once in any case. Fails where that is not of
    /// this log: before a producer is made, which would end the one of whoever else publishes there.
    async fn claim(&self, db: &Db, sink: &Sink, mark: &Mark, epoch: Epoch) -> Result<()> {
        let (begins, is_refused) = (mark.position == 0, !mark.refused.is_empty());
        if !begins && !is_refused && self.looked.load(Ordering::Relaxed) {
            return Ok(());
        }
        let topic = self.feed.topic(&self.kafka);
        let last = match last::records(&self.kafka, topic, sink).await {
            Ok(Some(last)) => last,
            // What was refused stays so until it is seen to be otherwise.
            Ok(None) if is_refused => {
                return Err(Error::internal(format!("{topic} may not be read: {}", mark.refused)));
            }
            Ok(None) => {
                tracing::warn!(topic, "this account may not read the topic: whether others publish to it is not known");
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        self.tell_other_encodings(topic, &last);
        let against = claim::against(&mut db.snapshot().await?, topic, &last).await?;
        self.looked.store(true, Ordering::Relaxed);
        let refused = against.as_ref().filter(|against| begins || against.always);
        let why = refused.map_or_else(String::new, |Against { what, remedy, .. }| format!("{what}: {remedy}"));
        if mark.refused != why {
            cursor::refuse(db, &sink.name, epoch, &why).await?;
        }
        match against {
            None => Ok(()),
            Some(Against { what, remedy, .. }) if why.is_empty() => {
                tracing::warn!(topic, remedy, "{what}");
                Ok(())
            }
            Some(Against { what, remedy, .. }) => {
                if mark.refused != why {
                    tracing::error!(topic, remedy, "nothing is published: {what}");
                }
                Err(Error::internal(why))
            }
        }
    }

    /// Says where values were written in another way than they will be: a consumer that takes it from its own configuration
    /// reads the one or the other.
    fn tell_other_encodings(&self, topic: &str, last: &[Last]) {
        if let Some(other) = encoding::other(self.feed, &self.kafka, last) {
            tracing::warn!(topic, "{other}");
        }
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

/// Says for as long as it is so that the topic has not what the log had a while ago.
async fn tell_when_behind(db: &Db, sink: &str, in_flight: &InFlight) {
    let mut before = 0;
    loop {
        tokio::time::sleep(BEHIND).await;
        let head = async { store::head(&mut db.snapshot().await?).await };
        let Ok((head, _)) = head.await else { continue };
        let acknowledged = in_flight.acknowledged();
        if acknowledged < before {
            let seconds = BEHIND.as_secs();
            tracing::warn!(sink, acknowledged, events = head - acknowledged, "behind by more than {seconds} s");
        }
        before = head;
    }
}
