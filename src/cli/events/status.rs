//! `roster events status`: lags, as the database knows them.

use serde::Serialize;

use crate::{
    cli::{Failure, open_database},
    clock::Clock,
    config::Config,
    events::store,
    lease,
    relay::cursor,
};

/// What `roster events status` is asked for.
#[derive(Debug, clap::Args)]
pub struct Status {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
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
}

/// Tells how far everything is.
pub async fn run(config: &Config, status: Status) -> Result<u8, Failure> {
    let db = open_database(config).await?;
    let mut tx = db.snapshot().await?;
    let (head, stream_epoch) = store::head(&mut tx).await?;
    let unnumbered = store::unnumbered(&mut tx).await?;
    let held = lease::held(&mut tx).await?;
    let now = Clock::system().now().0;
    let sinks = cursor::all(&mut tx).await?.into_iter().map(|(sink, acknowledged, oldest)| Sink {
        sink,
        acknowledged,
        lag_events: head - acknowledged,
        lag_seconds: oldest.map_or(0.0, |oldest| (now - oldest).max(0) as f64 / 1e6),
    });
    let report = Report {
        head,
        unnumbered,
        stream_epoch: stream_epoch.to_string(),
        leader_epoch: held.as_ref().map_or(0, |held| held.epoch),
        leader: held.filter(|held| held.lasts).map(|held| held.holder),
        sinks: sinks.collect(),
    };
    drop(tx);
    db.close().await;
    if status.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print(&report);
    }
    Ok(0)
}

fn print(report: &Report) {
    let Report { head, unnumbered, stream_epoch, leader, leader_epoch, sinks } = report;
    println!("head          {head}, and {unnumbered} without a position yet");
    println!("stream epoch  {stream_epoch}");
    println!("leader        {} (term {leader_epoch})", leader.as_deref().unwrap_or("nobody"));
    for Sink { sink, acknowledged, lag_events, lag_seconds } in sinks {
        println!("{sink}\n              acknowledged {acknowledged}, behind {lag_events} events, {lag_seconds:.1} s");
    }
    if sinks.is_empty() {
        println!("nothing was ever published to Kafka");
    }
}
