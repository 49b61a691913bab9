//! A topic at its brokers: made where it is missing, and looked at before anything is published to it.

use std::time::{Duration, Instant};

use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::{Client, ClientContext, DefaultClientContext},
    consumer::Consumer as _,
    error::RDKafkaErrorCode,
};

use super::{
    feed::{Feed, Wanted},
    in_flight::Offsets,
    producer::librdkafka_settings,
    reader,
};
use crate::{
    config::Kafka,
    error::{Error, Result},
};

/// How long the brokers may take over a question about a topic.
pub const ASK_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait for a partition's leader before asking again.
const LEADER_PAUSE: Duration = Duration::from_millis(100);

/// A topic of one cluster, as marks are kept for it.
#[derive(Debug)]
pub struct Sink {
    /// The cluster's id, a slash, the topic's name: another cluster's topic of the same name is another sink.
    pub name: String,
    /// Whether the topic never held a record: what was published to an earlier one of its name is not in it.
    pub blank: bool,
    /// How many partitions it has.
    pub partitions: i32,
    /// The last offset of each; -1 where there is none.
    pub last: Offsets,
}

/// Makes a topic where it is missing.
pub async fn ensure(kafka: &Kafka, feed: Feed) -> Result<()> {
    let wanted = feed.wanted(kafka);
    match create(kafka, &wanted).await? {
        Ok(()) => tracing::info!(topic = wanted.topic, partitions = wanted.partitions, "topic created"),
        Err(RDKafkaErrorCode::TopicAlreadyExists) => {}
        // Often it is there, and only its making is refused.
        Err(code) => {
            tracing::warn!(topic = wanted.topic, %code, "the topic cannot be made: going on in case it exists")
        }
    }
    Ok(())
}

/// Whether a topic was not made because there is one of its name.
pub fn is_there(code: RDKafkaErrorCode) -> bool {
    code == RDKafkaErrorCode::TopicAlreadyExists
}

/// Makes a topic; answers what the brokers say to it.
pub async fn create(kafka: &Kafka, wanted: &Wanted) -> Result<std::result::Result<(), RDKafkaErrorCode>> {
    let admin: AdminClient<DefaultClientContext> = librdkafka_settings(kafka).create().map_err(Error::internal)?;
    let replication = TopicReplication::Fixed(wanted.replication_factor);
    let topic = NewTopic::new(&wanted.topic, wanted.partitions, replication);
    let topic = wanted.settings.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
    let results = admin.create_topics([&topic], &admin_options()).await.map_err(Error::internal)?;
    let result = results.into_iter().next().ok_or_else(|| Error::internal("no answer about the topic"))?;
    Ok(result.map(drop).map_err(|(_, code)| code))
}

/// How long the brokers may take over what an administrator asks for.
pub fn admin_options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(ASK_TIMEOUT)).request_timeout(Some(ASK_TIMEOUT))
}

/// Looks at a topic, on a thread that may block. Fails where it is missing or does not answer. Where a partition ends is where
/// what is acknowledged ends, whether its transaction is over or not.
pub async fn look(kafka: &Kafka, topic: &str) -> Result<Sink> {
    let (kafka, topic) = (kafka.clone(), topic.to_owned());
    let looking = tokio::task::spawn_blocking(move || {
        let consumer: reader::Consumer =
            reader::settings_of_everything(&kafka).create_with_context(reader::Hearing).map_err(Error::internal)?;
        sink(consumer.client(), &topic)
    });
    looking.await.map_err(Error::internal)?
}

fn sink<C: ClientContext>(client: &Client<C>, topic: &str) -> Result<Sink> {
    let mut last = Offsets::new();
    let partitions = partitions(client, topic)?;
    for partition in &partitions {
        last.insert(*partition, end(client, topic, *partition)? - 1);
    }
    // The brokers have answered by now: those that send no id have none.
    let cluster = client.fetch_cluster_id(ASK_TIMEOUT).unwrap_or_default();
    let partitions = i32::try_from(partitions.len()).map_err(Error::internal)?;
    let blank = last.values().all(|offset| *offset < 0);
    Ok(Sink { name: format!("{cluster}/{topic}"), blank, partitions, last })
}

/// Where a partition ends. One that was just made, or whose broker went, has a leader a moment later.
fn end<C: ClientContext>(client: &Client<C>, topic: &str, partition: i32) -> Result<i64> {
    use RDKafkaErrorCode::{LeaderNotAvailable, NotLeaderForPartition};
    let begin = Instant::now();
    loop {
        let error = match client.fetch_watermarks(topic, partition, ASK_TIMEOUT) {
            Ok((_, end)) => return Ok(end),
            Err(error) => error,
        };
        let code = error.rdkafka_error_code();
        let passes = code.is_some_and(|code| [LeaderNotAvailable, NotLeaderForPartition].contains(&code));
        if !passes || begin.elapsed() > ASK_TIMEOUT {
            return Err(Error::internal(error));
        }
        std::thread::sleep(LEADER_PAUSE);
    }
}

/// The partitions of a topic. Fails where there is no such topic: it is never taken for an empty one.
pub fn partitions<C: ClientContext>(client: &Client<C>, topic: &str) -> Result<Vec<i32>> {
    let metadata = client
        .fetch_metadata(Some(topic), ASK_TIMEOUT)
        .map_err(|error| Error::internal(format!("the brokers cannot be asked about the topic {topic}: {error}")))?;
    let found = metadata.topics().iter().find(|found| found.name() == topic && found.error().is_none());
    let partitions: Vec<_> =
        found.iter().flat_map(|found| found.partitions()).map(|partition| partition.id()).collect();
    if partitions.is_empty() {
        return Err(Error::internal(format!("the brokers have no topic {topic} that may be read")));
    }
    Ok(partitions)
}
