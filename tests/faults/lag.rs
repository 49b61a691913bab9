//! How long after a change its event is in the topic, at a steady rate of writes.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    follower::Follower,
    history::topic,
    support::{
        Caller, Database, Engine,
        process::{Process, free_port, is_release, kafka},
        text,
    },
    verdict::{Stand, extent},
    writers::Change,
};

/// How long is enough for every day; `ROSTER_FAULTS_LAG_SECONDS` says another time.
const SECONDS: u64 = 5;
/// For how long there are writes before any counts: a broker that has just started is not yet compiled.
const WARM_UP_SECONDS: (u64, u64) = (15, 2);
/// How many writes there are in a second: a build that is not fast does fewer.
const WRITES_PER_SECOND: (u32, u32) = (500, 100);
const ORGANIZATIONS: usize = 20;
/// The bar.
const P99_MAX: Duration = Duration::from_millis(250);
/// What holds on any machine: beyond it the relay stands still.
const P99_LOOSE_MAX: Duration = Duration::from_secs(10);
/// How many connections there are.
const CALLERS: usize = 8;

async fn organizations(caller: &Caller) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..ORGANIZATIONS {
        let create = json!({"slug": format!("org-{number}")});
        let made = caller.call("OrganizationService/CreateOrganization", create).await;
        ids.push(text(&made["organization"]["organizationId"]));
    }
    ids
}

/// Writes at a rate, whatever the answers take: under these names.
async fn write(callers: &[Caller], organizations: &[String], name: &str, per_second: u32, seconds: u64) -> Vec<Change> {
    let mut clock = tokio::time::interval(Duration::from_secs(1) / per_second);
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..usize::try_from(u64::from(per_second) * seconds).unwrap() {
        clock.tick().await;
        let caller = callers[number % CALLERS].clone();
        let request_id = format!("{name}-{number}");
        let request = json!({"organizationId": organizations[number % ORGANIZATIONS], "requestId": request_id,
            "resource": {"type": "doc", "id": request_id}});
        calls.spawn(async move {
            let revision = text(&caller.call("GrantService/PutResource", request).await["revision"]);
            Change { request_id, acknowledged: Some((Instant::now(), revision)), refused: 0 }
        });
    }
    calls.join_all().await
}

fn percentile(times: &[Duration], share: f64) -> f64 {
    times[(share * (times.len() - 1) as f64) as usize].as_secs_f64() * 1e3
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_in_the_topic_soon_after_its_change() {
    let _alone = crate::alone().await;
    let (begin, seconds) = (Instant::now(), extent("ROSTER_FAULTS_LAG_SECONDS", SECONDS));
    let Database::Postgres { url } = Database::fresh(Engine::Postgres).await else { unreachable!() };
    let stand = Stand { database_url: url, brokers: kafka(), topic: topic() };
    let service = Process::start(free_port(), &stand.arguments());
    let mut callers = Vec::new();
    for _ in 0..CALLERS {
        callers.push(Caller::connect(&service.address, service.first_key.clone()).await);
    }
    let organizations = organizations(&callers[0]).await;
    let follower = Follower::start(&stand.brokers, &stand.topic).await;
    let fast = is_release();
    let per_second = if fast { WRITES_PER_SECOND.0 } else { WRITES_PER_SECOND.1 };
    let warm_up = if fast { WARM_UP_SECONDS.0 } else { WARM_UP_SECONDS.1 };
    let before = write(&callers, &organizations, "warm", per_second, warm_up).await;
    let writing = Instant::now();
    let changes = write(&callers, &organizations, "lag", per_second, seconds).await;
    let rate = changes.len() as f64 / writing.elapsed().as_secs_f64();

    let all: Vec<_> = before.iter().chain(&changes).cloned().collect();
    let verdict = stand.judge(&all, &follower).await;
    let seen = follower.seen.lock();
    let arrivals: HashMap<_, _> = seen.applied.values().map(|event| (&*event.request_id, event.at)).collect();
    let lags = |changes: &[Change]| {
        let lag = |change: &Change| {
            let (answered, _) = change.acknowledged.as_ref().expect("every call succeeded");
            // Where a consumer had the event before the caller had the answer, there is no lag.
            arrivals[&*change.request_id].saturating_duration_since(*answered)
        };
        let mut lags: Vec<_> = changes.iter().map(lag).collect();
        lags.sort();
        lags
    };
    let (warming, lags) = (lags(&before), lags(&changes));
    let (p50, p99, max) = (percentile(&lags, 0.5), percentile(&lags, 0.99), percentile(&lags, 1.0));
    let more = json!({"writes_per_second": rate.round(), "p50_ms": p50.round(), "p99_ms": p99.round(),
        "max_ms": max.round(), "p99_ms_while_warming_up": percentile(&warming, 0.99).round(), "release_build": fast});
    verdict.report("lag", begin, more);
    assert!(p99 <= P99_LOOSE_MAX.as_secs_f64() * 1e3, "p99 {p99} ms: not even loosely");
    // A bar of time is one for a build that was made to be fast, on a machine with nothing else to do.
    if fast {
        assert!(p99 <= P99_MAX.as_secs_f64() * 1e3, "p99 {p99} ms");
        assert!(rate >= 0.9 * f64::from(per_second), "only {rate} of {per_second} writes per second");
    }
}
