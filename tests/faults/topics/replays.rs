//! A part of the log, into a topic of choice; and the state, printed from Kafka alone.

use serde_json::Value;

use super::{assert_both_proven, house, roster};
use crate::{
    alone,
    history::{topic, with_kafka},
    support::{
        Caller, Database, Engine,
        process::{Process, free_port, kafka},
    },
};

/// How many records a topic has, by our own reader: gaps are no fault of a part.
fn count(settings: &[String], topic: &str) -> u64 {
    let mut settings = settings.to_vec();
    let place = settings.iter().position(|flag| flag == "--kafka-topic").expect("a setting") + 1;
    settings[place] = topic.to_owned();
    let told = roster(&["verify", "--topic-only", "--json"], &settings);
    let told: Value = serde_json::from_str(&told.out).unwrap_or_else(|_| panic!("{told:?}"));
    assert_eq!(told["phantom"]["count"], 0, "{told}");
    assert_eq!(told["wrong_headers"]["count"], 0, "{told}");
    told["records"].as_u64().unwrap()
}

fn replay(settings: &[String], to: &str, range: &[&str]) -> u64 {
    let told = roster(&[&["events", "replay", "--to", to][..], range].concat(), settings);
    assert_eq!(told.code, 0, "{told:?}");
    told.out.split(' ').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_a_stream_and_everything_are_replayed_and_the_state_is_printed() {
    let _alone = alone().await;
    let (database, topic) = (Database::fresh(Engine::Sqlite).await, topic());
    let settings = with_kafka(&database, &kafka(), &topic);
    let arguments = [&settings[..], &["--restore-days".to_owned(), "0".to_owned()]].concat();
    let mut service = Process::start(free_port(), &arguments);
    let caller = Caller::connect(&service.address, service.first_key.clone()).await;
    let stays = house::furnish(&caller).await;
    tokio::task::spawn_blocking(move || {
        assert_both_proven(&settings);
        // What happens by itself would make the counts uncertain.
        assert_eq!(service.terminate(), Some(0));
        let all = count(&settings, &topic);
        let to = |name: &str| format!("{topic}-{name}");
        assert_eq!(replay(&settings, &to("all"), &[]), all);
        assert_eq!(count(&settings, &to("all")), all);
        assert_eq!(replay(&settings, &to("range"), &["--after-position", "3", "--up-to-position", "10"]), 7);
        assert_eq!(count(&settings, &to("range")), 7);
        let stream = replay(&settings, &to("stream"), &["--stream", &stays]);
        assert!((4..all).contains(&stream), "{stream} of {all}");
        assert_eq!(count(&settings, &to("stream")), stream);
        assert_eq!(replay(&settings, &to("time"), &["--until", "2020-01-01T00:00:00Z"]), 0);
        let bad = [
            "events",
            "replay",
            "--to",
            "a b",
            "--since",
            "noon",
            "--stream",
            "x",
            "--after-position",
            "9",
            "--up-to-position",
            "1",
        ];
        let told = roster(&bad, &settings);
        for flag in ["--to", "--since", "--stream", "--after-position"] {
            assert!(told.code == 2 && told.err.contains(flag), "{flag}: {told:?}");
        }
        refuses_topics_that_it_would_spoil(&settings, &topic);
        assert_eq!(replay(&settings, &topic, &["--force", "--up-to-position", "2"]), 2);
        assert_both_proven(&settings);
        prints_the_state(&settings);
    })
    .await
    .unwrap();
}

/// Those that are published to, whatever is configured here, and those that are compacted.
fn refuses_topics_that_it_would_spoil(settings: &[String], topic: &str) {
    let refused = |settings: &[String], to: &str, why: &str| {
        let told = roster(&["events", "replay", "--to", to], settings);
        assert!(told.code == 2 && told.err.contains(why) && told.out.is_empty(), "{why}: {told:?}");
    };
    refused(settings, topic, "is published to");
    let states = format!("{topic}-state");
    refused(settings, &states, "the topic of states");
    // Somebody who configures other topics than the service.
    let configure = |topic: &str| {
        let (mut settings, other) = (settings.to_vec(), format!("{topic}-other"));
        for (flag, name) in [("--kafka-topic", &other), ("--kafka-state-topic", &format!("{other}-state"))] {
            let place = settings.iter().position(|it| it == flag).expect("a setting") + 1;
            name.clone_into(&mut settings[place]);
        }
        settings
    };
    let other = configure(topic);
    refused(&other, topic, "is published to, or was");
    refused(&other, &states, "is published to, or was");
    // Compacted, and nobody's: made by the other configuration.
    assert_eq!(roster(&["kafka", "apply"], &other).code, 0);
    let compacted = format!("{topic}-other-state");
    refused(settings, &compacted, "is compacted");
    assert_eq!(replay(settings, &compacted, &["--force", "--up-to-position", "2"]), 2);
}

fn prints_the_state(settings: &[String]) {
    let lines = |from: &str| {
        let told = roster(&["rebuild", "--from", from], settings);
        assert_eq!(told.code, 0, "{told:?}");
        told.out
    };
    let (events, states) = (lines("events"), lines("state"));
    assert_eq!(events, states, "either topic alone amounts to the same");
    let kinds: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &str| kinds.iter().filter(|state| state["kind"] == kind).count();
    assert_eq!((of("organization"), of("membership"), of("team")), (2, 1, 1), "one organization was purged: {events}");
}
