//! The service is killed, again and again, at moments that nobody chose, while many write through every replica.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    follower::Follower,
    history::topic,
    support::{
        Database, Engine,
        chance::Chance,
        process::{Process, free_port, kafka},
    },
    verdict::{Stand, extent},
    writers::{Pace, Writers},
};

const REPLICAS: u64 = 2;
/// How many kills are enough for every day; `ROSTER_FAULTS_KILLS` says another number.
const KILLS: u64 = 8;
/// The longest pause between two kills: beyond a lease's length, so that every replica comes to lead.
const PAUSE_MAX: u64 = 4_000;

/// Kills replicas until there were so many kills; answers how many there were of a process that was only starting.
fn torment(replicas: &mut [Process], kills: u64) -> u64 {
    let mut chance = Chance(u64::from(std::process::id()));
    let (mut done, mut starting) = (0, 0);
    while done < kills {
        std::thread::sleep(Duration::from_millis(chance.below(PAUSE_MAX)));
        let victim = usize::try_from(chance.below(REPLICAS)).unwrap();
        let both = chance.once_in(5) && done + 2 <= kills;
        let victims = if both { 0..replicas.len() } else { victim..victim + 1 };
        for replica in &mut replicas[victims.clone()] {
            replica.kill();
            done += 1;
        }
        if chance.once_in(5) && done < kills {
            replicas[victim].start_and_kill(Duration::from_millis(chance.below(400)));
            done += 1;
            starting += 1;
        }
        replicas[victims].iter_mut().for_each(Process::start_again);
    }
    starting
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_are_killed_under_writers_and_nothing_is_lost_made_up_or_out_of_order() {
    let _alone = crate::alone().await;
    let (begin, kills) = (Instant::now(), extent("ROSTER_FAULTS_KILLS", KILLS));
    let Database::Postgres { url } = Database::fresh(Engine::Postgres).await else { unreachable!() };
    let stand = Stand { database_url: url, brokers: kafka(), topic: topic() };
    let mut replicas: Vec<_> = (0..REPLICAS).map(|_| Process::start(free_port(), &stand.arguments())).collect();
    let addresses: Vec<_> = replicas.iter().map(|replica| replica.address.clone()).collect();
    let key = replicas[0].first_key.clone().expect("a fresh database");
    let follower = Follower::start(&stand.brokers, &stand.topic).await;

    let pace = Pace { writers: 64, organizations: 12, pause: Duration::from_millis(200) };
    let writers = Writers::begin(&addresses, &key, pace).await;
    let tormenting = tokio::task::spawn_blocking(move || (torment(&mut replicas, kills), replicas));
    let (starting, replicas) = tormenting.await.unwrap();
    let changes = writers.end().await;
    let verdict = stand.judge(&changes, &follower).await;
    let terms: Vec<(i64,)> = stand.ask("SELECT epoch FROM leases WHERE name = 'leader'").await;
    let more = json!({"kills": kills, "of_them_while_starting": starting, "replicas": REPLICAS,
        "writers": pace.writers, "terms": terms[0].0});
    verdict.report("kill -9, service", begin, more);
    drop(replicas);
}
