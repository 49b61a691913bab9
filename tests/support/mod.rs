//! A real server, a fresh database, and callers that speak JSON over gRPC.

#![allow(dead_code, reason = "each test binary uses its part")]

pub mod chance;
pub mod database;
pub mod issuer;
pub mod name_server;
pub mod process;
pub mod proof;
pub mod replica;
pub mod secrets;
pub mod smtp;
pub mod watcher;
pub mod wire_tap;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

pub use database::{Database, Engine};
use prost_reflect::DescriptorPool;
use roster::{
    audit::key::KeyFile,
    clock::{Clock, Timestamp},
    config::{Config, Mail, Tokens},
    dynamic::{self, Client},
    server::{self, Running},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, transport::Endpoint};
use tonic_types::StatusExt as _;

const DAY: Duration = Duration::from_hours(24);

/// A clock that a test moves: it adds to the machine's time.
#[derive(Clone, Default)]
pub struct TestClock(Arc<AtomicI64>);

impl TestClock {
    pub fn clock(&self) -> Clock {
        let (ahead, machine) = (self.0.clone(), Clock::system());
        Clock::from_fn(move || Timestamp(machine.now().0 + ahead.load(Ordering::Relaxed)))
    }

    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_micros()).unwrap(), Ordering::Relaxed);
    }

    pub fn set_back(&self, by: Duration) {
        self.0.fetch_sub(i64::try_from(by.as_micros()).unwrap(), Ordering::Relaxed);
    }

    /// A time this far from now, as JSON.
    pub fn in_future(&self, by: Duration) -> String {
        prost_types::Timestamp::from(self.clock().now().plus(by)).to_string()
    }
}

/// A server in this process.
pub struct TestServer {
    pub clock: TestClock,
    pub root: Caller,
    pub address: String,
    stop: CancellationToken,
    running: Option<Running>,
    pub database: Database,
    /// Whether something was changed behind the service's back: then its log does not have it.
    pub meddled_with: bool,
}

impl TestServer {
    /// A server on a fresh database.
    pub async fn start(engine: Engine) -> Self {
        Self::on(Database::fresh(engine).await).await
    }

    /// A server on this database, which must be fresh.
    pub async fn on(database: Database) -> Self {
        Self::with_tokens(database, Tokens::default()).await
    }

    /// A server that accepts tokens.
    pub async fn with_tokens(database: Database, tokens: Tokens) -> Self {
        let config = Config { tokens, ..config(&database) };
        Self::configured(database, config).await
    }

    /// A server whose operator decided otherwise about the index.
    pub async fn with_index(engine: Engine, change: impl FnOnce(&mut roster::decision::Settings)) -> Self {
        let database = Database::fresh(engine).await;
        let mut config = config(&database);
        change(&mut config.index);
        Self::configured(database, config).await
    }

    /// A server whose operator decided otherwise.
    pub async fn with(engine: Engine, change: impl FnOnce(&mut Config)) -> Self {
        let database = Database::fresh(engine).await;
        let mut config = config(&database);
        change(&mut config);
        Self::configured(database, config).await
    }

    /// A server whose operator decided otherwise about mails.
    pub async fn with_mail(engine: Engine, change: impl FnOnce(&mut Mail)) -> Self {
        let database = Database::fresh(engine).await;
        let mut config = config(&database);
        change(&mut config.mail);
        Self::configured(database, config).await
    }

    /// A server with this configuration, of this database.
    pub async fn configured(database: Database, config: Config) -> Self {
        secrets::watch_logs();
        let clock = TestClock::default();
        let stop = CancellationToken::new();
        let mut running = server::start(&config, clock.clock(), stop.clone()).await.expect("starts");
        let key = running.first_key.take().expect("a fresh database").reveal();
        let address = format!("http://{}", running.address);
        let root = Caller::connect(&address, Some(key)).await;
        Self { clock, root, address, stop, running: Some(running), database, meddled_with: false }
    }

    /// A caller with a key that has these scopes.
    pub async fn caller(&self, scopes: &[&str]) -> Caller {
        let made = self.root.call("ApiKeyService/CreateApiKey", json!({"name": "test", "scopes": scopes})).await;
        Caller::connect(&self.address, Some(text(&made["secret"]))).await
    }

    /// A caller without a key.
    pub async fn anonymous(&self) -> Caller {
        Caller::connect(&self.address, None).await
    }

    /// A caller of another, new tenant, who may do everything there.
    pub async fn stranger(&self) -> Caller {
        let slug = format!("t{}", uuid::Uuid::now_v7().simple());
        let tenant = self.root.call("TenantService/CreateTenant", json!({"slug": slug})).await;
        let mut platform = self.root.clone();
        platform.client.tenant = Some(text(&tenant["tenant"]["tenantId"]));
        let made = platform.call("ApiKeyService/CreateApiKey", json!({"name": "stranger", "scopes": ["*"]})).await;
        Caller::connect(&self.address, Some(text(&made["secret"]))).await
    }

    /// Where its data is.
    pub fn location(&self) -> roster::db::Location {
        self.database.location()
    }

    /// Stops as on SIGTERM.
    pub async fn stop(mut self) {
        self.stop.cancel();
        self.running.take().expect("once").stopped().await.expect("stops");
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stop.cancel();
        if !std::thread::panicking() {
            secrets::assert_none(&self.database);
            if !self.meddled_with {
                proof::assert_proven(&self.database);
            }
        }
    }
}

