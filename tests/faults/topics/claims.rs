//! Whose a topic is: two installations in one, a database that was restored or copied, another encoding than before.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
};
use serde_json::{Value, json};

use super::{Answer, assert_both_proven, roster, roster_until_well};
use crate::{
    alone,
    history::{topic, with_kafka},
    support::{
        Caller, Database, Engine,
        process::{Process, free_port, kafka},
    },
};

async fn make_organization(service: &Process, key: Option<String>, slug: &str) {
    let caller = Caller::connect(&service.address, key).await;
    caller.call("OrganizationService/CreateOrganization", json!({"slug": slug})).await;
}

fn status(settings: &[String]) -> (Value, i32) {
    let told = roster(&["events", "status", "--json"], settings);
    (serde_json::from_str(&told.out).unwrap_or_else(|_| panic!("{told:?}")), told.code)
}

/// Waits until nothing is published to either topic, for this reason.
fn await_refused(service: &Process, settings: &[String], why: &str) {
    let begin = Instant::now();
    loop {
        let (told, code) = status(settings);
        let refused = |sink: &Value| sink["refused"].as_str().is_some_and(|text| text.contains(why));
        let sinks = told["sinks"].as_array().unwrap();
        if sinks.len() == 2 && sinks.iter().all(refused) {
            assert_eq!(code, 1);
            break;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "{told}");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(service.logged(&["nothing is published", why]), 2, "said once of each");
}

/// What `roster doctor` finds by this check.
fn found(settings: &[String], check: &str) -> Vec<Value> {
    let Answer { out, code, .. } = roster(&["doctor", "--json"], settings);
    assert_eq!(code, 1, "one broker alone is something to find");
    let told: Value = serde_json::from_str(&out).unwrap();
    told["findings"].as_array().unwrap().iter().filter(|it| it["check"] == check).cloned().collect()
}

async fn delete_topics(topics: [&str; 2]) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", kafka()).create().unwrap();
    for deleted in admin.delete_topics(&topics, &AdminOptions::new()).await.unwrap() {
        deleted.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_installation_publishes_nothing_to_the_topics_of_a_first_one() {
    let _alone = alone().await;
    let (first, second) = (Database::fresh(Engine::Sqlite).await, Database::fresh(Engine::Postgres).await);
    let topic = topic();
    let (of_first, of_second) = (with_kafka(&first, &kafka(), &topic), with_kafka(&second, &kafka(), &topic));
    let mut service = Process::start(free_port(), &of_first);
    make_organization(&service, service.first_key.clone(), "first").await;
    let proven = of_first.clone();
    tokio::task::spawn_blocking(move || assert_both_proven(&proven)).await.unwrap();
    let other = Process::start(free_port(), &of_second);
    make_organization(&other, other.first_key.clone(), "second").await;
    make_organization(&service, service.first_key.clone(), "third").await;
    let (other_settings, first_settings) = (of_second.clone(), of_first.clone());
    let third = Database::fresh(Engine::Sqlite).await;
    let (of_topic, elsewhere) = (topic.clone(), with_kafka(&third, &kafka(), &format!("{topic}-elsewhere")));
    let (service_ended, other) = tokio::task::spawn_blocking(move || {
        await_refused(&other, &other_settings, "another installation publishes to");
        assert_eq!(found(&other_settings, "kafka.claim").len(), 2);
        assert_eq!(found(&first_settings, "kafka.claim").len(), 0);
        assert_both_proven(&first_settings);
        // Nor does anybody replay into them: the first one's consumers would drop what is theirs.
        assert_eq!(Process::start(free_port(), &third.arguments()).terminate(), Some(0));
        let replayed = roster(&["events", "replay", "--to", &of_topic], &elsewhere);
        assert!(replayed.code == 2 && replayed.err.contains("another installation publishes to"), "{replayed:?}");
        assert_both_proven(&first_settings);
        assert_eq!(service.logged(&["another producer has taken over"]), 0, "the first one was not fenced");
        (service.terminate(), other)
    })
    .await
    .unwrap();
    assert_eq!(service_ended, Some(0));
    // When nobody needs them any more, the second one goes on by itself.
    delete_topics([&topic, &format!("{topic}-state")]).await;
    tokio::task::spawn_blocking(move || {
        let mut other = other;
        assert_both_proven(&of_second);
        let (told, code) = status(&of_second);
        assert!(code == 0 && told["sinks"].as_array().unwrap().iter().all(|it| it["refused"].is_null()), "{told}");
        assert_eq!(other.terminate(), Some(0));
    })
    .await
    .unwrap();
}

fn copy(from: &Path, to: &Path) {
    for file in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        std::fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_restored_publishes_nothing_before_it_has_another_epoch() {
    let _alone = alone().await;
    let (database, restored) = (Database::fresh(Engine::Sqlite).await, Database::fresh(Engine::Sqlite).await);
    let topic = topic();
    let settings = with_kafka(&database, &kafka(), &topic);
    let settings_restored = with_kafka(&restored, &kafka(), &topic);
    let (data, folder) = (settings[1].clone(), settings_restored[1].clone());
    let mut service = Process::start(free_port(), &settings);
    let key = service.first_key.clone();
    make_organization(&service, key.clone(), "first").await;
    let until_then = settings.clone();
    service = tokio::task::spawn_blocking(move || {
        assert_both_proven(&until_then);
        assert_eq!(service.terminate(), Some(0));
        copy(Path::new(&data), Path::new(&folder));
        Process::start(free_port(), &until_then)
    })
    .await
    .unwrap();
    make_organization(&service, key.clone(), "later").await;
    // A tenant that the restored database knows nothing of, whose records are among the last ones.
    let caller = Caller::connect(&service.address, key.clone()).await;
    caller.call("TenantService/CreateTenant", json!({"slug": "gone"})).await;
    let restored = settings_restored.clone();
    let mut service = tokio::task::spawn_blocking(move || {
        assert_both_proven(&settings);
        assert_eq!(service.terminate(), Some(0));
        let mut service = Process::start(free_port(), &restored);
        await_refused(&service, &restored, "it was restored, or copied");
        assert_eq!(found(&restored, "kafka.claim").len(), 2);
        assert_eq!(service.terminate(), Some(0));
        assert_eq!(roster(&["events", "new-epoch", "--yes"], &restored).code, 0);
        Process::start(free_port(), &restored)
    })
    .await
    .unwrap();
    make_organization(&service, key, "instead").await;
    tokio::task::spawn_blocking(move || {
        assert_both_proven(&settings_restored);
        assert_eq!(found(&settings_restored, "kafka.claim").len(), 0);
        assert_eq!(service.terminate(), Some(0));
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_encoding_and_a_topic_that_is_configured_no_more_are_told() {
    let _alone = alone().await;
    let (database, topic) = (Database::fresh(Engine::Sqlite).await, topic());
    let settings = with_kafka(&database, &kafka(), &topic);
    let other = [&settings[..], &["--kafka-encoding", "json"].map(str::to_owned)].concat();
    let mut service = Process::start(free_port(), &settings);
    let key = service.first_key.clone();
    make_organization(&service, key.clone(), "first").await;
    let mut service = tokio::task::spawn_blocking(move || {
        assert_both_proven(&settings);
        assert_eq!(service.terminate(), Some(0));
        assert_eq!(found(&settings, "kafka.encoding").len(), 0);
        let told = found(&other, "kafka.encoding");
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0]["what"].as_str().unwrap().contains("application/protobuf"), "{told:?}");
        let service = Process::start(free_port(), &other);
        (service, settings, other)
    })
    .await
    .unwrap();
    make_organization(&service.0, key, "second").await;
    tokio::task::spawn_blocking(move || {
        let (service, settings, other) = (&mut service.0, &service.1, &service.2);
        assert_both_proven(other);
        assert_eq!(service.logged(&["configured is application/json"]), 2);
        let told = roster_until_well(&["verify", "--json"], other).out;
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["encodings"].as_object().unwrap().len(), 2, "{told}");
        let told = roster(&["verify"], settings).out;
        assert!(told.contains("in application/json of the schema") && told.contains("configured is"), "{told}");
        forgets(settings);
        assert_eq!(service.terminate(), Some(0));
    })
    .await
    .unwrap();
}

/// What is configured is not forgotten while somebody may publish there; what is not, is.
fn forgets(settings: &[String]) {
    let (told, _) = status(settings);
    let sink = told["sinks"][0]["sink"].as_str().unwrap();
    assert_eq!(told["sinks"][0]["configured"], true, "{told}");
    let refused = roster(&["events", "status", "--forget", sink], settings);
    assert!(refused.code == 2 && refused.err.contains("stop every replica"), "{refused:?}");
    let refused = roster(&["events", "status", "--forget", "x/y"], settings);
    assert!(refused.code == 2 && refused.err.contains("there is no x/y"), "{refused:?}");
    let elsewhere = [&settings[..2], &["--kafka-brokers", &kafka(), "--kafka-topic", "x"].map(str::to_owned)].concat();
    let (told, code) = status(&elsewhere);
    assert!(told["sinks"].as_array().unwrap().iter().all(|it| it["configured"] == false), "{told}");
    assert_eq!((code, &told["never_published"]), (1, &json!(["x", "roster.state.v1"])), "{told}");
    let told = roster(&["events", "status"], &elsewhere).out;
    assert!(told.contains(&format!("not configured here: `--forget {sink}`")), "{told}");
}

#[test]
fn what_cannot_be_looked_at_is_told_in_a_sentence_and_answered_with_2() {
    let empty = tempfile::tempdir().unwrap();
    let folder = empty.path().display().to_string();
    let nobody = ["--kafka-brokers", "127.0.0.1:1", "--data-dir", &folder].map(str::to_owned);
    let unreachable = ["--database-url", "postgres://x@127.0.0.1:1/x"].map(str::to_owned);
    let commands: [&'static [&'static str]; 6] = [
        &["events", "status"],
        &["events", "replay", "--to", "x"],
        &["verify"],
        &["rebuild", "--from", "events"],
        &["kafka", "apply"],
        &["verify", "--topic-only"],
    ];
    // Each waits for a while before it gives up: all at once.
    let asks = |command: &'static [&'static str], settings: Vec<String>| {
        std::thread::spawn(move || {
            let told = roster(command, &settings);
            assert_eq!(told.code, 2, "{command:?}: {told:?}");
            for word in ["INTERNAL", "internal error", "UNAVAILABLE"] {
                assert!(!told.err.contains(word), "{command:?}: {told:?}");
            }
        })
    };
    let no_database = [&nobody[..2], &unreachable].concat();
    let asked =
        commands.iter().flat_map(|command| [asks(command, nobody.to_vec()), asks(command, no_database.clone())]);
    for asked in asked.collect::<Vec<_>>() {
        asked.join().unwrap();
    }
    assert!(!empty.path().join("roster.db").exists(), "none is made by looking");
}
