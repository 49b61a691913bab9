//! Brokers of a cluster are killed, one after another, while many write.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    follower::Follower,
    history::topic,
    support::{
        Database, Engine,
        process::{Cluster, Process, free_port},
    },
    verdict::{Stand, extent},
    writers::{Pace, Writers},
};

/// For how long brokers are killed every day: each once; `ROSTER_FAULTS_ROLLING_SECONDS` says another time.
const ROLLING_SECONDS: u64 = 30;
/// How often a broker is killed.
const EVERY: Duration = Duration::from_secs(10);

/// Kills one broker after another, in this rhythm whether those before are back or not; answers how many.
fn roll(cluster: &Cluster, for_seconds: u64) -> usize {
    let begin = Instant::now();
    let kills = usize::try_from(for_seconds / EVERY.as_secs()).unwrap();
    std::thread::scope(|scope| {
        for node in 0..Cluster::NODES {
            // Each node on a thread of its own: one that is slow to start delays nothing but its own next end.
            scope.spawn(move || {
                for kill in (node..kills).step_by(Cluster::NODES) {
                    let next = EVERY * u32::try_from(kill).unwrap();
                    std::thread::sleep(next.saturating_sub(begin.elapsed()));
                    cluster.kill_and_start(node);
                }
            });
        }
    });
    kills
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_are_killed_one_after_another_under_writers() {
    let _alone = crate::alone().await;
    let (begin, seconds) = (Instant::now(), extent("ROSTER_FAULTS_ROLLING_SECONDS", ROLLING_SECONDS));
    let cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
    let Database::Postgres { url } = Database::fresh(Engine::Postgres).await else { unreachable!() };
    let stand = Stand { database_url: url, brokers: cluster.addresses.clone(), topic: topic() };
    let replicated = ["--kafka-replication-factor", "3"].map(str::to_owned);
    let arguments = [&stand.arguments()[..], &replicated].concat();
    let mut replicas: Vec<_> = (0..2).map(|_| Process::start(free_port(), &arguments)).collect();
    let addresses: Vec<_> = replicas.iter().map(|replica| replica.address.clone()).collect();
    let key = replicas[0].first_key.clone().expect("a fresh database");
    let follower = Follower::start(&stand.brokers, &stand.topic).await;

    let pace = Pace { writers: 32, organizations: 12, pause: Duration::from_millis(200) };
    let writers = Writers::begin(&addresses, &key, pace).await;
    let rolling = tokio::task::spawn_blocking(move || (roll(&cluster, seconds), cluster));
    let (kills, cluster) = rolling.await.unwrap();
    let changes = writers.end().await;
    assert_eq!(changes.iter().map(|change| change.refused).sum::<u32>(), 0, "no write needs Kafka");
    let verdict = stand.judge(&changes, &follower).await;
    assert!(replicas.iter_mut().all(Process::is_running));
    let producers: usize = replicas.iter().map(|replica| replica.logged(&["publishing to Kafka\""])).sum();
    let more = json!({"brokers": Cluster::NODES, "kills": kills, "writers": pace.writers, "producers": producers});
    verdict.report("kill -9, Kafka, rolling", begin, more);
    drop((replicas, follower));
    tokio::task::spawn_blocking(move || drop(cluster)).await.unwrap();
}
