//! Configuration: flags, then `ROSTER_…` variables, then a TOML file, then defaults. One list of keys is the flags, the
//! variables, the file and their documentation at once; every fault is told at once.

mod audit;
mod domains;
mod file;
mod issuers;
mod kafka;
mod mail;
mod read;
mod settings;
mod tokens;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

pub use domains::Domains;
pub use file::{Tables, with_file};
pub use issuers::{Issuer, KeysFrom, MapsTo, TenantFrom};
pub use kafka::{Encoding, Format, Kafka, SchemaIds, Transactional, is_topic};
pub use mail::Mail;
use read::{count, days, read, seconds};
pub use settings::Settings;
pub use tokens::Tokens;

use crate::{db::Location, decision, events, organizations};

/// The configuration, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The address to serve on.
    pub listen: SocketAddr,
    /// Where the data is.
    pub location: Location,
    /// Where to publish events, if anywhere.
    pub kafka: Option<Kafka>,
    /// How the decision index behaves.
    pub index: decision::Settings,
    /// How long a stopping service waits for calls to finish.
    pub shutdown: Duration,
    /// For how long what an organization leaves behind is kept.
    pub retention: organizations::Retention,
    /// Whose tokens are accepted.
    pub tokens: Tokens,
    /// How domains are proven, and which cannot be claimed.
    pub domains: Domains,
    /// Where mails go, and what they say.
    pub mail: Mail,
    /// How the log is signed.
    pub audit: crate::audit::Settings,
    /// What watchers of the log may take.
    pub watches: events::Limits,
    /// What to log.
    pub log: String,
    /// Whether to log as JSON.
    pub log_json: bool,
}

/// Everything that is wrong with the configuration.
pub type Faults = Vec<String>;

impl Config {
    /// Checks the settings, and the tables of the file.
    pub fn read(settings: &Settings, tables: Tables) -> Result<Self, Faults> {
        let mut faults = Faults::new();
        let location = location(&mut faults, settings);
        let config = Self {
            listen: read(&mut faults, "listen", &settings.listen, "an address and port such as 127.0.0.1:7400")
                .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0))),
            audit: audit::read(&mut faults, settings, &location),
            location,
            kafka: kafka::read(&mut faults, settings),
            index: index(&mut faults, settings),
            shutdown: seconds(&mut faults, "shutdown_seconds", &settings.shutdown_seconds),
            retention: organizations::Retention {
                restore: days(&mut faults, "restore_days", &settings.restore_days),
                slug_hold: days(&mut faults, "slug_hold_days", &settings.slug_hold_days),
            },
            tokens: tokens::check(&mut faults, settings, tables),
            domains: domains::read(&mut faults, settings),
            mail: mail::read(&mut faults, settings),
            watches: watches(&mut faults, settings),
            log: settings.log.clone(),
            log_json: settings.log_format == "json",
        };
        if tracing_subscriber::EnvFilter::try_new(&settings.log).is_err() {
            faults.push(format!("log: {:?} is not a level or a filter such as info,roster=debug", settings.log));
        }
        if !["text", "json"].contains(&settings.log_format.as_str()) {
            faults.push(format!("log_format: {:?} is neither text nor json", settings.log_format));
        }
        if faults.is_empty() { Ok(config) } else { Err(faults) }
    }
}

fn index(faults: &mut Faults, settings: &Settings) -> decision::Settings {
    if !["refuse", "answer"].contains(&settings.when_stale.as_str()) {
        faults.push(format!("when_stale: {:?} is neither refuse nor answer", settings.when_stale));
    }
    let mebibytes = count(faults, "index_memory_mib", &settings.index_memory_mib, 1);
    decision::Settings {
        max_staleness: seconds(faults, "max_staleness_seconds", &settings.max_staleness_seconds),
        answer_stale: settings.when_stale == "answer",
        memory_bytes: usize::try_from(mebibytes).unwrap_or(1) << 20,
        work_max: usize::try_from(count(faults, "work_limit", &settings.work_limit, 1)).unwrap_or(1),
    }
}

fn watches(faults: &mut Faults, settings: &Settings) -> events::Limits {
    let mut most = |key: &str, value: &str| usize::try_from(count(faults, key, value, 1)).unwrap_or(1);
    let watches_max = most("watches_max", &settings.watches_max);
    let watches_per_caller_max = most("watches_per_caller_max", &settings.watches_per_caller_max);
    let page_seconds = count(faults, "watch_page_seconds", &settings.watch_page_seconds, 1);
    let page_time = Duration::from_secs(u64::try_from(page_seconds).unwrap_or(1));
    events::Limits { page_time, watches_max, watches_per_caller_max }
}

fn location(faults: &mut Faults, settings: &Settings) -> Location {
    let url = settings.database_url.clone();
    let connections_max = count(faults, "database_connections", &settings.database_connections, 2);
    if url.is_empty() {
        if settings.data_dir.trim().is_empty() {
            faults.push("data_dir: empty: name a folder".to_owned());
        }
        return Location::Folder(PathBuf::from(&settings.data_dir));
    }
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        faults.push("database_url: not of the form postgres://user:password@host:port/database".to_owned());
    }
    Location::Postgres { url, connections_max: u32::try_from(connections_max).unwrap_or(2) }
}
