//! A former leader that wakes up with records to send: its transactions are refused.

use std::time::{Duration, Instant};

use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use serde_json::{Value, json};

use super::{assert_both_proven, roster};
use crate::{
    alone,
    history::{topic, with_kafka},
    support::{
        Caller, Database, Engine,
        process::{Process, free_port, kafka},
    },
};

const ROUNDS: usize = 3;

fn status(settings: &[String]) -> Value {
    serde_json::from_str(&roster(&["events", "status", "--json"], settings).out).unwrap()
}

fn leader_epoch(settings: &[String]) -> i64 {
    status(settings)["leader_epoch"].as_i64().unwrap()
}

/// Takes over the id under which a topic is written: whoever writes under it is refused from now on.
fn fence(sink: &str) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", kafka())
        .set("transactional.id", format!("roster-{sink}"))
        .create()
        .unwrap();
    producer.init_transactions(Duration::from_secs(30)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_is_refused_ends_its_term_and_begins_again_with_nothing_lost() {
    let _alone = alone().await;
    let (database, topic) = (Database::fresh(Engine::Sqlite).await, topic());
    let settings = with_kafka(&database, &kafka(), &topic);
    let arguments = [&settings[..], &["--kafka-transactional".to_owned(), "all".to_owned()]].concat();
    let mut service = Process::start(free_port(), &arguments);
    let caller = Caller::connect(&service.address, service.first_key.clone()).await;
    let waiting = settings.clone();
    let epoch = tokio::task::spawn_blocking(move || {
        assert_both_proven(&waiting);
        let status = status(&waiting);
        let sinks = status["sinks"].as_array().unwrap();
        assert_eq!(sinks.len(), 2, "{status}");
        sinks.iter().for_each(|sink| fence(sink["sink"].as_str().unwrap()));
        status["leader_epoch"].as_i64().unwrap()
    });
    let epoch = epoch.await.unwrap();
    caller.call("OrganizationService/CreateOrganization", json!({"slug": "acme"})).await;
    tokio::task::spawn_blocking(move || {
        assert_both_proven(&settings);
        assert!(leader_epoch(&settings) > epoch, "its term ended");
        assert_eq!(service.terminate(), Some(0));
    })
    .await
    .unwrap();
}

/// A transaction of somebody else's, open in every partition of a topic.
fn open_transaction(topic: &str) -> BaseProducer {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", kafka())
        .set("transactional.id", format!("somebody-{topic}"))
        .create()
        .unwrap();
    producer.init_transactions(Duration::from_secs(30)).unwrap();
    producer.begin_transaction().unwrap();
    let metadata = producer.client().fetch_metadata(Some(topic), Duration::from_secs(10)).unwrap();
    for partition in metadata.topics()[0].partitions() {
        let record = BaseRecord::<[u8], [u8]>::to(topic).partition(partition.id()).payload(b"not yet");
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(Duration::from_secs(30)).unwrap();
    producer
}

/// Waits until every topic has everything.
fn await_published(settings: &[String]) {
    let begin = Instant::now();
    loop {
        let status = status(settings);
        let sinks = status["sinks"].as_array().unwrap();
        let has_everything = |sink: &Value| sink["acknowledged"] == status["head"];
        if sinks.len() == 2 && sinks.iter().all(has_everything) && status["unnumbered"] == 0 {
            return;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "{status}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_in_which_a_transaction_is_open_is_no_other_topic() {
    let _alone = alone().await;
    let (database, topic) = (Database::fresh(Engine::Sqlite).await, topic());
    let settings = with_kafka(&database, &kafka(), &topic);
    let arguments = [&settings[..], &["--kafka-transactional".to_owned(), "all".to_owned()]].concat();
    let service = Process::start(free_port(), &arguments);
    let caller = Caller::connect(&service.address, service.first_key.clone()).await;
    let waiting = settings.clone();
    let open = tokio::task::spawn_blocking(move || {
        await_published(&waiting);
        open_transaction(&topic)
    });
    let open = open.await.unwrap();
    // What is acknowledged now is behind what a reader of what is committed sees.
    caller.call("OrganizationService/CreateOrganization", json!({"slug": "acme"})).await;
    let waiting = settings.clone();
    let fenced = tokio::task::spawn_blocking(move || {
        await_published(&waiting);
        status(&waiting)["sinks"].as_array().unwrap().iter().for_each(|sink| fence(sink["sink"].as_str().unwrap()));
    });
    fenced.await.unwrap();
    caller.call("OrganizationService/CreateOrganization", json!({"slug": "bolt"})).await;
    tokio::task::spawn_blocking(move || {
        await_published(&settings);
        open.abort_transaction(Duration::from_secs(30)).unwrap();
        assert_both_proven(&settings);
        assert!(service.logged(&["publishing to Kafka\""]) >= 4, "both began again");
        assert_eq!(service.logged(&["another one than before"]), 0);
    })
    .await
    .unwrap();
}

/// Freezes whoever leads, waits until the other one does, and wakes the first.
fn depose(replicas: &[Process; 2], settings: &[String], leading: &mut usize) {
    let epoch = leader_epoch(settings);
    replicas[*leading].signal("STOP");
    let begin = Instant::now();
    while leader_epoch(settings) == epoch {
        assert!(begin.elapsed() < Duration::from_secs(30), "nobody takes over");
        std::thread::sleep(Duration::from_millis(100));
    }
    replicas[*leading].signal("CONT");
    *leading = 1 - *leading;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zombie_leaves_no_old_state_behind() {
    let _alone = alone().await;
    let (database, topic) = (Database::fresh(Engine::Postgres).await, topic());
    let settings = with_kafka(&database, &kafka(), &topic);
    let arguments = [&settings[..], &["--kafka-transactional".to_owned(), "all".to_owned()]].concat();
    let first = Process::start(free_port(), &arguments);
    let caller = Caller::connect(&first.address, first.first_key.clone()).await;
    let made = caller.call("OrganizationService/CreateOrganization", json!({"slug": "acme"})).await;
    let organization = made["organization"]["organizationId"].clone();
    let waiting = settings.clone();
    let second = tokio::task::spawn_blocking(move || {
        assert_both_proven(&waiting); // so the first one leads
        Process::start(free_port(), &arguments)
    });
    let second = second.await.unwrap();
    let other = Caller::connect(&second.address, first.first_key.clone()).await;
    let writing = tokio::spawn(async move {
        // Through both, for one of them is frozen at times.
        for number in 0.. {
            let request = json!({"organization": {"organizationId": organization, "displayName": format!("{number}")},
                "updateMask": "displayName"});
            let caller = if number % 2 == 0 { &caller } else { &other };
            let call = caller.try_call("OrganizationService/UpdateOrganization", request);
            let _ = tokio::time::timeout(Duration::from_millis(200), call).await;
        }
    });
    let replicas = [first, second];
    let settings = tokio::task::spawn_blocking(move || {
        let mut leading = 0;
        for _ in 0..ROUNDS {
            depose(&replicas, &settings, &mut leading);
        }
        (settings, replicas)
    });
    let (settings, mut replicas) = settings.await.unwrap();
    writing.abort();
    tokio::task::spawn_blocking(move || {
        assert_both_proven(&settings);
        replicas.iter_mut().for_each(|replica| assert_eq!(replica.terminate(), Some(0)));
    })
    .await
    .unwrap();
}
