//! `roster events new-epoch`: another log, in the eyes of whoever reads it.
//!
//! A restore to an earlier point may bring sequences back with other content. Under a new epoch nobody takes them for
//! what they were.

use uuid::Uuid;

use crate::{
    cli::{Failure, looked, open_database},
    config::Config,
    db::{Db, Tx},
    error::{Error, Result},
    events::store,
    lease,
    relay::cursor,
};

/// What `roster events new-epoch` is asked for.
#[derive(Debug, clap::Args)]
pub struct NewEpoch {
    /// Do it. Without this, only what would be done is said.
    #[arg(long)]
    yes: bool,
}

/// What consumers have to do.
const CONSUMERS: &str = "\
Consumers: a record whose `x-stream-epoch` is greater, as text, than the one held is of another log. Forget the last
sequence of every key, and everything built from the earlier epoch, and begin again with it: it starts at sequence 1 of
every stream, or at what retention has left of it. Records of an earlier epoch that come after it are dropped. `roster verify` and `roster rebuild` do so.
Watch streams: begin again at position 0, or at the first position that RANGE_DROPPED names.";

/// Begins another epoch.
pub async fn run(config: &Config, new_epoch: NewEpoch) -> Result<u8, Failure> {
    let done = async {
        let db = open_database(config).await?;
        let done = if new_epoch.yes { begin(&db).await } else { describe(&db).await };
        db.close().await;
        Ok(done?)
    };
    Ok(looked(done.await, "no epoch was begun"))
}

async fn describe(db: &Db) -> Result<u8> {
    let (head, stream_epoch) = store::head(&mut db.snapshot().await?).await?;
    println!(
        "The stream epoch is {stream_epoch}. With --yes another one begins, and every topic gets everything again, up to position {head}."
    );
    println!("Stop every replica first; start them afterwards.\n\n{CONSUMERS}");
    Ok(2)
}

async fn begin(db: &Db) -> Result<u8> {
    let (begun, _) = db.write(async |tx| begin_in(tx).await).await?;
    match begun {
        Some((epoch, sinks)) => {
            println!("The stream epoch is now {epoch}: {sinks} topics get everything again when the service starts.");
            println!("\n{CONSUMERS}");
            Ok(0)
        }
        None => {
            eprintln!("roster: a replica leads: stop every replica first, and try again some seconds later");
            Ok(1)
        }
    }
}

/// The new epoch, and how many topics begin again; nothing where somebody leads.
async fn begin_in(tx: &mut Tx) -> Result<Option<(Uuid, u64)>> {
    if lease::held(tx).await?.is_some_and(|held| held.lasts) {
        return Ok(None);
    }
    lease::end_all(tx).await?;
    let (_, before) = store::head(tx).await?;
    let epoch = Uuid::now_v7();
    if epoch <= before {
        let told = format!("the clock of this machine is behind the one that began the epoch {before}");
        return Err(Error::internal(told));
    }
    store::begin_again(tx, epoch).await?;
    Ok(Some((epoch, cursor::restart(tx).await?)))
}
