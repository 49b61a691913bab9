//! `roster verify`: reads a topic to its end, as any consumer would, and holds it against the database.
//!
//! The order of reading is the argument. What is acknowledged is asked first, so all of it must be found in the topic;
//! the database is read last, so all that the topic holds must be found there. Of a service that is at work, what was
//! committed in between is pending.

mod database;
mod report;
mod trace;

use report::Report;
use trace::Trace;

use super::{Failure, kafka_of, looked, open_database, told};
use crate::{
    config::{Config, Kafka},
    events::store,
    relay::{self, Feed},
};

/// What `roster verify` is asked for.
#[derive(Debug, clap::Args)]
pub struct Verify {
    /// Look at the topic alone: without the database, only gaps, disorder and wrong headers can be found.
    #[arg(long)]
    topic_only: bool,
    /// Demand that the topic has everything by now: nothing may be pending.
    #[arg(long, conflicts_with = "topic_only")]
    drained: bool,
    /// Print one JSON object in place of the table.
    #[arg(long)]
    json: bool,
}

/// Verifies the configured topic; answers 0 where no fault was found, 1 where one was, 2 where
/// nothing could be verified.
pub async fn run(config: &Config, verify: Verify) -> Result<u8, Failure> {
    Ok(looked(verified(config, &verify).await, "nothing was verified"))
}

async fn verified(config: &Config, verify: &Verify) -> Result<u8, Failure> {
    let report = examine(config, verify).await?;
    if verify.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{report}");
    }
    Ok(u8::from(!report.faultless))
}

async fn examine(config: &Config, verify: &Verify) -> Result<Report, Failure> {
    let kafka = kafka_of(config)?;
    let mut report = Report::new(&kafka, verify.drained);
    if verify.topic_only {
        let mut trace = read(kafka, String::new(), &mut report).await?;
        trace.trust();
        report.take_trace(trace);
    } else {
        let db = open_database(config).await.map_err(|error| format!("{}; or use --topic-only", told(&error)))?;
        relay::reach::brokers(&kafka).await?;
        let sink = relay::topic::look(&kafka, &kafka.topic).await?;
        let mark = relay::acknowledged(&mut db.snapshot().await?, &sink.name).await?;
        let (_, stream_epoch) = store::head(&mut db.snapshot().await?).await?;
        let trace = read(kafka, stream_epoch.to_string(), &mut report).await?;
        database::compare(&mut db.snapshot().await?, trace, mark, &mut report).await?;
        db.close().await;
    }
    report.judge();
    Ok(report)
}

/// Reads the topic, on a thread that may block: what it has of this log, or of a later one.
async fn read(kafka: Kafka, stream_epoch: String, report: &mut Report) -> Result<Trace, Failure> {
    let reading = tokio::task::spawn_blocking(move || {
        let mut trace = Trace::from(stream_epoch);
        let partitions = relay::reader::read(&kafka, Feed::Events, |record| trace.take(record))?;
        Ok::<_, Failure>((partitions, trace))
    });
    let (partitions, trace) = reading.await??;
    report.partitions = partitions;
    Ok(trace)
}
