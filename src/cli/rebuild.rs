//! `roster rebuild`: the whole state, from Kafka alone.

use std::io::{BufWriter, Write as _};

use prost::Message as _;
use prost_reflect::DynamicMessage;

use super::{Failure, kafka_of, looked, open_database};
use crate::{
    config::{Config, Kafka},
    rebuild::{self, Difference, Fold},
    relay::Feed,
};

/// What `roster rebuild` is asked for.
#[derive(Debug, clap::Args)]
pub struct Rebuild {
    /// From which topic.
    #[arg(long, value_enum)]
    from: From,
    /// Compare with the database, to the field, in place of printing. What is not published yet differs.
    #[arg(long)]
    compare: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum From {
    /// The topic of events.
    Events,
    /// The topic of states.
    State,
}

/// Prints the state as JSON lines of `roster.v1.State`, or compares it with the database.
pub async fn run(config: &Config, rebuild: Rebuild) -> Result<u8, Failure> {
    let done = async {
        let kafka = kafka_of(config)?;
        let feed = match rebuild.from {
            From::Events => Feed::Events,
            From::State => Feed::State,
        };
        let fold = read(kafka, feed).await?;
        if rebuild.compare { compare(config, fold).await } else { print(fold) }
    };
    Ok(looked(done.await, "nothing was rebuilt"))
}

async fn read(kafka: Kafka, feed: Feed) -> Result<Fold, Failure> {
    if feed.topic(&kafka).is_empty() {
        return Err("no topic of states is configured: set kafka_state_topic".into());
    }
    Ok(tokio::task::spawn_blocking(move || rebuild::topic::read(&kafka, feed)).await??)
}

async fn compare(config: &Config, fold: Fold) -> Result<u8, Failure> {
    let db = open_database(config).await?;
    let Difference { compared, different, without_personal } =
        rebuild::compare(&mut db.snapshot().await?, fold).await?;
    db.close().await;
    println!("{compared} compared, {} different", different.count);
    different.first.iter().for_each(|name| println!("  {name}"));
    let unnamed = different.count - different.first.len() as u64;
    if unnamed > 0 {
        println!("  and {unnamed} more");
    }
    if without_personal {
        println!("  personal fields were not compared: the topic leaves them out");
    }
    Ok(u8::from(different.count > 0))
}

fn print(fold: Fold) -> Result<u8, Failure> {
    let (message, mut out) = (Feed::State.message(), BufWriter::new(std::io::stdout().lock()));
    for state in fold.into_states() {
        let state = DynamicMessage::decode(message.clone(), state.encode_to_vec().as_slice())?;
        serde_json::to_writer(&mut out, &state)?;
        writeln!(out)?;
    }
    out.flush()?;
    Ok(0)
}
