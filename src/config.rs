//! Configuration: flags, then `ROSTER_…` variables, then a TOML file, then defaults. One list of keys is the flags, the
//! variables, the file and their documentation at once; every fault is told at once.

mod issuers;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Arg, Args, Command};

pub use issuers::{Issuer, KeysFrom, MapsTo, TenantFrom};

use crate::{db::Location, decision};

/// The settings as they are given: every key of the file and every `ROSTER_…` variable is the flag's name, with `_`.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Settings")]
pub struct Settings {
    /// A TOML file with any of the settings below, such as `listen = "0.0.0.0:7400"`.
    #[arg(long, env = "ROSTER_CONFIG", global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The address to serve gRPC on.
    #[arg(long, env = "ROSTER_LISTEN", global = true, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7400")]
    pub listen: String,

    /// The folder of the embedded storage (SQLite), made where it is missing. Not used with a database URL.
    #[arg(long, env = "ROSTER_DATA_DIR", global = true, value_name = "FOLDER", default_value = "roster-data")]
    pub data_dir: String,

    /// Use PostgreSQL 14 or newer, in place of the embedded storage: `postgres://user:password@host:5432/database`.
    #[arg(
        long,
        env = "ROSTER_DATABASE_URL",
        global = true,
        value_name = "URL",
        default_value = "",
        hide_env_values = true,
        hide_default_value = true
    )]
    pub database_url: String,

    /// How many connections to PostgreSQL a process holds at most.
    #[arg(
        long,
        env = "ROSTER_DATABASE_CONNECTIONS",
        global = true,
        allow_negative_numbers = true,
        value_name = "COUNT",
        default_value = "20"
    )]
    pub database_connections: String,

    /// Publish every event to Kafka, at these brokers: `host:9092,host:9092`.
    #[arg(
        long,
        env = "ROSTER_KAFKA_BROKERS",
        global = true,
        value_name = "HOST:PORT,…",
        default_value = "",
        hide_default_value = true
    )]
    pub kafka_brokers: String,

    /// The topic to publish to. Made where it is missing.
    #[arg(long, env = "ROSTER_KAFKA_TOPIC", global = true, value_name = "TOPIC", default_value = "roster.events.v1")]
    pub kafka_topic: String,

    /// How many partitions the topic is made with.
    #[arg(
        long,
        env = "ROSTER_KAFKA_PARTITIONS",
        global = true,
        allow_negative_numbers = true,
        value_name = "COUNT",
        default_value = "12"
    )]
    pub kafka_partitions: String,

    /// How many replicas the topic is made with: 3 in production. -1: what the brokers are set to.
    #[arg(
        long,
        env = "ROSTER_KAFKA_REPLICATION_FACTOR",
        global = true,
        allow_negative_numbers = true,
        value_name = "COUNT",
        default_value = "-1"
    )]
    pub kafka_replication_factor: String,

    /// Further librdkafka properties: `security.protocol=SASL_SSL,sasl.username=…`; one a line where a value has a comma.
    #[arg(
        long,
        env = "ROSTER_KAFKA_PROPERTIES",
        global = true,
        value_name = "KEY=VALUE,…",
        default_value = "",
        hide_env_values = true,
        hide_default_value = true
    )]
    pub kafka_properties: String,

    /// How long a replica may answer Check without having heard the log, in seconds.
    #[arg(
        long,
        env = "ROSTER_MAX_STALENESS_SECONDS",
        global = true,
        allow_negative_numbers = true,
        value_name = "SECONDS",
        default_value = "10"
    )]
    pub max_staleness_seconds: String,

    /// What a replica does after that: `refuse` (UNAVAILABLE), or `answer`, with `stale` set in the answer.
    #[arg(long, env = "ROSTER_WHEN_STALE", global = true, value_name = "WHAT", default_value = "refuse")]
    pub when_stale: String,

    /// How much the organizations in memory may take, in MiB. Those not asked for the longest go first.
    #[arg(
        long,
        env = "ROSTER_INDEX_MEMORY_MIB",
        global = true,
        allow_negative_numbers = true,
        value_name = "MIB",
        default_value = "1024"
    )]
    pub index_memory_mib: String,

    /// How much one request may do, in decisions; with policies, each policy counts as 10.
    #[arg(
        long,
        env = "ROSTER_WORK_LIMIT",
        global = true,
        allow_negative_numbers = true,
        value_name = "DECISIONS",
        default_value = "1000000"
    )]
    pub work_limit: String,
    /// Let the service ask URLs at private addresses, and without TLS: for issuers inside the operator's own network.
    #[arg(
        long,
        env = "ROSTER_ALLOW_PRIVATE_ADDRESSES",
        global = true,
        value_name = "true|false",
        default_value = "false",
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true
    )]
    pub allow_private_addresses: String,

    /// How often the keys of each issuer of tokens are read again, in seconds. The issuers themselves are tables of the
    /// file, `[[issuers]]`: issuer, jwks_url or jwks_file, audiences, tenant or tenant_claim, maps_to ("service" or
    /// "user"); algorithms, typ, typ_optional, leeway_seconds, lifetime_max_seconds, required_claims, scope_claim, scopes.
    #[arg(
        long,
        env = "ROSTER_JWKS_REFRESH_SECONDS",
        global = true,
        allow_negative_numbers = true,
        value_name = "SECONDS",
        default_value = "300"
    )]
    pub jwks_refresh_seconds: String,

    /// How long the keys of an issuer that is away go on being used after they were last read, in seconds.
    #[arg(
        long,
        env = "ROSTER_JWKS_STALE_SECONDS",
        global = true,
        allow_negative_numbers = true,
        value_name = "SECONDS",
        default_value = "86400"
    )]
    pub jwks_stale_seconds: String,

    /// How long a stopping service waits for calls to finish, in seconds.
    #[arg(
        long,
        env = "ROSTER_SHUTDOWN_SECONDS",
        global = true,
        allow_negative_numbers = true,
        value_name = "SECONDS",
        default_value = "20"
    )]
    pub shutdown_seconds: String,

    /// What to log: `error`, `warn`, `info`, `debug`, `trace`, or per module: `info,roster=debug`.
    #[arg(long, env = "ROSTER_LOG", global = true, value_name = "LEVEL", default_value = "info")]
    pub log: String,

    /// How to log: `text` or `json`.
    #[arg(long, env = "ROSTER_LOG_FORMAT", global = true, value_name = "FORMAT", default_value = "text")]
    pub log_format: String,
}

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
    /// Whose tokens are accepted.
    pub tokens: Tokens,
    /// What to log.
    pub log: String,
    /// Whether to log as JSON.
    pub log_json: bool,
}

