//! `roster kafka apply` and `roster doctor`, on a real broker.

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier},
    client::DefaultClientContext,
};
use serde_json::Value;

use super::{Answer, roster};
use crate::{alone, history::topic, support::process::kafka};

fn apply(settings: &[String], dry_run: bool) -> Answer {
    roster(if dry_run { &["kafka", "apply", "--dry-run"] } else { &["kafka", "apply"] }, settings)
}

/// The checks that found something.
fn found(settings: &[String]) -> Vec<String> {
    let told = roster(&["doctor", "--json"], settings);
    let report: Value = serde_json::from_str(&told.out).unwrap_or_else(|_| panic!("{told:?}"));
    let findings = report["findings"].as_array().unwrap();
    let nothing_examined = report["examined"].as_array().unwrap().is_empty();
    let code = if nothing_examined { 2 } else { i32::from(!findings.is_empty()) };
    assert_eq!(told.code, code, "{told:?}");
    for finding in findings {
        for part in ["what", "why", "remedy"] {
            assert!(finding[part].as_str().is_some_and(|text| !text.is_empty()), "{finding}");
        }
    }
    let mut checks: Vec<_> = findings
        .iter()
        .map(|finding| finding["check"].as_str().unwrap().trim_start_matches("kafka.").to_owned())
        .collect();
    checks.dedup();
    checks
}

async fn set(topic: &str, settings: &[(&str, &str)]) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", kafka()).create().unwrap();
    let alter = AlterConfig::new(ResourceSpecifier::Topic(topic));
    let alter = settings.iter().fold(alter, |alter, (key, value)| alter.set(key, value));
    admin.alter_configs([&alter], &AdminOptions::new()).await.unwrap().remove(0).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_are_made_held_against_what_they_have_to_be_and_mended() {
    let _alone = alone().await;
    let (events, states) = (topic(), topic());
    let settings = [
        "--kafka-brokers",
        &kafka(),
        "--kafka-topic",
        &events,
        "--kafka-state-topic",
        &states,
        "--kafka-partitions",
        "3",
    ]
    .map(str::to_owned);
    let told = apply(&settings, true);
    assert!(told.code == 1 && told.out.contains(&format!("{states}: missing")), "{told:?}");
    assert!(found(&settings).contains(&"topic".to_owned()), "the dry run made nothing");
    assert_eq!(apply(&settings, false).code, 0);
    let told = apply(&settings, true);
    assert!(told.code == 0 && told.out.contains(&format!("{events}: as it has to be")), "{told:?}");
    // One broker, one replica: that much is wrong with every cluster for tests.
    let alone = ["brokers", "replication", "min_insync", "replication", "min_insync"];
    assert_eq!(found(&settings), alone);

    set(
        &events,
        &[
            ("cleanup.policy", "compact,delete"),
            ("retention.ms", "1000"),
            ("max.message.bytes", "1000"),
            ("unclean.leader.election.enable", "true"),
            ("flush.messages", "77777"),
        ],
    )
    .await;
    set(&states, &[("cleanup.policy", "delete")]).await;
    let checks = found(&settings);
    for check in ["cleanup", "retention", "max_message_bytes", "unclean_election"] {
        assert!(checks.contains(&check.to_owned()), "{check}: {checks:?}");
    }
    let told = apply(&settings, true);
    for key in ["cleanup.policy is compact,delete", "retention.ms is 1000", "max.message.bytes is 1000"] {
        assert!(told.code == 1 && told.out.contains(key), "{key}: {told:?}");
    }
    // For how long records are kept, somebody may have set for a reason.
    let told = apply(&settings, false);
    assert!(told.code == 1 && told.out.contains("retention.ms is 1000, not -1: not changed"), "{told:?}");
    assert!(found(&settings).contains(&"retention".to_owned()));
    assert_eq!(roster(&["kafka", "apply", "--retention"], &settings).code, 0);
    assert_eq!(found(&settings), alone, "mended");
    set_kept(&events).await;

    let other = [&settings[..6], &["--kafka-partitions".to_owned(), "5".to_owned()]].concat();
    let told = apply(&other, false);
    assert!(told.code == 1 && told.out.contains("3 partitions, not 5: not changed"), "{told:?}");
    assert!(found(&other).contains(&"partitions".to_owned()));
    assert!(apply(&settings, true).code == 0, "nothing was changed");
}

/// What was set for a topic, and is nobody's business here, stays as it is when something else is changed.
async fn set_kept(topic: &str) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", kafka()).create().unwrap();
    let described = admin.describe_configs([&ResourceSpecifier::Topic(topic)], &AdminOptions::new()).await.unwrap();
    let value = described[0].as_ref().unwrap().get("flush.messages").unwrap().value.clone();
    assert_eq!(value.as_deref(), Some("77777"));
}

#[test]
fn what_cannot_be_asked_is_told_and_nothing_configured_is_nothing_examined() {
    let nobody = ["--kafka-brokers".to_owned(), "127.0.0.1:1".to_owned()];
    assert_eq!(found(&nobody), ["reachable"]);
    assert_eq!(roster(&["doctor"], &nobody).code, 2);
    assert_eq!(apply(&nobody, false).code, 2);
    assert_eq!(roster(&["doctor"], &[]).code, 2);
    assert_eq!(apply(&[], true).code, 2);
}
