//! Where events are published.

use super::{Faults, Settings, read::count};

/// Topics, what is in them, and how to reach them.
#[derive(Debug, Clone, Default)]
pub struct Kafka {
    /// `host:port,…`.
    pub brokers: String,
    /// The topic of events.
    pub topic: String,
    /// The topic of states; none where it is empty.
    pub state_topic: String,
    /// What values are.
    pub encoding: Encoding,
    /// Whether personal fields are left out.
    pub omits_personal: bool,
    /// Which topics are written in transactions.
    pub transactional: Transactional,
    /// How many partitions a topic is made with.
    pub partitions: i32,
    /// How many replicas a topic is made with; -1: as the brokers are set.
    pub replication_factor: i32,
    /// Further properties of librdkafka.
    pub properties: Vec<(String, String)>,
}

/// What values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Encoding {
    /// How a message is written.
    pub format: Format,
    /// The ids of its schemas, in Confluent's wire format; none where values have no frame.
    pub schema_ids: Option<SchemaIds>,
}

/// How a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// In bytes.
    #[default]
    Protobuf,
    /// As ProtoJSON.
    Json,
}

/// What a schema registry calls the schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SchemaIds {
    /// Of `roster.v1.Event`.
    pub event: u32,
    /// Of `roster.v1.State`.
    pub state: u32,
}

/// Which topics are written in transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transactional {
    /// None.
    Off,
    /// That of states: an old state that comes late would stay, for a compacted topic has no later one.
    #[default]
    State,
    /// That of events too.
    All,
}

/// Properties of librdkafka that nobody may change: order and completeness rest on them.
const PROMISED: [&str; 14] = [
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
    "isolation.level",
];

/// Checks the settings of the topics and how they are reached.
pub fn read(faults: &mut Faults, settings: &Settings) -> Option<Kafka> {
    let partitions = count(faults, "kafka_partitions", &settings.kafka_partitions, 1);
    let replication_factor = count(faults, "kafka_replication_factor", &settings.kafka_replication_factor, -1);
    let kafka = Kafka {
        brokers: settings.kafka_brokers.clone(),
        topic: settings.kafka_topic.clone(),
        state_topic: settings.kafka_state_topic.clone(),
        encoding: encoding(faults, settings),
        omits_personal: choice(
            faults,
            "stream_personal_data",
            &settings.stream_personal_data,
            &[("include", false), ("omit", true)],
        ),
        transactional: choice(
            faults,
            "kafka_transactional",
            &settings.kafka_transactional,
            &[("off", Transactional::Off), ("state", Transactional::State), ("all", Transactional::All)],
        ),
        partitions,
        replication_factor,
        properties: properties(faults, &settings.kafka_properties),
    };
    if kafka.brokers.is_empty() {
        return None;
    }
    check_brokers(faults, &kafka.brokers);
    check_topics(faults, &kafka);
    if cfg!(not(feature = "kafka")) {
        faults.push("kafka_brokers: this build has no Kafka (cargo feature kafka)".to_owned());
    }
    #[cfg(feature = "kafka")]
    if let Err(fault) = crate::relay::check_settings(&kafka) {
        faults.push(format!("kafka_properties: {fault}"));
    }
    Some(kafka)
}

/// One of a few words; the first where it is none of them.
fn choice<T: Copy>(faults: &mut Faults, key: &str, value: &str, choices: &[(&str, T)]) -> T {
    let chosen = choices.iter().find(|(word, _)| *word == value);
    if chosen.is_none() {
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        faults.push(format!("{key}: {value:?} is none of {}", words.join(", ")));
    }
    chosen.unwrap_or(&choices[0]).1
}

fn encoding(faults: &mut Faults, settings: &Settings) -> Encoding {
    let (format, framed) = choice(
        faults,
        "kafka_encoding",
        &settings.kafka_encoding,
        &[
            ("protobuf", (Format::Protobuf, false)),
            ("json", (Format::Json, false)),
            ("confluent-protobuf", (Format::Protobuf, true)),
            ("confluent-json", (Format::Json, true)),
        ],
    );
    let states = !settings.kafka_state_topic.is_empty();
    let ids = SchemaIds {
        event: schema_id(faults, "kafka_schema_id", &settings.kafka_schema_id, framed),
        state: schema_id(faults, "kafka_state_schema_id", &settings.kafka_state_schema_id, framed && states),
    };
    Encoding { format, schema_ids: framed.then_some(ids) }
}

/// An id as a schema registry gives them: a positive number of 31 bits.
fn schema_id(faults: &mut Faults, key: &str, value: &str, required: bool) -> u32 {
    if value.is_empty() {
        if required {
            faults.push(format!("{key}: required with a Confluent encoding: the id of the schema in its registry"));
        }
        return 0;
    }
    let id = value.parse::<i32>().ok().and_then(|id| u32::try_from(id).ok()).filter(|id| *id > 0);
    if id.is_none() {
        faults.push(format!("{key}: {value:?} is not a number of 1 to {}", i32::MAX));
    }
    id.unwrap_or(0)
}

fn properties(faults: &mut Faults, text: &str) -> Vec<(String, String)> {
    let mut properties = Vec::new();
    let separator = if text.contains('\n') { '\n' } else { ',' };
    for property in text.split(separator).filter(|property| !property.trim().is_empty()) {
        match property.split_once('=') {
            Some((key, _)) if PROMISED.contains(&key.trim()) => {
                faults.push(format!("kafka_properties: {} is what the stream's promises rest on", key.trim()));
            }
            Some((key, value)) => properties.push((key.trim().to_owned(), value.trim().to_owned())),
            None => faults.push("kafka_properties: not of the form key=value,key=value".to_owned()),
        }
    }
    properties
}

fn check_brokers(faults: &mut Faults, brokers: &str) {
    let is_broker = |broker: &str| {
        let port = broker.trim().rsplit_once(':').filter(|(host, _)| !host.is_empty() && !host.contains(' '));
        port.is_some_and(|(_, port)| port.parse::<u16>().is_ok())
    };
    if !brokers.split(',').all(is_broker) {
        faults.push(format!("kafka_brokers: {brokers:?} is not of the form host:9092,host:9092"));
    }
}

fn check_topics(faults: &mut Faults, kafka: &Kafka) {
    if !is_topic(&kafka.topic) {
        faults.push(format!("kafka_topic: {:?} is not 1 to 249 of a-z A-Z 0-9 . _ -", kafka.topic));
    }
    if !kafka.state_topic.is_empty() && !is_topic(&kafka.state_topic) {
        faults.push(format!("kafka_state_topic: {:?} is not 1 to 249 of a-z A-Z 0-9 . _ -", kafka.state_topic));
    }
    if kafka.state_topic == kafka.topic {
        faults.push("kafka_state_topic: the topic of events is another one".to_owned());
    }
}

/// Whether a topic may be named so.
pub fn is_topic(name: &str) -> bool {
    let in_topic = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (1..=249).contains(&name.len()) && name.chars().all(in_topic) && ![".", ".."].contains(&name)
}