/// A topic, and how to reach it.
#[derive(Debug, Clone)]
pub struct Kafka {
    /// `host:port,…`.
    pub brokers: String,
    /// The topic.
    pub topic: String,
    /// How many partitions it is made with.
    pub partitions: i32,
    /// How many replicas it is made with.
    pub replication_factor: i32,
    /// Further properties of librdkafka.
    pub properties: Vec<(String, String)>,
}

/// Whose tokens are accepted, and how their keys are had.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// The issuers.
    pub issuers: Vec<Issuer>,
    /// Whether URLs at private addresses may be asked.
    pub allow_private_addresses: bool,
    /// How often keys are read again.
    pub refresh: Duration,
    /// How long keys are used that cannot be read again.
    pub stale: Duration,
}

impl Default for Tokens {
    /// Nobody's.
    fn default() -> Self {
        let (refresh, stale) = (Duration::from_mins(5), Duration::from_hours(24));
        Self { issuers: Vec::new(), allow_private_addresses: false, refresh, stale }
    }
}

/// What a file has beside the settings that are flags too.
#[derive(Debug, Default)]
pub struct Tables {
    issuers: Vec<toml::Value>,
}

/// Everything that is wrong with the configuration.
pub type Faults = Vec<String>;

impl Config {
    /// Checks the settings, and the tables of the file.
    pub fn read(settings: &Settings, tables: Tables) -> Result<Self, Faults> {
        let mut faults = Faults::new();
        let config = Self {
            listen: read(&mut faults, "listen", &settings.listen, "an address and port such as 127.0.0.1:7400")
                .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0))),
            location: location(&mut faults, settings),
            kafka: kafka(&mut faults, settings),
            index: index(&mut faults, settings),
            shutdown: seconds(&mut faults, "shutdown_seconds", &settings.shutdown_seconds),
            tokens: tokens(&mut faults, settings, tables),
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

