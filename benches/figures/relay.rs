//! The relay, from the database to Kafka, against librdkafka alone with the same payloads and settings.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use roster::{
    bootstrap,
    clock::Clock,
    config::Kafka,
    context::{Actor, Ctx},
    db::{Db, Location, wake::Wake},
    events::{Record, store},
    lease,
    memberships::{self, NewMember, Person},
    organizations,
    relay::{Feed, Relay, librdkafka_settings, topic},
    sequencer, tenants, upgrade,
};
use tokio_util::sync::CancellationToken;

use crate::table::Table;

const BATCHES: usize = 30;
const BATCH: usize = 1_000;
const ROUNDS: usize = 3;

pub async fn run(table: &mut Table) {
    let brokers = std::env::var("ROSTER_TEST_KAFKA").expect("run it by `make bench`");
    let location = Location::Postgres { url: crate::writes::fresh_postgres().await, connections_max: 10 };
    let db = Db::open(&location).await.unwrap();
    upgrade::run(&db).await.unwrap();
    bootstrap::run(&db, &Clock::system()).await.unwrap();
    let epoch = lease::acquire(&db, "bench").await.unwrap().unwrap();
    fill(&db).await;
    while sequencer::number(&db, epoch).await.unwrap() != Some(0) {}
    let records = read(&db).await;
    let (mut ours, mut raw) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        raw.push(librdkafka(&kafka(&brokers, &format!("bench-raw-{round}")), &records).await);
        ours.push(relay(&db, &kafka(&brokers, &format!("bench-relay-{round}")), epoch, records.len()).await);
    }
    ours.sort_by(f64::total_cmp);
    raw.sort_by(f64::total_cmp);
    let (ours, raw) = (ours[ROUNDS / 2], raw[ROUNDS / 2]);
    let what = format!("relay, {} events of PostgreSQL", records.len());
    table.ratio(&what, "/s", (ours, raw), "librdkafka alone", "≥ 0.5");
}

fn kafka(brokers: &str, topic: &str) -> Kafka {
    let topic = format!("{topic}-{}", uuid::Uuid::now_v7().simple());
    Kafka { brokers: brokers.into(), topic, partitions: 12, replication_factor: 1, ..Kafka::default() }
}

/// Some tens of thousands of events.
async fn fill(db: &Db) {
    let tenant = tenants::find(&mut db.snapshot().await.unwrap(), "default").await.unwrap().unwrap().id;
    for batch in 0..BATCHES {
        let ctx = Ctx::local(tenant, Actor::system(), Clock::system().now());
        let slug = format!("org-{batch}");
        let input = organizations::Create {
            display_name: slug.clone(),
            slug,
            external_id: None,
            metadata: BTreeMap::new(),
            branding: organizations::Branding::default(),
            feature_flags: BTreeMap::new(),
            initial_owners: Vec::new(),
        };
        let member = |index: usize| {
            let address = format!("u{batch}-{index}@example.com");
            let email = roster::fields::Email { original: address.clone(), key: address };
            Ok(NewMember::active(Person::Email(email), vec![]))
        };
        let members: Vec<_> = (0..BATCH).map(member).collect();
        db.write(async move |tx| {
            let created = organizations::create(&ctx, tx, &input).await?;
            memberships::add_all(&ctx, tx, created.organization.id, &members).await
        })
        .await
        .unwrap();
    }
}

async fn read(db: &Db) -> Vec<Record> {
    store::after_position_everywhere(&mut db.snapshot().await.unwrap(), 0, i64::MAX).await.unwrap()
}

async fn librdkafka(kafka: &Kafka, records: &[Record]) -> f64 {
    topic::ensure(kafka, Feed::Events).await.unwrap();
    let producer: ThreadedProducer<DefaultProducerContext> = librdkafka_settings(kafka).create().unwrap();
    let begin = Instant::now();
    for record in records {
        let key = record.stream_id.to_string();
        let mut message = BaseRecord::to(&kafka.topic).key(&key).payload(&record.payload);
        while let Err((_, unsent)) = producer.send(message) {
            message = unsent;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    tokio::task::spawn_blocking(move || producer.flush(Duration::from_secs(60))).await.unwrap().unwrap();
    records.len() as f64 / begin.elapsed().as_secs_f64()
}

async fn relay(db: &Db, kafka: &Kafka, epoch: lease::Epoch, count: usize) -> f64 {
    topic::ensure(kafka, Feed::Events).await.unwrap();
    let sink = topic::look(kafka, &kafka.topic).await.unwrap();
    let (relay, wake, stop) = (Relay::new(kafka.clone(), Feed::Events), Wake::default(), CancellationToken::new());
    let begin = Instant::now();
    let publishing = relay.run(db, &wake, epoch, &stop);
    let waiting = async {
        while mark(db, &sink.name).await < count as i64 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let seconds = begin.elapsed().as_secs_f64();
        stop.cancel();
        seconds
    };
    let ((), seconds) = tokio::join!(publishing, waiting);
    count as f64 / seconds
}

async fn mark(db: &Db, sink: &str) -> i64 {
    let values = vec![roster::db::Value::from(sink)];
    let row: Option<(i64,)> = db
        .snapshot()
        .await
        .unwrap()
        .fetch_optional("SELECT position FROM relay_cursors WHERE sink = $1", values)
        .await
        .unwrap();
    row.map_or(0, |(position,)| position)
}
