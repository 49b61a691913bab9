//! Sixty-four callers, and what the log says of what they did.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use serde_json::{Value, json};
use tokio::sync::Barrier;
use tonic::transport::Endpoint;

use crate::support::{Caller, Engine, TestServer, name_server::NameServer, reason, replica::Replica, text};

/// How many call at once.
pub const AT_ONCE: usize = 64;

/// What a call came to: its answer, or the reason why not.
pub type Outcome = Result<Value, String>;

/// Callers, each over a connection of their own. On PostgreSQL every other one calls another replica.
pub struct Crowd {
    pub server: TestServer,
    pub dns: NameServer,
    /// The stream of what belongs to no organization.
    pub tenant: String,
    runners: Vec<Runner>,
    calls: Arc<AtomicUsize>,
    begin: Instant,
    _beside: Option<Replica>,
}

/// One of them.
#[derive(Clone)]
pub struct Runner {
    pub number: usize,
    caller: Caller,
    calls: Arc<AtomicUsize>,
}

impl Runner {
    pub async fn ask(&self, method: &str, request: Value) -> Outcome {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.caller.try_call(method, request).await.map_err(|status| match reason(&status).as_str() {
            "" => format!("{:?}: {}", status.code(), status.message()),
            reason => reason.to_owned(),
        })
    }

    /// Asks what must be answered.
    pub async fn call(&self, method: &str, request: Value) -> Value {
        self.ask(method, request).await.unwrap_or_else(|reason| panic!("{method}: {reason}"))
    }
}

impl Crowd {
    pub async fn gather(engine: Engine) -> Self {
        let dns = NameServer::start().await;
        let servers = vec![dns.address];
        let server = TestServer::with(engine, |config| config.domains.dns_servers = servers.clone()).await;
        let beside = match engine {
            Engine::Postgres => Some(server.replica(|config| config.domains.dns_servers = servers).await),
            Engine::Sqlite => None,
        };
        let tenant = server.root.call("TenantService/GetTenant", json!({})).await;
        let calls = Arc::<AtomicUsize>::default();
        let addresses = [&server.address, beside.as_ref().map_or(&server.address, |beside| &beside.address)];
        let runner = |number: usize| {
            let mut caller = server.root.clone();
            caller.client.channel = Endpoint::new(addresses[number % 2].clone()).unwrap().connect_lazy();
            Runner { number, caller, calls: calls.clone() }
        };
        let runners = (0..AT_ONCE).map(runner).collect();
        let tenant = text(&tenant["tenant"]["tenantId"]);
        let crowd = Self { server, dns, tenant, runners, calls, begin: Instant::now(), _beside: beside };
        // Nobody is late because they still have to connect.
        crowd.at_once(|runner| async move { runner.call("TenantService/GetTenant", json!({})).await }).await;
        crowd
    }

    pub fn root(&self) -> &Caller {
        &self.server.root
    }

    /// What everybody does at once, each for themselves.
    pub async fn at_once<T, F>(&self, what: impl Fn(Runner) -> F) -> Vec<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let start = Arc::new(Barrier::new(AT_ONCE));
        let run = |runner: &Runner| {
            let (start, running) = (start.clone(), what(runner.clone()));
            tokio::spawn(async move {
                start.wait().await;
                running.await
            })
        };
        let running: Vec<_> = self.runners.iter().map(run).collect();
        let mut all = Vec::with_capacity(AT_ONCE);
        for runner in running {
            all.push(runner.await.unwrap());
        }
        all
    }

    /// What the calls come to that everybody makes at once: each the one of their number.
    pub async fn call(&self, call: impl Fn(usize) -> (&'static str, Value)) -> Outcomes {
        let ask = |runner: Runner| {
            let (method, request) = call(runner.number);
            async move { runner.ask(method, request).await }
        };
        Outcomes(self.at_once(ask).await)
    }

    /// The log of these streams, and the tenant's, from here on.
    pub async fn log(&self, organizations: &[&str]) -> Log {
        let streams = organizations.iter().copied().chain([self.tenant.as_str()]);
        let streams = streams.map(|stream| (stream.to_owned(), 0)).collect();
        let mut log = Log { root: self.root().clone(), streams };
        log.news().await;
        log
    }

    /// Says what was done.
    pub fn tell(&self, race: &str, rounds: usize) {
        let engine = if self._beside.is_some() { "PostgreSQL" } else { "SQLite" };
        let (calls, took) = (self.calls.load(Ordering::Relaxed), self.begin.elapsed().as_secs_f64());
        println!("{race}, {engine}: {rounds} rounds, {calls} calls in {took:.1} s");
    }
}

/// What the calls of everybody came to, by number.
#[derive(Debug)]
pub struct Outcomes(pub Vec<Outcome>);

impl Outcomes {
    pub fn answers(&self) -> Vec<&Value> {
        self.0.iter().filter_map(|outcome| outcome.as_ref().ok()).collect()
    }

    pub fn refusals(&self) -> Vec<&str> {
        self.0.iter().filter_map(|outcome| outcome.as_ref().err()).map(String::as_str).collect()
    }

    /// The answer of the one who was answered: everybody else was refused for this reason.
    pub fn one_wins(&self, reason: &str) -> &Value {
        let (answers, refusals) = (self.answers(), self.refusals());
        assert_eq!(answers.len(), 1, "{refusals:?}");
        assert!(refusals.iter().all(|refusal| *refusal == reason), "{refusals:?}");
        answers[0]
    }

    /// The outcomes of those whose number this is true of.
    pub fn of(&self, which: impl Fn(usize) -> bool) -> Self {
        let mine = self.0.iter().enumerate().filter(|(number, _)| which(*number));
        Self(mine.map(|(_, outcome)| outcome.clone()).collect())
    }
}

/// The log, read on and on.
pub struct Log {
    root: Caller,
    streams: Vec<(String, u64)>,
}

impl Log {
    /// The events since it was read last: in their order, stream by stream, the tenant's at the end.
    pub async fn news(&mut self) -> Vec<Value> {
        let mut all = Vec::new();
        for (stream, last) in &mut self.streams {
            let after = json!({"streamId": stream, "afterSequence": last.to_string()});
            for event in self.root.list("EventService/ListEvents", after, "events").await {
                *last += 1;
                assert_eq!(event["sequence"], last.to_string(), "without a gap");
                all.push(event);
            }
        }
        all
    }

    /// The types of those.
    pub async fn types(&mut self) -> Vec<String> {
        self.news().await.iter().map(|event| text(&event["type"])).collect()
    }
}
