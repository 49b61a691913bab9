//! A topic, from its beginning to its present end.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
    message::{BorrowedMessage, Message as _},
};

use super::Failure;
use crate::{config::Kafka, relay};

/// How long the brokers may take over a question about the topic.
const ASK_TIMEOUT: Duration = Duration::from_secs(10);
/// How long no record at all may come.
const STALL_MAX: Duration = Duration::from_secs(30);
/// How long to wait for a record at once.
const POLL: Duration = Duration::from_secs(1);
/// After how many records to tell how far it is.
const PROGRESS_EVERY: i64 = 100_000;

/// Reads every partition to where it ends now, handing over each record; answers how many partitions there are.
pub fn read(kafka: &Kafka, mut take: impl FnMut(&BorrowedMessage<'_>)) -> Result<usize, Failure> {
    let consumer: BaseConsumer = settings(kafka).create()?;
    let partitions = relay::topic::partitions(consumer.client(), &kafka.topic)?;
    let (mut ends, total) = ends(&consumer, &kafka.topic, &partitions)?;
    assign(&consumer, &kafka.topic, &ends)?;
    let (mut count, mut last) = (0, Instant::now());
    while !ends.is_empty() {
        match consumer.poll(POLL) {
            Some(Ok(message)) => {
                last = Instant::now();
                let partition = message.partition();
                let Some(&end) = ends.get(&partition) else { continue };
                if message.offset() < end {
                    take(&message);
                    count += 1;
                    tell(count, total);
                }
                if message.offset() + 1 >= end {
                    ends.remove(&partition);
                }
            }
            // Offsets before the end need not all have a record: those of a transaction's marks have none.
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(ends.remove(&partition)),
            Some(Err(error)) if !may_pass(&error) => return Err(error.into()),
            Some(Err(_)) | None if last.elapsed() > STALL_MAX => {
                return Err(format!("Kafka sent nothing for {} s", STALL_MAX.as_secs()).into());
            }
            Some(Err(_)) | None => {}
        }
    }
    Ok(partitions.len())
}

/// A consumer that leaves no trace: it is in no group and commits nothing (librdkafka wants a group's name anyway).
fn settings(kafka: &Kafka) -> ClientConfig {
    let mut settings = ClientConfig::new();
    settings
        .set("bootstrap.servers", &kafka.brokers)
        .set("client.id", "roster-verify")
        .set("group.id", "roster-verify");
    for (key, value) in &kafka.properties {
        settings.set(key, value);
    }
    settings
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "error") // nothing is left out in silence
        .set("check.crcs", "true");
    settings
}

/// Where every partition that holds something ends now, and how many records those are at most.
fn ends(consumer: &BaseConsumer, topic: &str, partitions: &[i32]) -> Result<(BTreeMap<i32, i64>, i64), Failure> {
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

fn assign(consumer: &BaseConsumer, topic: &str, ends: &BTreeMap<i32, i64>) -> Result<(), Failure> {
    let mut list = TopicPartitionList::new();
    for &partition in ends.keys() {
        list.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    Ok(consumer.assign(&list)?)
}

/// Whether librdkafka goes on by itself after this error.
fn may_pass(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure, OperationTimedOut, Resolve};
    error
        .rdkafka_error_code()
        .is_some_and(|code| [AllBrokersDown, BrokerTransportFailure, OperationTimedOut, Resolve].contains(&code))
}

fn tell(count: i64, total: i64) {
    if count % PROGRESS_EVERY == 0 {
        eprintln!("{count} of {total} records read");
    }
}
