//! Events of the log published once more, into a topic of choice.

use tokio_util::sync::CancellationToken;

use super::{content::Content, feed::Feed, in_flight::InFlight, producer::Producer, reach, topic};
use crate::{
    clock::Timestamp,
    config::Kafka,
    db::Db,
    error::{Error, Result},
    events::{Batches, Record, Stream, horizon, store},
};

/// How many events are read at once.
const BATCH_MAX: i64 = 2_000;
/// How often to look whether everything has arrived.
const POLL: std::time::Duration = std::time::Duration::from_millis(20);

/// Which events.
#[derive(Debug, Clone, Copy)]
pub struct Range {
    /// After this position.
    pub after: i64,
    /// Up to this one.
    pub up_to: i64,
    /// Of this stream alone.
    pub stream: Option<Stream>,
    /// Not before this time.
    pub since: Timestamp,
    /// Before this time.
    pub until: Timestamp,
}

/// Publishes a range of the log to the configured topic of events, which is made where it is missing, and waits until all
/// of it has arrived. Answers how many events that were: all of them, unless it was stopped.
pub async fn run(
    db: &Db,
    kafka: &Kafka,
    range: Range,
    stop: &CancellationToken,
    mut tell: impl FnMut(i64),
) -> Result<i64> {
    reach::brokers(kafka).await?;
    topic::ensure(kafka, Feed::Events).await?;
    let sink = topic::look(kafka, &kafka.topic).await?;
    let (head, stream_epoch) = store::head(&mut db.snapshot().await?).await?;
    let content = Content::new(Feed::Events, kafka, stream_epoch.to_string(), sink.partitions);
    let in_flight = InFlight::after(0);
    let producer = Producer::new(kafka, &kafka.topic, in_flight.clone())?;
    let up_to = range.up_to.min(head);
    let hidden = horizon::everywhere(&mut db.snapshot().await?).await?;
    let is_there = |record: &Record| hidden.get(&record.stream()).is_none_or(|hidden| record.sequence > *hidden);
    let (mut after, mut count, mut batches) = (range.after, 0, Batches::of(BATCH_MAX));
    while after < up_to && !stop.is_cancelled() {
        let records = batches.after(&mut db.snapshot().await?, after).await?;
        let Some(last) = records.last().and_then(|record| record.position) else { break };
        for record in records.into_iter().filter(|record| range.has(record, up_to) && is_there(record)) {
            if !range.has_time(&record)? {
                continue;
            }
            for message in content.messages(db, record).await? {
                count += 1;
                // Counted on its own: what is left out of the log is not waited for.
                tokio::select! {
                    sent = producer.send(&message, count, true, stop) => drop(sent?),
                    error = in_flight.failed() => return Err(error),
                }
            }
        }
        after = last;
        tell(count);
    }
    while in_flight.acknowledged() < count && !stop.is_cancelled() {
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            error = in_flight.failed() => return Err(error),
        }
    }
    Ok(in_flight.acknowledged())
}

impl Range {
    fn has(&self, record: &Record, up_to: i64) -> bool {
        record.position.is_some_and(|position| position <= up_to)
            && self.stream.is_none_or(|stream| record.stream() == stream)
    }

    fn has_time(&self, record: &Record) -> Result<bool> {
        if (self.since, self.until) == (Timestamp(i64::MIN), Timestamp(i64::MAX)) {
            return Ok(true);
        }
        let time = record.clone().decode("")?.occur_time.unwrap_or_default();
        let time = Timestamp::try_from(&time).map_err(|()| Error::internal("an event without a time"))?;
        Ok((self.since..self.until).contains(&time))
    }
}