fn read<T: std::str::FromStr>(faults: &mut Faults, key: &str, value: &str, expected: &str) -> Option<T> {
    let read = value.parse().ok();
    if read.is_none() {
        faults.push(format!("{key}: {value:?} is not {expected}"));
    }
    read
}

fn seconds(faults: &mut Faults, key: &str, value: &str) -> Duration {
    Duration::from_secs(read(faults, key, value, "a number of seconds").unwrap_or(0))
}

fn tokens(faults: &mut Faults, settings: &Settings, tables: Tables) -> Tokens {
    let expected = "true or false";
    let allow = read(faults, "allow_private_addresses", &settings.allow_private_addresses, expected).unwrap_or(false);
    let refresh = seconds(faults, "jwks_refresh_seconds", &settings.jwks_refresh_seconds);
    if refresh.is_zero() {
        faults.push("jwks_refresh_seconds: 0 is too small".to_owned());
    }
    Tokens {
        issuers: issuers::read(tables.issuers, allow, faults),
        allow_private_addresses: allow,
        refresh,
        stale: seconds(faults, "jwks_stale_seconds", &settings.jwks_stale_seconds),
    }
}

fn count(faults: &mut Faults, key: &str, value: &str, least: i32) -> i32 {
    let read = read(faults, key, value, "a number").unwrap_or(least);
    if read < least || read == 0 {
        faults.push(format!("{key}: {value} is too small"));
    }
    read
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

/// Properties of librdkafka that nobody may change: order and completeness rest on them.
const PROMISED: [&str; 13] = [
    "bootstrap.servers",
    "metadata.broker.list",
    "enable.idempotence",
    "acks",
    "request.required.acks",
    "message.timeout.ms",
    "delivery.timeout.ms",
    "partitioner",
    "enable.gapless.guarantee",
    "retries",
    "message.send.max.retries",
    "transactional.id",
    "max.in.flight.requests.per.connection",
];

fn kafka(faults: &mut Faults, settings: &Settings) -> Option<Kafka> {
    let partitions = count(faults, "kafka_partitions", &settings.kafka_partitions, 1);
    let replication_factor = count(faults, "kafka_replication_factor", &settings.kafka_replication_factor, -1);
    let mut properties = Vec::new();
    let separator = if settings.kafka_properties.contains('\n') { '\n' } else { ',' };
    for property in settings.kafka_properties.split(separator).filter(|property| !property.trim().is_empty()) {
        match property.split_once('=') {
            Some((key, _)) if PROMISED.contains(&key.trim()) => {
                faults.push(format!("kafka_properties: {} is what the stream's promises rest on", key.trim()));
            }
            Some((key, value)) => properties.push((key.trim().to_owned(), value.trim().to_owned())),
            None => faults.push("kafka_properties: not of the form key=value,key=value".to_owned()),
        }
    }
    if settings.kafka_brokers.is_empty() {
        return None;
    }
    let is_broker = |broker: &str| {
        let port = broker.trim().rsplit_once(':').filter(|(host, _)| !host.is_empty() && !host.contains(' '));
        port.is_some_and(|(_, port)| port.parse::<u16>().is_ok())
    };
    if !settings.kafka_brokers.split(',').all(is_broker) {
        faults.push(format!("kafka_brokers: {:?} is not of the form host:9092,host:9092", settings.kafka_brokers));
    }
    let in_topic = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !(1..=249).contains(&settings.kafka_topic.len()) || !settings.kafka_topic.chars().all(in_topic) {
        faults.push(format!("kafka_topic: {:?} is not 1 to 249 of a-z A-Z 0-9 . _ -", settings.kafka_topic));
    }
    if cfg!(not(feature = "kafka")) {
        faults.push("kafka_brokers: this build has no Kafka (cargo feature kafka)".to_owned());
    }
    let kafka = Kafka {
        brokers: settings.kafka_brokers.clone(),
        topic: settings.kafka_topic.clone(),
        partitions,
        replication_factor,
        properties,
    };
    #[cfg(feature = "kafka")]
    if let Err(fault) = crate::relay::check_settings(&kafka) {
        faults.push(format!("kafka_properties: {fault}"));
    }
    Some(kafka)
}

/// Puts the values of the file that the command line or the environment names in the place of the defaults.
///
/// Answers also the tables of the file, and what is wrong in it; a file that cannot be read at all is the only fault
/// there is.
pub fn with_file(mut command: Command, arguments: &[String]) -> Result<(Command, Tables, Faults), Faults> {
    let mut tables = Tables::default();
    let Some(path) = file_named(arguments) else { return Ok((command, tables, Faults::new())) };
    let text = std::fs::read_to_string(&path).map_err(|error| vec![format!("{}: {error}", path.display())])?;
    let table: toml::Table = text
        .parse()
        // Without the line that is wrong: it may hold a secret.
        .map_err(|error: toml::de::Error| vec![format!("{}: {}", path.display(), error.message())])?;
    let mut faults = Faults::new();
    for (key, value) in table {
        let value = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(answer) => answer.to_string(),
            toml::Value::Array(entries) if key == "issuers" => {
                tables.issuers = entries;
                continue;
            }
            _ => {
                faults.push(format!("{}: {key}: neither text nor a number", path.display()));
                continue;
            }
        };
        if key == "config" || !Settings::augment_args(Command::new("")).get_arguments().any(|arg| arg.get_id() == &key)
        {
            faults.push(format!("{}: there is no setting {key}", path.display()));
            continue;
        }
        command = command.mut_arg(key, |arg: Arg| arg.default_value(clap::builder::OsStr::from(value)));
    }
    Ok((command, tables, faults))
}

