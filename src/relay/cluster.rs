//! Brokers and topics as they are, and the settings of topics changed.

use std::collections::BTreeMap;

use rdkafka::{
    admin::{AdminClient, AlterConfig, ConfigSource, ResourceSpecifier},
    client::DefaultClientContext,
    error::RDKafkaErrorCode,
};

use super::{
    producer::librdkafka_settings,
    reach,
    topic::{ASK_TIMEOUT, admin_options},
};
use crate::{
    config::Kafka,
    error::{Error, Result},
};

type Admin = AdminClient<DefaultClientContext>;

/// A cluster as it answers.
#[derive(Debug, Default)]
pub struct Cluster {
    /// Its brokers, by their ids.
    pub brokers: Vec<i32>,
    /// Its topics, by their names.
    pub topics: BTreeMap<String, Found>,
}

/// A topic as it is.
#[derive(Debug, Default)]
pub struct Found {
    /// How many partitions it has.
    pub partitions: i32,
    /// How many replicas, where it has the fewest.
    pub replicas: i32,
    /// How many of its partitions nobody leads.
    pub leaderless: usize,
    /// Why it cannot be asked about, if so.
    pub refused: Option<String>,
}

/// The settings of a topic or a broker.
#[derive(Debug, Default)]
pub struct Settings {
    /// All of them.
    pub values: BTreeMap<String, String>,
    /// Those that were set for the topic itself.
    pub own: BTreeMap<String, String>,
}

/// Looks at brokers and topics, without making any.
pub async fn look(kafka: &Kafka) -> Result<Cluster> {
    reach::brokers(kafka).await?;
    let settings = librdkafka_settings(kafka);
    let looking = tokio::task::spawn_blocking(move || {
        let admin: Admin = settings.create().map_err(Error::internal)?;
        // Of all topics: a question about one that is missing may bring it into being.
        let metadata = admin.inner().fetch_metadata(None, ASK_TIMEOUT).map_err(Error::internal)?;
        let topics = metadata.topics().iter().map(|topic| {
            let replicas = topic.partitions().iter().map(|partition| partition.replicas().len()).min();
            let found = Found {
                partitions: i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX),
                replicas: replicas.and_then(|count| i32::try_from(count).ok()).unwrap_or(0),
                leaderless: topic.partitions().iter().filter(|partition| partition.leader() < 0).count(),
                refused: topic.error().map(|error| RDKafkaErrorCode::from(error).to_string()),
            };
            (topic.name().to_owned(), found)
        });
        let brokers = metadata.brokers().iter().map(|broker| broker.id());
        Ok(Cluster { brokers: brokers.collect(), topics: topics.collect() })
    });
    looking.await.map_err(Error::internal)?
}

/// The settings of a topic; none where the brokers do not tell them.
pub async fn topic_settings(kafka: &Kafka, topic: &str) -> Result<Option<Settings>> {
    settings(kafka, ResourceSpecifier::Topic(topic)).await
}

/// The settings of a broker; none where it does not tell them.
pub async fn broker_settings(kafka: &Kafka, id: i32) -> Result<Option<Settings>> {
    settings(kafka, ResourceSpecifier::Broker(id)).await
}

async fn settings(kafka: &Kafka, of: ResourceSpecifier<'_>) -> Result<Option<Settings>> {
    let admin: Admin = librdkafka_settings(kafka).create().map_err(Error::internal)?;
    let described = admin.describe_configs([&of], &admin_options()).await.map_err(Error::internal)?;
    let Some(Ok(resource)) = described.into_iter().next() else { return Ok(None) };
    let mut settings = Settings::default();
    for entry in resource.entries {
        let Some(value) = entry.value else { continue };
        if entry.source == ConfigSource::DynamicTopic {
            settings.own.insert(entry.name.clone(), value.clone());
        }
        settings.values.insert(entry.name, value);
    }
    Ok(Some(settings).filter(|settings| !settings.values.is_empty()))
}

/// Sets what a topic itself has set: all of it, for what is not named is unset.
pub async fn set(kafka: &Kafka, topic: &str, own: &BTreeMap<String, String>) -> Result<()> {
    let admin: Admin = librdkafka_settings(kafka).create().map_err(Error::internal)?;
    let alter = AlterConfig::new(ResourceSpecifier::Topic(topic));
    let alter = own.iter().fold(alter, |alter, (key, value)| alter.set(key, value));
    let altered = admin.alter_configs([&alter], &admin_options()).await.map_err(Error::internal)?;
    match altered.into_iter().next() {
        Some(Ok(_)) => Ok(()),
        Some(Err((_, code))) => Err(Error::internal(format!("the settings of {topic} cannot be changed: {code}"))),
        None => Err(Error::internal("no answer about the settings")),
    }
}
