//! Follows Roster's events: each is applied once, in the order of its stream. How and why: ../README.md.

use std::{collections::HashMap, env, error::Error, fs, io, io::Write as _, time::Duration};

use prost::Message as _;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};
use roster::proto::v1::{Event, ListEventsRequest, event_service_client::EventServiceClient};
use tonic::{Request, transport::Channel};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What was applied is in a journal of one line an event: the last sequences and the offsets are read back from it.
struct Follower {
    service: EventServiceClient<Channel>,
    journal: fs::File,
    epoch: String,
    last: HashMap<(String, String), i64>,
    offsets: HashMap<i32, i64>,
}

impl Follower {
    fn remember(&mut self, line: &str) -> Result<()> {
        let parts: Vec<_> = line.split(' ').collect();
        let [epoch, partition, offset, stream, sequence, ..] = parts[..] else { return Err(line.into()) };
        self.epoch = epoch.to_owned();
        self.offsets.insert(partition.parse()?, offset.parse()?);
        self.last.insert((epoch.to_owned(), stream.to_owned()), sequence.parse()?);
        Ok(())
    }

    /// The change itself; in one step with where it stands. A database would do both in one transaction.
    fn apply(&mut self, event: &Event, stream: &str, partition: i32, offset: i64) -> Result<()> {
        let Event { stream_epoch, sequence, r#type, event_id, .. } = event;
        let line = format!("{stream_epoch} {partition} {offset} {stream} {sequence} {type} {event_id}");
        self.journal.write_all(format!("{line}\n").as_bytes())?;
        println!("{line}");
        self.remember(&line)
    }

    /// The rule. The offset is where to go on from once this event is applied.
    async fn take(&mut self, event: &Event, partition: i32, offset: i64) -> Result<()> {
        let stream = if event.organization_id.is_empty() { &event.tenant_id } else { &event.organization_id };
        // A greater epoch is another log, after a restore: all comes again.
        while event.stream_epoch >= self.epoch {
            let last = self.last.get(&(event.stream_epoch.clone(), stream.clone())).copied().unwrap_or_default();
            match event.sequence - last {
                ..1 => return Ok(()), // a duplicate
                1 => return self.apply(event, stream, partition, offset),
                _ => {}
            }
            let missing = self.fetch(event, stream, last).await?;
            // What the log has no more, retention has dropped: it is gone for good.
            let before = missing.first().unwrap_or(event).sequence - 1;
            self.last.insert((event.stream_epoch.clone(), stream.clone()), before);
            for each in missing {
                Box::pin(self.take(&each, partition, offset - 1)).await?; // the record itself is still to come
            }
        }
        Ok(())
    }

    async fn fetch(&mut self, event: &Event, stream: &str, last: i64) -> Result<Vec<Event>> {
        let list = ListEventsRequest { stream_id: stream.into(), after_sequence: last, ..Default::default() };
        let mut request = Request::new(ListEventsRequest { skip_dropped: true, ..list });
        request.metadata_mut().insert("authorization", format!("Bearer {}", env::var("ROSTER_KEY")?).parse()?);
        request.metadata_mut().insert("roster-tenant", event.tenant_id.parse()?);
        let mut events = self.service.list_events(request).await?.into_inner().events;
        events.retain(|each| each.sequence < event.sequence);
        Ok(events)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let or = |name: &str, other: &str| env::var(name).unwrap_or_else(|_| other.to_owned());
    let journal = fs::OpenOptions::new().create(true).read(true).append(true).open(or("JOURNAL", "applied.log"))?;
    let applied = io::read_to_string(&journal)?;
    let channel = Channel::from_shared(format!("http://{}", or("ROSTER_ADDRESS", "127.0.0.1:7400")))?.connect_lazy();
    let service = EventServiceClient::new(channel);
    let (epoch, last, offsets) = Default::default();
    let mut follower = Follower { service, journal, epoch, last, offsets };
    applied.lines().try_for_each(|line| follower.remember(line))?;
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", or("KAFKA_BROKERS", "127.0.0.1:9092")).set("auto.offset.reset", "earliest");
    // librdkafka wants a group: nothing is committed, the journal has the offsets.
    settings.set("group.id", "roster-consumer").set("enable.auto.commit", "false");
    let (kafka, topic): (StreamConsumer, _) = (settings.create()?, or("KAFKA_TOPIC", "roster.events.v1"));
    let mut start = TopicPartitionList::new();
    for each in kafka.fetch_metadata(Some(&topic), Duration::from_secs(10))?.topics()[0].partitions() {
        let at = follower.offsets.get(&each.id()).copied().unwrap_or_default();
        start.add_partition_offset(&topic, each.id(), Offset::Offset(at))?;
    }
    kafka.assign(&start)?;
    loop {
        let record = kafka.recv().await?;
        let event = Event::decode(record.payload().ok_or("no event")?)?;
        follower.take(&event, record.partition(), record.offset() + 1).await?;
    }
}
