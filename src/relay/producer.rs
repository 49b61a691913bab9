//! librdkafka, as the relay uses it.

use std::time::Duration;

use rdkafka::{
    ClientConfig, ClientContext,
    client::DefaultClientContext,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Message as _},
    producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer},
};
use tokio_util::sync::CancellationToken;

use super::{feed, in_flight::InFlight, record::Message};
use crate::{
    config::{Format, Kafka},
    error::{Error, Result},
};

/// How long to wait where the producer's queue is full.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(5);
/// How long a stopping relay waits for what is in flight.
const FLUSH: Duration = Duration::from_secs(5);
/// How long the brokers may take over the beginning or the end of a transaction, before they are asked again.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);

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
        .set("queue.buffering.max.messages", "20000") // bounds memory while Kafka is away
        .set("queue.buffering.max.kbytes", "16384")
        .set("compression.type", "lz4")
        .set("partitioner", "murmur2_random") // what Java's clients do: joins depend on it
        .set("reconnect.backoff.max.ms", "1000");
    if kafka.encoding.format == Format::Json {
        settings.set("message.max.bytes", feed::bytes_max(kafka).to_string());
    }
    for (key, value) in &kafka.properties {
        settings.set(key, value);
    }
    settings
}

/// How it is set for transactions. A message that is given up ends the transaction, and all of it is sent again.
fn transactional_settings(kafka: &Kafka, id: &str) -> ClientConfig {
    let mut settings = librdkafka_settings(kafka);
    settings.remove("enable.gapless.guarantee");
    settings.remove("message.timeout.ms"); // the transaction's own
    settings.set("transactional.id", id);
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
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // That a property is experimental is known, and this one wanted.
        if facility != "CONFWARN" || !message.contains("enable.gapless.guarantee is experimental") {
            DefaultClientContext.log(level, facility, message);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "Kafka");
    }
}

/// Of which event a message is.
struct Of {
    position: i64,
    /// Whether it is the last one of the event. All go to one partition, so the others are there before it.
    last: bool,
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<Of>;

    fn delivery(&self, result: &DeliveryResult<'_>, of: Box<Of>) {
        match result {
            Ok(message) => {
                self.0.delivered(message.partition(), message.offset());
                if of.last {
                    self.0.acknowledge(of.position);
                }
            }
            Err((error, _)) => self.0.fail(of.position, &error.to_string()),
        }
    }
}

/// One producer's life.
pub struct Producer {
    kafka: ThreadedProducer<Deliveries>,
    topic: String,
    /// Whether it writes in transactions.
    pub is_transactional: bool,
}

impl Producer {
    /// A producer whose acknowledgements are heard there.
    pub fn new(kafka: &Kafka, topic: &str, in_flight: InFlight) -> Result<Self> {
        let settings = librdkafka_settings(kafka);
        let producer = settings.create_with_context(Deliveries(in_flight)).map_err(Error::internal)?;
        Ok(Self { kafka: producer, topic: topic.to_owned(), is_transactional: false })
    }

    /// A producer that writes in transactions under this id. From now on the brokers refuse every earlier one of it.
    pub async fn transactional(kafka: &Kafka, topic: &str, id: &str, in_flight: InFlight) -> Result<Self> {
        let settings = transactional_settings(kafka, id);
        let producer: ThreadedProducer<_> =
            settings.create_with_context(Deliveries(in_flight)).map_err(Error::internal)?;
        let initialized = producer.clone();
        let initializing = tokio::task::spawn_blocking(move || initialized.init_transactions(TRANSACTION_TIMEOUT));
        initializing.await.map_err(Error::internal)?.map_err(Error::internal)?;
        Ok(Self { kafka: producer, topic: topic.to_owned(), is_transactional: true })
    }

    /// Hands a message over, waiting while the queue is full; false where it was stopped. The last one of its event
    /// acknowledges it.
    pub async fn send(&self, message: &Message, position: i64, last: bool, stop: &CancellationToken) -> Result<bool> {
        let mut record = BaseRecord::with_opaque_to(&self.topic, Box::new(Of { position, last }));
        record = record.key(&message.key).headers(message.headers.clone());
        (record.payload, record.partition) = (message.value.as_ref(), message.partition);
        loop {
            match self.kafka.send(record) {
                Ok(()) => return Ok(true),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), unsent)) => record = unsent,
                Err((error, _)) => return Err(Error::internal(error)),
            }
            if stop.is_cancelled() {
                return Ok(false);
            }
            tokio::time::sleep(QUEUE_FULL_PAUSE).await;
        }
    }

    /// Begins a transaction.
    pub fn begin(&self) -> Result<()> {
        self.kafka.begin_transaction().map_err(Error::internal)
    }

    /// Ends a transaction, when everything in it is acknowledged.
    pub async fn commit(&self, stop: &CancellationToken) -> Result<()> {
        loop {
            let producer = self.kafka.clone();
            let committing = tokio::task::spawn_blocking(move || producer.commit_transaction(TRANSACTION_TIMEOUT));
            match committing.await.map_err(Error::internal)? {
                Ok(()) => return Ok(()),
                Err(KafkaError::Transaction(error)) if error.is_retriable() && !stop.is_cancelled() => {}
                Err(error) => return Err(Error::internal(error)),
            }
        }
    }

    /// Whether a later producer has taken over the id of this one.
    pub fn is_fenced(&self) -> bool {
        use RDKafkaErrorCode::{Fenced, InvalidProducerEpoch, ProducerFenced};
        let fatal = self.kafka.client().fatal_error();
        fatal.is_some_and(|(code, _)| [Fenced, InvalidProducerEpoch, ProducerFenced].contains(&code))
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
