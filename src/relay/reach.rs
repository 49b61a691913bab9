//! Whether the brokers can be reached at all; and if not, why: a refused account and an unknown certificate are otherwise
//! only a question that is never answered.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rdkafka::{
    ClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, DeliveryResult, Producer as _, ProducerContext},
};

use super::{producer::librdkafka_settings, topic::ASK_TIMEOUT};
use crate::{
    config::Kafka,
    error::{Error, Result},
};

/// How long one question may take.
const TRY: Duration = Duration::from_millis(500);

/// Hears why a connection fails.
#[derive(Clone, Default)]
struct Hearing(Arc<Mutex<Option<(RDKafkaErrorCode, String)>>>);

impl ClientContext for Hearing {
    fn error(&self, error: KafkaError, reason: &str) {
        // That all are down says less than why each is.
        if let Some(code) = error.rdkafka_error_code().filter(|code| *code != RDKafkaErrorCode::AllBrokersDown) {
            *self.0.lock() = Some((code, reason.to_owned()));
        }
    }
}

impl ProducerContext for Hearing {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

/// Waits until the brokers answer, on a thread that may block.
pub async fn brokers(kafka: &Kafka) -> Result<()> {
    let kafka = kafka.clone();
    tokio::task::spawn_blocking(move || brokers_blocking(&kafka)).await.map_err(Error::internal)?
}

/// The same, here.
pub fn brokers_blocking(kafka: &Kafka) -> Result<()> {
    use RDKafkaErrorCode::{Authentication, SSL, SaslAuthenticationFailed, UnsupportedSASLMechanism};
    let hearing = Hearing::default();
    let client: BaseProducer<Hearing> =
        librdkafka_settings(kafka).create_with_context(hearing.clone()).map_err(Error::internal)?;
    let begin = Instant::now();
    loop {
        let Err(error) = client.client().fetch_metadata(None, TRY) else { return Ok(()) };
        client.poll(Duration::ZERO);
        let heard = hearing.0.lock().clone();
        let refused = [Authentication, SaslAuthenticationFailed, SSL, UnsupportedSASLMechanism];
        let is_refused = heard.as_ref().is_some_and(|(code, _)| refused.contains(code));
        if is_refused || begin.elapsed() > ASK_TIMEOUT {
            let why = heard.map_or_else(|| error.to_string(), |(_, reason)| reason);
            return Err(Error::internal(format!("the brokers cannot be reached: {why}")));
        }
    }
}
