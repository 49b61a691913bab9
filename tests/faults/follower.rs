//! A consumer of the test's own, by the rule of consumers: what is not beyond the last of its stream is dropped, the
//! next one is applied, and anything else is a gap.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use prost::Message as _;
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
};
use roster::{
    ids::{EventId, OrganizationId, TenantId},
    proto::v1 as pb,
    relay::topic,
};
use uuid::Uuid;

/// How long the topic may be waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// The stream of an event, and its number in it.
pub type Place = (Uuid, i64);

/// An event as it was applied.
#[derive(Debug, Clone)]
pub struct Applied {
    pub id: Uuid,
    pub request_id: String,
    pub correlation_id: String,
    pub at: Instant,
}

/// What was consumed.
#[derive(Default)]
pub struct Seen {
    /// The last number of each stream.
    last: BTreeMap<Uuid, i64>,
    /// What was applied, by its place.
    pub applied: BTreeMap<Place, Applied>,
    /// When each was.
    arrivals: Vec<Instant>,
    /// Records of an event that was applied already.
    pub duplicates: u64,
    /// Events that came while one before them had not.
    pub reordered: Vec<String>,
    /// Records that are no event, or another one than was applied in their place; errors of the consumer.
    pub wrong: Vec<String>,
}

impl Seen {
    fn take(&mut self, value: &[u8]) {
        let Some((event, place)) = decode(value) else {
            return self.wrong.push("a record that is no event".to_owned());
        };
        let last = self.last.entry(place.0).or_default();
        if place.1 <= *last {
            self.duplicates += 1;
            if self.applied.get(&place).is_none_or(|applied| applied.id != event.id) {
                self.wrong.push(format!("{place:?} was another event"));
            }
            return;
        }
        if place.1 != *last + 1 {
            self.reordered.push(format!("{place:?} came after {last}"));
        }
        *last = place.1;
        self.arrivals.push(event.at);
        self.applied.insert(place, event);
    }

    /// The changes by their requests: where each has its events, and how often it was made.
    pub fn requests(&self) -> BTreeMap<&str, (Vec<Place>, BTreeSet<&str>)> {
        let mut requests = BTreeMap::<&str, (Vec<Place>, BTreeSet<&str>)>::new();
        for (place, event) in self.applied.iter().filter(|(_, event)| !event.request_id.is_empty()) {
            let (places, changes) = requests.entry(&event.request_id).or_default();
            places.push(*place);
            changes.insert(&event.correlation_id);
        }
        requests
    }
}

fn decode(value: &[u8]) -> Option<(Applied, Place)> {
    let event = pb::Event::decode(value).ok()?;
    let stream = match event.organization_id.as_str() {
        "" => event.tenant_id.parse::<TenantId>().ok()?.uuid(),
        id => id.parse::<OrganizationId>().ok()?.uuid(),
    };
    let id = event.event_id.parse::<EventId>().ok()?.uuid();
    let (request_id, correlation_id) = (event.request_id, event.correlation_id);
    let applied = Applied { id, request_id, correlation_id, at: Instant::now() };
    Some((applied, (stream, event.sequence)))
}

/// Follows a topic from its beginning, on a thread of its own, until it is dropped.
pub struct Follower {
    pub seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Follower {
    /// Begins once there is a topic.
    pub async fn start(brokers: &str, topic: &str) -> Self {
        let (seen, stop) = (Arc::<Mutex<Seen>>::default(), Arc::<AtomicBool>::default());
        let (brokers, topic) = (brokers.to_owned(), topic.to_owned());
        let consumer = tokio::task::spawn_blocking(move || consumer(&brokers, &topic)).await.unwrap();
        let (for_thread, until) = (seen.clone(), stop.clone());
        let thread = std::thread::spawn(move || follow(&consumer, &for_thread, &until));
        Self { seen, stop, thread: Some(thread) }
    }

    pub fn count(&self) -> usize {
        self.seen.lock().applied.len()
    }

    /// When the first event after this came.
    pub fn first_after(&self, instant: Instant) -> Option<Instant> {
        let seen = self.seen.lock();
        seen.arrivals.get(seen.arrivals.partition_point(|at| *at <= instant)).copied()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn consumer(brokers: &str, topic: &str) -> BaseConsumer {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "follower") // librdkafka wants one; nothing is committed
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "error") // what the brokers lost is not passed over
        .set("reconnect.backoff.max.ms", "500")
        .create()
        .unwrap();
    let begin = Instant::now();
    let partitions = loop {
        match topic::partitions(consumer.client(), topic) {
            Ok(partitions) => break partitions,
            Err(error) => assert!(begin.elapsed() < PATIENCE, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        // Not Beginning: that asks a broker, and one that has not heard of a new topic yet would end the partition here.
        list.add_partition_offset(topic, partition, Offset::Offset(0)).unwrap();
    }
    consumer.assign(&list).unwrap();
    consumer
}

fn follow(consumer: &BaseConsumer, seen: &Mutex<Seen>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => seen.lock().take(message.payload().unwrap_or_default()),
            Some(Err(error)) if !may_pass(&error) => seen.lock().wrong.push(error.to_string()),
            Some(Err(_)) | None => {}
        }
    }
}

/// Whether librdkafka goes on by itself after this error.
fn may_pass(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{
        AllBrokersDown, BrokerTransportFailure, OperationTimedOut, Resolve, UnknownTopicOrPartition,
    };
    let passing = [AllBrokersDown, BrokerTransportFailure, OperationTimedOut, Resolve, UnknownTopicOrPartition];
    error.rdkafka_error_code().is_some_and(|code| passing.contains(&code))
}
