//! Replays eight years of real membership changes through the public API, and proves the state and every decision after
//! them. It knows nothing of the service but its contract.
//!
//! ```text
//! replay --key rk_… --changes changes.jsonl --checkpoint replay.json --verify kubernetes-org/
//! ```
//!
//! Exit codes: 0 done, 1 failed or differences found, 2 wrong arguments, 130 interrupted.

mod apply;
mod changes;
mod checkpoint;
mod decisions;
mod directory;
mod doubt;
mod facts;
mod listing;
mod patience;
mod progress;
mod replay;
mod service;
mod set_up;
mod stop;
mod verify;

use std::{path::PathBuf, process::ExitCode, rc::Rc, time::Duration};

use clap::Parser;
use tokio::task::LocalSet;

use crate::{patience::Patience, service::Service, stop::Stop};

/// What a run fails with: a sentence for people.
type Failure = Box<dyn std::error::Error>;

/// Replays changes through the API of a running service, and verifies what it then holds.
#[derive(Debug, Parser)]
#[command(name = "replay", max_term_width = 120)]
struct Arguments {
    /// The service.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7400")]
    address: String,

    /// An API key of the tenant to replay into.
    #[arg(long, env = "ROSTER_KEY", value_name = "KEY", hide_env_values = true)]
    key: String,

    /// The changes, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    changes: PathBuf,

    /// How many changes to have under way at once: one in each organization at most.
    #[arg(long, value_name = "COUNT", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    concurrency: u32,

    /// Remember in this file what the service acknowledged, and go on after it.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,

    /// Only the first changes of the file. 0: none.
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,

    /// Then compare everything with `final.json` and `expected-access.json` of this folder.
    #[arg(long, value_name = "FOLDER")]
    verify: Option<PathBuf>,

    /// How long to go on without any success while the service cannot be reached.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    patience: u64,
}

/// One thread is enough to send, and leaves the others to the service.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = LocalSet::new().run_until(run(&arguments)).await;
    outcome.unwrap_or_else(|failure| {
        eprintln!("replay: {failure}");
        ExitCode::FAILURE
    })
}

async fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let stop = Stop::on_signals()?;
    let service = Rc::new(Service::new(&arguments.address, &arguments.key)?);
    let patience = Rc::new(Patience::new(Duration::from_secs(arguments.patience)));
    let changes = changes::read(&arguments.changes, arguments.limit)?;
    if !changes.is_empty() {
        tokio::select! {
            done = set_up::set_up(&service, &patience) => done?,
            () = stop.asked() => return Ok(interrupted()),
        }
        let settings =
            replay::Settings { concurrency: arguments.concurrency as usize, checkpoint: arguments.checkpoint.clone() };
        replay::replay(&service, &patience, &stop, changes, settings).await?;
    }
    if stop.is_asked() {
        return Ok(interrupted());
    }
    let Some(folder) = &arguments.verify else { return Ok(ExitCode::SUCCESS) };
    tokio::select! {
        differences = verify::verify(&service, &patience, folder) => {
            Ok(if differences? == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        () = stop.asked() => Ok(interrupted()),
    }
}

fn interrupted() -> ExitCode {
    eprintln!("replay: interrupted");
    ExitCode::from(130)
}
