//! A topic, from its beginning to its present end.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, ClientContext, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    message::{BorrowedMessage, Headers as _, Message as _},
};

use super::{
    encoding::{Codec, Decoded},
    feed::Feed,
    reach,
    topic::{self, ASK_TIMEOUT},
};
use crate::{
    config::Kafka,
    error::{Error, Result},
};

/// How long no record at all may come.
const STALL_MAX: Duration = Duration::from_secs(30);
/// How long to wait for a record at once.
const POLL: Duration = Duration::from_secs(1);
/// After how many records to tell how far it is.
const PROGRESS_EVERY: i64 = 100_000;

/// A consumer of this kind.
pub(super) type Consumer = BaseConsumer<Hearing>;

/// Hears what librdkafka has to say of a consumer.
#[derive(Debug)]
pub(super) struct Hearing;

impl ClientContext for Hearing {
    fn error(&self, error: KafkaError, reason: &str) {
        let of_no_group = error.rdkafka_error_code() == Some(RDKafkaErrorCode::GroupAuthorizationFailed);
        // The end of a partition is where everybody comes who reads to the end, and a group is asked for by none.
        if !of_no_group && !matches!(error, KafkaError::PartitionEOF(_)) {
            tracing::warn!(%error, reason, "Kafka");
        }
    }
}

impl ConsumerContext for Hearing {}

/// A record of a topic.
#[derive(Debug)]
pub struct Seen<'m> {
    message: &'m BorrowedMessage<'m>,
    codec: &'m Codec,
}

impl Seen<'_> {
    /// In which partition, and where in it.
    pub fn place(&self) -> (i32, i64) {
        (self.message.partition(), self.message.offset())
    }

    /// Its key.
    pub fn key(&self) -> Option<&[u8]> {
        self.message.key()
    }

    /// Its value; none: a tombstone.
    pub fn value(&self) -> Option<&[u8]> {
        self.message.payload()
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.message.headers()?.iter().find(|header| header.key == name)?.value
    }

    /// How its value is written: what its headers say, or, where they say nothing, what is configured.
    pub fn encoding(&self) -> String {
        let text = |name| self.header(name).and_then(|text| str::from_utf8(text).ok());
        let content_type = text("content-type").unwrap_or(self.codec.content_type());
        match text("ce_dataschema") {
            Some(schema) => format!("{content_type} of the schema {schema}"),
            None => content_type.to_owned(),
        }
    }

    /// Its value as protobuf, whatever its encoding is; none where it is not what its topic carries.
    pub fn decoded(&self) -> Option<Decoded<'_>> {
        let content_type = self.header("content-type").and_then(|text| str::from_utf8(text).ok());
        self.codec.decode(self.value()?, content_type)
    }
}

/// Reads every partition of a topic to where it ends now, handing over each record; answers how many partitions there
/// are. Blocks, and tells its progress.
pub fn read(kafka: &Kafka, feed: Feed, mut take: impl FnMut(&Seen<'_>)) -> Result<usize> {
    reach::brokers_blocking(kafka)?;
    let (topic, codec) = (feed.topic(kafka), Codec::new(feed, kafka));
    let consumer: Consumer = settings(kafka).create_with_context(Hearing).map_err(Error::internal)?;
    let partitions = topic::partitions(consumer.client(), topic)?;
    let (mut ends, total) = ends(&consumer, topic, &partitions).map_err(Error::internal)?;
    assign(&consumer, topic, &ends).map_err(Error::internal)?;
    let (mut count, mut last) = (0, Instant::now());
    while !ends.is_empty() {
        match consumer.poll(POLL) {
            Some(Ok(message)) => {
                last = Instant::now();
                let partition = message.partition();
                let Some(&end) = ends.get(&partition) else { continue };
                if message.offset() < end {
                    take(&Seen { message: &message, codec: &codec });
                    count += 1;
                    tell(count, total);
                }
                if message.offset() + 1 >= end {
                    ends.remove(&partition);
                }
            }
            // Offsets before the end need not all have a record: those of a transaction's marks have none.
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(ends.remove(&partition)),
            Some(Err(error)) if !may_pass(&error) => return Err(Error::internal(error)),
            Some(Err(_)) | None if last.elapsed() > STALL_MAX => {
                return Err(Error::internal(format!("Kafka sent nothing for {} s", STALL_MAX.as_secs())));
            }
            Some(Err(_)) | None => {}
        }
    }
    Ok(partitions.len())
}

/// A consumer that leaves no trace: it is in no group and commits nothing (librdkafka wants a group's name anyway).
pub(super) fn settings(kafka: &Kafka) -> ClientConfig {
    let mut settings = ClientConfig::new();
    settings
        .set("bootstrap.servers", &kafka.brokers)
        .set("client.id", "roster-reader")
        .set("group.id", "roster-reader");
    for (key, value) in &kafka.properties {
        settings.set(key, value);
    }
    settings
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_committed") // what a former leader did not commit was never said
        .set("auto.offset.reset", "error") // nothing is left out in silence
        .set("check.crcs", "true");
    settings
}

/// The same, of what is not committed too: for whoever looks at what a topic has.
pub(super) fn settings_of_everything(kafka: &Kafka) -> ClientConfig {
    let mut settings = settings(kafka);
    settings
        .set_log_level(RDKafkaLogLevel::Error) // properties that are for producers are no news
        .set("isolation.level", "read_uncommitted");
    settings
}

/// Where every partition that holds something ends now, and how many records those are at most.
fn ends(consumer: &Consumer, topic: &str, partitions: &[i32]) -> KafkaResult<(BTreeMap<i32, i64>, i64)> {
    let (mut ends, mut total) = (BTreeMap::new(), 0);
    for &partition in partitions {
        let (low, high) = consumer.fetch_watermarks(topic, partition, ASK_TIMEOUT)?;
        total += high - low;
        if high > low {
            ends.insert(partition, high);
        }
    }
    Ok((ends, total))
}

fn assign(consumer: &Consumer, topic: &str, ends: &BTreeMap<i32, i64>) -> KafkaResult<()> {
    let mut list = TopicPartitionList::new();
    for &partition in ends.keys() {
        list.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&list)
}

/// Whether librdkafka goes on by itself after this error.
pub(super) fn may_pass(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{
        AllBrokersDown, BrokerTransportFailure, GroupAuthorizationFailed, OperationTimedOut, Resolve,
    };
    // The group has a name alone: that this account may not join it keeps nobody from reading.
    let passing = [AllBrokersDown, BrokerTransportFailure, GroupAuthorizationFailed, OperationTimedOut, Resolve];
    error.rdkafka_error_code().is_some_and(|code| passing.contains(&code))
}

fn tell(count: i64, total: i64) {
    if count % PROGRESS_EVERY == 0 {
        eprintln!("{count} of {total} records read");
    }
}
