//! A topic in which everything happens that may: it is made of a good one.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use prost::Message as _;
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use roster::proto::v1::Event;

const PARTITIONS: i32 = 3;
const PATIENCE: Duration = Duration::from_secs(30);
/// A relay that was killed sends its unacknowledged window again: so much, so often.
const WINDOW: usize = 30;
const WINDOW_EVERY: usize = 50;

/// The events of every partition, in order.
type Partitions = BTreeMap<i32, Vec<Event>>;

fn settings(brokers: &str) -> ClientConfig {
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", brokers).set("group.id", "test").set("enable.auto.commit", "false");
    settings
}

/// Everything that a topic has.
pub fn read(brokers: &str, topic: &str) -> Partitions {
    let consumer: BaseConsumer = settings(brokers).create().unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).unwrap();
    let (mut start, mut left) = (TopicPartitionList::new(), 0);
    for partition in metadata.topics()[0].partitions() {
        let (low, high) = consumer.fetch_watermarks(topic, partition.id(), PATIENCE).unwrap();
        left += high - low;
        start.add_partition_offset(topic, partition.id(), Offset::Beginning).unwrap();
    }
    consumer.assign(&start).unwrap();
    let (mut partitions, begin) = (Partitions::new(), Instant::now());
    while left > 0 {
        assert!(begin.elapsed() < PATIENCE, "{left} records do not come");
        let Some(record) = consumer.poll(Duration::from_millis(100)) else { continue };
        let record = record.unwrap();
        let event = Event::decode(record.payload().unwrap()).unwrap();
        partitions.entry(record.partition() % PARTITIONS).or_default().push(event);
        left -= 1;
    }
    partitions
}

/// A topic with holes, repetitions, and records of another log.
pub struct Spoiled {
    partitions: Partitions,
    /// How many records are not there.
    pub missing: usize,
    /// How many are there again.
    pub repeated: usize,
}

impl Spoiled {
    /// The log before a restore: its records come first, and one late.
    pub const EPOCH_BEFORE: &str = "00000000-0000-7000-8000-000000000000";

    pub fn of(good: Partitions) -> Self {
        let mut spoiled = Self { partitions: Partitions::new(), missing: 0, repeated: 0 };
        for (partition, events) in good {
            let events = spoiled.partition(&events);
            spoiled.partitions.insert(partition, events);
        }
        spoiled
    }

    fn partition(&mut self, events: &[Event]) -> Vec<Event> {
        let last: BTreeMap<_, _> = events.iter().map(|event| (stream(event), event.sequence)).collect();
        // What was never followed by another of its stream cannot be missed.
        let is_there =
            |event: &&Event| last[stream(event)] == event.sequence || !(2..4).contains(&(event.sequence % 7));
        let mut there: Vec<_> = events.iter().filter(is_there).cloned().collect();
        self.missing += events.len() - there.len();
        let before = |event: &Event| Event { stream_epoch: Self::EPOCH_BEFORE.to_owned(), ..event.clone() };
        let mut all: Vec<_> = events.iter().filter(|event| event.sequence < 4).map(before).collect();
        let end = there.pop();
        for (count, event) in there.iter().enumerate() {
            all.push(event.clone());
            if count % WINDOW_EVERY == WINDOW_EVERY - 1 {
                all.extend_from_slice(&there[count + 1 - WINDOW..=count]);
                self.repeated += WINDOW;
            }
        }
        // Everything again, and a record of the log before; the end is new, so that whoever has it has seen all that.
        all.extend_from_slice(&there);
        self.repeated += there.len();
        all.extend(there.first().map(before));
        all.extend(end);
        all
    }

    /// Makes the topic.
    pub fn write(&self, brokers: &str, topic: &str) {
        let admin: AdminClient<DefaultClientContext> = settings(brokers).create().unwrap();
        let new = NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1));
        let runtime = tokio::runtime::Handle::current();
        let made = runtime.block_on(admin.create_topics(&[new], &AdminOptions::new())).unwrap();
        assert_eq!(made, [Ok(topic.to_owned())]);
        let producer: BaseProducer = settings(brokers).set("acks", "all").create().unwrap();
        for (partition, events) in &self.partitions {
            for event in events {
                let value = event.encode_to_vec();
                let record = BaseRecord::to(topic).partition(*partition).key(stream(event)).payload(&value);
                producer.send(record).map_err(|(error, _)| error).unwrap();
            }
        }
        producer.flush(PATIENCE).unwrap();
    }
}

fn stream(event: &Event) -> &str {
    if event.organization_id.is_empty() { &event.tenant_id } else { &event.organization_id }
}
