//! The cluster: whether its settings keep what is promised of the stream.

use super::Report;
use crate::{
    config::{Config, Kafka},
    db::Db,
    error::Result,
    relay::{
        Feed, claim,
        cluster::{self, Cluster, Found, Settings},
        encoding, feed,
        last::{self, Last},
        probe_transactions, topic,
    },
};

const LOST: &str =
    "an event that was acknowledged may be lost with one disk: nothing that was acknowledged is ever missing";
const REBUILT: &str = "the state can no longer be rebuilt from the topic alone, and a new consumer misses what is gone";
const STUCK: &str = "one event that is too large stops the stream: it is never skipped";
const ORDER: &str = "events of one key are in order only within one partition";

/// Examines the brokers and the topics.
pub async fn examine(config: &Config, db: Option<&Db>, report: &mut Report) {
    let Some(kafka) = &config.kafka else { return };
    let cluster = match cluster::look(kafka).await {
        Ok(cluster) => cluster,
        Err(error) => {
            let why = "nothing is published while the brokers cannot be reached: events wait in the database";
            let remedy = "check kafka_brokers, the network, and the account and certificates in kafka_properties";
            return report.error("kafka.reachable", error.told(), why, remedy);
        }
    };
    report.examined.push(format!("Kafka at {}", kafka.brokers));
    brokers(kafka, &cluster, report).await;
    for feed in Feed::configured(kafka) {
        if topic(kafka, &cluster, feed, report).await {
            content(kafka, feed, db, report).await;
        }
    }
    same_partitions(kafka, &cluster, report);
    transactions(kafka, report).await;
}

async fn brokers(kafka: &Kafka, cluster: &Cluster, report: &mut Report) {
    report.examined.push(format!("{} brokers", cluster.brokers.len()));
    if cluster.brokers.len() < 3 {
        let what = format!("the cluster has {} brokers", cluster.brokers.len());
        report.warning("kafka.brokers", what, LOST, "run three brokers or more in production");
    }
    for id in &cluster.brokers {
        let Ok(Some(settings)) = cluster::broker_settings(kafka, *id).await else {
            let why = "what its settings endanger cannot be told";
            let remedy = "allow the account DescribeConfigs on the cluster";
            report.warning("kafka.describe", format!("broker {id} does not tell its settings"), why, remedy);
            continue;
        };
        if is(&settings, "auto.create.topics.enable", "true") {
            let why = "a misspelt topic comes into being with settings that keep no promise, and nobody notices";
            let remedy = "set auto.create.topics.enable=false at the brokers";
            report.warning("kafka.auto_create", format!("broker {id} creates topics by itself"), why, remedy);
        }
    }
}

/// Examines a topic; answers whether there is one.
async fn topic(kafka: &Kafka, cluster: &Cluster, feed: Feed, report: &mut Report) -> bool {
    let topic = feed.topic(kafka);
    report.examined.push(format!("topic {topic}"));
    let Some(found) = cluster.topics.get(topic).filter(|found| found.refused.is_none()) else {
        let why = "nothing is published to a topic that is missing, or that the account may not see";
        let remedy = "run `roster kafka apply`, or allow the account Describe, Read and Write on it";
        report.error("kafka.topic", format!("there is no topic {topic} that may be seen"), why, remedy);
        return false;
    };
    shape(kafka, topic, found, report);
    let Ok(Some(settings)) = cluster::topic_settings(kafka, topic).await else {
        let why = "what its settings endanger cannot be told";
        let remedy = "allow the account DescribeConfigs on the topic";
        report.warning("kafka.describe", format!("the settings of {topic} are not told"), why, remedy);
        return true;
    };
    durability(topic, found, &settings, report);
    size(kafka, topic, &settings, report);
    match feed {
        Feed::Events => keeps_events(topic, &settings, report),
        Feed::State => keeps_states(topic, &settings, report),
    }
    true
}

/// Examines what a topic has, by its last records: whose they are, and how they are written.
async fn content(kafka: &Kafka, feed: Feed, db: Option<&Db>, report: &mut Report) {
    let name = feed.topic(kafka);
    let last = match last(kafka, name).await {
        Ok(last) => last,
        Err(why_not) => {
            let what = format!("the last records of {name} cannot be read: {why_not}");
            let why = "whether others publish there, and how values are written, cannot be told";
            return report.warning("kafka.read", what, why, "allow the account Read on the topic");
        }
    };
    report.examined.push(format!("the last records of {name}"));
    if let Some(other) = encoding::other(feed, kafka, &last) {
        let why =
            "a consumer that takes the encoding from its own settings reads what is before the change, or after it";
        let remedy = "set kafka_encoding and the schema ids as they were, or publish to a new topic";
        report.warning("kafka.encoding", format!("{name}: {other}"), why, remedy);
    }
    let Some(db) = db else { return };
    let against = async { claim::against(&mut db.snapshot().await?, name, &last).await };
    match against.await {
        Ok(None) => {}
        Ok(Some(against)) => {
            let why = "consumers drop what one of two logs in a topic says, by the rule that they follow";
            report.error("kafka.claim", against.what, why, against.remedy);
        }
        Err(error) => {
            let why = "whether they are of this log cannot be told";
            report.warning("kafka.claim", error.told(), why, "let the database answer, and ask again");
        }
    }
}

async fn last(kafka: &Kafka, name: &str) -> std::result::Result<Vec<Last>, String> {
    let read = async { last::records(kafka, name, &topic::look(kafka, name).await?).await };
    let read: Result<_> = read.await;
    read.map_err(|error| error.told())?.ok_or_else(|| "the account may not".to_owned())
}