/// The file that `--config` or `ROSTER_CONFIG` names: needed before the rest can be read.
fn file_named(arguments: &[String]) -> Option<PathBuf> {
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--config" {
            return arguments.next().map(PathBuf::from);
        }
        if let Some(path) = argument.strip_prefix("--config=") {
            return Some(PathBuf::from(path));
        }
    }
    std::env::var_os("ROSTER_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches as _;

    use super::*;

    fn read_file(text: &str) -> Result<Config, Faults> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("roster.toml");
        std::fs::write(&path, text).unwrap();
        let arguments = ["roster".to_owned(), format!("--config={}", path.display())];
        let command = Settings::augment_args(Command::new("roster"));
        let (command, tables, mut faults) = with_file(command, &arguments)?;
        let matches = command.try_get_matches_from(&arguments).unwrap();
        let config = Config::read(&Settings::from_arg_matches(&matches).unwrap(), tables);
        match config {
            Ok(config) if faults.is_empty() => Ok(config),
            config => {
                faults.extend(config.err().unwrap_or_default());
                Err(faults)
            }
        }
    }

    #[test]
    fn issuers_are_tables_of_the_file_beside_its_settings() {
        let text = r#"
            jwks_stale_seconds = 60
            allow_private_addresses = true
            [[issuers]]
            issuer = "https://idp.example"
            jwks_url = "http://10.0.0.1/jwks"
            audiences = ["roster"]
            tenant_claim = "tid"
            maps_to = "user"
            [[issuers]]
            issuer = "https://ci.example"
            jwks_file = "/etc/roster/ci.json"
            audiences = ["roster"]
            tenant = "default"
            maps_to = "service"
            scopes = ["members:*"]
        "#;
        let tokens = read_file(text).unwrap().tokens;
        assert_eq!((tokens.refresh, tokens.stale), (Duration::from_secs(300), Duration::from_secs(60)));
        assert_eq!(tokens.issuers.len(), 2);
        assert!(matches!(&tokens.issuers[0].tenant, TenantFrom::Claim(claim) if claim == "tid"));
        let public_only = text.replace("= true", "= false");
        assert_eq!(read_file(&public_only).unwrap_err(), ["issuers[0].jwks_url: not an https URL"]);
        assert_eq!(read_file("issuers = 5").unwrap_err().len(), 1);
        assert_eq!(read_file("issuers = [5]").unwrap_err(), ["issuers[0]: not a table"]);
        assert_eq!(read_file("jwks_refresh_seconds = 0").unwrap_err(), ["jwks_refresh_seconds: 0 is too small"]);
    }
}
