//! `roster events replay`: a part of the log, into a topic of choice.

use tokio_util::sync::CancellationToken;

use crate::{
    cli::{Failure, kafka_of, looked, open_database},
    clock::Timestamp,
    config::{Config, Kafka, is_topic},
    db::Db,
    events::{Stream, chains, store},
    relay::{
        claim, cluster, cursor, last,
        replay::{self, Range},
        topic,
    },
    shutdown,
};

/// What `roster events replay` is asked for.
#[derive(Debug, clap::Args)]
pub struct Replay {
    /// Into which topic. Made where it is missing.
    #[arg(long, value_name = "TOPIC")]
    to: String,
    /// Only events after this position.
    #[arg(long, value_name = "POSITION", default_value_t = 0)]
    after_position: i64,
    /// Only events up to this position.
    #[arg(long, value_name = "POSITION", default_value_t = i64::MAX, hide_default_value = true)]
    up_to_position: i64,
    /// Only events that were made at this time or later: `2026-05-01T00:00:00Z`.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only events that were made before this time.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only one stream: an organization's, by its id, or a tenant's own, by the tenant's.
    #[arg(long, value_name = "ID")]
    stream: Option<String>,
    /// Into a topic that is published to, or one that is compacted, all the same: consumers of the one see these events
    /// twice, and the other keeps but the last event of every key.
    #[arg(long)]
    force: bool,
}

/// Publishes the range, and tells how many events it had.
pub async fn run(config: &Config, replay: Replay) -> Result<u8, Failure> {
    Ok(looked(replayed(config, replay).await, "not replayed"))
}

async fn replayed(config: &Config, replay: Replay) -> Result<u8, Failure> {
    let (range, kafka) = match (read(&replay), kafka_of(config).map(|kafka| into(kafka, &replay))) {
        (Ok(range), Ok(Ok(kafka))) => (range, kafka),
        (range, kafka) => {
            let mut faults = range.err().unwrap_or_default();
            faults.extend(kafka.map_or_else(|error| Some(error.to_string()), Result::err));
            return Err(faults.join("\n  ").into());
        }
    };
    let stop = CancellationToken::new();
    shutdown::on_signal(stop.clone())?;
    let db = open_database(config).await?;
    ensure_there(&db, &range).await?;
    if !replay.force {
        ensure_apart(&db, &kafka).await?;
    }
    let count = replay::run(&db, &kafka, range, &stop, |count| eprintln!("{count} events sent")).await?;
    db.close().await;
    println!("{count} events replayed into {}", kafka.topic);
    if stop.is_cancelled() {
        eprintln!("roster: stopped before the end of the range");
    }
    Ok(u8::from(stop.is_cancelled()))
}

/// Fails where the log has not what is asked for.
async fn ensure_there(db: &Db, range: &Range) -> Result<(), Failure> {
    let mut tx = db.snapshot().await?;
    let (head, _) = store::head(&mut tx).await?;
    for (flag, position) in [("--after-position", range.after), ("--up-to-position", range.up_to)] {
        if position > head && position != i64::MAX {
            return Err(format!("{flag} {position}: the log ends at {head}").into());
        }
    }
    let dropped = store::dropped_position(&mut tx).await?;
    if range.after < dropped && range.since == Timestamp(i64::MIN) {
        let after = range.after;
        return Err(format!(
            "--after-position {after}: retention has dropped events up to {dropped}: begin there, or with --since"
        )
        .into());
    }
    match range.stream {
        Some(stream) if !chains::is_there(&mut tx, stream).await? => {
            Err(format!("--stream {stream}: the log has no such stream").into())
        }
        _ => Ok(()),
    }
}

/// Fails where the topic is one that the service publishes to, whatever is configured here, or one that is compacted.
async fn ensure_apart(db: &Db, kafka: &Kafka) -> Result<(), Failure> {
    let topic = &kafka.topic;
    let cluster = cluster::look(kafka).await?;
    if !cluster.topics.contains_key(topic) {
        return Ok(()); // it is made, as events need it
    }
    let sink = topic::look(kafka, topic).await?;
    if cursor::is_there(&mut db.snapshot().await?, &sink.name).await? {
        return Err(format!(
            "--to: {topic} is published to, or was: its consumers would see events twice; --force does it anyway, and \
             `roster events status --forget {name}` forgets a topic that is published to no more",
            name = sink.name
        )
        .into());
    }
    let last = last::records(kafka, topic, &sink).await?;
    let last = last.ok_or("--to: this account may not read the topic: whether it is somebody's is not known")?;
    if let Some(against) = claim::against(&mut db.snapshot().await?, topic, &last).await? {
        return Err(format!(
            "--to: {}: whoever consumes it would drop what is theirs; name another topic; --force does it anyway",
            against.what
        )
        .into());
    }
    let settings = cluster::topic_settings(kafka, topic).await?;
    let policy = settings.and_then(|settings| settings.values.get("cleanup.policy").cloned()).unwrap_or_default();
    if policy.contains("compact") {
        return Err(format!(
            "--to: {topic} is compacted: of each key it would keep but the last event; name another topic, or set its \
             cleanup.policy to delete; --force does it anyway"
        )
        .into());
    }
    Ok(())
}

/// Where to, unless that is a topic that is published to.
fn into(kafka: Kafka, replay: &Replay) -> Result<Kafka, String> {
    let to = &replay.to;
    if !is_topic(to) {
        return Err(format!("--to: {to:?} is not 1 to 249 of a-z A-Z 0-9 . _ -"));
    }
    if *to == kafka.state_topic {
        return Err(format!("--to: {to} is the topic of states: events do not belong there"));
    }
    if *to == kafka.topic && !replay.force {
        return Err(format!(
            "--to: {to} is published to: its consumers would see events twice; --force does it anyway"
        ));
    }
    Ok(Kafka { topic: to.clone(), ..kafka })
}

/// Reads the range; answers every fault at once.
fn read(replay: &Replay) -> Result<Range, Vec<String>> {
    let mut faults = Vec::new();
    let mut time = |flag: &str, text: &Option<String>, otherwise: i64| {
        let Some(text) = text else { return Timestamp(otherwise) };
        let time = text.parse::<prost_types::Timestamp>().ok().and_then(|time| Timestamp::try_from(&time).ok());
        if time.is_none() {
            faults.push(format!("{flag}: {text:?} is not a time such as 2026-05-01T00:00:00Z"));
        }
        time.unwrap_or(Timestamp(otherwise))
    };
    let (since, until) = (time("--since", &replay.since, i64::MIN), time("--until", &replay.until, i64::MAX));
    let stream = replay.stream.as_ref().and_then(|id| id.parse::<Stream>().ok());
    if let (Some(id), None) = (&replay.stream, stream) {
        faults.push(format!("--stream: {id:?} is not of the form org_… or tenant_…"));
    }
    let (after, up_to) = (replay.after_position, replay.up_to_position);
    if after < 0 || up_to < after {
        faults.push(format!("--after-position {after}, --up-to-position {up_to}: no range"));
    }
    if until < since {
        faults.push("--until: before --since".to_owned());
    }
    if faults.is_empty() { Ok(Range { after, up_to, stream, since, until }) } else { Err(faults) }
}
