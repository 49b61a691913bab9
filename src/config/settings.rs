//! The settings as they are given: one list of keys that is the flags, the variables, the file and their documentation.

use std::path::PathBuf;

use clap::Args;

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

    /// The compacted topic of the present state of every thing. Made where it is missing. Empty: none.
    #[arg(
        long,
        env = "ROSTER_KAFKA_STATE_TOPIC",
        global = true,
        value_name = "TOPIC",
        default_value = "roster.state.v1"
    )]
    pub kafka_state_topic: String,

    /// What values are: `protobuf`, `json` (ProtoJSON), or either in Confluent's wire format: `confluent-protobuf`,
    /// `confluent-json`.
    #[arg(long, env = "ROSTER_KAFKA_ENCODING", global = true, value_name = "ENCODING", default_value = "protobuf")]
    pub kafka_encoding: String,

    /// The id that a schema registry has given to the schema of `roster.v1.Event`. Required with a Confluent encoding.
    #[arg(
        long,
        env = "ROSTER_KAFKA_SCHEMA_ID",
        global = true,
        allow_negative_numbers = true,
        value_name = "ID",
        default_value = "",
        hide_default_value = true
    )]
    pub kafka_schema_id: String,

    /// The same for `roster.v1.State`. Required with a Confluent encoding and a state topic.
    #[arg(
        long,
        env = "ROSTER_KAFKA_STATE_SCHEMA_ID",
        global = true,
        allow_negative_numbers = true,
        value_name = "ID",
        default_value = "",
        hide_default_value = true
    )]
    pub kafka_state_schema_id: String,

    /// Whether personal fields are published: `include`, or `omit`: then ids alone leave.
    #[arg(long, env = "ROSTER_STREAM_PERSONAL_DATA", global = true, value_name = "WHAT", default_value = "include")]
    pub stream_personal_data: String,

    /// Which topics are written in transactions, so that a former leader's late writes are refused: `off`, `state`, `all`.
    #[arg(long, env = "ROSTER_KAFKA_TRANSACTIONAL", global = true, value_name = "TOPICS", default_value = "state")]
    pub kafka_transactional: String,

    /// How many partitions a topic is made with.
    #[arg(
        long,
        env = "ROSTER_KAFKA_PARTITIONS",
        global = true,
        allow_negative_numbers = true,
        value_name = "COUNT",
        default_value = "12"
    )]
    pub kafka_partitions: String,

    /// How many replicas a topic is made with: 3 in production. -1: what the brokers are set to.
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

    /// How long a watcher may take over a page of events, in seconds; then it is disconnected, with the position to resume
    /// after.
    #[arg(
        long,
        env = "ROSTER_WATCH_PAGE_SECONDS",
        global = true,
        allow_negative_numbers = true,
        value_name = "SECONDS",
        default_value = "30"
    )]
    pub watch_page_seconds: String,

    /// How many watches of the log the process has at most.
    #[arg(
        long,
        env = "ROSTER_WATCHES_MAX",
        global = true,
        allow_negative_numbers = true,
        value_name = "COUNT",
        default_value = "5000"
    )]
    pub watches_max: String,

    /// How many watches of the log one caller has at most: one key, one service or one user.
    #[arg(
        long,
        env = "ROSTER_WATCHES_PER_CALLER_MAX",
        global = true,
        allow_negative_numbers = true,
        value_name = "COUNT",
        default_value = "1000"
    )]
    pub watches_per_caller_max: String,

    /// How long an organization that was deleted can be restored, in days. After that everything of it is purged.
    #[arg(
        long,
        env = "ROSTER_RESTORE_DAYS",
        global = true,
        allow_negative_numbers = true,
        value_name = "DAYS",
        default_value = "30"
    )]
    pub restore_days: String,

    /// How long the slug that an organization gave up is held back for it, in days. 0: it is free at once.
    #[arg(
        long,
        env = "ROSTER_SLUG_HOLD_DAYS",
        global = true,
        allow_negative_numbers = true,
        value_name = "DAYS",
        default_value = "30"
    )]
    pub slug_hold_days: String,

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

    /// The servers of the domain name system that are asked for proofs of domains: `192.0.2.53,192.0.2.54:5353`. Where absent,
    /// those of the machine.
    #[arg(
        long,
        env = "ROSTER_DNS_SERVERS",
        global = true,
        value_name = "ADDRESS,…",
        default_value = "",
        hide_default_value = true
    )]
    pub dns_servers: String,

    /// Domains that nobody can claim, beside public suffixes and providers of mail: `rival.example,example.org`.
    #[arg(
        long,
        env = "ROSTER_DOMAINS_REFUSED",
        global = true,
        value_name = "DOMAIN,…",
        default_value = "",
        hide_default_value = true
    )]
    pub domains_refused: String,

    /// Domains that can be claimed though they are a public suffix or a provider of mail, with all below them.
    #[arg(
        long,
        env = "ROSTER_DOMAINS_ALLOWED",
        global = true,
        value_name = "DOMAIN,…",
        default_value = "",
        hide_default_value = true
    )]
    pub domains_allowed: String,

    /// The mail server: `smtps://user:password@host:465`, or `smtp://user:password@host:587` with STARTTLS; `?tls=none`
    /// does without. Without a mail server, mails are put into a folder as .eml files.
    #[arg(
        long,
        env = "ROSTER_SMTP_URL",
        global = true,
        value_name = "URL",
        default_value = "",
        hide_env_values = true,
        hide_default_value = true
    )]
    pub smtp_url: String,

    /// Who sends mails: `Acme <hello@acme.example>`. Required with a mail server.
    #[arg(
        long,
        env = "ROSTER_MAIL_FROM",
        global = true,
        value_name = "ADDRESS",
        default_value = "",
        hide_default_value = true
    )]
    pub mail_from: String,

    /// The folder of mails where there is no mail server: by default `mail` in the data folder. They hold the tokens.
    #[arg(
        long,
        env = "ROSTER_MAIL_FOLDER",
        global = true,
        value_name = "FOLDER",
        default_value = "",
        hide_default_value = true
    )]
    pub mail_folder: String,

    /// A folder of templates in the place of the built-in ones, or beside them: `invitation.de.subject.txt`,
    /// `invitation.de.txt`, `invitation.de.html`.
    #[arg(
        long,
        env = "ROSTER_MAIL_TEMPLATES",
        global = true,
        value_name = "FOLDER",
        default_value = "",
        hide_default_value = true
    )]
    pub mail_templates: String,

    /// The page of the application that accepts invitations: `https://app.example/join?token={token}`. Required with a
    /// mail server.
    #[arg(
        long,
        env = "ROSTER_INVITATION_URL",
        global = true,
        value_name = "URL",
        default_value = "",
        hide_default_value = true
    )]
    pub invitation_url: String,

    /// The key that checkpoints and exports of the log are signed with: Ed25519, PKCS #8 in PEM, as `roster audit key --make`
    /// writes it. By default it is made in the data folder; with PostgreSQL nothing is signed without it.
    #[arg(
        long,
        env = "ROSTER_AUDIT_KEY_FILE",
        global = true,
        value_name = "FILE",
        default_value = "",
        hide_default_value = true
    )]
    pub audit_key_file: String,

    /// The name that it signs with: of this installation, such as `roster.acme.example`.
    #[arg(long, env = "ROSTER_AUDIT_NAME", global = true, value_name = "NAME", default_value = "roster")]
    pub audit_name: String,

    /// How long after something happened in a stream a checkpoint of it is published, in hours.
    #[arg(
        long,
        env = "ROSTER_AUDIT_CHECKPOINT_HOURS",
        global = true,
        allow_negative_numbers = true,
        value_name = "HOURS",
        default_value = "24"
    )]
    pub audit_checkpoint_hours: String,

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