fn shape(kafka: &Kafka, topic: &str, found: &Found, report: &mut Report) {
    if found.partitions != kafka.partitions {
        let what = format!("{topic} has {} partitions, and {} are configured", found.partitions, kafka.partitions);
        let remedy = "set kafka_partitions to what the topic has; to have more, publish to a new topic";
        report.warning("kafka.partitions", what, ORDER, remedy);
    }
    if found.leaderless > 0 {
        let what = format!("{} partitions of {topic} have no leader", found.leaderless);
        let why = "the stream stands still: nothing is skipped";
        report.error("kafka.leaderless", what, why, "bring the brokers back that hold them");
    }
    if found.replicas < 2 {
        let what = format!("{topic} has one replica");
        let remedy = "give it three: kafka-reassign-partitions, and kafka_replication_factor = 3";
        report.error("kafka.replication", what, LOST, remedy);
    } else if found.replicas < 3 {
        let what = format!("{topic} has two replicas");
        let why = "either one broker away stops the stream, or one disk loses what was acknowledged";
        report.warning("kafka.replication", what, why, "give it three");
    }
}

fn durability(topic: &str, found: &Found, settings: &Settings, report: &mut Report) {
    let insync = number(settings, "min.insync.replicas").unwrap_or(1);
    if insync < 2 {
        let what = format!("{topic}: min.insync.replicas is {insync}");
        let remedy = "set it to 2, with three replicas: `roster kafka apply` does, with kafka_replication_factor = 3";
        report.error("kafka.min_insync", what, LOST, remedy);
    } else if insync >= i64::from(found.replicas) {
        let what = format!("{topic}: min.insync.replicas is {insync}, with {} replicas", found.replicas);
        let why = "one broker away stops the stream";
        report.warning("kafka.min_insync", what, why, "have one replica more than that");
    }
    if is(settings, "unclean.leader.election.enable", "true") {
        let what = format!("{topic}: unclean.leader.election.enable is true");
        let remedy = "set it to false: `roster kafka apply` does";
        report.error("kafka.unclean_election", what, LOST, remedy);
    }
}

fn size(kafka: &Kafka, topic: &str, settings: &Settings, report: &mut Report) {
    let needed = i64::from(feed::bytes_max(kafka));
    let bytes = number(settings, "max.message.bytes").unwrap_or(needed);
    if !feed::takes_every_record(kafka, bytes) {
        let what = format!("{topic}: max.message.bytes is {bytes}, and a record may weigh {needed}");
        report.error("kafka.max_message_bytes", what, STUCK, "raise it: `roster kafka apply` does");
    }
}

fn keeps_events(topic: &str, settings: &Settings, report: &mut Report) {
    if text(settings, "cleanup.policy").contains("compact") {
        let what = format!("{topic}: cleanup.policy is {}", text(settings, "cleanup.policy"));
        report.error("kafka.cleanup", what, REBUILT, "set it to delete: `roster kafka apply` does");
    }
    for key in ["retention.ms", "retention.bytes"] {
        let kept = number(settings, key).unwrap_or(-1);
        if kept >= 0 {
            let what = format!("{topic}: {key} is {kept}");
            let remedy = "set it to -1 (`roster kafka apply --retention` does), or accept that newcomers need the topic of states";
            report.warning("kafka.retention", what, REBUILT, remedy);
        }
    }
}

fn keeps_states(topic: &str, settings: &Settings, report: &mut Report) {
    let policy = text(settings, "cleanup.policy");
    if policy != "compact" {
        let what = format!("{topic}: cleanup.policy is {policy}");
        let why = match policy.contains("delete") {
            true => "the state of what has not changed for long goes, and a newcomer never hears of it",
            false => "it grows without end",
        };
        report.error("kafka.cleanup", what, why, "set it to compact: `roster kafka apply` does");
    }
}

fn same_partitions(kafka: &Kafka, cluster: &Cluster, report: &mut Report) {
    let partitions = |feed: Feed| cluster.topics.get(feed.topic(kafka)).map(|found| found.partitions);
    if let (Some(events), Some(states)) = (partitions(Feed::Events), partitions(Feed::State))
        && events != states
    {
        let what = format!("the topic of events has {events} partitions, and the topic of states {states}");
        let why = "a stream's events and states are in partitions of other numbers: joining them needs a shuffle";
        report.warning("kafka.copartitioned", what, why, "make one of them anew with the other's number");
    }
}

async fn transactions(kafka: &Kafka, report: &mut Report) {
    if !Feed::configured(kafka).into_iter().any(|feed| feed.is_transactional(kafka)) {
        return;
    }
    report.examined.push("transactions".to_owned());
    if let Err(error) = probe_transactions(kafka).await {
        let why =
            "without them a former leader's late write may stay: what is written in transactions is not published";
        let remedy = "use brokers of version 2.5 or later; allow the account Write and Describe on TransactionalId \
                      roster-* (prefixed); or set kafka_transactional = off";
        report.error("kafka.transactions", format!("no transaction can be begun: {}", error.told()), why, remedy);
    }
}

fn text<'s>(settings: &'s Settings, key: &str) -> &'s str {
    settings.values.get(key).map_or("", String::as_str)
}

fn is(settings: &Settings, key: &str, value: &str) -> bool {
    text(settings, key) == value
}

fn number(settings: &Settings, key: &str) -> Option<i64> {
    text(settings, key).parse().ok()
}
