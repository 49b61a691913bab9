//! `roster events …`: the stream, for whoever operates it.

mod new_epoch;
mod replay;
mod status;

use super::Failure;
use crate::config::Config;

#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// How far the log is, who leads, and how far every topic has it. Exit code 0: all is well; 1: nothing is published to
    /// some topic, and why is told; 2: it could not be looked at.
    Status(status::Status),
    /// Publish a range of the log, or one stream, once more, into a topic of choice. Exit code 0: all of it has arrived; 1:
    /// it was stopped before its end; 2: nothing was replayed, or not everything.
    Replay(replay::Replay),
    /// Begin another stream epoch, after the database was restored to an earlier point: everything is published again. Exit
    /// code 0: begun; 1: a replica leads; 2: without `--yes`, or it could not be begun.
    NewEpoch(new_epoch::NewEpoch),
}

pub async fn run(config: &Config, verb: Verb) -> Result<u8, Failure> {
    match verb {
        Verb::Status(status) => status::run(config, status).await,
        Verb::Replay(replay) => replay::run(config, replay).await,
        Verb::NewEpoch(new_epoch) => new_epoch::run(config, new_epoch).await,
    }
}