/// The configuration of a server on a database, on a port of its own.
pub fn config(database: &Database) -> Config {
    Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        location: database.location(),
        kafka: None,
        index: roster::decision::Settings {
            max_staleness: Duration::from_secs(10),
            answer_stale: false,
            memory_bytes: 1 << 30,
            work_max: 1_000_000,
        },
        shutdown: Duration::from_secs(5),
        retention: roster::organizations::Retention { restore: 30 * DAY, slug_hold: 30 * DAY },
        tokens: Tokens::default(),
        // Nobody is there (RFC 863's port): a test that needs a name server starts one.
        domains: roster::config::Domains { dns_servers: vec!["127.0.0.1:9".parse().unwrap()], ..Default::default() },
        mail: Mail::into_folder(database.mail_folder()),
        audit: roster::audit::Settings {
            key: Some(KeyFile {
                path: database.mail_folder().with_file_name("audit-key.pem"),
                make: true,
                name: "roster".to_owned(),
            }),
            checkpoint_after: DAY * 10_000, // a test that wants some says so
        },
        watches: roster::events::Limits::default(),
        log: "warn".to_owned(),
        log_json: false,
    }
}

/// Somebody who calls.
#[derive(Clone)]
pub struct Caller {
    pub client: Client,
    pub address: String,
    pool: DescriptorPool,
}

impl Caller {
    pub async fn connect(address: &str, key: Option<String>) -> Self {
        let channel = Endpoint::new(address.to_owned()).unwrap().connect_lazy();
        let client = Client { channel, key, tenant: None };
        Self { client, address: address.to_owned(), pool: dynamic::contract().unwrap() }
    }

    /// Calls a method.
    pub async fn try_call(&self, method: &str, request: Value) -> Result<Value, Status> {
        let method = dynamic::find(&self.pool, method).unwrap_or_else(|| panic!("no method {method}"));
        let message = dynamic::parse(&method, &request.to_string()).expect("a request of the method");
        match self.client.unary(&method, message).await {
            Ok(answer) => {
                secrets::search_answer(method.full_name(), &answer);
                Ok(dynamic::to_json(&answer).unwrap())
            }
            Err(status) => {
                secrets::search_refusal(method.full_name(), &status);
                Err(status)
            }
        }
    }

    /// Calls a method that must succeed.
    pub async fn call(&self, method: &str, request: Value) -> Value {
        let answer = self.try_call(method, request.clone()).await;
        answer.unwrap_or_else(|status| panic!("{method} {request}: {:?} {}", status.code(), status.message()))
    }

    /// Calls a method that must fail, with this reason.
    pub async fn refused(&self, method: &str, request: Value, reason: &str) -> Status {
        match self.try_call(method, request.clone()).await {
            Ok(answer) => panic!("{method} {request} succeeded: {answer}"),
            Err(status) => {
                assert_eq!(self::reason(&status), reason, "{method} {request}: {}", status.message());
                status
            }
        }
    }

    /// Calls a method whose answer is a stream.
    pub async fn stream(
        &self,
        method: &str,
        request: Value,
    ) -> Result<tonic::Streaming<prost_reflect::DynamicMessage>, Status> {
        let method = dynamic::find(&self.pool, method).unwrap_or_else(|| panic!("no method {method}"));
        let message = dynamic::parse(&method, &request.to_string()).expect("a request of the method");
        self.client.stream(&method, message).await
    }

    /// All events of a stream, or of the tenant.
    pub async fn events(&self, stream_id: &str) -> Vec<Value> {
        self.list("EventService/ListEvents", json!({"streamId": stream_id}), "events").await
    }

    /// Every entry of a list, page by page.
    pub async fn list(&self, method: &str, mut request: Value, field: &str) -> Vec<Value> {
        let mut entries = Vec::new();
        loop {
            let page = self.call(method, request.clone()).await;
            entries.extend(page[field].as_array().expect("a list").iter().cloned());
            match page["nextPageToken"].as_str().unwrap() {
                "" => return entries,
                token => request["pageToken"] = json!(token),
            }
        }
    }
}

/// The reason of a refusal.
pub fn reason(status: &Status) -> String {
    status.get_error_details().error_info().map(|info| info.reason.clone()).unwrap_or_default()
}

/// The metadata of a refusal.
pub fn metadata(status: &Status) -> BTreeMap<String, String> {
    status.get_error_details().error_info().unwrap().metadata.clone().into_iter().collect()
}

/// The fields that a refusal names.
pub fn bad_fields(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    let violations = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
    violations.into_iter().map(|violation| violation.field).collect()
}

/// Asserts a refusal's code.
pub fn assert_code(status: &Status, code: Code) {
    assert_eq!(status.code(), code, "{}", status.message());
}

/// The project's folder: where this run has it. A build that is found again may be of another clone.
pub fn root() -> PathBuf {
    let built = env!("CARGO_MANIFEST_DIR");
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| built.into(), PathBuf::from)
}

/// A string of an answer.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a string: {value}")).to_owned()
}

/// One test, once for each engine.
#[macro_export]
macro_rules! on_both_engines {
    ($($(#[$doc:meta])* async fn $name:ident($server:ident) $body:block)*) => {
        $(
            mod $name {
                use super::*;

                async fn run($server: TestServer) $body

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn on_sqlite() {
                    run(TestServer::start(Engine::Sqlite).await).await;
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn on_postgres() {
                    run(TestServer::start(Engine::Postgres).await).await;
                }
            }
        )*
    };
}
