//! `roster events status`: lags, as the database knows them.

use std::time::Duration;

use serde::Serialize;

use crate::{
    cli::{Failure, looked, open_database},
    clock::Clock,
    config::Config,
    db::Db,
    events::store,
    lease,
    relay::{Feed, cursor},
};

/// What `roster events status` is asked for.
#[derive(Debug, clap::Args)]
pub struct Status {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Forget a topic that is published to no more: its name as it stands here, with the cluster's id. Should it ever be
    /// published to again, it gets everything.
    #[arg(long, value_name = "CLUSTER/TOPIC")]
    forget: Option<String>,
}

/// How far everything is.
#[derive(Debug, Serialize)]
struct Report {
    /// The last position.
    head: i64,
    /// How many events are committed and have no position yet.
    unnumbered: i64,
    /// Which log it is.
    stream_epoch: String,
    /// Which replica leads; none where nobody does now.
    leader: Option<String>,
    /// The last term of leadership.
    leader_epoch: i64,
    sinks: Vec<Sink>,
    /// The topics that are configured here, and to which nothing was ever published, though there is something.
    never_published: Vec<String>,
}

/// How far a topic is.
#[derive(Debug, Serialize)]
struct Sink {
    /// The cluster's id, `/`, the topic.
    sink: String,
    /// It has everything up to this position.
    acknowledged: i64,
    /// How many events it has not.
    lag_events: i64,
    /// How old the oldest of those is, in seconds.
    lag_seconds: f64,
    /// Whether a topic of this name is configured here; none where no brokers are.
    configured: Option<bool>,
    /// Why nothing more is published to it; none where something is.
    refused: Option<String>,
    /// Whether nothing has arrived there for long, though there is something to publish.
    stalled: bool,
}

/// How old what a topic has not may be before it is looked at twice.
const OLD_SECONDS: f64 = 15.0;
/// How long nothing arrives then, where something is wrong: a topic that catches up gets much in this time.
const LOOK_AGAIN: Duration = Duration::from_secs(3);

/// Tells how far everything is.
pub async fn run(config: &Config, status: Status) -> Result<u8, Failure> {
    let done = async {
        let db = open_database(config).await?;
        let done = match &status.forget {
            Some(sink) => forget(config, &db, sink).await,
            None => tell(config, &db, status.json).await,
        };
        db.close().await;
        done
    };
    Ok(looked(done.await, if status.forget.is_some() { "nothing was forgotten" } else { "not looked at" }))
}

/// Forgets a topic's mark.
async fn forget(config: &Config, db: &Db, sink: &str) -> Result<u8, Failure> {
    let mut tx = db.snapshot().await?;
    if !cursor::all(&mut tx).await?.iter().any(|reached| reached.sink == sink) {
        return Err(format!("--forget: there is no {sink}: `roster events status` lists what there is").into());
    }
    if is_configured(config, sink) == Some(true) && lease::held(&mut tx).await?.is_some_and(|held| held.lasts) {
        return Err(format!("--forget: {sink} may be published to now: stop every replica first").into());
    }
    drop(tx);
    cursor::forget(db, sink).await?;
    println!("{sink} is forgotten");
    Ok(0)
}

/// Whether a topic of this sink's name is configured; none where no brokers are.
fn is_configured(config: &Config, sink: &str) -> Option<bool> {
    let kafka = config.kafka.as_ref()?;
    let (_, topic) = sink.split_once('/')?;
    Some(Feed::configured(kafka).into_iter().any(|feed| feed.topic(kafka) == topic))
}

async fn tell(config: &Config, db: &Db, json: bool) -> Result<u8, Failure> {
    let mut tx = db.snapshot().await?;
    let (head, stream_epoch) = store::head(&mut tx).await?;
    let unnumbered = store::unnumbered(&mut tx).await?;
    let held = lease::held(&mut tx).await?;
    let now = Clock::system().now().0;
    let sinks = cursor::all(&mut tx).await?.into_iter().map(|reached| {
        let lag_seconds = reached.oldest_at.map_or(0.0, |oldest| (now - oldest).max(0) as f64 / 1e6);
        let configured = is_configured(config, &reached.sink);
        Sink {
            configured,
            refused: Some(reached.refused).filter(|why| !why.is_empty()),
            sink: reached.sink,
            acknowledged: reached.position,
            lag_events: head - reached.position,
            lag_seconds,
            stalled: lag_seconds > OLD_SECONDS && configured != Some(false),
        }
    });
    let mut sinks: Vec<_> = sinks.collect();
    drop(tx);
    find_stalled(db, &mut sinks).await?;
    let report = Report {
        head,
        unnumbered,
        stream_epoch: stream_epoch.to_string(),
        leader_epoch: held.as_ref().map_or(0, |held| held.epoch),
        leader: held.filter(|held| held.lasts).map(|held| held.holder),
        never_published: if head > 0 { without_mark(config, &sinks) } else { Vec::new() },
        sinks,
    };
    if json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print(&report, config.kafka.is_some());
    }
    let stands = |sink: &Sink| sink.refused.is_some() || sink.stalled;
    let waits = report.leader.is_none() && report.unnumbered > 0;
    Ok(u8::from(waits || !report.never_published.is_empty() || report.sinks.iter().any(stands)))
}

/// Leaves those stalled that have not moved a little later.
async fn find_stalled(db: &Db, sinks: &mut [Sink]) -> Result<(), Failure> {
    if !sinks.iter().any(|sink| sink.stalled) {
        return Ok(());
    }
    tokio::time::sleep(LOOK_AGAIN).await;
    let now = cursor::all(&mut db.snapshot().await?).await?;
    for sink in sinks {
        sink.stalled &= now.iter().any(|it| it.sink == sink.sink && it.position == sink.acknowledged);
    }
    Ok(())
}

/// The configured topics that no mark is of.
fn without_mark(config: &Config, sinks: &[Sink]) -> Vec<String> {
    let Some(kafka) = &config.kafka else { return Vec::new() };
    let topics = Feed::configured(kafka).into_iter().map(|feed| feed.topic(kafka).to_owned());
    let has_mark = |topic: &String| sinks.iter().any(|it| it.sink.split_once('/').is_some_and(|(_, of)| of == topic));
    topics.filter(|topic| !has_mark(topic)).collect()
}

fn print(report: &Report, has_kafka: bool) {
    let Report { head, unnumbered, stream_epoch, leader, leader_epoch, sinks, never_published } = report;
    println!("head          {head}, and {unnumbered} without a position yet");
    println!("stream epoch  {stream_epoch}");
    println!("leader        {} (term {leader_epoch})", leader.as_deref().unwrap_or("nobody"));
    for Sink { sink, acknowledged, lag_events, lag_seconds, configured, refused, stalled } in sinks {
        println!("{sink}\n              acknowledged {acknowledged}, behind {lag_events} events, {lag_seconds:.1} s");
        if let Some(why) = refused {
            println!("              REFUSED: nothing is published: {why}");
        }
        if *stalled && refused.is_none() {
            println!("              NOTHING ARRIVES: the log of the leader says why; `roster doctor` looks at Kafka");
        }
        if *configured == Some(false) {
            println!("              not configured here: `--forget {sink}`, if nobody publishes to it any more");
        }
    }
    for topic in never_published {
        println!(
            "{topic}\n              NOTHING WAS EVER PUBLISHED: the log of the leader says why; `roster doctor` looks at Kafka"
        );
    }
    if sinks.is_empty() && !has_kafka {
        println!("no Kafka is configured here, and nothing was ever published");
    }
}
