//! Where events are published.

use super::{Faults, Settings, read::count};

/// A topic, and how to reach it.
#[derive(Debug, Clone)]
pub struct Kafka {
    /// `host:port,…`.
    pub brokers: String,
    /// The topic.
    pub topic: String,
    /// How many partitions it is made with.
    pub partitions: i32,
    /// How many replicas it is made with.
    pub replication_factor: i32,
    /// Further properties of librdkafka.
    pub properties: Vec<(String, String)>,
}

/// Properties of librdkafka that nobody may change: order and completeness rest on them.
const PROMISED: [&str; 13] = [
    "bootstrap.servers",
    "metadata.broker.list",
    "enable.idempotence",
    "acks",
    "request.required.acks",
    "message.timeout.ms",
    "delivery.timeout.ms",
    "partitioner",
    "enable.gapless.guarantee",
    "retries",
    "message.send.max.retries",
    "transactional.id",
    "max.in.flight.requests.per.connection",
];

/// Checks the settings of the topic and how it is reached.
pub fn read(faults: &mut Faults, settings: &Settings) -> Option<Kafka> {
    let partitions = count(faults, "kafka_partitions", &settings.kafka_partitions, 1);
    let replication_factor = count(faults, "kafka_replication_factor", &settings.kafka_replication_factor, -1);
    let mut properties = Vec::new();
    let separator = if settings.kafka_properties.contains('\n') { '\n' } else { ',' };
    for property in settings.kafka_properties.split(separator).filter(|property| !property.trim().is_empty()) {
        match property.split_once('=') {
            Some((key, _)) if PROMISED.contains(&key.trim()) => {
                faults.push(format!("kafka_properties: {} is what the stream's promises rest on", key.trim()));
            }
            Some((key, value)) => properties.push((key.trim().to_owned(), value.trim().to_owned())),
            None => faults.push("kafka_properties: not of the form key=value,key=value".to_owned()),
        }
    }
    if settings.kafka_brokers.is_empty() {
        return None;
    }
    let is_broker = |broker: &str| {
        let port = broker.trim().rsplit_once(':').filter(|(host, _)| !host.is_empty() && !host.contains(' '));
        port.is_some_and(|(_, port)| port.parse::<u16>().is_ok())
    };
    if !settings.kafka_brokers.split(',').all(is_broker) {
        faults.push(format!("kafka_brokers: {:?} is not of the form host:9092,host:9092", settings.kafka_brokers));
    }
    let in_topic = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !(1..=249).contains(&settings.kafka_topic.len()) || !settings.kafka_topic.chars().all(in_topic) {
        faults.push(format!("kafka_topic: {:?} is not 1 to 249 of a-z A-Z 0-9 . _ -", settings.kafka_topic));
    }
    if cfg!(not(feature = "kafka")) {
        faults.push("kafka_brokers: this build has no Kafka (cargo feature kafka)".to_owned());
    }
    let kafka = Kafka {
        brokers: settings.kafka_brokers.clone(),
        topic: settings.kafka_topic.clone(),
        partitions,
        replication_factor,
        properties,
    };
    #[cfg(feature = "kafka")]
    if let Err(fault) = crate::relay::check_settings(&kafka) {
        faults.push(format!("kafka_properties: {fault}"));
    }
    Some(kafka)
}
