//! librdkafka, as the relay uses it.

use std::time::Duration;

use rdkafka::{
    ClientConfig, ClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    message::DeliveryResult,
    producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer},
};
use tokio_util::sync::CancellationToken;

use super::{in_flight::InFlight, record};
use crate::{
    config::Kafka,
    error::{Error, Result},
    events::Record,
};

/// How long to wait where the producer's queue is full.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(5);
/// How long a stopping relay waits for what is in flight.
const FLUSH: Duration = Duration::from_secs(5);

/// How librdkafka is set, and why.
pub fn librdkafka_settings(kafka: &Kafka) -> ClientConfig {
    let mut settings = ClientConfig::new();
    settings
        .set("bootstrap.servers", &kafka.brokers)
        .set("client.id", "roster")
        .set("enable.idempotence", "true") // a retry must not reorder
        .set("enable.gapless.guarantee", "true") // a message that is given up ends the producer, and is not overtaken
        .set("acks", "all")
        .set("message.timeout.ms", "0") // an expired message would be a gap
        .set("linger.ms", "5")
        .set("queue.buffering.max.messages", "50000") // bounds memory while Kafka is away
        .set("queue.buffering.max.kbytes", "65536")
        .set("compression.type", "lz4")
        .set("partitioner", "murmur2_random") // what Java's clients do: joins depend on it
        .set("reconnect.backoff.max.ms", "1000");
    for (key, value) in &kafka.properties {
        settings.set(key, value);
    }
    settings
}

/// What librdkafka does not take of the settings: named without its value, which may be a secret.
pub fn check_settings(kafka: &Kafka) -> std::result::Result<(), String> {
    librdkafka_settings(kafka).create_native_config().map(drop).map_err(|error| match error {
        KafkaError::ClientConfig(_, description, key, _) => format!("{key}: {description}"),
        _ => "not a configuration of librdkafka".to_owned(),
    })
}

/// Hears of deliveries on the producer's own threads.
struct Deliveries(InFlight);

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "Kafka");
    }
}

impl ProducerContext for Deliveries {
    /// The position.
    type DeliveryOpaque = Box<i64>;

    fn delivery(&self, result: &DeliveryResult<'_>, position: Box<i64>) {
        match result {
            Ok(_) => self.0.acknowledge(*position),
            Err((error, _)) => self.0.fail(*position, &error.to_string()),
        }
    }
}

/// One producer's life.
pub struct Producer {
    kafka: ThreadedProducer<Deliveries>,
    topic: String,
    stream_epoch: String,
}

impl Producer {
    /// A new producer.
    pub fn new(kafka: &Kafka, stream_epoch: String, in_flight: InFlight) -> Result<Self> {
        let producer =
            librdkafka_settings(kafka).create_with_context(Deliveries(in_flight)).map_err(Error::internal)?;
        Ok(Self { kafka: producer, topic: kafka.topic.clone(), stream_epoch })
    }

    /// Hands an event over, waiting while the queue is full; false where it was stopped.
    pub async fn send(&self, record: Record, stop: &CancellationToken) -> Result<bool> {
        let position = record.position.ok_or_else(|| Error::internal("an event without a position"))?;
        let value = record.envelope(&self.stream_epoch);
        let event = <crate::proto::v1::Event as prost::Message>::decode(&*value).map_err(Error::internal)?;
        let headers = record::headers(&event, &self.stream_epoch);
        let mut message = BaseRecord::with_opaque_to(&self.topic, Box::new(position))
            .key(record::key(&event))
            .payload(&value)
            .headers(headers);
        loop {
            match self.kafka.send(message) {
                Ok(()) => return Ok(true),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), unsent)) => message = unsent,
                Err((error, _)) => return Err(Error::internal(error)),
            }
            if stop.is_cancelled() {
                return Ok(false);
            }
            tokio::time::sleep(QUEUE_FULL_PAUSE).await;
        }
    }

    /// Waits, for a while, for what is in flight.
    pub async fn flush(&self) {
        let producer = self.kafka.clone();
        let flushed = tokio::task::spawn_blocking(move || producer.flush(FLUSH)).await;
        if let Ok(Err(error)) = flushed {
            tracing::warn!(%error, "not everything in flight was acknowledged: it will be sent again");
        }
    }
}
