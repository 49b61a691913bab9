//! `roster events status`: lags, as the database knows them.

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
    /// Whether Kafka is configured here and nothing was ever published, though there is something.
    never_published: bool,
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

/// How old what a topic has not may be before it is said that something is wrong.
const STALLED_SECONDS: f64 = 15.0;

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
            stalled: lag_seconds > STALLED_SECONDS && configured != Some(false),
        }
    });
    let sinks: Vec<_> = sinks.collect();
    let report = Report {
        head,
        unnumbered,
        stream_epoch: stream_epoch.to_string(),
        leader_epoch: held.as_ref().map_or(0, |held| held.epoch),
        leader: held.filter(|held| held.lasts).map(|held| held.holder),
        never_published: head > 0 && config.kafka.is_some() && sinks.is_empty(),
        sinks,
    };
    if json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print(&report);
    }
    let stands = |sink: &Sink| sink.refused.is_some() || sink.stalled;
    Ok(u8::from(report.never_published || report.sinks.iter().any(stands)))
}

fn print(report: &Report) {
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
    if *never_published {
        println!("NOTHING WAS EVER PUBLISHED: the log of the leader says why; `roster doctor` looks at Kafka");
    } else if sinks.is_empty() {
        println!("no Kafka is configured here, and nothing was ever published");
    }
}
