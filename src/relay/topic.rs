//! The topic at its brokers: made where it is missing, and looked at before anything is published to it.

use std::time::Duration;

use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::{Client, ClientContext, DefaultClientContext},
    error::RDKafkaErrorCode,
};

use super::producer::librdkafka_settings;
use crate::{
    config::Kafka,
    error::{Error, Result},
};

/// How long the brokers may take over a question about the topic.
const ASK_TIMEOUT: Duration = Duration::from_secs(10);

/// A topic of one cluster, as marks are kept for it.
#[derive(Debug)]
pub struct Sink {
    /// The cluster's id, a slash, the topic's name: another cluster's topic of the same name is another sink.
    pub name: String,
    /// Whether the topic never held a record: what was published to an earlier one of its name is not in it.
    pub blank: bool,
}

/// Makes the topic where it is missing: its records are kept for good, or the state could not be rebuilt from it.
pub async fn ensure(kafka: &Kafka) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = librdkafka_settings(kafka).create().map_err(Error::internal)?;
    let topic = NewTopic::new(&kafka.topic, kafka.partitions, TopicReplication::Fixed(kafka.replication_factor))
        .set("cleanup.policy", "delete")
        .set("retention.ms", "-1")
        .set("retention.bytes", "-1");
    let options = AdminOptions::new().operation_timeout(Some(ASK_TIMEOUT)).request_timeout(Some(ASK_TIMEOUT));
    let results = admin.create_topics([&topic], &options).await.map_err(Error::internal)?;
    for result in results {
        match result {
            Ok(_) => tracing::info!(topic = kafka.topic, partitions = kafka.partitions, "topic created"),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            // Often it is there, and only its making is refused.
            Err((topic, code)) => tracing::warn!(topic, %code, "the topic cannot be made: going on in case it exists"),
        }
    }
    Ok(())
}

/// Looks at the topic, on a thread that may block. Fails where it is missing or does not answer.
pub async fn look(kafka: &Kafka) -> Result<Sink> {
    let kafka = kafka.clone();
    let looking = tokio::task::spawn_blocking(move || {
        let admin: AdminClient<DefaultClientContext> = librdkafka_settings(&kafka).create().map_err(Error::internal)?;
        sink(admin.inner(), &kafka.topic)
    });
    looking.await.map_err(Error::internal)?
}

fn sink<C: ClientContext>(client: &Client<C>, topic: &str) -> Result<Sink> {
    let mut blank = true;
    for partition in partitions(client, topic)? {
        let (_, end) = client.fetch_watermarks(topic, partition, ASK_TIMEOUT).map_err(Error::internal)?;
        blank &= end == 0;
    }
    // The brokers have answered by now: those that send no id have none.
    let cluster = client.fetch_cluster_id(ASK_TIMEOUT).unwrap_or_default();
    Ok(Sink { name: format!("{cluster}/{topic}"), blank })
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
