//! The command line.

mod audit;
mod call;
mod connection;
#[cfg(feature = "kafka")]
mod doctor;
#[cfg(feature = "kafka")]
mod events;
#[cfg(feature = "kafka")]
mod kafka;
mod key;
#[cfg(feature = "kafka")]
mod rebuild;
mod serve;
#[cfg(feature = "kafka")]
mod verify;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

#[cfg(feature = "kafka")]
use crate::db::{Db, Location};
use crate::{
    config::{Config, Settings, with_file},
    error::Error,
};

/// Roster: organizations, members, roles, and the answer to "may this person do this here?".
#[derive(Debug, Parser)]
#[command(name = "roster", version, about, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Option<Verb>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve gRPC (the default).
    Serve,
    /// Bring the database's schema up to date, and stop.
    Migrate,
    /// Make, list and revoke API keys, straight in the database.
    #[command(subcommand)]
    Key(key::Verb),
    /// Call a method of a running service: `roster call OrganizationService/ListOrganizations '{}'`.
    Call(call::Call),
    /// Export the log and prove an export: nothing in it was changed, left out, put in or moved.
    #[command(subcommand)]
    Audit(audit::Verb),
    /// Read a topic to its end and prove it: nothing lost, duplicated, reordered or phantom. Exit code 0: no fault was
    /// found; 1: one was; 2: nothing could be verified.
    #[cfg(feature = "kafka")]
    Verify(verify::Verify),
    /// The topics: make them, or hold them against what they have to be.
    #[cfg(feature = "kafka")]
    #[command(subcommand)]
    Kafka(kafka::Verb),
    /// The stream: how far it is, replay it, begin another epoch.
    #[cfg(feature = "kafka")]
    #[command(subcommand)]
    Events(events::Verb),
    /// Rebuild the whole state from Kafka alone, and print it as JSON lines, or compare it with the database. Exit code 0:
    /// rebuilt, and nothing differs; 1: something differs; 2: it could not be rebuilt, or not compared.
    #[cfg(feature = "kafka")]
    Rebuild(rebuild::Rebuild),
    /// Say what endangers the promises: in the cluster's settings, in what the topics have, in the keys that sign. Exit code
    /// 0: nothing was found; 1: something was; 2: nothing could be examined.
    #[cfg(feature = "kafka")]
    Doctor(doctor::Doctor),
}

/// Runs the command line; answers the process's exit code.
pub async fn run() -> u8 {
    let arguments: Vec<String> = std::env::args().collect();
    // Its variable is named beside each setting, and not what it holds.
    let command = Cli::command().mut_args(|argument| argument.hide_env_values(true));
    let (command, tables, mut faults) = match with_file(command, &arguments) {
        Ok(read) => read,
        Err(faults) => return refuse(&faults),
    };
    let cli = match command.try_get_matches_from(&arguments).and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let config = match Config::read(&cli.settings, tables) {
        Ok(config) if faults.is_empty() => config,
        config => {
            faults.extend(config.err().unwrap_or_default());
            return refuse(&faults);
        }
    };
    let done = match cli.command {
        None | Some(Verb::Serve) => serve::run(&config).await,
        Some(Verb::Migrate) => serve::migrate(&config).await,
        Some(Verb::Key(verb)) => key::run(&config, verb).await,
        Some(Verb::Call(call)) => call::run(&config, call).await,
        Some(Verb::Audit(verb)) => audit::run(&config, verb).await,
        #[cfg(feature = "kafka")]
        Some(Verb::Verify(verify)) => verify::run(&config, verify).await,
        #[cfg(feature = "kafka")]
        Some(Verb::Kafka(verb)) => kafka::run(&config, verb).await,
        #[cfg(feature = "kafka")]
        Some(Verb::Events(verb)) => events::run(&config, verb).await,
        #[cfg(feature = "kafka")]
        Some(Verb::Rebuild(rebuild)) => rebuild::run(&config, rebuild).await,
        #[cfg(feature = "kafka")]
        Some(Verb::Doctor(doctor)) => doctor::run(&config, doctor).await,
    };
    done.unwrap_or_else(|error| {
        eprintln!("roster: {}", told(&error));
        1
    })
}

/// What a command fails with, as an operator reads it.
fn told(failure: &Failure) -> String {
    failure.downcast_ref().map_or_else(|| failure.to_string(), Error::told)
}

/// The exit codes of every command that looks at something: 0, all is well; 1, something is wrong, and told; 2, it could
/// not be looked at, or nothing was done.
#[cfg(feature = "kafka")]
fn looked(done: Result<u8, Failure>, otherwise: &str) -> u8 {
    done.unwrap_or_else(|error| {
        eprintln!("roster: {otherwise}: {}", told(&error));
        2
    })
}

/// Tells every fault of the configuration.
fn refuse(faults: &[String]) -> u8 {
    eprintln!("roster: the configuration is wrong:");
    for fault in faults {
        eprintln!("  {fault}");
    }
    eprintln!("`roster --help` describes every setting.");
    2
}

/// What a command fails with: a sentence for people.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Opens the database that is there: nothing is made, and its schema is left as it is.
#[cfg(feature = "kafka")]
async fn open_database(config: &Config) -> Result<Db, Failure> {
    match &config.location {
        Location::Folder(folder) if !config.location.is_made() => {
            let folder = folder.display();
            Err(format!("there is no database in the folder {folder}: set data_dir or database_url").into())
        }
        location => Db::open(location).await.map_err(|error| error.told().into()),
    }
}

/// The topics, where brokers are configured.
#[cfg(feature = "kafka")]
fn kafka_of(config: &Config) -> Result<crate::config::Kafka, Failure> {
    config
        .kafka
        .clone()
        .ok_or_else(|| "no brokers are configured: set kafka_brokers, such as --kafka-brokers host:9092".into())
}
