//! The last records of a topic, by their headers: of which log they are, and how their values are written.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::Consumer as _,
    error::{KafkaError, RDKafkaErrorCode},
    message::{BorrowedMessage, Headers as _, Message as _},
};

use super::{
    reader::{self, Consumer, Hearing},
    topic::{ASK_TIMEOUT, Sink},
};
use crate::{
    config::Kafka,
    error::{Error, Result},
    events::{Stream, cloud_event},
    ids::{EventId, TenantId},
};

/// How many offsets before the end of each partition are looked at: the marks of transactions have some too.
const OFFSETS: i64 = 8;
/// How long to wait for a record at once.
const POLL: Duration = Duration::from_millis(200);

/// One of the last records of a partition, as far as its headers say.
#[derive(Debug, Clone, Default)]
pub struct Last {
    /// In which partition.
    pub partition: i32,
    /// Where in it.
    pub offset: i64,
    /// What its value is; empty where that is not said.
    pub content_type: String,
    /// Where the schema of its value is found.
    pub data_schema: String,
    /// Of which log it is; empty where it is of none.
    pub stream_epoch: String,
    /// Where in that log.
    pub position: i64,
    /// Which event it is, or is the state after.
    pub event_id: Option<EventId>,
    /// Of which tenant, and of which stream.
    pub source: Option<(TenantId, Stream)>,
}

/// The last records of every partition, as it ended when it was looked at. None where the account may not read them.
pub async fn records(kafka: &Kafka, topic: &str, sink: &Sink) -> Result<Option<Vec<Last>>> {
    let (kafka, topic) = (kafka.clone(), topic.to_owned());
    let ends: Vec<_> = sink.last.iter().filter(|(_, last)| **last >= 0).map(|(p, last)| (*p, *last)).collect();
    if ends.is_empty() {
        return Ok(Some(Vec::new()));
    }
    tokio::task::spawn_blocking(move || read(&kafka, &topic, &ends)).await.map_err(Error::internal)?
}

fn read(kafka: &Kafka, topic: &str, ends: &[(i32, i64)]) -> Result<Option<Vec<Last>>> {
    // Whoever writes in a transaction now counts too.
    let consumer: Consumer = reader::settings_of_everything(kafka)
        .set("auto.offset.reset", "earliest") // what was there before may be dropped
        .create_with_context(Hearing)
        .map_err(Error::internal)?;
    let mut list = TopicPartitionList::new();
    for (partition, last) in ends {
        let begin = Offset::Offset((last + 1 - OFFSETS).max(0));
        list.add_partition_offset(topic, *partition, begin).map_err(Error::internal)?;
    }
    consumer.assign(&list).map_err(Error::internal)?;
    let mut open: BTreeSet<_> = ends.iter().map(|(partition, _)| *partition).collect();
    let (mut records, begin) = (Vec::new(), Instant::now());
    while !open.is_empty() {
        match consumer.poll(POLL) {
            Some(Ok(message)) => {
                let (partition, offset) = (message.partition(), message.offset());
                if ends.iter().any(|(of, last)| *of == partition && offset >= *last) {
                    open.remove(&partition);
                }
                records.push(Last::of(&message));
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(open.remove(&partition)),
            Some(Err(error)) if is_forbidden(&error) => return Ok(None),
            Some(Err(error)) if !reader::may_pass(&error) => return Err(Error::internal(error)),
            Some(Err(_)) | None if begin.elapsed() > ASK_TIMEOUT => {
                return Err(Error::internal(format!("the last records of {topic} do not come")));
            }
            Some(Err(_)) | None => {}
        }
    }
    Ok(Some(records))
}

fn is_forbidden(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::TopicAuthorizationFailed)
}

impl Last {
    fn of(message: &BorrowedMessage<'_>) -> Self {
        let mut last = Self { partition: message.partition(), offset: message.offset(), ..Self::default() };
        for header in message.headers().iter().flat_map(|headers| headers.iter()) {
            let Some(text) = header.value.and_then(|value| str::from_utf8(value).ok()) else { continue };
            match header.key {
                "content-type" => text.clone_into(&mut last.content_type),
                "ce_dataschema" => text.clone_into(&mut last.data_schema),
                "x-stream-epoch" => text.clone_into(&mut last.stream_epoch),
                "x-position" => last.position = text.parse().unwrap_or(0),
                // That of a state begins with its event's.
                "ce_id" => last.event_id = text.split('/').next().and_then(|id| id.parse().ok()),
                "ce_source" => last.source = cloud_event::read_source(text),
                _ => {}
            }
        }
        last
    }
}
