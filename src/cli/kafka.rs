//! `roster kafka apply`: topics made, or held against what they have to be.

use std::{collections::BTreeMap, time::Duration};

use super::{Failure, kafka_of, looked};
use crate::{
    config::{Config, Kafka},
    relay::{
        Feed,
        cluster::{self, Cluster, Found},
        feed::{self, Wanted},
        topic,
    },
};

#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Make the topics, or change what differs where that is safe. Exit code 0: they are as they have to be; 1: something
    /// differs still; 2: the brokers could not be asked.
    Apply {
        /// Say what would be done, and do nothing.
        #[arg(long)]
        dry_run: bool,
        /// Also set how long records are kept: for good. Without it, that is only said: whoever set it may have a reason,
        /// such as what was erased.
        #[arg(long)]
        retention: bool,
    },
}

pub async fn run(config: &Config, verb: Verb) -> Result<u8, Failure> {
    let Verb::Apply { dry_run, retention } = verb;
    Ok(looked(apply(config, dry_run, retention).await, "not applied"))
}

async fn apply(config: &Config, dry_run: bool, retention: bool) -> Result<u8, Failure> {
    let kafka = kafka_of(config)?;
    let cluster = cluster::look(&kafka).await?;
    let mut differs = false;
    for feed in Feed::configured(&kafka) {
        let wanted = feed.wanted(&kafka);
        differs |= !apply_one(&kafka, &cluster, &wanted, dry_run, retention).await?;
    }
    Ok(u8::from(differs))
}

/// After how long a topic that was just made is known to the brokers.
const SEEN_AFTER: Duration = Duration::from_secs(1);

/// Makes or changes a topic; answers whether it is now as it has to be.
async fn apply_one(
    kafka: &Kafka,
    cluster: &Cluster,
    wanted: &Wanted,
    dry_run: bool,
    retention: bool,
) -> Result<bool, Failure> {
    let topic = &wanted.topic;
    let Some(found) = cluster.topics.get(topic) else {
        if dry_run {
            println!("{topic}: missing: would be made with {} partitions", wanted.partitions);
            return Ok(false);
        }
        return match topic::create(kafka, wanted).await? {
            Ok(()) => {
                println!("{topic}: made with {} partitions", wanted.partitions);
                Ok(true)
            }
            Err(code) if topic::is_there(code) => {
                // Somebody else made it just now: it is held against what it has to be, as any other.
                tokio::time::sleep(SEEN_AFTER).await;
                let cluster = cluster::look(kafka).await?;
                if !cluster.topics.contains_key(topic) {
                    return Err(format!("{topic} is there, and not to be seen: allow Describe on the topic").into());
                }
                Box::pin(apply_one(kafka, &cluster, wanted, dry_run, retention)).await
            }
            Err(code) => Err(format!("{topic} cannot be made: {code}").into()),
        };
    };
    if let Some(refused) = &found.refused {
        return Err(format!("{topic}: {refused}").into());
    }
    let mut fixed = fixed_differences(found, wanted);
    let settings = cluster::topic_settings(kafka, topic).await?;
    let settings = settings.ok_or("the brokers do not tell its settings: allow DescribeConfigs on the topic")?;
    let replicas = found.replicas.to_string();
    let is_kept = |(key, value): &&(&str, String)| match *key {
        "retention.ms" | "retention.bytes" => retention,
        // More than there are replicas, or as many, would stop the stream.
        "min.insync.replicas" => value.len() <= replicas.len() && *value < replicas,
        _ => true,
    };
    let (changes, kept): (Vec<_>, Vec<_>) =
        changes(kafka, &settings.values, wanted).into_iter().partition(|change| is_kept(change));
    for (key, value) in kept {
        let now = settings.values.get(*key).map_or("unset", String::as_str);
        let why = if *key == "min.insync.replicas" { "it has too few replicas" } else { "`--retention` does" };
        fixed.push(format!("{key} is {now}, not {value}: not changed: {why}"));
    }
    fixed.iter().for_each(|difference| println!("{topic}: {difference}"));
    for (key, value) in &changes {
        let now = settings.values.get(*key).map_or("unset", String::as_str);
        println!("{topic}: {key} is {now}, {} {value}", if dry_run { "would be set to" } else { "set to" });
    }
    if !changes.is_empty() && !dry_run {
        let mut own = settings.own;
        own.extend(changes.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        cluster::set(kafka, topic, &own).await?;
    }
    if fixed.is_empty() && changes.is_empty() {
        println!("{topic}: as it has to be");
    }
    Ok(fixed.is_empty() && (changes.is_empty() || !dry_run))
}

/// What differs and is not changed here, with the reason.
fn fixed_differences(found: &Found, wanted: &Wanted) -> Vec<String> {
    let mut differences = Vec::new();
    if found.partitions != wanted.partitions {
        differences.push(format!(
            "{} partitions, not {}: not changed, for keys would move and their order be lost; to change it, publish to a \
             new topic",
            found.partitions, wanted.partitions
        ));
    }
    if wanted.replication_factor > 0 && found.replicas != wanted.replication_factor {
        differences.push(format!(
            "{} replicas, not {}: not changed here: use kafka-reassign-partitions",
            found.replicas, wanted.replication_factor
        ));
    }
    differences
}

/// What has to be set.
fn changes<'w>(
    kafka: &Kafka,
    values: &BTreeMap<String, String>,
    wanted: &'w Wanted,
) -> Vec<&'w (&'static str, String)> {
    wanted.settings.iter().filter(|(key, value)| !suffices(kafka, key, values.get(*key), value)).collect()
}

/// Whether a setting is what it has to be, or, of those with a least value, more.
fn suffices(kafka: &Kafka, key: &str, now: Option<&String>, wanted: &str) -> bool {
    let number = |text: &str| text.parse::<i64>().ok();
    now.is_some_and(|now| match (key, number(now), number(wanted)) {
        ("max.message.bytes", Some(now), _) => feed::takes_every_record(kafka, now),
        ("delete.retention.ms" | "min.insync.replicas", Some(now), Some(wanted)) => now >= wanted,
        _ => now == wanted,
    })
}
