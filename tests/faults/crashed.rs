//! PostgreSQL crashes, again and again, while many write; the service goes on by itself.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use crate::{
    follower::Follower,
    history::topic,
    support::{
        Caller, Database, Engine,
        chance::Chance,
        process::{Postgres, Process, free_port, kafka},
    },
    verdict::{Stand, extent, median_and_max},
    writers::{Pace, Writers},
};

/// How many crashes are enough for every day; `ROSTER_FAULTS_CRASHES` says another number.
const CRASHES: u64 = 3;
/// How long the service may take to be well again.
const RECOVERED_MAX: Duration = Duration::from_secs(30);

/// Crashes the server and starts it again; answers when it took connections again.
async fn crash(server: &Arc<Postgres>, mode: &'static str) -> Instant {
    let (stopping, starting) = (server.clone(), server.clone());
    tokio::task::spawn_blocking(move || stopping.stop(mode)).await.unwrap();
    let started = tokio::task::spawn_blocking(move || starting.start_again());
    let asking = async {
        while PgConnection::connect(&server.url).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Instant::now()
    };
    let accepting = tokio::time::timeout(Duration::from_secs(120), asking).await.expect("PostgreSQL comes back");
    started.await.unwrap();
    accepting
}

async fn recovery(since: Instant, first: impl Fn(Instant) -> Option<Instant>) -> Duration {
    loop {
        if let Some(at) = first(since) {
            return at - since;
        }
        assert!(since.elapsed() < RECOVERED_MAX, "the service did not recover");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_crashes_under_writers_and_the_service_recovers_by_itself() {
    let _alone = crate::alone().await;
    let (begin, crashes) = (Instant::now(), extent("ROSTER_FAULTS_CRASHES", CRASHES));
    let server = tokio::task::spawn_blocking(|| Arc::new(Postgres::start())).await.unwrap();
    // The worst that an operator may have set: what is acknowledged so is lost in a crash.
    let mut superuser = PgConnection::connect(&server.superuser()).await.unwrap();
    sqlx::query("ALTER ROLE roster SET synchronous_commit = off").execute(&mut superuser).await.unwrap();
    superuser.close().await.unwrap();

    let stand = Stand { database_url: server.url.clone(), brokers: kafka(), topic: topic() };
    let mut replicas: Vec<_> = (0..2).map(|_| Process::start(free_port(), &stand.arguments())).collect();
    let addresses: Vec<_> = replicas.iter().map(|replica| replica.address.clone()).collect();
    let key = replicas[0].first_key.clone().expect("a fresh database");
    let follower = Follower::start(&stand.brokers, &stand.topic).await;

    let pace = Pace { writers: 32, organizations: 12, pause: Duration::from_millis(100) };
    let writers = Writers::begin(&addresses, &key, pace).await;
    let mut chance = Chance(u64::from(std::process::id()));
    let (mut writes, mut stream) = (Vec::new(), Vec::new());
    for number in 0..crashes {
        tokio::time::sleep(Duration::from_millis(500 + chance.below(1_500))).await;
        let mode = Postgres::CRASHES[usize::try_from(number).unwrap() % Postgres::CRASHES.len()];
        let accepting = crash(&server, mode).await;
        writes.push(recovery(accepting, |since| writers.first_after(since)).await);
        stream.push(recovery(accepting, |since| follower.first_after(since)).await);
    }
    let changes = writers.end().await;
    let verdict = stand.judge(&changes, &follower).await;
    let (writes, stream) = (median_and_max(writes), median_and_max(stream));
    assert!(replicas.iter_mut().all(Process::is_running), "the service was never restarted");
    let more = json!({"crashes": crashes, "writers": pace.writers, "restarts_of_the_service": 0,
        "first_write_ms": {"median": writes.0, "max": writes.1},
        "first_event_ms": {"median": stream.0, "max": stream.1}});
    verdict.report("kill -9, PostgreSQL", begin, more);
    drop(replicas);
    tokio::task::spawn_blocking(move || drop(server)).await.unwrap();
}

/// A standby that took over may lack the end of the log, and a backup does. Whoever answered by it must not go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_whose_log_goes_back_stops() {
    stops_where("UPDATE log_head SET position = position - 1", "the log went back").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_whose_log_is_begun_again_stops() {
    let begun = "UPDATE log_head SET stream_epoch = 'ffffffff-0000-7000-8000-000000000000'";
    stops_where(begun, "another stream epoch was begun").await;
}

/// The service ends, and says why, where this happens to its log.
async fn stops_where(change: &'static str, why: &str) {
    let _alone = crate::alone().await;
    let database = Database::fresh(Engine::Postgres).await;
    let Database::Postgres { url } = &database else { unreachable!() };
    let mut service = Process::start(free_port(), &database.arguments());
    let caller = Caller::connect(&service.address, service.first_key.clone()).await;
    caller.call("OrganizationService/CreateOrganization", json!({"slug": "acme"})).await;
    let begin = Instant::now();
    while caller.events("").await.last().is_none_or(|event| event["type"] != "organization.created") {
        assert!(begin.elapsed() < RECOVERED_MAX, "it is not numbered");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut database = PgConnection::connect(url).await.unwrap();
    sqlx::query(change).execute(&mut database).await.unwrap();
    let begin = Instant::now();
    while service.ended().is_none() {
        assert!(begin.elapsed() < RECOVERED_MAX, "it goes on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(service.ended(), Some(Some(1)), "it says that it failed");
    assert_eq!(service.logged(&[why]), 1);
}
