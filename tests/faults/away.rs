//! Kafka is away while very much is written; then it is back.

use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::{Connection, PgConnection};

use crate::{
    follower::Follower,
    history::topic,
    support::{
        Caller, Database, Engine,
        process::{Broker, Process, free_port, is_release},
        text,
    },
    verdict::{Stand, extent},
};

/// How many events are enough for every day; `ROSTER_FAULTS_AWAY_EVENTS` says another number.
const EVENTS: u64 = 5_000;
/// Members of one call: two events each, for each of them is a new user too.
const MEMBERS: u64 = 500;
/// How fast the backlog must be drained at least, in events per second.
const DRAINED_PER_SECOND_MIN: f64 = 20_000.0;
/// How much the service may grow meanwhile.
const GROWTH_MAX_MIB: f64 = 100.0 * 1e6 / 1024.0 / 1024.0;
/// How long the drain may take.
const DRAINED_MAX: Duration = Duration::from_secs(180);

/// Writes so many events, in an organization of their own.
async fn write(caller: &Caller, events: u64) {
    let slug = format!("org-{}", uuid::Uuid::now_v7().simple());
    let made = caller.call("OrganizationService/CreateOrganization", json!({"slug": slug})).await;
    let organization = text(&made["organization"]["organizationId"]);
    for _ in 0..events.div_ceil(2 * MEMBERS) {
        let member = |_| json!({"email": format!("{}@example.com", uuid::Uuid::now_v7().simple())});
        let members: Vec<_> = (0..MEMBERS).map(member).collect();
        let batch = json!({"organizationId": organization, "members": members});
        caller.call("MembershipService/BatchAddMembers", batch).await;
    }
}

/// How far the topic and the log are, asked over one connection: one that is made anew each time, or all of the log counted
/// each time, costs PostgreSQL more than the drain itself.
struct Marks {
    connection: PgConnection,
    topic: String,
}

impl Marks {
    async fn of(stand: &Stand) -> Self {
        let connection = PgConnection::connect(&stand.database_url).await.expect("PostgreSQL answers");
        Self { connection, topic: stand.topic.clone() }
    }

    /// How far the topic of events has everything; the state topic has a mark of its own.
    async fn topic(&mut self) -> i64 {
        let sql = "SELECT COALESCE(MAX(position), 0) FROM relay_cursors WHERE sink LIKE '%/' || $1";
        sqlx::query_scalar(sql).bind(&self.topic).fetch_one(&mut self.connection).await.unwrap()
    }

    /// How many events there are, and so how far the log goes.
    async fn log(&mut self) -> i64 {
        sqlx::query_scalar("SELECT COUNT(*) FROM events").fetch_one(&mut self.connection).await.unwrap()
    }

    /// Waits until the topic has everything up to there; answers when it got the first of it.
    async fn drained(&mut self, end: i64) -> Instant {
        let (begin, before) = (Instant::now(), self.topic().await);
        let mut first = None;
        loop {
            let mark = self.topic().await;
            if mark > before {
                first.get_or_insert_with(Instant::now);
            }
            if mark >= end {
                return first.unwrap_or(begin);
            }
            assert!(begin.elapsed() < DRAINED_MAX, "{mark} of {end} are acknowledged");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The most that a process ever has in memory, looked at all the time.
struct Watched {
    watching: tokio::task::JoinHandle<()>,
    peak: std::sync::Arc<parking_lot::Mutex<f64>>,
    before: f64,
}

impl Watched {
    fn begin(service: std::sync::Arc<Process>) -> Self {
        let before = service.resident_mib();
        let peak = std::sync::Arc::new(parking_lot::Mutex::new(before));
        let for_task = peak.clone();
        let watching = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(50)).await;
                let now = service.resident_mib();
                let mut peak = for_task.lock();
                *peak = peak.max(now);
            }
        });
        Self { watching, peak, before }
    }

    /// What it had before, and the most since.
    fn end(self) -> (f64, f64) {
        self.watching.abort();
        (self.before, *self.peak.lock())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kafka_is_away_for_long_and_the_backlog_is_drained_in_order() {
    let _alone = crate::alone().await;
    let (begin, events) = (Instant::now(), extent("ROSTER_FAULTS_AWAY_EVENTS", EVENTS));
    let broker = tokio::task::spawn_blocking(Broker::start).await.unwrap();
    let Database::Postgres { url } = Database::fresh(Engine::Postgres).await else { unreachable!() };
    let stand = Stand { database_url: url, brokers: broker.address.clone(), topic: topic() };
    let service = std::sync::Arc::new(Process::start(free_port(), &stand.arguments()));
    let caller = Caller::connect(&service.address, service.first_key.clone()).await;
    let follower = Follower::start(&stand.brokers, &stand.topic).await;
    write(&caller, 10 * MEMBERS).await; // what such calls take by themselves is taken
    let mut marks = Marks::of(&stand).await;
    let end = marks.log().await;
    marks.drained(end).await;

    let watched = Watched::begin(service.clone());
    let broker = tokio::task::spawn_blocking(move || (broker.stop(), broker).1).await.unwrap();
    write(&caller, events).await;
    let (mark, end) = (marks.topic().await, marks.log().await);
    assert!(end - mark >= i64::try_from(events).unwrap(), "Kafka was away");
    let broker = tokio::task::spawn_blocking(move || (broker.start_again(), broker).1).await.unwrap();
    let back = Instant::now();
    let began = marks.drained(end).await;
    let (again, drained) = (began - back, began.elapsed());
    let (before, peak) = watched.end();

    let verdict = stand.judge(&[], &follower).await;
    let rate = (end - mark) as f64 / drained.as_secs_f64();
    let more = json!({"events_while_away": end - mark, "first_after_ms": again.as_millis(),
        "drained_seconds": drained.as_secs_f64(),
        "drained_per_second": rate.round(), "memory_mib": {"before": before.round(), "peak": peak.round()},
        "release_build": is_release()});
    verdict.report("Kafka away", begin, more);
    assert!(peak - before < GROWTH_MAX_MIB, "it grew from {before} to {peak} MiB");
    if is_release() {
        assert!(rate >= DRAINED_PER_SECOND_MIN, "drained at {rate} per second");
    }
    drop((service, follower));
    tokio::task::spawn_blocking(move || drop(broker)).await.unwrap();
}
